import type { WatchLimits } from "./event-queue.ts";
import { KeyIndex, type Version } from "./key-index.ts";
import type { LogOp, LogRecord, RevisionLog } from "./revision-log.ts";
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
  StoreUnavailableError,
  type TxnOp,
  type TxnResult,
} from "./store.ts";
import { checkTxn } from "./txn-limits.ts";
import { WatchHub } from "./watch-hub.ts";

/** A transaction waiting for its commit. `settle` is called once its outcome is durable. */
interface Pending {
  readonly expect: readonly Expectation[];
  readonly ops: readonly TxnOp[];
  settle: () => void;
  readonly resolve: (result: TxnResult) => void;
  readonly reject: (error: unknown) => void;
}

/** An empty etcd answers revision 1 too, so that 0 never stands for a state. */
const EMPTY_REVISION = 1n;

/** Records read at once for a watcher that starts in the past: a bound on what it keeps in memory, and on how long it blocks. */
const HISTORY_CHUNK = 256;

/**
 * A Store over a {@link RevisionLog}: the index in memory, the values in the log, as in etcd.
 *
 * Group commit: transactions that arrive while a commit runs wait together and become one append. Each is decided
 * against the index, which already shows those before it in the batch; readers look at the last durable revision and
 * so never see them early (S7). If the append fails, the batch is taken back as a whole.
 */
export class MvccStore implements Store {
  readonly #log: RevisionLog;
  readonly #index = new KeyIndex();
  readonly #hub: WatchHub;
  /** The last durable revision: what readers see. */
  #revision = EMPTY_REVISION;
  #compacted: Revision;
  #pending: Pending[] = [];
  /** Commits and compactions, one after the other. */
  #tail: Promise<void> = Promise.resolve();
  #closed: StoreUnavailableError | undefined;

