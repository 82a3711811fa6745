/**
 * The store: etcd's semantics and nothing more, so that etcd, an LMDB file and plain memory are exchangeable.
 *
 * Invariants (checked for every adapter by conformance.ts):
 *  S1  Every successful transaction that holds an op gets a revision one greater than any before it; revisions never repeat.
 *  S2  A resolved `txn` is durable as far as the adapter promises (memory: never; LMDB: survives kill -9; etcd: quorum).
 *  S3  `get`/`list` at a revision see exactly the writes up to it, until it is compacted.
 *  S4  `watch(prefix, from)` yields every event with revision ≥ from, in revision order, without gap or repetition,
 *      across lost connections too.
 *  S5  Reading or watching below the compaction revision fails with CompactedError.
 *  S6  Ops of one transaction share its revision and reach a watcher in op order, none between them.
 */
export type Revision = bigint;

export interface KeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  readonly createRevision: Revision;
  readonly modRevision: Revision;
}

/** Succeeds only if each key's modRevision is the one given; 0n means "does not exist". */
export interface Expectation {
  readonly key: string;
  readonly modRevision: Revision;
}

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

export type StoreEvent =
  | { readonly type: "put"; readonly kv: KeyValue; readonly prev?: KeyValue; readonly revision: Revision }
  | { readonly type: "delete"; readonly key: string; readonly prev?: KeyValue; readonly revision: Revision }
  /** Nothing under the prefix happened up to this revision that was not delivered. */
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
  /** All of `then`, or nothing. Rejects with StoreUnavailableError when the outcome is unknown or nothing could be done. */
  txn(expect: readonly Expectation[], then: readonly TxnOp[]): Promise<TxnResult>;
  /** Ends without error when the signal aborts. `from` is inclusive. */
  watch(prefix: string, from: Revision, signal: AbortSignal): AsyncIterable<StoreEvent>;
  /** Forgets what was overwritten or deleted before `revision`. */
  compact(revision: Revision): Promise<void>;
  close(): Promise<void>;
}

/** The history asked for is gone: list again. Becomes HTTP 410 Expired. */
export class CompactedError extends Error {
  readonly code = "Compacted";
  readonly retryable = false;
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
