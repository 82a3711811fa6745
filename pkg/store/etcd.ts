import type { IKeyValue, IRangeRequest, IRangeResponse, IRequestOp, ITxnRequest, IWatchRequest } from "etcd3";
import { isDeepStrictEqual } from "node:util";
import { type Clock, systemClock } from "../util/clock.ts";
import { type Logger, silent } from "../util/log.ts";
import { asBuffer, FIRST_PAGE_KEYS, nextPageKeys, prefixEnd, prefixStart } from "./etcd-range.ts";
import { EtcdEndpoints, type EtcdTls } from "./etcd-endpoints.ts";
import { isAway, isExhausted, isFinal, nothingHappened, typed } from "./etcd-errors.ts";
import { etcdMaintenance } from "./etcd-maintenance.ts";
import { happenedAt, happensOnce } from "./etcd-outcome.ts";
import { EtcdWatch, type EtcdWatchStream } from "./etcd-watch.ts";
import { EventQueue, type WatchLimits } from "./event-queue.ts";
import { compareKeys } from "./sorted-keys.ts";
import {
  CompactedError,
  type Expectation,
  type KeyValue,
  type ListOptions,
  type Page,
  type Revision,
  type Store,
  type StoreEvent,
  type StoreMaintenance,
  StoreUnavailableError,
  type TxnOp,
  type TxnResult,
} from "./store.ts";
import { checkTxn } from "./txn-limits.ts";

export interface EtcdOptions extends WatchLimits {
  /** `http://host:port` or `https://host:port`, all of one cluster. */
  readonly endpoints: readonly string[];
  /** Put before every key, for several clusters in one etcd. Default: none, keys are used as given. */
  readonly prefix?: string;
  /** Asked again every hour: certificates are renewed while it runs. Throws what is wrong with them. */
  readonly tls?: (() => EtcdTls) | undefined;
  /** gRPC deadlines are wall-clock times, so only a clock that runs makes sense here. */
  readonly clock?: Clock;
  readonly log?: Logger;
  /** How long a call may take, back-off and retries included, and how long an outage is waited out; default 10 s. */
  readonly deadlineMs?: number;
}

/** gRPC's status of a stream that we ended ourselves. */
const CANCELLED = 1;

/** A member that does not answer a read for so long is left. */
const ATTEMPT_MS = 3000;
/** A transaction may wait for a slow disk; to give it up is not to know its outcome. */
const TXN_MS = 6000;
/** How often renewed certificates are looked for. */
const RENEWED_MS = 3_600_000;
const FIRST_BACKOFF_MS = 20;
const MAX_BACKOFF_MS = 1000;

/** In an outage that has lasted for long, a call is held up by no more than this. */
const LAST_TRY_MS = 1000;

/**
 * The store in an etcd cluster (3.4 or newer), readable with `etcdctl get --prefix /registry`.
 *
 * Reads are linearizable and repeated with back-off while etcd is away. An outage is waited out once, up to the deadline
 * from its beginning, not by each call anew: whoever comes later is told at once. A transaction is repeated where nothing can
 * have happened (no connection, no leader), and where its answer was lost but it can happen only once, because it changes
 * what it expects (with one exception: `happensOnce`). Whether it had happened is told by what it finds then; if somebody
 * else wrote there meanwhile nobody knows, and it is rejected. A member that dies, freezes or loses the others is left within
 * seconds, by calls and watches.
 */
export class EtcdStore implements Store {
  readonly maintenance: StoreMaintenance;
  readonly #endpoints: EtcdEndpoints;
  readonly #prefix: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #deadlineMs: number;
  readonly #watchQueueBytes: number | undefined;
  readonly #closing = new AbortController();
  readonly #watches = new Set<EventQueue>();

