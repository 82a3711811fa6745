import {
  Etcd3,
  EtcdAuthenticationFailedError,
  EtcdPermissionDeniedError,
  GRPCInvalidArgumentError,
  GRPCResourceExhastedError,
  GRPCUnauthenticatedError,
  type IKeyValue,
  type IOptions,
  type IRangeRequest,
  type IRangeResponse,
  type IRequestOp,
  type ITxnRequest,
  type IWatchRequest,
} from "etcd3";
import { type Clock, systemClock } from "../util/clock.ts";
import { type Logger, silent } from "../util/log.ts";
import { asBuffer, FIRST_PAGE_KEYS, nextPageKeys, prefixEnd, prefixStart } from "./etcd-range.ts";
import { EtcdWatch, type EtcdWatchStream } from "./etcd-watch.ts";
import { EventQueue, type WatchLimits } from "./event-queue.ts";
import { compareKeys } from "./sorted-keys.ts";
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
  TxnTooLargeError,
} from "./store.ts";
import { checkTxn } from "./txn-limits.ts";

export interface EtcdOptions extends WatchLimits {
  /** `http://host:port` or `https://host:port`, all of one cluster. */
  readonly endpoints: readonly string[];
  /** Put before every key, for several clusters in one etcd. Default: none, keys are used as given. */
  readonly prefix?: string;
  readonly tls?: { readonly ca: Buffer; readonly cert?: Buffer; readonly key?: Buffer };
  /** gRPC deadlines are wall-clock times, so only a clock that runs makes sense here. */
  readonly clock?: Clock;
  readonly log?: Logger;
  /** How long a call may take, back-off and retries included, and how long an outage is waited out; default 10 s. */
  readonly deadlineMs?: number;
}

/** gRPC's status of a stream that we ended ourselves. */
const CANCELLED = 1;

const ATTEMPT_MS = 3000;
const FIRST_BACKOFF_MS = 20;
const MAX_BACKOFF_MS = 1000;

/** In an outage that has lasted for long, a call is held up by no more than this. */
const LAST_TRY_MS = 1000;

/** gRPC's own would grow to two minutes: an etcd that is back must be found within {@link LAST_TRY_MS}. */
const RECONNECT = { "grpc.initial_reconnect_backoff_ms": 100, "grpc.max_reconnect_backoff_ms": 500 };

/**
 * Calls go through as they are. etcd3's own policies would repeat a transaction whose outcome is unknown, and refuse
 * calls for seconds after an outage.
 */
const asIs = {
  execute: async (call: (context: { signal: AbortSignal }) => unknown) =>
    call({ signal: new AbortController().signal }),
} as unknown as ReturnType<NonNullable<NonNullable<IOptions["faultHandling"]>["host"]>>;

/**
 * The store in an etcd cluster (3.4 or newer), readable with `etcdctl get --prefix /registry`.
 *
 * Reads are linearizable and repeated with back-off while etcd is away. An outage is waited out once, up to the deadline
 * from its beginning, not by each call anew: whoever comes later is told at once. A transaction is sent once: if its
 * answer is lost nobody knows whether it happened, and only the caller can find out. Calls stay with one endpoint and
 * move to the next when it fails.
 */
export class EtcdStore implements Store {
  readonly #clients: readonly Etcd3[];
  readonly #prefix: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #deadlineMs: number;
  readonly #watchQueueBytes: number | undefined;
  readonly #closing = new AbortController();
  readonly #watches = new Set<EventQueue>();
  #current = 0;
  /** Since when calls fail; then somebody must answer before a transaction is risked. */
  #awaySince: number | undefined;