  constructor(log: RevisionLog, o: WatchLimits = {}) {
    this.#log = log;
    this.#hub = new WatchHub(o.watchQueueBytes);
    this.#compacted = log.compacted;
    for (const record of log.scan(0n)) {
      for (const { key, createRevision } of record.ops) {
        this.#index.append(key, { revision: record.revision, createRevision });
      }
      this.#revision = record.revision;
    }
    // The newest records may have been deletions that are compacted away.
    if (this.#compacted > this.#revision) this.#revision = this.#compacted;
  }

  async get(key: string, at?: Revision): Promise<{ kv?: KeyValue; revision: Revision }> {
    const revision = this.#readable(at);
    const version = this.#index.at(key, revision);
    return version ? { kv: this.#kv(key, version), revision } : { revision };
  }

  async list(prefix: string, o: ListOptions = {}): Promise<Page> {
    const revision = this.#readable(o.at);
    const limit = o.limit || Number.POSITIVE_INFINITY;
    const kvs: KeyValue[] = [];
    let remaining = 0;
    for (const key of this.#index.range(prefix, o.after)) {
      const version = this.#index.at(key, revision);
      if (!version) continue;
      if (kvs.length < limit) kvs.push(this.#kv(key, version));
      else remaining++;
    }
    return { kvs, revision, more: remaining > 0, remaining };
  }

  async txn(expect: readonly Expectation[], then: readonly TxnOp[]): Promise<TxnResult> {
    checkTxn(expect, then);
    this.#checkOpen();
    return new Promise((resolve, reject) => {
      this.#pending.push({ expect, ops: then, settle: () => {}, resolve, reject });
      // The first of a batch orders its commit; the others find themselves in it.
      if (this.#pending.length === 1) void this.#exclusive(() => this.#commitPending());
    });
  }

  async *watch(prefix: string, from: Revision, signal: AbortSignal): AsyncGenerator<StoreEvent, void, void> {
    this.#checkOpen();
    const queue = this.#hub.subscribe(prefix);
    try {
      const subscribedAt = this.#revision;
      for (let next = from; next <= subscribedAt && !signal.aborted;) {
        const chunk = this.#history(prefix, next, subscribedAt);
        for (const event of chunk.events) {
          if (signal.aborted) return;
          yield event;
        }
        next = chunk.next;
      }
      if (from <= subscribedAt + 1n && !signal.aborted) yield { type: "progress", revision: subscribedAt };
      for await (const event of queue.drain(signal)) if (event.revision >= from) yield event;
    } finally {
      this.#hub.unsubscribe(queue);
    }
  }

  compact(revision: Revision): Promise<void> {
    return this.#exclusive(async () => {
      this.#checkOpen();
      if (revision > this.#revision) throw new FutureRevisionError(revision);
      if (revision <= this.#compacted) return;
      const superseded = this.#index.supersededAt(revision);
      // A deletion goes together with what it deleted: either alone would tell a lie when the log is read again.
      const kept = new Map<Revision, readonly LogOp[]>();
      for (const at of new Set([...superseded.values()].flatMap((revisions) => [...revisions]))) {
        const live = this.#log.read(at).filter((op) => !superseded.get(op.key)?.has(at));
        kept.set(at, live);
      }
      const before = this.#compacted;
      this.#compacted = revision; // from here on nobody reads what is about to go
      try {
        await this.#log.compact(revision, kept);
      } catch (error) {
        this.#compacted = before;
        throw error;
      }
      this.#index.forget(superseded);
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return this.#tail;
    this.#closed = new StoreUnavailableError("the store is closed");
    this.#hub.close(this.#closed);
    // What was accepted before is still committed.
    return this.#exclusive(() => this.#log.close());
  }

  /** Runs `work` after everything asked for before. */
  #exclusive(work: () => Promise<void>): Promise<void> {
    const done = this.#tail.then(work);
    this.#tail = done.catch(() => {});
    return done;
  }

  async #commitPending(): Promise<void> {
    const batch = this.#pending;
    this.#pending = [];
    const records: LogRecord[] = [];
    try {
      for (const pending of batch) this.#decide(pending, records);
      if (records.length > 0) await this.#log.append(records);
    } catch (error) {
      const keys = records.flatMap((record) => record.ops.map((op) => op.key));
      this.#index.rollback(keys, this.#revision);
      for (const pending of batch) pending.reject(error);
      return;
    }
    const previous = this.#revision;
    this.#revision = records.at(-1)?.revision ?? previous;
    if (!this.#hub.idle && this.#revision > previous) {
      this.#hub.publish(
        records.flatMap((record) => this.#events(record)),
        this.#revision,
      );
    }
    for (const pending of batch) {
      try {
        pending.settle();
      } catch (error) {
        pending.reject(error);
      }
    }
  }

  /** Applies one transaction to the index, and to `records` if it changes anything. */
  #decide(pending: Pending, records: LogRecord[]): void {
    const head = records.at(-1)?.revision ?? this.#revision;
    const current = pending.expect.map(({ key }) => ({ key, version: this.#index.at(key, head) }));
    const met = pending.expect.every((e, i) => e.modRevision === (current[i]?.version?.revision ?? 0n));
    if (!met) {
      // The values are read when the batch is durable: they may be part of it.
      pending.settle = () => {
        const kvs = current.map(({ key, version }) => version && this.#kv(key, version));
        pending.resolve({ ok: false, revision: head, current: kvs });
      };
      return;
    }
    const revision = head + 1n;
    const ops = pending.ops.flatMap((op): LogOp[] => {
      const before = this.#index.at(op.key, head);
      if (op.op === "put") {
        return [{ key: op.key, createRevision: before?.createRevision ?? revision, value: op.value }];
      }
      return before ? [{ key: op.key, createRevision: 0n, value: new Uint8Array() }] : [];
    });
    for (const { key, createRevision } of ops) this.#index.append(key, { revision, createRevision });
    if (ops.length > 0) records.push({ revision, ops });
    pending.settle = () => pending.resolve({ ok: true, revision: ops.length > 0 ? revision : head });
  }

  /** Events of the prefix from `next` up to `until`, as many as one chunk holds, and where to go on. */
  #history(prefix: string, next: Revision, until: Revision): { events: StoreEvent[]; next: Revision } {
    this.#checkOpen();
    if (next <= this.#compacted) throw new CompactedError(this.#compacted);
    const events: StoreEvent[] = [];
    let records = 0;
    for (const record of this.#log.scan(next)) {
      if (record.revision > until) break;
      if (records++ === HISTORY_CHUNK) return { events, next: record.revision };
      events.push(...this.#events({ ...record, ops: record.ops.filter((op) => op.key.startsWith(prefix)) }));
    }
    return { events, next: until + 1n };
  }

  #events({ revision, ops }: LogRecord): StoreEvent[] {
    return ops.map(({ key, createRevision, value }) => {
      const before = this.#index.at(key, revision - 1n);
      const prev = before ? { prev: this.#kv(key, before) } : {};
      if (createRevision === 0n) return { type: "delete", key, revision, ...prev };
      return { type: "put", kv: { key, value, createRevision, modRevision: revision }, revision, ...prev };
    });
  }

  #kv(key: string, { revision, createRevision }: Version): KeyValue {
    const op = this.#log.read(revision).find((candidate) => candidate.key === key);
    if (!op) throw new Error(`the log holds no ${key} at revision ${revision}`);
    return { key, value: op.value, createRevision, modRevision: revision };
  }

  #readable(at: Revision = this.#revision): Revision {
    this.#checkOpen();
    if (at < this.#compacted) throw new CompactedError(this.#compacted);
    if (at > this.#revision) throw new FutureRevisionError(at);
    return at;
  }

  #checkOpen(): void {
    if (this.#closed) throw this.#closed;
  }
}
