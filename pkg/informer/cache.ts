import type { ApiObject, ObjectKey } from "../api/object.ts";
import type { DeepReadonly } from "../util/types.ts";

/** The values under which an object is found in an index; none keeps it out. Must depend on the object alone. */
export type Indexer<T extends ApiObject> = (o: DeepReadonly<T>) => readonly string[];

/**
 * Objects by key and by the values of any number of indexes.
 *
 *  C1  An object is in bucket `v` of index `i` exactly when `i(object)` contains `v`.
 *  C2  `set` and `delete` cost the indexes of that one object, however many objects there are.
 */
export class IndexedCache<T extends ApiObject> {
  readonly #objects = new Map<ObjectKey, DeepReadonly<T>>();
  readonly #indexes = new Map<string, { indexer: Indexer<T>; buckets: Map<string, Map<ObjectKey, DeepReadonly<T>>> }>();

  constructor(indexers: Readonly<Record<string, Indexer<T>>> = {}) {
    for (const [name, indexer] of Object.entries(indexers)) this.#indexes.set(name, { indexer, buckets: new Map() });
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: ObjectKey): DeepReadonly<T> | undefined {
    return this.#objects.get(key);
  }

  keys(): IterableIterator<ObjectKey> {
    return this.#objects.keys();
  }

  values(): IterableIterator<DeepReadonly<T>> {
    return this.#objects.values();
  }

  byIndex(name: string, value: string): readonly DeepReadonly<T>[] {
    const index = this.#indexes.get(name);
    if (!index) throw new Error(`no index named ${name}`);
    const bucket = index.buckets.get(value);
    return bucket ? [...bucket.values()] : [];
  }

  /** Returns what was there before. */
  set(key: ObjectKey, o: DeepReadonly<T>): DeepReadonly<T> | undefined {
    const old = this.#objects.get(key);
    if (old) this.#unindex(key, old);
    this.#objects.set(key, o);
    for (const { indexer, buckets } of this.#indexes.values()) {
      for (const value of indexer(o)) {
        let bucket = buckets.get(value);
        if (!bucket) buckets.set(value, (bucket = new Map()));
        bucket.set(key, o);
      }
    }
    return old;
  }

  /** Returns what was there before. */
  delete(key: ObjectKey): DeepReadonly<T> | undefined {
    const old = this.#objects.get(key);
    if (!old) return undefined;
    this.#unindex(key, old);
    this.#objects.delete(key);
    return old;
  }

  #unindex(key: ObjectKey, o: DeepReadonly<T>): void {
    for (const { indexer, buckets } of this.#indexes.values()) {
      for (const value of indexer(o)) {
        const bucket = buckets.get(value);
        bucket?.delete(key);
        if (bucket?.size === 0) buckets.delete(value);
      }
    }
  }
}
