/**
 * The store: etcd's semantics and nothing more, so that etcd, an LMDB file and plain memory are exchangeable.
 *
 * Invariants (checked for every adapter by conformance.ts):
 *  S1  Every successful transaction that changes something gets a revision one greater than any before it; revisions
 *      never repeat. One that changes nothing (no op, or deletes of what is not there) answers the current revision.
 *  S2  A resolved `txn` is durable as far as the adapter promises (memory: never; LMDB: survives kill -9; etcd: quorum).
 *  S3  `get`/`list` at a revision see exactly the writes up to it, until it is compacted.
 *  S4  `watch(prefix, from)` yields every event with revision ≥ from, in revision order, without gap or repetition,
 *      across lost connections too.
 *  S5  Reading below the compaction revision, or watching from it or below, fails with CompactedError; reading above the
 *      current revision fails with FutureRevisionError.
 *  S6  Ops of one transaction share its revision and reach a watcher in op order, none between them.
 *  S7  What was read survives a crash too: neither a read nor a watch shows a write before it is durable.
 *  S8  A watcher that does not read is cut off with SlowWatcherError once too much waits for it; nobody waits for it.
 */
export type Revision = bigint;

export interface KeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  readonly createRevision: Revision;
  readonly modRevision: Revision;
  /** It lies there otherwise than a put of it would be kept now (by an older key): worth writing again. */
  readonly stale?: boolean;
}

/** Succeeds only if each key's modRevision is the one given; 0n means "does not exist". */
export interface Expectation {
  readonly key: string;
  readonly modRevision: Revision;
}

/** Values are not copied: who puts or gets one must not change it. */
export type TxnOp =
  | { readonly op: "put"; readonly key: string; readonly value: Uint8Array }
  | { readonly op: "delete"; readonly key: string };

export type TxnResult =
  | { readonly ok: true; readonly revision: Revision }
  /** `current`: what stands now under each expected key, in the order of the expectations. */
  | { readonly ok: false; readonly revision: Revision; readonly current: readonly (KeyValue | undefined)[] };

export interface Page {
  readonly kvs: readonly KeyValue[];
  /** The revision the page is a snapshot of. */
  readonly revision: Revision;
  /** There are keys behind the last one. */
  readonly more: boolean;
  /** Keys under the prefix behind the last one of this page (0 when `more` is false). */
  readonly remaining: number;
}

/** `prev` is there whenever the key existed before. */
export type StoreEvent =
  | { readonly type: "put"; readonly kv: KeyValue; readonly prev?: KeyValue; readonly revision: Revision }
  | { readonly type: "delete"; readonly key: string; readonly prev?: KeyValue; readonly revision: Revision }
  /**
   * Nothing under the prefix happened up to this revision that was not delivered. Memory and LMDB send one as soon as
   * the past is delivered and after commits that touch other keys; etcd at its own interval (10 minutes by default).
   */
  | { readonly type: "progress"; readonly revision: Revision };

export interface ListOptions {
  readonly at?: Revision;
  readonly limit?: number;
  /** Start behind this key. */
  readonly after?: string;
}

export interface Store {
  get(key: string, at?: Revision): Promise<{ kv?: KeyValue; revision: Revision }>;
  /** Keys in byte order. Pages itself below any message limit of the backend; `limit` bounds what is returned. */
  list(prefix: string, o?: ListOptions): Promise<Page>;
  /**
   * All of `then`, or nothing. Rejects with StoreUnavailableError when the outcome is unknown or nothing could be done,
   * with TxnTooLargeError beyond etcd's limits (txn-limits.ts). No key may occur twice in `then`.
   */
  txn(expect: readonly Expectation[], then: readonly TxnOp[]): Promise<TxnResult>;
  /** Ends without error when the signal aborts, with StoreUnavailableError when the store closes. `from` is inclusive. */
  watch(prefix: string, from: Revision, signal: AbortSignal): AsyncIterable<StoreEvent>;
  /** Forgets what was overwritten or deleted before `revision`. */
  compact(revision: Revision): Promise<void>;
  close(): Promise<void>;
  /** What there is to know and to do about the medium itself; absent where it has none. */
  readonly maintenance?: StoreMaintenance;
}

/** One server that keeps a copy of the store. */
export interface StoreMember {
  readonly name: string;
  /** Where it was asked. */
  readonly endpoint: string;
  readonly leader: boolean;
  readonly version: string;
  /** Bytes of its file; those that are not in use are free for what is written next. */
  readonly dbSize: number;
  readonly inUse: number;
  /** `NOSPACE`, `CORRUPT`. */
  readonly alarms: readonly string[];
  /** It answered, and knows a leader. */
  readonly healthy: boolean;
  /** Why it is not healthy. */
  readonly error?: string;
}

export interface StoreStatus {
  readonly kind: "etcd" | "lmdb" | "memory";
  /** Of the largest copy. */
  readonly sizeBytes: number;
  readonly inUseBytes: number;
  /** Empty where the store is this process's own. */
  readonly members: readonly StoreMember[];
}

export interface StoreMaintenance {
  status(): Promise<StoreStatus>;
  /** Gives a member's freed space back to its file system. It answers nobody meanwhile: one after the other. */
  defragment?(endpoint: string): Promise<void>;
  /** Lets a member that ran out of space take writes again; it says so anew if there still is none. */
  disarm?(): Promise<void>;
}

/** The history asked for is gone: list again. Becomes HTTP 410 Expired. */
export class CompactedError extends Error {
  readonly code = "Compacted";
  readonly retryable = false;
  /** The oldest revision that can be read: exact where the backend tells, otherwise a lower bound. */
  readonly compactRevision: Revision;
  constructor(compactRevision: Revision) {
    super(`the requested revision has been compacted; the oldest available is ${compactRevision}`);
    this.compactRevision = compactRevision;
  }
}

/** The backend cannot be reached, is full or broken. Becomes HTTP 503 (or 507 for a full disk). */
export class StoreUnavailableError extends Error {
  readonly code = "Unavailable";
  readonly retryable = true;
  /** The device is full: retrying does not help before somebody makes room. */
  readonly full: boolean;
  constructor(message: string, o: { cause?: unknown; full?: boolean } = {}) {
    super(message, { cause: o.cause });
    this.full = o.full ?? false;
  }
}

/** A read at a revision that is not reached yet: what was asked for may come with time. */
export class FutureRevisionError extends Error {
  readonly code = "FutureRevision";
  readonly retryable = true;
  readonly asked: Revision;
  constructor(asked: Revision) {
    super(`revision ${asked} is not reached yet`);
    this.asked = asked;
  }
}

/** More waited for this watcher than is kept for one: watch again from the last revision seen plus one. */
export class SlowWatcherError extends Error {
  readonly code = "SlowWatcher";
  readonly retryable = true;
  constructor(prefix: string, limitBytes: number) {
    super(`the watcher of ${JSON.stringify(prefix)} does not keep up: more than ${limitBytes} bytes wait for it`);
  }
}

/** Beyond what one transaction may hold. Becomes HTTP 413. */
export class TxnTooLargeError extends Error {
  readonly code = "TooLarge";
  readonly retryable = false;
}