  constructor(o: EtcdOptions) {
    if (o.endpoints.length === 0) throw new Error("etcd: no endpoint given");
    this.#clients = o.endpoints.map((endpoint) => connect(endpoint, o));
    this.#prefix = o.prefix ?? "";
    this.#clock = o.clock ?? systemClock;
    this.#log = o.log ?? silent;
    this.#deadlineMs = o.deadlineMs ?? 10_000;
    this.#watchQueueBytes = o.watchQueueBytes;
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
        if (error instanceof GRPCResourceExhastedError && want > 1) return undefined;
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
    if (this.#awaySince !== undefined) await this.#read({ key: Buffer.of(0), keys_only: true });
    const request = this.#txnRequest(expect, then);
    const response = await this.#call((client) =>
      client.kv.txn(request, { deadline: this.#clock.now() + this.#deadlineMs }),
    ).catch((error: unknown) => {
      throw typed(error);
    });
    const revision = BigInt(response.header.revision);
    if (response.succeeded) return { ok: true, revision };
    const current = response.responses.map(({ response_range: { kvs } }) => kvs[0] && this.#toKeyValue(kvs[0]));
    return { ok: false, revision, current };
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
      await this.#call((client) => client.kv.compact(request, { deadline: this.#clock.now() + this.#deadlineMs }));
    } catch (error) {
      const reason = typed(error, revision);
      if (!(reason instanceof CompactedError)) throw reason; // somebody else went further
    }
  }

  async close(): Promise<void> {
    const error = new StoreUnavailableError("the store is closed");
    this.#closing.abort(error);
    for (const queue of this.#watches) queue.end(error);
    for (const client of this.#clients) client.close();
  }

  /** A linearizable read, repeated until the deadline. RESOURCE_EXHAUSTED is left to the caller as it is. */
  async #read(request: IRangeRequest): Promise<IRangeResponse> {
    const began = this.#clock.now();
    const deadline = Math.max((this.#awaySince ?? began) + this.#deadlineMs, began + LAST_TRY_MS);
    for (let backoff = FIRST_BACKOFF_MS; ; backoff = Math.min(backoff * 2, MAX_BACKOFF_MS)) {
      this.#checkOpen();
      const now = this.#clock.now();
      try {
        return await this.#call((client) =>
          client.kv.range(request, { deadline: Math.min(deadline, now + ATTEMPT_MS) }),
        );
      } catch (error) {
        this.#checkOpen();
        if (error instanceof GRPCResourceExhastedError) throw error;
        const reason = typed(error, BigInt(request.revision ?? 0));
        if (!(reason instanceof StoreUnavailableError) || isFinal(error) || now + backoff >= deadline) throw reason;
        this.#log.debug({ error: String(error), backoffMs: backoff }, "etcd did not answer, trying again");
      }
      await this.#clock.sleep(backoff, this.#closing.signal);
    }
  }

  async #call<T>(call: (client: Etcd3) => Promise<T>): Promise<T> {
    this.#checkOpen();
    const used = this.#current;
    try {
      const result = await call(this.#client(used));
      this.#awaySince = undefined;
      return result;
    } catch (error) {
      if (isOutage(error)) this.#failed(used);
      throw error;
    }
  }

  async #openWatch(prefix: string, from: Revision): Promise<EtcdWatchStream> {
    const used = this.#current;
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
    const stream = await this.#client(used).watchClient.watch();
    stream.on("error", (error: Error & { code?: number }) => {
      if (error.code !== CANCELLED) this.#failed(used);
    });
    stream.write(request);
    return stream as unknown as EtcdWatchStream;
  }

  #client(index: number): Etcd3 {
    const client = this.#clients[index];
    if (!client) throw new Error(`etcd: no endpoint ${index}`);
    return client;
  }

  #failed(used: number): void {
    this.#awaySince ??= this.#clock.now();
    if (this.#current === used) this.#current = (used + 1) % this.#clients.length;
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

function connect(endpoint: string, o: EtcdOptions): Etcd3 {
  return new Etcd3({
    hosts: endpoint,
    faultHandling: { host: () => asIs, global: asIs },
    grpcOptions: { "grpc.keepalive_time_ms": 10_000, "grpc.keepalive_timeout_ms": 5000, ...RECONNECT },
    ...(o.tls && {
      credentials: {
        rootCertificate: o.tls.ca,
        ...(o.tls.key && { privateKey: o.tls.key }),
        ...(o.tls.cert && { certChain: o.tls.cert }),
      },
    }),
  });
}

/** The typed error for what etcd said. Its own words are all there is to tell these apart. */
function typed(error: unknown, asked: Revision = 0n): Error {
  const message = String(error);
  if (message.includes("required revision has been compacted")) return new CompactedError(asked + 1n);
  if (message.includes("required revision is a future revision")) return new FutureRevisionError(asked);
  if (message.includes("request is too large") || message.includes("too many operations")) {
    return new TxnTooLargeError(message);
  }
  if (
    error instanceof StoreUnavailableError ||
    error instanceof CompactedError ||
    error instanceof FutureRevisionError
  ) {
    return error;
  }
  return new StoreUnavailableError(`etcd: ${message}`, {
    cause: error,
    full: message.includes("database space exceeded"),
  });
}

/** It was not etcd's answer to what was asked. */
function isOutage(error: unknown): boolean {
  return !(error instanceof GRPCResourceExhastedError) && typed(error) instanceof StoreUnavailableError;
}

/** No later attempt can go better. */
function isFinal(error: unknown): boolean {
  const kinds = [
    EtcdPermissionDeniedError,
    EtcdAuthenticationFailedError,
    GRPCUnauthenticatedError,
    GRPCInvalidArgumentError,
  ];
  return kinds.some((kind) => error instanceof kind);
}

function revisionOf(at: Revision | undefined): Pick<IRangeRequest, "revision"> {
  return at === undefined ? {} : { revision: String(at) };
}
