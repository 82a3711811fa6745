/** get, list and watch. */
import type { ListMeta } from "../api/object.ts";
import { apiVersionOf } from "../api/object.ts";
import type { ResourceDef } from "../api/resource.ts";
import { ApiError, notFound } from "../api/status.ts";
import type { Revision, Store } from "../store/store.ts";
import type { Clock } from "../util/clock.ts";
import { Entry, Notice } from "./entry.ts";
import { keyFor, prefixOf } from "./keys.ts";
import { type Params, encodeToken, parseListOptions, parseRevision, parseWatchOptions } from "./list-options.ts";
import type { ResourceCache } from "./resource-cache.ts";
import { type Selection, select } from "./selection.ts";
import type { Storage } from "./storage.ts";
import { policyOf } from "./view.ts";
import type { WatchCache } from "./watchcache.ts";
import type { Watcher } from "./watcher.ts";

/** How long a client may wait for a revision that is not there yet. */
const FUTURE_REVISION_MS = 3_000;
const BOOKMARK_MS = 60_000;
/** A last bookmark comes this long before a watch times out. */
const LAST_BOOKMARK_MS = 2_000;
/** Read from the store at once when a selector may throw most of it away. */
const STORE_PAGE = 500;

export interface EntryList {
  readonly entries: readonly Entry[];
  readonly metadata: ListMeta;
}

interface Page {
  readonly entries: Entry[];
  readonly revision: Revision;
  readonly more: boolean;
  readonly remaining: number;
}

interface PageQuery {
  readonly selection: Selection;
  /** Undefined: the newest. */
  readonly at: Revision | undefined;
  readonly after: string | undefined;
  readonly limit: number;
}

/**
 *  R1  A read without resourceVersion sees every write acknowledged before it, by any API server.
 *  R2  The pages of one list are one snapshot; when it is compacted away, Expired.
 *  R3  A watch from a list's resourceVersion misses nothing and repeats nothing.
 */
export class Reader {
  readonly #store: Store;
  readonly #storage: Storage;
  readonly #cache: WatchCache;
  readonly #clock: Clock;
  /** Of the watchers that want bookmarks. */
  readonly #told = new Set<() => void>();
  #round: Disposable | undefined;

  constructor(o: { store: Store; storage: Storage; cache: WatchCache; clock: Clock }) {
    this.#store = o.store;
    this.#storage = o.storage;
    this.#cache = o.cache;
    this.#clock = o.clock;
  }

  async get(asked: ResourceDef, namespace: string, name: string, params: Params): Promise<Entry> {
    const def = policyOf(asked);
    const key = keyFor(def, namespace, name);
    const ready = await this.#ready(parseRevision(params["resourceVersion"]));
    const entry = ready ? this.#cache.resource(def).get(key) : await this.#storage.read(def, key);
    if (entry) return entry.as(asked);
    this.#cache.resource(def).checkReadable(key);
    throw notFound({ group: asked.group, resource: asked.plural }, name);
  }