  constructor(o: EtcdOptions) {
    this.#prefix = o.prefix ?? "";
    this.#clock = o.clock ?? systemClock;
    this.#log = o.log ?? silent;
    this.#deadlineMs = o.deadlineMs ?? 10_000;
    this.#watchQueueBytes = o.watchQueueBytes;
    const tls = o.tls?.();
    this.#endpoints = new EtcdEndpoints({ ...o, tls, clock: this.#clock, log: this.#log });
    this.maintenance = etcdMaintenance(this.#endpoints, this.#clock);
    if (o.tls && tls) void this.#follow(o.tls, tls);
  }

  /** Waits for etcd, up to the deadline; rejects with what is wrong with it, or with how it is reached. */
  static async open(o: EtcdOptions): Promise<EtcdStore> {
    const store = new EtcdStore(o);
    try {
      await store.#endpoints.check(store.#deadlineMs, store.#closing.signal);
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** Until it is closed. */
  async #follow(read: () => EtcdTls, first: EtcdTls): Promise<void> {
    const { signal } = this.#closing;
    for (let known = first; ;) {
      await this.#clock.sleep(RENEWED_MS, signal).catch(() => {}); // closed
      if (signal.aborted) return;
      try {
        const tls = read();
        if (isDeepStrictEqual(tls, known)) continue;
        this.#endpoints.renew(tls);
        known = tls;
        this.#log.info({}, "goes on with renewed certificates");
      } catch (error) {
        this.#log.error({ err: error }, "etcd's renewed certificates cannot be used, will look again");
      }
    }
  }

  async get(key: string, at?: Revision): Promise<{ kv?: KeyValue; revision: Revision }> {
    const response = await this.#read({ key: this.#encode(key), ...revisionOf(at) }).catch((error: unknown) => {
      throw typed(error);
    });
    const kv = response.kvs[0];
    const revision = at ?? BigInt(response.header.revision);
    return kv ? { kv: this.#toKeyValue(kv), revision } : { revision };
  }

  async list(prefix: string, o: ListOptions = {}): Promise<Page> {
    const limit = o.limit || Number.POSITIVE_INFINITY;
    const rangeEnd = prefixEnd(this.#encode(prefix));
    const behind = o.after !== undefined && compareKeys(o.after, prefix) >= 0;
    let key = behind ? this.#encode(`${o.after}\0`) : prefixStart(this.#encode(prefix));
    let revision = o.at;
    let size = FIRST_PAGE_KEYS;
    const kvs: KeyValue[] = [];
    for (;;) {
      const want = Math.min(size, limit - kvs.length);
      const request = { key, range_end: rangeEnd, limit: want, ...revisionOf(revision) };
      const page = await this.#read(request).catch((error: unknown) => {
        if (isExhausted(error) && want > 1) return undefined;
        throw typed(error);
      });
      if (!page) {
        size = Math.max(1, want >> 2);
        continue;
      }
      revision ??= BigInt(page.header.revision);
      kvs.push(...page.kvs.map((kv) => this.#toKeyValue(kv)));
      const last = page.kvs.at(-1);
      const remaining = Number(page.count) - page.kvs.length;
      if (remaining === 0 || !last || kvs.length >= limit) return { kvs, revision, more: remaining > 0, remaining };
      key = Buffer.concat([last.key, Buffer.of(0)]);
      size = nextPageKeys(page);
    }
  }

  async txn(expect: readonly Expectation[], then: readonly TxnOp[]): Promise<TxnResult> {
    checkTxn(expect, then);
    // In an outage somebody must answer before a transaction is risked.
    if (this.#endpoints.awaySince !== undefined) await this.#read({ key: Buffer.of(0), keys_only: true });
    const request = this.#txnRequest(expect, then);
    const once = happensOnce(expect, then);
    /** It may have happened: its answer was lost with this. */
    let lost: unknown;
    const again = (error: unknown) => {
      if (nothingHappened(error)) return true;
      lost ??= error;
      return once && isAway(error);
    };
    const response = await this.#repeated(
      (deadline) => this.#endpoints.call((client) => client.kv.txn(request, { deadline })),
      { attemptMs: TXN_MS, again },
    ).catch((error: unknown) => {
      throw typed(lost ?? error);
    });
    const revision = BigInt(response.header.revision);
    if (response.succeeded) return { ok: true, revision };
    const current = response.responses.map(({ response_range: { kvs } }) => kvs[0] && this.#toKeyValue(kvs[0]));
    if (lost === undefined) return { ok: false, revision, current };
    const happened = happenedAt(expect, then, current);
    if (happened === undefined) throw typed(lost);
    return { ok: true, revision: happened };
  }

  async *watch(prefix: string, from: Revision, signal: AbortSignal): AsyncGenerator<StoreEvent, void, void> {
    this.#checkOpen();
    const queue = new EventQueue(prefix, this.#watchQueueBytes);
    const watch = new EtcdWatch(from, {
      open: (revision) => this.#openWatch(prefix, revision),
      toKeyValue: (kv) => this.#toKeyValue(kv),
      queue,
      clock: this.#clock,
      log: this.#log,
    });
    const stop = new AbortController();
    this.#watches.add(queue);
    const running = watch.run(stop.signal);
    try {
      yield* queue.drain(signal);
    } finally {
      stop.abort();
      this.#watches.delete(queue);
      await running;
    }
  }

  async compact(revision: Revision): Promise<void> {
    this.#checkOpen();
    const request = { revision: String(revision) };
    try {
      const deadline = this.#clock.now() + this.#deadlineMs;
      await this.#endpoints.call((client) => client.kv.compact(request, { deadline }));
    } catch (error) {
      const reason = typed(error, revision);
      if (!(reason instanceof CompactedError)) throw reason; // somebody else went further
    }
  }

  async close(): Promise<void> {
    const error = new StoreUnavailableError("the store is closed");
    this.#closing.abort(error);
    for (const queue of this.#watches) queue.end(error);
    this.#endpoints.close();
  }

  /** A linearizable read, repeated until the deadline. RESOURCE_EXHAUSTED is left to the caller as it is. */
  #read(request: IRangeRequest): Promise<IRangeResponse> {
    const asked = BigInt(request.revision ?? 0);
    return this.#repeated((deadline) => this.#endpoints.call((client) => client.kv.range(request, { deadline })), {
      attemptMs: ATTEMPT_MS,
      again: (error) => !isExhausted(error) && !isFinal(error) && typed(error, asked) instanceof StoreUnavailableError,
    }).catch((error: unknown) => {
      throw isExhausted(error) ? error : typed(error, asked);
    });
  }

  /** Tries, with back-off, as long as `again` says of a failure that the call may be repeated, up to the deadline. */
  async #repeated<T>(
    attempt: (deadline: number) => Promise<T>,
    { attemptMs, again }: { attemptMs: number; again: (error: unknown) => boolean },
  ): Promise<T> {
    const began = this.#clock.now();
    const deadline = Math.max((this.#endpoints.awaySince ?? began) + this.#deadlineMs, began + LAST_TRY_MS);
    for (let backoff = FIRST_BACKOFF_MS; ; backoff = Math.min(backoff * 2, MAX_BACKOFF_MS)) {
      this.#checkOpen();
      const now = this.#clock.now();
      try {
        return await attempt(Math.min(deadline, now + attemptMs));
      } catch (error) {
        this.#checkOpen();
        if (!again(error) || this.#clock.now() + backoff >= deadline) throw error;
        this.#log.debug({ error: String(error), backoffMs: backoff }, "etcd did not answer, trying again");
      }
      await this.#clock.sleep(backoff, this.#closing.signal);
    }
  }

  async #openWatch(prefix: string, from: Revision): Promise<EtcdWatchStream> {
    const used = this.#endpoints.current;
    const key = this.#encode(prefix);
    const request: IWatchRequest = {
      create_request: {
        key: prefixStart(key),
        range_end: prefixEnd(key),
        start_revision: String(from),
        prev_kv: true,
        progress_notify: true,
        fragment: true,
      },
    };
    const stream = await this.#endpoints.client(used).watchClient.watch();
    const over = this.#endpoints.onLeave(used, () => stream.cancel());
    // One that takes the connection and then says nothing would be waited for without end.
    const unanswered = this.#clock.after(ATTEMPT_MS, () => {
      this.#endpoints.failed(used, new Error(`no answer to a watch within ${ATTEMPT_MS} ms`));
      stream.cancel(); // also where there is no other endpoint, or this one was left already
    });
    stream.on("data", () => unanswered[Symbol.dispose]());
    stream.on("end", () => (over(), unanswered[Symbol.dispose]()));
    stream.on("error", (error: Error & { code?: number }) => {
      over();
      unanswered[Symbol.dispose]();
      if (error.code !== CANCELLED) this.#endpoints.failed(used, error);
    });
    stream.write(request);
    return stream as unknown as EtcdWatchStream;
  }

  #txnRequest(expect: readonly Expectation[], then: readonly TxnOp[]): ITxnRequest {
    return {
      compare: expect.map(({ key, modRevision }) => ({
        key: this.#encode(key),
        target: "Mod",
        result: "Equal",
        mod_revision: String(modRevision),
      })),
      success: then.map(({ key: name, ...op }): IRequestOp => {
        const key = this.#encode(name);
        return op.op === "put"
          ? { request_put: { key, value: asBuffer(op.value) } }
          : { request_delete_range: { key } };
      }),
      failure: expect.map(({ key }) => ({ request_range: { key: this.#encode(key) } })),
    };
  }

  #encode(key: string): Buffer {
    return Buffer.from(this.#prefix + key);
  }

  #toKeyValue(kv: Pick<IKeyValue, "key" | "value" | "create_revision" | "mod_revision">): KeyValue {
    return {
      key: kv.key.toString().slice(this.#prefix.length),
      value: kv.value,
      createRevision: BigInt(kv.create_revision),
      modRevision: BigInt(kv.mod_revision),
    };
  }

  #checkOpen(): void {
    this.#closing.signal.throwIfAborted();
  }
}

function revisionOf(at: Revision | undefined): Pick<IRangeRequest, "revision"> {
  return at === undefined ? {} : { revision: String(at) };
}
