/** The store in memory: one watch on it feeds every reader and every watcher of every kind. */
import type { ResourceDef } from "../api/resource.ts";
import { ApiError } from "../api/status.ts";
import { type KeyValue, CompactedError, type Revision, type Store, type StoreEvent } from "../store/store.ts";
import { backoffMs } from "../util/backoff.ts";
import type { Clock, Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import { type Entry, UnreadableError, decodeStored } from "./entry.ts";
import { ROOT, prefixOf, resourceKey, resourcesOfKey } from "./keys.ts";
import { ResourceCache } from "./resource-cache.ts";

/** How long a read waits for the cache before it asks the store itself. */
const CATCH_UP_MS = 1_000;
const RETRY = { initialMs: 50, maxMs: 5_000, jitter: 0.5 };

export interface WatchCacheOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly resources: readonly ResourceDef[];
  /** Notices that may wait for one watcher before it is cut off. */
  readonly watchQueueLimit?: number;
}

/**
 *  K1  All kinds move together: at `revision` the cache shows every write up to it, of all kinds.
 *  K2  After `fresh()` the cache shows every write that anybody, also another API server, had acknowledged before the call.
 *  K3  A lost store connection loses no change: the watch goes on where it was. Only when that history has been
 *      compacted away is everything listed anew, and every watch ended.
 */
export class WatchCache {
  readonly #o: WatchCacheOptions;
  readonly #resources = new Map<string, ResourceCache>();
  /** Of kinds that are being added: what came while their objects were listed. */
  readonly #arriving = new Map<string, StoreEvent[]>();
  /** Counts how often everything was listed anew. */
  #loads = 0;
  #loadedAt: Revision = 0n;
  readonly #abort = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #revision: Revision = 0n;
  /** Entries of our own writes whose events have not come yet: their decoding is spared, and the next write sees them. */
  readonly #written = new Map<string, Entry>();
  #waiting: { revision: Revision; wake: () => void }[] = [];
  #asking: Promise<Revision> | undefined;
  #queued: Promise<Revision> | undefined;

  constructor(o: WatchCacheOptions) {
    this.#o = o;
    for (const def of o.resources) {
      if (!def.virtual && !def.view) this.#resources.set(resourceKey(def), this.#cacheFor(def));
    }
  }

