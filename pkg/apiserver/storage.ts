/** Writes over the store: create if absent, change through a retried pure function, remove. Nothing else writes objects. */
import { deepEqual } from "../api/equal.ts";
import type { ApiObject } from "../api/object.ts";
import type { ResourceDef } from "../api/resource.ts";
import { ApiError, notFound } from "../api/status.ts";
import {
  CompactedError,
  FutureRevisionError,
  type KeyValue,
  type Store,
  StoreUnavailableError,
  TxnTooLargeError,
} from "../store/store.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { Alongside } from "./admission.ts";
import { Entry, decodeStored, encodeStored } from "./entry.ts";
import type { WatchCache } from "./watchcache.ts";

interface Written {
  readonly verdict: "write";
  readonly object: ApiObject;
  readonly alongside?: Alongside;
}

/** What a change wants to happen to the object it was shown. */
export type Decision =
  /** `stale`: what is to be written all the same, if the store says that it keeps the object as it would no more. */
  | { readonly verdict: "keep"; readonly stale?: Written }
  | Written
  /** `last`: the state that watchers see in the DELETED event is the stored one; this is what the caller gets. */
  | { readonly verdict: "remove"; readonly last: DeepReadonly<ApiObject>; readonly alongside?: Alongside };

export type Decide = (current: Entry, attempt: number) => Decision | Promise<Decision>;

const ALONE: Alongside = { expect: [], ops: [] };

export interface Changed {
  readonly entry: Entry;
  readonly removed: boolean;
}

/** Which object. `name` only serves messages. */
export interface Target {
  readonly def: ResourceDef;
  readonly key: string;
  readonly name: string;
}

/**
 *  G1  A change sees the newest state: it is written only if nothing else was written in between, else decided anew.
 *  G2  `decide` writes nothing and may be asked again. Shown a state that may be old, its refusal or its "keep" counts only
 *      once the store confirms it.
 *  G3  Equal objects mean no write, no new revision, no event; but for one that is to be kept otherwise now (by a new key).
 */
export class Storage {
  readonly #store: Store;
  readonly #cache: WatchCache;

  constructor(store: Store, cache: WatchCache) {
    this.#store = store;
    this.#cache = cache;
  }