  async list(asked: ResourceDef, namespace: string, params: Params): Promise<EntryList> {
    const def = policyOf(asked);
    const o = parseListOptions(params);
    const selection = select(asked, { namespace, ...params });
    const prefix = prefixOf(def, selection.namespace);
    const after = o.continue && prefix + o.continue.after;
    const exact = o.match === "Exact" || (o.match === "" && o.limit > 0 && o.resourceVersion > "0");
    let at = o.continue?.revision;
    if (at === undefined && exact) {
      at = BigInt(o.resourceVersion);
      await this.#ready(o.resourceVersion);
    } else if (at === undefined && (await this.#ready(o.resourceVersion))) at = this.#cache.revision;
    const query: PageQuery = { selection, at, after, limit: o.limit };
    const resource = this.#cache.resource(def);
    resource.checkReadable(prefix);
    const inCache = at !== undefined && resource.changedAt <= at && at <= this.#cache.revision;
    const page = inCache ? cachedPage(resource, query, at ?? 0n) : await this.#storedPage(def, query);
    const last = page.entries.at(-1);
    return {
      entries: page.entries.map((e) => e.as(asked)),
      metadata: {
        resourceVersion: page.revision.toString(),
        ...(page.more &&
          last && { continue: encodeToken({ revision: page.revision, after: last.key.slice(prefix.length) }) }),
        ...(page.more && !selection.selective && { remainingItemCount: page.remaining }),
      },
    };
  }

  async watch(asked: ResourceDef, namespace: string, params: Params): Promise<Watcher> {
    const def = policyOf(asked);
    const o = parseWatchOptions(params);
    const selection = select(asked, { namespace, ...params });
    const initial = o.sendInitialEvents ?? (o.resourceVersion === "" || o.resourceVersion === "0");
    if (!(await this.#ready(o.resourceVersion))) {
      throw new ApiError("ServiceUnavailable", "the watch cache is behind the store, try again", {
        retryAfterSeconds: 1,
      });
    }
    if (initial) this.#cache.resource(def).checkReadable(prefixOf(def, selection.namespace));
    const revision = this.#cache.revision;
    const since = o.resourceVersion === "" || o.resourceVersion === "0" ? revision : BigInt(o.resourceVersion);
    const timers = new Set<Disposable>();
    const watcher = this.#cache.resource(def).subscribe({
      selection,
      from: initial ? undefined : since,
      ...(o.sendInitialEvents && o.bookmarks && { endOfInitial: bookmark(asked, revision, true) }),
      // A custom resource may be stored as an older version than the one asked for.
      ...((asked.view ?? asked.custom) && { shownAs: asked }),
      onEnd: () => timers.forEach((t) => t[Symbol.dispose]()),
    });
    if (watcher.ended) return watcher;
    if (o.bookmarks) timers.add(this.#bookmarks(asked, watcher));
    if (o.bookmarks && o.timeoutMs !== undefined && o.timeoutMs > LAST_BOOKMARK_MS) {
      const tell = () => watcher.push(bookmark(asked, this.#cache.revision, false));
      timers.add(this.#clock.after(o.timeoutMs - LAST_BOOKMARK_MS, tell));
    }
    if (o.timeoutMs !== undefined) timers.add(this.#clock.after(o.timeoutMs, () => watcher.end()));
    return watcher;
  }

  /**
   * Whether the cache can answer a read that asks for this resourceVersion; if not, the store must. Throws Timeout for
   * a revision that does not come.
   */
  async #ready(resourceVersion: string): Promise<boolean> {
    if (resourceVersion === "") return this.#cache.fresh();
    const revision = BigInt(resourceVersion);
    if (await this.#cache.reached(revision, FUTURE_REVISION_MS)) return true;
    const message = `Too large resource version: ${revision}, current: ${this.#cache.revision}`;
    throw new ApiError("Timeout", message, {
      causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
      retryAfterSeconds: 1,
    });
  }

  async #storedPage(def: ResourceDef, q: PageQuery): Promise<Page> {
    const prefix = prefixOf(def, q.selection.namespace);
    const found: Entry[] = [];
    let { at, after } = q;
    for (;;) {
      const wanted = q.selection.selective ? STORE_PAGE : q.limit - found.length + 1;
      const page = await this.#store.list(prefix, {
        ...(at !== undefined && { at }),
        ...(after !== undefined && { after }),
        ...(q.limit > 0 && { limit: wanted }),
      });
      at = page.revision;
      after = page.kvs.at(-1)?.key ?? after;
      found.push(...this.#storage.entriesOf(def, page.kvs).filter((e) => q.selection.matches(e.object)));
      const enough = q.limit > 0 && found.length > q.limit;
      if (enough || !page.more) {
        const beyond = q.limit > 0 ? Math.max(0, found.length - q.limit) : 0;
        const entries = beyond > 0 ? found.slice(0, q.limit) : found;
        return { entries, revision: page.revision, more: beyond > 0, remaining: page.remaining + beyond };
      }
    }
  }

  /** Has the watcher told now and then how far it has come, so that it can continue from there. One round serves all. */
  #bookmarks(def: ResourceDef, watcher: Watcher): Disposable {
    const tell = () => watcher.push(bookmark(def, this.#cache.revision, false));
    this.#told.add(tell);
    if (this.#told.size === 1) this.#round = this.#clock.after(BOOKMARK_MS, () => this.#tellAll());
    return {
      [Symbol.dispose]: () => {
        this.#told.delete(tell);
        if (this.#told.size === 0) this.#round?.[Symbol.dispose]();
      },
    };
  }

  #tellAll(): void {
    this.#round = this.#clock.after(BOOKMARK_MS, () => this.#tellAll());
    for (const tell of this.#told) tell();
  }
}

function cachedPage(resource: ResourceCache, q: PageQuery, revision: Revision): Page {
  const entries: Entry[] = [];
  let beyond = 0;
  for (const entry of resource.sorted(q.selection.namespace, q.after)) {
    if (!q.selection.matches(entry.object)) continue;
    if (q.limit === 0 || entries.length < q.limit) entries.push(entry);
    else {
      beyond += 1;
      // How many more there are is told only where counting is cheap.
      if (q.selection.selective) break;
    }
  }
  return { entries, revision, more: beyond > 0, remaining: beyond };
}

function bookmark(def: ResourceDef, revision: Revision, endOfInitial: boolean): Notice {
  const annotations = { "k8s.io/initial-events-end": "true" };
  const object = {
    apiVersion: apiVersionOf(def),
    kind: def.kind,
    metadata: endOfInitial ? { annotations } : {},
  };
  return new Notice("BOOKMARK", new Entry("", object, revision));
}
