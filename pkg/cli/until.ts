/** Waits for objects by watching them, across lost watches and restarts of the server's history. */
import type { ApiObject } from "../api/object.ts";
import { isReason } from "../api/status.ts";
import { own } from "../util/keys.ts";
import { fetchList, type Selection, watchSelection } from "./fetch.ts";
import type { Session } from "./session.ts";

export class TimedOut extends Error {}

/** Between two tries when a watch could not be held. */
const AGAIN_MS = 500;

/**
 * Calls `test` with the named object whenever it changed (undefined: it does not exist) until it holds; resolves with
 * that state. Rejects with {@link TimedOut} after `timeoutMs` (0: never).
 */
export async function until(
  session: Session,
  s: Selection & { name: string },
  o: { timeoutMs: number; test: (object: ApiObject | undefined) => boolean },
): Promise<ApiObject | undefined> {
  const { clock } = session.io;
  const stop = new AbortController();
  using _deadline = o.timeoutMs > 0 ? clock.after(o.timeoutMs, () => stop.abort(new TimedOut())) : undefined;
  const signal = AbortSignal.any([session.io.signal, stop.signal]);
  const { name, ...rest } = s;
  for (;;) {
    const list = await fetchList(session, { ...rest, fieldSelector: `metadata.name=${name}` });
    const [object] = list.items;
    if (o.test(object)) return object;
    try {
      for await (const event of watchSelection(session, s, { resourceVersion: list.resourceVersion, signal })) {
        if (event.type === "BOOKMARK") continue;
        const next = event.type === "DELETED" ? undefined : event.object;
        if (o.test(next)) return next;
      }
    } catch (error) {
      // Too old a version, or the connection broke: look again.
      if (!isReason(error, "Expired", "Gone", "ServiceUnavailable")) throw error;
    }
    signal.throwIfAborted();
    await clock.sleep(AGAIN_MS, signal);
  }
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `30s`, `1m30s`, `2h`, `500ms`; a bare number is seconds. Undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  if (/^-?\d+$/.test(text)) return Number(text) * 1000;
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, n, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g))
    total += Number(n) * (own(UNITS, unit ?? "") ?? 0);
  return total;
}
