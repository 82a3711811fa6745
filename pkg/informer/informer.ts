/** List + watch → a local, indexed, read-only copy of one resource, and word of every change in it. */
import type { ApiObject, ObjectKey } from "../api/object.ts";
import { keyOf, uidOf } from "../api/object.ts";
import { isReason } from "../api/status.ts";
import type { ListOptions, ResourceClient } from "../client/client.ts";
import { backoffMs } from "../util/backoff.ts";
import type { Clock, Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import type { DeepReadonly } from "../util/types.ts";
import { IndexedCache, type Indexer } from "./cache.ts";

/** `now` undefined: deleted. `old` undefined: new. Both: changed (or a resync, when they are the same object). */
export type ChangeHandler<T extends ApiObject> = (
  key: ObjectKey,
  now: DeepReadonly<T> | undefined,
  old: DeepReadonly<T> | undefined,
) => void;

export interface InformerOptions<T extends ApiObject> {
  readonly resource: ResourceClient<T>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: Random;
  readonly listOptions?: Pick<ListOptions, "labelSelector" | "fieldSelector">;
  readonly indexers?: Readonly<Record<string, Indexer<T>>>;
  /** Tells every handler about every object again this often. Default: never. */
  readonly resyncMs?: number;
}

const RETRY = { initialMs: 100, maxMs: 10_000, jitter: 0.5 };
/** A watch that ended sooner than this without a single event counts as a failure. */
const SHORT_WATCH_MS = 1_000;
/** The server ends a watch after this long, and up to twice as long; so watchers spread over its replicas. */
const WATCH_SECONDS = 300;

/**
 * A copy of what the API server holds, in the manner of client-go's SharedInformer.
 *
 * The copy is eventually consistent: at every moment it shows each object as it was at some past time, and if the
 * server stays reachable and an object stops changing, the copy comes to show its last state. States in between may
 * be skipped: a handler learns that something changed, not each change. Different objects may be of different ages.
 *
 *  N1  An object never goes back in time while the server does not; the same resourceVersion is never told twice
 *      (a resync excepted).
 *  N2  When a handler runs, the copy already shows `now`. For one object, `old` is what the handler was told before.
 *      An object that another of the same name replaced is told as a deletion, then as new.
 *  N3  Handlers of one informer run one after the other, in the order of registration; one that throws is logged and
 *      harms no other.
 *  N4  A handler registered late is told at once of all that is there, as new.
 *  N5  Before `whenSynced` resolves, everything the first complete list held has been told.
 *  N6  A deletion missed during an outage is told after the next list, with the last state known.
 *  N7  Each event costs the indexes of its object, independent of how many objects there are.
 *  N8  Failures never end `run`: it retries with back-off and jitter, and returns only when its signal aborts.
 */
export class Informer<T extends ApiObject> {
  readonly #o: InformerOptions<T>;
  readonly #cache: IndexedCache<T>;
  readonly #handlers = new Set<ChangeHandler<T>>();
  /** Of those who wait for the copy to show something. */
  readonly #looks = new Set<() => void>();
  #synced = false;
  #waiting: (() => void)[] = [];
  /** Where the next watch begins; undefined before the first list. */
  #resourceVersion: string | undefined;
  /** Ask the server for its newest state instead of one "not older than" ours: ours no longer means anything to it. */
  #stale = false;

  constructor(o: InformerOptions<T>) {
    this.#o = o;
    this.#cache = new IndexedCache(o.indexers);
  }

  get(key: ObjectKey): DeepReadonly<T> | undefined {
    return this.#cache.get(key);
  }

  /** All objects, in no particular order. */
  list(): readonly DeepReadonly<T>[] {
    return [...this.#cache.values()];
  }

  byIndex(name: string, value: string): readonly DeepReadonly<T>[] {
    return this.#cache.byIndex(name, value);
  }

  get size(): number {
    return this.#cache.size;
  }

  get synced(): boolean {
    return this.#synced;
  }

  /** The copy reflects at least this revision; "" before the first list. */
  get resourceVersion(): string {
    return this.#resourceVersion ?? "";
  }

  /**
   * Resolves when the copy shows what a write of this kind answered: an object of that revision, or a later one. The write
   * must have changed something (its event must be on its way). Rejects with `signal.reason` when the signal aborts.
   */
  async whenShows(o: DeepReadonly<ApiObject>, signal: AbortSignal): Promise<void> {
    const [key, revision] = [keyOf(o), BigInt(o.metadata.resourceVersion ?? "0")];
    const reached = (version: string | undefined) => BigInt(version || "0") >= revision;
    const shows = () => reached(this.#cache.get(key)?.metadata.resourceVersion) || reached(this.#resourceVersion);
    await this.until(shows, signal);
  }

  /** Resolves when the copy no longer has the object, or has another one of its name. */
  async whenGone(o: DeepReadonly<ApiObject>, signal: AbortSignal): Promise<void> {
    const key = keyOf(o);
    await this.until(() => uidOf(this.#cache.get(key) ?? { metadata: {} }) !== uidOf(o), signal);
  }

  /** Resolves when `holds` is true of the copy; it is asked after every change. Rejects when the signal aborts. */
  async until(holds: () => boolean, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (holds()) return;
    await new Promise<void>((resolve, reject) => {
      const end = (settle: () => void) => {
        this.#looks.delete(look);
        signal.removeEventListener("abort", onAbort);
        settle();
      };
      const look = () => {
        if (holds()) end(resolve);
      };
      const onAbort = () => end(() => reject(signal.reason as Error));
      this.#looks.add(look);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  onChange(handler: ChangeHandler<T>): Disposable {
    const own: ChangeHandler<T> = (key, now, old) => handler(key, now, old);
    for (const o of this.#cache.values()) this.#call(own, keyOf(o), o, undefined);
    this.#handlers.add(own);
    return { [Symbol.dispose]: () => void this.#handlers.delete(own) };
  }

  /** Resolves after the first list (N5); rejects with `signal.reason` when the signal aborts before. */
  whenSynced(signal: AbortSignal): Promise<void> {
    if (this.#synced) return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      const onAbort = () => reject(signal.reason as Error);
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(() => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      });
    });
  }

  /** Keeps the copy up to date until the signal aborts. Call it once. */
  async run(signal: AbortSignal): Promise<void> {
    using _resync = this.#startResync();
    let failures = 0;
    let relist = true;
    while (!signal.aborted) {
      try {
        if (relist) await this.#list(signal);
        relist = false;
        if (await this.#watch(signal)) failures = 0;
        else await this.#pause(++failures, "watch ended at once", signal);
      } catch (error) {
        if (signal.aborted) break;
        relist = true;
        if (isReason(error, "Expired", "Gone", "Timeout")) this.#stale = true;
        await this.#pause(++failures, error, signal);
      }
    }
  }

  async #pause(failures: number, why: unknown, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const ms = backoffMs(failures, RETRY, this.#o.random);
    this.#o.log.debug({ err: why, failures, retryMs: Math.round(ms) }, "informer: will list and watch again");
    await this.#o.clock.sleep(ms, signal).catch(() => {}); // an abort; the loop sees it
  }

  async #list(signal: AbortSignal): Promise<void> {
    const at = this.#stale ? {} : { resourceVersion: this.#resourceVersion ?? "0" };
    const list = await this.#o.resource.list({ ...this.#o.listOptions, ...at }, signal);
    signal.throwIfAborted();
    const seen = new Set<ObjectKey>();
    for (const item of list.items) {
      const o = item as DeepReadonly<T>;
      seen.add(keyOf(o));
      this.#put(o);
    }
    for (const key of this.#cache.keys()) if (!seen.has(key)) this.#remove(key);
    this.#resourceVersion = list.metadata.resourceVersion ?? "";
    this.#stale = false;
    this.#synced = true;
    for (const resolve of this.#waiting.splice(0)) resolve();
    for (const look of this.#looks) look();
  }

  /** Returns whether the watch did any good. */
  async #watch(signal: AbortSignal): Promise<boolean> {
    const started = this.#o.clock.now();
    let events = 0;
    const options = {
      ...this.#o.listOptions,
      resourceVersion: this.resourceVersion,
      allowWatchBookmarks: true,
      timeoutSeconds: Math.round(WATCH_SECONDS * (1 + this.#o.random())),
    };
    for await (const { type, object } of this.#o.resource.watch(options, signal)) {
      if (signal.aborted) break;
      const o = object as DeepReadonly<T>;
      if (type === "DELETED") this.#remove(keyOf(o));
      else if (type !== "BOOKMARK") this.#put(o);
      this.#resourceVersion = o.metadata.resourceVersion ?? this.#resourceVersion;
      for (const look of this.#looks) look();
      events++;
    }
    return events > 0 || this.#o.clock.now() - started >= SHORT_WATCH_MS;
  }

  #put(o: DeepReadonly<T>): void {
    const key = keyOf(o);
    let old = this.#cache.get(key);
    if (old && uidOf(old) !== uidOf(o)) {
      this.#remove(key);
      old = undefined;
    }
    if (old && old.metadata.resourceVersion === o.metadata.resourceVersion) return;
    this.#cache.set(key, o);
    this.#emit(key, o, old);
  }

  #remove(key: ObjectKey): void {
    const old = this.#cache.delete(key);
    if (old) this.#emit(key, undefined, old);
  }

  #emit(key: ObjectKey, now: DeepReadonly<T> | undefined, old: DeepReadonly<T> | undefined): void {
    for (const handler of this.#handlers) this.#call(handler, key, now, old);
  }

  #call(
    handler: ChangeHandler<T>,
    key: ObjectKey,
    now: DeepReadonly<T> | undefined,
    old: DeepReadonly<T> | undefined,
  ): void {
    try {
      handler(key, now, old);
    } catch (error) {
      this.#o.log.error({ err: error, key }, "informer: a change handler threw");
    }
  }

  #startResync(): Disposable {
    const ms = this.#o.resyncMs;
    if (ms === undefined) return { [Symbol.dispose]: () => {} };
    let timer: Disposable;
    const tick = () => {
      for (const o of this.list()) this.#emit(keyOf(o), o, o);
      timer = this.#o.clock.after(ms, tick);
    };
    timer = this.#o.clock.after(ms, tick);
    return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
  }
}
