/** The workers of this node, one a Pod, and their common link to the runtime. */
import { setMaxListeners } from "node:events";
import { deepEqual } from "../api/equal.ts";
import { RuntimeError, type RuntimePod } from "../runtime/runtime.ts";
import { backoffMs } from "../util/backoff.ts";
import type { NodeContext } from "./context.ts";
import type { Pod } from "./facts.ts";
import { READ_LIMIT_MS, withinLimit } from "./time-limit.ts";
import { removeStrayVolumes } from "./volumes.ts";
import { PodWorker } from "./worker.ts";

const RECONNECT = { initialMs: 200, maxMs: 10_000, jitter: 0.3 };
/** A hint may get lost: look at everything this often. */
const RESYNC_MS = 60_000;

export interface FleetOptions {
  readonly ctx: NodeContext;
  /** The Pods of this node; what else runs is removed only when that is `complete`, as it is once the API was heard. */
  readonly desired: () => { readonly pods: readonly Pod[]; readonly complete: boolean };
  /** With a message: the runtime does not answer. Undefined: it does. */
  readonly onRuntime: (down: string | undefined) => void;
}

/**
 *  A1  On start, and after every outage of the runtime, what runs is listed before anything is done: it is adopted.
 *  A2  What runs and nobody asks for is removed, gracefully, once the API has been heard in full.
 *  A3  A lost runtime suspends all workers; its return lets each begin with a fresh look.
 */
export class Fleet {
  readonly #o: FleetOptions;
  readonly #workers = new Map<string, PodWorker>();
  readonly #loops = new Set<Promise<void>>();
  /** All that is desired was known, and compared with what runs. */
  #complete = false;
  #down: string | undefined;
  /** Breaks the event stream, for a verb has failed where the stream has not noticed yet. */
  #reconnect = new AbortController();
  #signal: AbortSignal | undefined;

  constructor(o: FleetOptions) {
    this.#o = o;
  }

  worker(uid: string): PodWorker | undefined {
    return this.#workers.get(uid);
  }

  workers(): Iterable<PodWorker> {
    return this.#workers.values();
  }

  /** By namespace and name: among those of the same name the one that is in the API. */
  find(namespace: string, name: string): PodWorker | undefined {
    for (const w of this.#workers.values()) {
      if (w.pod?.metadata.namespace === namespace && w.pod.metadata.name === name) return w;
    }
    return undefined;
  }

  /** The API's word on one Pod. Before all was compared nothing is begun: `run` will ask for all. */
  podChanged(uid: string, pod: Pod | undefined): void {
    const worker = this.#workers.get(uid);
    if (worker) worker.setPod(pod);
    else if (pod && this.#complete) this.#begin({ uid, pod });
  }

  /** Compares anew: more is desired than before. */
  lookAgain(): void {
    this.#reconnect.abort();
  }

  /** A verb has found the daemon away. */
  runtimeFailed(error: unknown): void {
    this.#wentDown(error);
    this.#reconnect.abort();
  }

  /** Follows the runtime until the signal aborts, then waits for the workers to end. */
  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    setMaxListeners(0, signal); // every worker and every timer of theirs listens
    const { clock, random } = this.#o.ctx;
    for (let failures = 0; !signal.aborted;) {
      try {
        await this.#follow(signal, () => (failures = 0));
      } catch (error) {
        if (signal.aborted) break;
        this.#wentDown(error);
      }
      if (!signal.aborted) await clock.sleep(backoffMs(++failures, RECONNECT, random), signal).catch(() => {}); // an abort; the loop sees it
    }
    while (this.#loops.size > 0) await Promise.allSettled(this.#loops);
  }

  /** Subscribe, then list, then listen: nothing falls between. Returns when the stream has ended. */
  async #follow(parent: AbortSignal, onConnected: () => void): Promise<void> {
    this.#reconnect = new AbortController();
    const stop = this.#reconnect;
    const signal = AbortSignal.any([parent, stop.signal]);
    const events = this.#o.ctx.runtime.events(signal);
    try {
      await this.#sync(signal);
      this.#cameUp();
      onConnected();
      const resync = this.#resyncLoop(signal);
      for await (const { podUid } of events) this.#workers.get(podUid)?.runtimeChanged();
      stop.abort();
      await resync;
    } finally {
      stop.abort();
    }
  }

