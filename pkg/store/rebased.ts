import { OWN_KEYS } from "./own-keys.ts";
import {
  CompactedError,
  type Expectation,
  FutureRevisionError,
  type KeyValue,
  type ListOptions,
  type Page,
  type Revision,
  type Store,
  type StoreEvent,
  type StoreMaintenance,
  type TxnOp,
  type TxnResult,
} from "./store.ts";

/**
 * A store whose revisions are those of another one plus an offset.
 *
 * After a restore the backend counts from its own beginning, but clients must never see a revision go back: what they
 * remember would mean something else. So a restored store begins above all that was ever told, and what is older counts
 * as compacted. etcd cannot be told where to begin; this way no backend need be.
 */
export class RebasedStore implements Store {
  readonly #store: Store;
  readonly #offset: Revision;
  readonly maintenance?: StoreMaintenance;

  constructor(store: Store, offset: Revision) {
    this.#store = store;
    this.#offset = offset;
    if (store.maintenance) this.maintenance = store.maintenance;
  }

  async get(key: string, at?: Revision): Promise<{ kv?: KeyValue; revision: Revision }> {
    const { kv, revision } = await this.#shifted(this.#store.get(key, this.#inner(at)));
    return { ...(kv && { kv: this.#kv(kv) }), revision: this.#outer(revision) };
  }

  async list(prefix: string, o: ListOptions = {}): Promise<Page> {
    const { at, ...rest } = o;
    const inner = this.#inner(at);
    const page = await this.#shifted(this.#store.list(prefix, { ...rest, ...(inner !== undefined && { at: inner }) }));
    return { ...page, kvs: page.kvs.map((kv) => this.#kv(kv)), revision: this.#outer(page.revision) };
  }

  async txn(expect: readonly Expectation[], then: readonly TxnOp[]): Promise<TxnResult> {
    // What was never a revision of this store matches none: it stays as it is, and no key has it.
    const inner = expect.map((e) => ({ ...e, modRevision: e.modRevision && e.modRevision - this.#offset }));
    const result = await this.#store.txn(inner, then);
    const revision = this.#outer(result.revision);
    if (result.ok) return { ok: true, revision };
    return { ok: false, revision, current: result.current.map((kv) => kv && this.#kv(kv)) };
  }

  async *watch(prefix: string, from: Revision, signal: AbortSignal): AsyncGenerator<StoreEvent, void, void> {
    if (from <= this.#offset) throw new CompactedError(this.#offset + 1n);
    try {
      for await (const event of this.#store.watch(prefix, from - this.#offset, signal)) yield this.#event(event);
    } catch (error) {
      throw this.#error(error);
    }
  }

  async compact(revision: Revision): Promise<void> {
    if (revision > this.#offset) await this.#shifted(this.#store.compact(revision - this.#offset));
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  #inner(at: Revision | undefined): Revision | undefined {
    if (at === undefined) return undefined;
    if (at <= this.#offset) throw new CompactedError(this.#offset + 1n);
    return at - this.#offset;
  }

  #outer(revision: Revision): Revision {
    return revision + this.#offset;
  }

  #kv(kv: KeyValue): KeyValue {
    return {
      ...kv,
      createRevision: this.#outer(kv.createRevision),
      modRevision: this.#outer(kv.modRevision),
    };
  }

  #event(event: StoreEvent): StoreEvent {
    const revision = this.#outer(event.revision);
    if (event.type === "progress") return { ...event, revision };
    const prev = event.prev && { prev: this.#kv(event.prev) };
    return event.type === "put"
      ? { ...event, kv: this.#kv(event.kv), ...prev, revision }
      : { ...event, ...prev, revision };
  }

  async #shifted<T>(answer: Promise<T>): Promise<T> {
    return answer.catch((error: unknown) => {
      throw this.#error(error);
    });
  }

  #error(error: unknown): unknown {
    if (error instanceof CompactedError) return new CompactedError(this.#outer(error.compactRevision));
    if (error instanceof FutureRevisionError) return new FutureRevisionError(this.#outer(error.asked));
    return error;
  }
}

/** The store with the revisions that its clients know. */
export async function rebased(store: Store): Promise<Store> {
  const { kv } = await store.get(OWN_KEYS.offset);
  const offset = kv ? BigInt(new TextDecoder().decode(kv.value)) : 0n;
  return offset === 0n ? store : new RebasedStore(store, offset);
}
