/** A store whose values are encrypted as {@link Ciphers} say; whoever uses it sees plain text. */
import type {
  Expectation,
  KeyValue,
  ListOptions,
  Page,
  Revision,
  Store,
  StoreEvent,
  StoreMaintenance,
  TxnOp,
  TxnResult,
} from "../../store/store.ts";
import type { Ciphers } from "./ciphers.ts";

/** Keeps all promises of the store below; a value that no key fits comes as it lies there. */
export class EncryptedStore implements Store {
  readonly #store: Store;
  #ciphers: Ciphers;
  readonly #underWay = new Set<Promise<TxnResult>>();
  readonly maintenance?: StoreMaintenance;

  constructor(store: Store, ciphers: Ciphers) {
    this.#store = store;
    if (store.maintenance) this.maintenance = store.maintenance;
    this.#ciphers = ciphers;
  }

  /**
   * From now on these; what is stored stays as it is. Resolves when nothing is on its way to the store any more that those
   * before have encrypted.
   */
  async use(ciphers: Ciphers): Promise<void> {
    this.#ciphers = ciphers;
    await Promise.allSettled(this.#underWay);
  }

  async get(key: string, at?: Revision): Promise<{ kv?: KeyValue; revision: Revision }> {
    const found = await this.#store.get(key, at);
    return found.kv ? { ...found, kv: this.#open(found.kv) } : found;
  }

  async list(prefix: string, o?: ListOptions): Promise<Page> {
    const page = await this.#store.list(prefix, o);
    return { ...page, kvs: page.kvs.map((kv) => this.#open(kv)) };
  }

  async txn(expect: readonly Expectation[], then: readonly TxnOp[]): Promise<TxnResult> {
    const sealed = then.map((op) => (op.op === "put" ? { ...op, value: this.#ciphers.encrypt(op.key, op.value) } : op));
    const written = this.#store.txn(expect, sealed);
    this.#underWay.add(written);
    const result = await written.finally(() => this.#underWay.delete(written));
    if (result.ok) return result;
    return { ...result, current: result.current.map((kv) => kv && this.#open(kv)) };
  }

  async *watch(prefix: string, from: Revision, signal: AbortSignal): AsyncGenerator<StoreEvent, void, void> {
    for await (const event of this.#store.watch(prefix, from, signal)) yield this.#shown(event);
  }

  compact(revision: Revision): Promise<void> {
    return this.#store.compact(revision);
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  #shown(event: StoreEvent): StoreEvent {
    if (event.type === "progress") return event;
    const shown = event.type === "put" ? { ...event, kv: this.#open(event.kv) } : event;
    const { prev } = event;
    if (!prev) return shown;
    const open = () => this.#open(prev);
    // Hardly anybody reads it.
    return {
      ...shown,
      get prev() {
        return open();
      },
    };
  }

  /** The same object where nothing is to be done, which is the case of most. */
  #open(kv: KeyValue): KeyValue {
    const { value, stale } = this.#ciphers.decrypt(kv.key, kv.value);
    if (value === kv.value && !stale) return kv;
    return { ...kv, value, ...(stale && { stale }) };
  }
}