  /** The newest state in the store itself. */
  async read(def: ResourceDef, key: string): Promise<Entry | undefined> {
    return (await this.#read(def, key))?.entry;
  }

  async #read(def: ResourceDef, key: string): Promise<{ entry: Entry; stale: boolean } | undefined> {
    const { kv } = await this.#store.get(key);
    return kv && { entry: this.#entryOf(def, kv), stale: kv.stale ?? false };
  }

  /** Undefined when the key is taken, or the other expectation does not hold any more. */
  async create(
    t: Target,
    object: ApiObject,
    o: Partial<Alongside> & { dryRun: boolean },
  ): Promise<{ entry: Entry } | { taken: boolean }> {
    const expect = [{ key: t.key, modRevision: 0n }, ...(o.expect ?? [])];
    if (o.dryRun) {
      const taken = (await this.#store.get(t.key)).kv !== undefined;
      return taken ? { taken } : { entry: new Entry(t.key, object, 0n) };
    }
    const result = await this.#store.txn(expect, [
      { op: "put", key: t.key, value: encodeStored(object) },
      ...(o.ops ?? []),
    ]);
    if (!result.ok) return { taken: result.current[0] !== undefined };
    return { entry: this.#cache.wrote(t.def, new Entry(t.key, object, result.revision)) };
  }

  /** Throws NotFound when there is no such object. `decide` learns how often it was asked before. */
  async change(t: Target, decide: Decide, dryRun: boolean): Promise<Changed> {
    const known = this.#cache.newest(t.def, t.key);
    let live = known ? undefined : await this.#read(t.def, t.key);
    let current = known ?? live?.entry;
    for (let round = 1; ; round++) {
      if (!current) throw notFound({ group: t.def.group, resource: t.def.plural }, t.name);
      const outcome = await attempt(decide, current, round);
      try {
        if (!live && (outcome instanceof ApiError || outcome.verdict === "keep" || dryRun)) {
          // G2: what was decided on came from the cache.
          live = await this.#read(t.def, t.key);
          if (live?.entry.revision !== current.revision) {
            current = live?.entry;
            continue;
          }
        }
        if (outcome instanceof ApiError) throw outcome;
        const todo = outcome.verdict === "keep" && live?.stale ? outcome.stale : outcome;
        if (!todo || todo.verdict === "keep") return { entry: current, removed: false };
        const done = await this.#commit(t, current, todo, dryRun);
        if ("entry" in done) return done;
        current = done.current;
        live = current && { entry: current, stale: done.stale };
      } finally {
        if (!(outcome instanceof ApiError) && outcome.verdict !== "keep") outcome.alongside?.done?.();
      }
    }
  }

  async #commit(
    t: Target,
    current: Entry,
    decision: Exclude<Decision, { verdict: "keep" }>,
    dryRun: boolean,
  ): Promise<Changed | { current: Entry | undefined; stale: boolean }> {
    const removed = decision.verdict === "remove";
    const next = decision.verdict === "remove" ? decision.last : decision.object;
    if (dryRun) return { entry: new Entry(t.key, next, current.revision), removed };
    const { expect, ops } = decision.alongside ?? ALONE;
    const result = await this.#store.txn(
      [{ key: t.key, modRevision: current.revision }, ...expect],
      [
        decision.verdict === "remove"
          ? { op: "delete", key: t.key }
          : { op: "put", key: t.key, value: encodeStored(decision.object) },
        ...ops,
      ],
    );
    if (!result.ok) {
      const [now] = result.current;
      return { current: now && this.#entryOf(t.def, now), stale: now?.stale ?? false };
    }
    const entry = new Entry(t.key, next, result.revision);
    return { entry: removed ? entry : this.#cache.wrote(t.def, entry), removed };
  }

  /** The shared entry where the cache has this very revision, so that nothing is decoded twice. */
  #entryOf(def: ResourceDef, kv: KeyValue): Entry {
    const cached = this.#cache.newest(def, kv.key);
    return cached?.revision === kv.modRevision ? cached : decodeStored(kv);
  }

  /** Entries of a page read from the store. */
  entriesOf(def: ResourceDef, kvs: readonly KeyValue[]): Entry[] {
    return kvs.map((kv) => this.#entryOf(def, kv));
  }
}

/** G3: writing what is there already is keeping it. */
async function attempt(decide: Decide, current: Entry, round: number): Promise<Decision | ApiError> {
  try {
    const decision = await decide(current, round);
    if (decision.verdict !== "write" || !sameContent(decision.object, current.object)) return decision;
    decision.alongside?.done?.();
    const { object } = decision;
    return { verdict: "keep", stale: { verdict: "write", object } };
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
}

/** Equal but for resourceVersion. */
function sameContent(a: DeepReadonly<ApiObject>, b: DeepReadonly<ApiObject>): boolean {
  const { metadata, ...rest } = a;
  const { metadata: otherMetadata, ...others } = b;
  const { resourceVersion: _, ...meta } = metadata;
  const { resourceVersion: __, ...otherMeta } = otherMetadata;
  return deepEqual(meta, otherMeta) && deepEqual(rest, others);
}

/** What the store's failures are to a client. */
export function apiErrorOf(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof CompactedError) {
    return new ApiError("Expired", "The resourceVersion for the provided list is too old.");
  }
  if (error instanceof StoreUnavailableError) {
    // No Retry-After: the store has waited already, and kubectl would wait ten times as long.
    return error.full
      ? new ApiError("InsufficientStorage", `the store is full: ${error.message}`)
      : new ApiError("ServiceUnavailable", `the store cannot be reached: ${error.message}`);
  }
  if (error instanceof FutureRevisionError) {
    return new ApiError("Timeout", `Too large resource version: ${error.message}`, { retryAfterSeconds: 1 });
  }
  if (error instanceof TxnTooLargeError) return new ApiError("RequestEntityTooLarge", error.message);
  const message = error instanceof Error ? error.message : String(error);
  return Object.assign(new ApiError("InternalError", `Internal error occurred: ${message}`), { cause: error });
}
