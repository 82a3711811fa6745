import type { Clock } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import type { EventQueue } from "./event-queue.ts";
import { CompactedError, type KeyValue, type Revision, type StoreEvent, StoreUnavailableError } from "./store.ts";

/** What etcd's `KeyValue`, `Event` and `WatchResponse` messages look like; numbers are strings on this wire. */
export interface EtcdKeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly create_revision: string;
  readonly mod_revision: string;
}

export interface EtcdEvent {
  /** `PUT` or `DELETE`; etcd3's types say `Put` and `Delete`. */
  readonly type: string;
  readonly kv: EtcdKeyValue;
  readonly prev_kv: EtcdKeyValue | null;
}

export interface EtcdWatchResponse {
  readonly header: { readonly revision: string };
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compact_revision: string;
  readonly cancel_reason: string;
  /** More of the same revisions follows in the next response. */
  readonly fragment: boolean;
  readonly events: readonly EtcdEvent[];
}

/** One gRPC stream with one watch on it. */
export interface EtcdWatchStream {
  on(event: "data", fn: (response: EtcdWatchResponse) => void): unknown;
  on(event: "end", fn: () => void): unknown;
  on(event: "error", fn: (error: Error) => void): unknown;
  cancel(): void;
}

export interface EtcdWatchOptions {
  /** Opens a stream that watches the prefix from the revision on. */
  readonly open: (from: Revision) => Promise<EtcdWatchStream>;
  readonly toKeyValue: (kv: EtcdKeyValue) => KeyValue;
  readonly queue: EventQueue;
  readonly clock: Clock;
  readonly log: Logger;
}

const FIRST_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 2000;

/**
 * Feeds `queue` from one stream after the other until `signal` aborts or the queue ends, resuming each behind the last event of the one
 * before: gap-free and without repetition however often the connection is lost (Store S4).
 */
export class EtcdWatch {
  readonly #o: EtcdWatchOptions;
  /** The next revision to deliver: what a new stream has to begin with. */
  #next: Revision;
  #fragments: EtcdEvent[] = [];
  /** Where a previous value was left out, and the watch begun anew because of it. */
  #doubted: Revision | undefined;
  #backoffMs = FIRST_BACKOFF_MS;

  constructor(from: Revision, o: EtcdWatchOptions) {
    this.#o = o;
    this.#next = from;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#o.queue.ended) {
      try {
        await this.#runStream(signal);
      } catch (error) {
        if (error instanceof CompactedError || error instanceof StoreUnavailableError) {
          this.#o.queue.end(error);
          return;
        }
        const fields = { prefix: this.#o.queue.prefix, revision: String(this.#next), error: String(error) };
        this.#o.log.warn(fields, "lost the watch, resuming");
        await this.#o.clock.sleep(this.#backoffMs, signal).catch(() => {});
        this.#backoffMs = Math.min(this.#backoffMs * 2, MAX_BACKOFF_MS);
      }
    }
  }

  /** Resolves when nothing more is wanted; rejects when the stream ends or fails. */
  async #runStream(signal: AbortSignal): Promise<void> {
    this.#fragments = [];
    // One revision earlier, because etcd accepts the compacted revision itself, at which it may have forgotten
    // deletions (Store S5). What is not wanted of it is dropped in #deliver.
    const stream = await this.#o.open(this.#next > 1n ? this.#next - 1n : 1n);
    let onAbort = () => {};
    try {
      await new Promise<void>((resolve, reject) => {
        onAbort = resolve;
        signal.addEventListener("abort", onAbort, { once: true });
        if (signal.aborted) resolve();
        stream.on("error", reject);
        stream.on("end", () => reject(new Error("etcd ended the watch stream")));
        stream.on("data", (response) => {
          try {
            this.#receive(response);
            if (this.#o.queue.ended) resolve();
          } catch (error) {
            reject(error as Error);
          }
        });
      });
    } finally {
      signal.removeEventListener("abort", onAbort);
      stream.cancel();
    }
  }

  #receive(response: EtcdWatchResponse): void {
    this.#backoffMs = FIRST_BACKOFF_MS;
    if (response.compact_revision !== "0") throw new CompactedError(BigInt(response.compact_revision));
    if (response.canceled) throw new StoreUnavailableError(`etcd refused the watch: ${response.cancel_reason}`);
    if (response.created) return;
    this.#fragments.push(...response.events);
    // Parts of one revision must not be delivered yet: if the stream broke between them, the rest would be lost.
    if (response.fragment) return;
    const events = this.#fragments;
    this.#fragments = [];
    if (events.length > 0) this.#deliver(events);
    else this.#progress(BigInt(response.header.revision));
  }

  #deliver(events: readonly EtcdEvent[]): void {
    // All of them are read before the first is delivered: one that cannot be must not cut a revision in two.
    const fresh = events.flatMap((event) => {
      const revision = BigInt(event.kv.mod_revision);
      return revision < this.#next ? [] : [{ revision, event: this.#toStoreEvent(event, revision) }];
    });
    for (const { revision, event } of fresh) {
      this.#o.queue.push(event);
      this.#next = revision + 1n;
    }
  }

  #progress(revision: Revision): void {
    if (revision < this.#next - 1n) return;
    this.#o.queue.push({ type: "progress", revision });
    this.#next = revision + 1n;
  }

  #toStoreEvent(event: EtcdEvent, revision: Revision): StoreEvent {
    const deleted = event.type.toUpperCase() === "DELETE";
    const existed = deleted || event.kv.create_revision !== event.kv.mod_revision;
    if (existed && !event.prev_kv) throw this.#leftOut(revision);
    const kv = this.#o.toKeyValue(event.kv);
    const prev = existed && event.prev_kv ? { prev: this.#o.toKeyValue(event.prev_kv) } : {};
    return deleted ? { type: "delete", key: kv.key, revision, ...prev } : { type: "put", kv, revision, ...prev };
  }

  /**
   * etcd leaves a previous value out when a compaction overtook the watch; then a new stream is told so. And when it sends
   * an event before it has taken down that the watch wants previous values, which it does after the watch has begun; then
   * a new stream brings the value.
   */
  #leftOut(revision: Revision): Error {
    if (revision === this.#doubted) return new CompactedError(revision);
    this.#doubted = revision;
    return new Error(`etcd left out the previous value at revision ${revision}`);
  }
}