  /** Compares with the whole of the runtime; workers whose picture differs look again, orphans get a worker. */
  async #sync(signal: AbortSignal): Promise<void> {
    const limit = { clock: this.#o.ctx.clock, ms: READ_LIMIT_MS, what: "listPods", signal };
    const found = await withinLimit(limit, (s) => this.#o.ctx.runtime.listPods(s));
    const actual = new Map(found.map((p): [string, RuntimePod] => [p.uid, p]));
    const { pods, complete } = this.#o.desired();
    const first = complete && !this.#complete;
    this.#complete ||= complete;
    for (const pod of pods) {
      const uid = pod.metadata.uid ?? "";
      if (!this.#workers.has(uid)) this.#begin({ uid, pod, ...optionalActual(actual.get(uid)) });
    }
    for (const [uid, w] of this.#workers) if (!deepEqual(w.actual, actual.get(uid))) w.runtimeChanged();
    if (!complete) return;
    for (const [uid, pod] of actual) if (!this.#workers.has(uid)) this.#begin({ uid, actual: pod });
    if (first) this.#removeStrays(signal);
  }

  /** When every Pod that is left of earlier times has its worker. */
  #removeStrays(signal: AbortSignal): void {
    const { dataDir, log, runtime } = this.#o.ctx;
    const removing = removeStrayVolumes(dataDir, (uid) => this.#workers.has(uid))
      .then((uids) => Promise.all(uids.map((uid) => runtime.removeMemoryVolumes(uid, signal))))
      .then(() => {})
      .catch((error: unknown) => {
        log.warn({ err: error }, "volumes of forgotten pods not removed; the next agent will try again");
      })
      .finally(() => this.#loops.delete(removing));
    this.#loops.add(removing);
  }

  async #resyncLoop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#o.ctx.clock.sleep(RESYNC_MS, signal).catch(() => {}); // an abort; the loop sees it
      if (signal.aborted) return;
      try {
        await this.#sync(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof RuntimeError && error.reason === "RuntimeUnavailable") this.runtimeFailed(error);
        else this.#o.ctx.log.warn({ err: error }, "the runtime was not listed; next time again");
      }
    }
  }

  #begin(o: { uid: string; pod?: Pod; actual?: RuntimePod }): void {
    const signal = this.#signal;
    if (!signal || signal.aborted) return;
    const worker = new PodWorker(this.#o.ctx, o);
    if (this.#down !== undefined) worker.suspend();
    this.#workers.set(o.uid, worker);
    const loop = worker
      .run(signal)
      .catch((error: unknown) => this.#o.ctx.log.error({ err: error, pod: o.uid }, "worker failed"))
      .finally(() => {
        if (this.#workers.get(o.uid) === worker) this.#workers.delete(o.uid);
        this.#loops.delete(loop);
      });
    this.#loops.add(loop);
  }

  #wentDown(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    if (this.#down === undefined) this.#o.ctx.log.error({ err: error }, "container runtime is down");
    this.#down = message;
    for (const w of this.#workers.values()) w.suspend();
    this.#o.onRuntime(message);
  }

  #cameUp(): void {
    if (this.#down !== undefined) {
      this.#o.ctx.log.info({}, "container runtime is back");
      this.#down = undefined;
      for (const w of this.#workers.values()) w.resume();
    }
    this.#o.onRuntime(undefined);
  }
}

function optionalActual(actual: RuntimePod | undefined): { actual?: RuntimePod } {
  return actual ? { actual } : {};
}
