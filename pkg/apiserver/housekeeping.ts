/** What the server does by itself, once in a while: forgets old revisions, old changes and objects whose time is over. */
import type { ResourceDef } from "../api/resource.ts";
import { tidyStore } from "../store/tidy.ts";
import type { Revision, Store } from "../store/store.ts";
import type { Clock } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import type { Entry } from "./entry.ts";
import type { WatchCache } from "./watchcache.ts";

/** So long at least a revision can still be read (a paged list goes on), and at most twice as long. */
const COMPACT_EVERY_MS = 5 * 60_000;
const EXPIRE_EVERY_MS = 60_000;
const FORGET_EVERY_MS = 60_000;
/** After a compaction at least, so that what it freed is seen. */
const TIDY_EVERY_MS = 2 * COMPACT_EVERY_MS;

export interface HousekeepingOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly cache: WatchCache;
  /** Removes the object if it is still at this revision. */
  readonly remove: (def: ResourceDef, entry: Entry) => Promise<void>;
}

export class Housekeeping {
  readonly #o: HousekeepingOptions;
  readonly #abort = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  /** What the revision was one period ago. */
  #compactTo: Revision = 0n;

  constructor(o: HousekeepingOptions) {
    this.#o = o;
  }

  start(): void {
    this.#compactTo = this.#o.cache.revision;
    this.#running = Promise.all([
      this.#every(COMPACT_EVERY_MS, () => this.#compact()),
      this.#every(EXPIRE_EVERY_MS, () => this.#expire()),
      this.#every(FORGET_EVERY_MS, async () => this.#forget()),
      this.#every(TIDY_EVERY_MS, () => tidyStore({ ...this.#o, everyMs: TIDY_EVERY_MS, signal: this.#abort.signal })),
    ]);
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  async #every(ms: number, work: () => Promise<void>): Promise<void> {
    const { signal } = this.#abort;
    for (;;) {
      await this.#o.clock.sleep(ms, signal).catch(() => undefined);
      if (signal.aborted) return;
      await work().catch((error: unknown) => this.#o.log.warn({ error }, "housekeeping failed, next time again"));
    }
  }

  async #compact(): Promise<void> {
    const revision = this.#compactTo;
    this.#compactTo = this.#o.cache.revision;
    if (revision > 0n) await this.#o.store.compact(revision);
  }

  /** After a burst of changes, what it left in memory. */
  #forget(): void {
    for (const resource of this.#o.cache.resources()) resource.forget(this.#o.clock.now());
  }

  async #expire(): Promise<void> {
    const now = this.#o.clock.now();
    for (const resource of this.#o.cache.resources()) {
      const { ttlSeconds, maxObjects } = resource.def;
      if (ttlSeconds === undefined) continue;
      const byAge = [...resource.entries()].sort((a, b) => createdAt(a) - createdAt(b));
      const surplus = byAge.length - (maxObjects ?? byAge.length);
      const old = byAge.filter((e, i) => i < surplus || createdAt(e) + ttlSeconds * 1000 <= now);
      // One that changed, or that another server removed first, is left for the next round.
      for (const entry of old) {
        if (this.#abort.signal.aborted) return;
        await this.#o.remove(resource.def, entry).catch((error: unknown) => {
          this.#o.log.debug({ key: entry.key, error }, "not expired now");
        });
      }
    }
  }
}

const createdAt = (e: Entry) => Date.parse(e.object.metadata.creationTimestamp ?? "");
