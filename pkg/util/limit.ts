import type { Clock } from "./clock.ts";

/** As the promise settles, or a rejection after `ms`. What the promise stands for is not stopped by that. */
export async function settledWithin<T>(clock: Clock, ms: number, what: string, promise: Promise<T>): Promise<T> {
  const stop = new AbortController();
  const late = clock.sleep(ms, stop.signal).then(() => Promise.reject(new Error(`${what}: no answer within ${ms} ms`)));
  late.catch(() => {}); // raced here
  try {
    return await Promise.race([promise, late]);
  } finally {
    stop.abort();
  }
}
