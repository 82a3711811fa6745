/** What has to be looked at again while a program runs for months. */
import type { Clock } from "../../pkg/util/clock.ts";
import type { Logger } from "../../pkg/util/log.ts";

const DAY_MS = 24 * 3_600_000;
const RETRY_MS = 3_600_000;

/** Calls it day after day until the signal aborts; sooner again when it failed. Never rejects. */
export async function daily(
  renew: () => Promise<void>,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  let waitMs = DAY_MS;
  for (;;) {
    await clock.sleep(waitMs, signal).catch(() => {}); // an abort
    if (signal.aborted) return;
    try {
      await renew();
      waitMs = DAY_MS;
    } catch (error) {
      log.error({ err: error }, "certificates are not renewed, will retry within the hour");
      waitMs = RETRY_MS;
    }
  }
}
