/** No call to the runtime may hang for ever: a daemon that does not answer must not hold a Pod, or the node. */
import { RuntimeError } from "../runtime/runtime.ts";
import type { Clock } from "../util/clock.ts";
import { duration } from "./duration.ts";

/** A look at the runtime: worth another try sooner than a verb that may have half worked. */
export const READ_LIMIT_MS = 30_000;

/** Runs `work` with a signal that aborts with the given one or, with a RuntimeError that says so, after `ms`. */
export async function withinLimit<T>(
  o: { readonly clock: Clock; readonly ms: number; readonly what: string; readonly signal: AbortSignal },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (!Number.isFinite(o.ms)) return work(o.signal);
  const late = new AbortController();
  const onLate = () => late.abort(new RuntimeError("RuntimeError", `${o.what}: no answer within ${duration(o.ms)}`));
  using _timer = o.clock.after(o.ms, onLate);
  return await work(AbortSignal.any([o.signal, late.signal]));
}
