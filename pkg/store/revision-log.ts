import type { Revision } from "./store.ts";

/** One key's change. `createRevision` 0n is a deletion, whose value is empty. */
export interface LogOp {
  readonly key: string;
  readonly createRevision: Revision;
  readonly value: Uint8Array;
}

/** One transaction, whole: that makes it atomic on any medium that writes a record whole. */
export interface LogRecord {
  readonly revision: Revision;
  readonly ops: readonly LogOp[];
}

/**
 * Where an {@link MvccStore} keeps its transactions, one record per revision. The store calls one of the async methods
 * at a time, and reads only what an `append` has resolved for and `compact` has not removed.
 */
export interface RevisionLog {
  /** Adds the records behind all others. All of them and durable when it resolves, none of them when it rejects. */
  append(records: readonly LogRecord[]): Promise<void>;
  read(revision: Revision): readonly LogOp[];
  /** Ascending, from `from` on. The log must not be written while it is walked. */
  scan(from: Revision): Iterable<LogRecord>;
  /** Remembers the revision and leaves of each record what `kept` says (no op: no record); all of it or nothing. */
  compact(revision: Revision, kept: ReadonlyMap<Revision, readonly LogOp[]>): Promise<void>;
  /** The last revision given to `compact`; 0n before. */
  readonly compacted: Revision;
  close(): Promise<void>;
}

export class MemoryLog implements RevisionLog {
  #records = new Map<Revision, LogRecord>();
  #last = 0n;
  compacted = 0n;

  async append(records: readonly LogRecord[]): Promise<void> {
    for (const record of records) {
      this.#records.set(record.revision, record);
      this.#last = record.revision;
    }
  }

  read(revision: Revision): readonly LogOp[] {
    const record = this.#records.get(revision);
    if (!record) throw new Error(`revision ${revision} is not in the log`);
    return record.ops;
  }

  *scan(from: Revision): Iterable<LogRecord> {
    for (let revision = from; revision <= this.#last; revision++) {
      const record = this.#records.get(revision);
      if (record) yield record;
    }
  }

  async compact(revision: Revision, kept: ReadonlyMap<Revision, readonly LogOp[]>): Promise<void> {
    for (const [at, ops] of kept) {
      if (ops.length === 0) this.#records.delete(at);
      else this.#records.set(at, { revision: at, ops });
    }
    this.compacted = revision;
  }

  async close(): Promise<void> {}
}