  /** Loads everything; rejects when the store cannot be read. From then on the cache keeps itself up to date. */
  async start(): Promise<void> {
    await this.#load();
    this.#running = this.#follow(this.#abort.signal);
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    for (const { wake } of this.#waiting) wake();
    for (const resource of this.#resources.values()) resource.close();
    await this.#running;
  }

  get revision(): Revision {
    return this.#revision;
  }

  /**
   * From when it resolves the kind is served like those known from the start. A kind already there gets this definition.
   * Calls for one kind must not overlap.
   */
  async add(def: ResourceDef): Promise<void> {
    const name = resourceKey(def);
    const known = this.#resources.get(name);
    if (known) return known.redefine(def);
    for (;;) {
      const arrived: StoreEvent[] = [];
      const loads = this.#loads;
      this.#arriving.set(name, arrived);
      try {
        // The snapshot at the cache's own revision, then what came since: so K1 holds for the new kind too.
        const revision = this.#revision;
        const page = await this.#o.store.list(prefixOf(def), revision > 0n ? { at: revision } : {});
        if (this.#loads !== loads) continue;
        const cache = this.#cacheFor(def);
        const hidden: Hidden[] = [];
        cache.reset(
          page.kvs.flatMap((kv) => this.#decode(kv, hidden) ?? []),
          page.revision,
        );
        for (const h of hidden) this.#hide(cache, h);
        this.#resources.set(name, cache);
        this.#arriving.delete(name);
        for (const event of arrived) this.#applyTo(cache, event);
        return;
      } catch (error) {
        this.#arriving.delete(name);
        throw error;
      }
    }
  }

  /** The kind's watches end; its objects stay in the store. */
  remove(def: ResourceDef): void {
    const name = resourceKey(def);
    this.#resources.get(name)?.close();
    this.#resources.delete(name);
  }

  #cacheFor(def: ResourceDef): ResourceCache {
    const { watchQueueLimit: queueLimit } = this.#o;
    return new ResourceCache(def, queueLimit === undefined ? {} : { queueLimit });
  }

  has(def: ResourceDef): boolean {
    return this.#resources.has(resourceKey(def));
  }

  resource(def: ResourceDef): ResourceCache {
    const found = this.#resources.get(resourceKey(def));
    if (!found) throw new ApiError("NotFound", "the server could not find the requested resource");
    return found;
  }

  resources(): Iterable<ResourceCache> {
    return this.#resources.values();
  }

  /** The newest state known here of what is under a key; may be behind what other servers wrote. */
  newest(def: ResourceDef, key: string): Entry | undefined {
    return this.#written.get(key) ?? this.resource(def).get(key);
  }

  /** Tells the cache of a write of our own before the store does. Returns the entry that readers will share. */
  wrote(def: ResourceDef, entry: Entry): Entry {
    if (entry.revision <= this.#revision) {
      const cached = this.resource(def).get(entry.key);
      return cached?.revision === entry.revision ? cached : entry;
    }
    const before = this.#written.get(entry.key);
    if (!before || before.revision < entry.revision) this.#written.set(entry.key, entry);
    return entry;
  }

  /** See K2. False when the cache did not get there in time: read the store instead. */
  async fresh(): Promise<boolean> {
    return this.reached(await this.#latest(), CATCH_UP_MS);
  }

  /** Whether the cache shows `revision`, now or within `withinMs`. */
  reached(revision: Revision, withinMs: number): Promise<boolean> {
    if (this.#revision >= revision) return Promise.resolve(true);
    return new Promise((resolve) => {
      const waiter = { revision, wake: () => settle() };
      const timer = this.#o.clock.after(withinMs, () => settle());
      const settle = () => {
        timer[Symbol.dispose]();
        const at = this.#waiting.indexOf(waiter);
        if (at >= 0) this.#waiting.splice(at, 1);
        resolve(this.#revision >= revision);
      };
      this.#waiting.push(waiter);
    });
  }

  /** The store's revision at some time after the call: calls that come while one is under way share the next. */
  #latest(): Promise<Revision> {
    this.#queued ??= this.#afterCurrent();
    return this.#queued;
  }

  async #afterCurrent(): Promise<Revision> {
    await this.#asking?.catch(() => undefined);
    this.#queued = undefined;
    this.#asking = this.#o.store.get(ROOT).then((r) => r.revision);
    return this.#asking;
  }

  async #load(): Promise<void> {
    const page = await this.#o.store.list(ROOT);
    this.#loads += 1;
    this.#loadedAt = page.revision;
    const byResource = new Map<ResourceCache, Entry[]>();
    const hidden: Hidden[] = [];
    for (const kv of page.kvs) {
      const resource = this.#resourceOf(kv.key);
      const entry = resource && this.#decode(kv, hidden);
      if (!resource || !entry) continue;
      const entries = byResource.get(resource);
      if (entries) entries.push(entry);
      else byResource.set(resource, [entry]);
    }
    this.#written.clear();
    for (const resource of this.#resources.values()) {
      resource.reset(byResource.get(resource) ?? [], page.revision);
    }
    for (const h of hidden) this.#hide(this.#resourceOf(h.kv.key), h);
    this.#advance(page.revision);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { store, clock, log, random } = this.#o;
    let failures = 0;
    let lost = false;
    while (!signal.aborted) {
      try {
        if (lost) await this.#load();
        lost = false;
        for await (const event of store.watch(ROOT, this.#next(), signal)) {
          this.#apply(event);
          failures = 0;
        }
      } catch (error) {
        lost = error instanceof CompactedError;
        if (!signal.aborted) log.warn({ error, failures, lost }, "the store's watch was interrupted");
      }
      if (signal.aborted) return;
      failures += 1;
      await clock.sleep(backoffMs(failures, RETRY, random), signal).catch(() => undefined);
    }
  }

  /**
   * From the revision already reached, inclusive: if a transaction was told only in part, the rest comes now (C4). What
   * was listed is whole, and may be compacted up to its very revision: from behind it.
   */
  #next(): Revision {
    return this.#revision === this.#loadedAt ? this.#revision + 1n : this.#revision;
  }

  #apply(event: StoreEvent): void {
    if (event.type !== "progress") {
      const key = event.type === "put" ? event.kv.key : event.key;
      const resource = this.#resourceOf(key);
      if (resource) this.#applyTo(resource, event);
      else if (this.#arriving.size > 0) this.#arriving.get(resourcesOfKey(key)[1])?.push(event);
    }
    this.#advance(event.revision);
  }

  #applyTo(resource: ResourceCache, event: StoreEvent): void {
    if (event.type === "progress") return;
    if (event.type === "put") {
      const hidden: Hidden[] = [];
      const entry = this.#take(event.kv.key, event.revision) ?? this.#decode(event.kv, hidden);
      if (entry) resource.put(entry, this.#o.clock.now());
      for (const h of hidden) this.#hide(resource, h);
      return;
    }
    this.#take(event.key, event.revision);
    resource.delete(event.key, event.revision, this.#o.clock.now());
  }

  /** The entry that our own write of this revision left; older ones are forgotten. */
  #take(key: string, revision: Revision): Entry | undefined {
    const written = this.#written.get(key);
    if (!written || written.revision > revision) return undefined;
    this.#written.delete(key);
    return written.revision === revision ? written : undefined;
  }

  #advance(revision: Revision): void {
    if (revision <= this.#revision) return;
    this.#revision = revision;
    for (const waiter of this.#waiting.filter((w) => w.revision <= revision)) waiter.wake();
  }

  #resourceOf(key: string): ResourceCache | undefined {
    const [core, grouped] = resourcesOfKey(key);
    return this.#resources.get(core) ?? this.#resources.get(grouped);
  }

  /** What could not be read is tried again: its key may be there now. */
  async rereadHidden(): Promise<void> {
    for (const resource of this.#resources.values()) {
      for (const key of resource.hidden) {
        const { kv } = await this.#o.store.get(key);
        const entry = kv && this.#decode(kv, []);
        if (entry) resource.show(entry, this.#revision, this.#o.clock.now());
      }
    }
  }

  #hide(resource: ResourceCache | undefined, { kv, why }: Hidden): void {
    resource?.hide(kv.key, { why, revision: kv.modRevision }, this.#o.clock.now());
  }

  /**
   * What is no object of ours (written by another hand) is left out and said so, never an end of the server. What is
   * one whose key is missing is put into `hidden`.
   */
  #decode(kv: KeyValue, hidden: Hidden[]): Entry | undefined {
    try {
      return decodeStored(kv);
    } catch (error) {
      this.#o.log.error({ key: kv.key, revision: kv.modRevision, error }, "cannot read the stored object");
      if (error instanceof UnreadableError) hidden.push({ kv, why: error.message });
      return undefined;
    }
  }
}

/** Of an object that is there and cannot be read. */
interface Hidden {
  readonly kv: KeyValue;
  readonly why: string;
}
