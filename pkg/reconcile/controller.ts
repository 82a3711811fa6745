import type { ObjectKey } from "../api/object.ts";
import { isNamespaceTerminating, isReason } from "../api/status.ts";
import type { Clock, Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import type { Metrics } from "../util/metrics.ts";
import { QueueMetrics } from "./metrics.ts";
import type { WorkQueue } from "./workqueue.ts";

/** What a reconcile leaves behind: nothing to do until something changes, or a time to look again at. */
export type Outcome = "done" | { readonly againAfterMs: number };

/** One reconcile's identity: for its log lines and for the Cause of its writes. */
export interface ReconcileRun {
  readonly reconcileId: string;
  readonly log: Logger;
}

/**
 * Reads the present state of the object that `key` names, and brings the world nearer to it. Idempotent; must end
 * soon after `signal` aborts. Throws to be called again after a back-off.
 */
export type Reconcile = (key: ObjectKey, signal: AbortSignal, run: ReconcileRun) => Promise<Outcome>;

export interface ControllerOptions {
  readonly name: string;
  readonly queue: WorkQueue;
  readonly reconcile: Reconcile;
  /** Caches that must be complete before the first reconcile. */
  readonly after?: readonly { whenSynced(signal: AbortSignal): Promise<void> }[];
  /** Keys worked on at the same time. Default 1. */
  readonly workers?: number;
  /** One reconcile may take this long before its signal aborts. Default 30 s. */
  readonly deadlineMs?: number;
  /** Counts what goes through the queue. */
  readonly metrics?: Metrics | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: Random;
}

/**
 * Hands the queue's keys to `reconcile` until the signal aborts; then waits for those under way, and closes the queue.
 *
 *  R1  At no time do two reconciles of one key run (WorkQueue I2).
 *  R2  A failure is retried with a back-off of its key alone; success, or an Outcome, resets that. What the end of its
 *      namespace forbids is not retried.
 *  R3  Nothing a reconcile does or throws ends the loop.
 */
export async function runController(o: ControllerOptions, signal: AbortSignal): Promise<void> {
  using queue = o.queue;
  if (o.metrics) queue.observe(new QueueMetrics({ ...o, metrics: o.metrics }));
  using _closing = onAbort(signal, () => queue.close());
  try {
    await Promise.all((o.after ?? []).map((cache) => cache.whenSynced(signal)));
  } catch (error) {
    if (signal.aborted) return;
    throw error;
  }
  const worker = async () => {
    for (let key = await queue.take(); key !== undefined; key = await queue.take()) {
      await reconcileOne(o, key, signal);
      queue.done(key);
    }
  };
  await Promise.all(Array.from({ length: o.workers ?? 1 }, worker));
}

async function reconcileOne(o: ControllerOptions, key: ObjectKey, signal: AbortSignal): Promise<void> {
  const reconcileId = newReconcileId(o.random);
  const log = o.log.child({ controller: o.name, key, reconcileId });
  const scope = new AbortController();
  using _deadline = o.clock.after(o.deadlineMs ?? 30_000, () => scope.abort(new Error("reconcile deadline exceeded")));
  using _parent = onAbort(signal, () => scope.abort(signal.reason));
  try {
    const outcome = await o.reconcile(key, scope.signal, { reconcileId, log });
    o.queue.forget(key);
    // Whole milliseconds, as timers have them: a delay too small for the clock to show would look again without end.
    if (outcome !== "done") o.queue.addAfter(key, Math.ceil(outcome.againAfterMs));
  } catch (error) {
    if (signal.aborted) return;
    if (isNamespaceTerminating(error)) {
      o.queue.forget(key);
      return log.debug({ err: error }, "reconcile: its namespace is being deleted, and it with that");
    }
    const retryMs = Math.round(o.queue.retry(key));
    // A lost race is everyday life: the cache will catch up.
    if (isReason(error, "Conflict")) log.debug({ err: error, retryMs }, "reconcile: conflict, will retry");
    else log.warn({ err: error, retryMs }, "reconcile failed, will retry");
  }
}

/** Eight characters: enough to find one reconcile's lines in a log. */
export function newReconcileId(random: Random): string {
  return Math.floor(random() * 2 ** 32)
    .toString(16)
    .padStart(8, "0");
}

/** Calls `fn` when the signal aborts (at once if it has), unless disposed before. */
export function onAbort(signal: AbortSignal, fn: () => void): Disposable {
  if (signal.aborted) fn();
  else signal.addEventListener("abort", fn, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener("abort", fn) };
}
