import { Etcd3, type IOptions, type IStatusResponse } from "etcd3";
import type { Clock } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import { explained, isOutage } from "./etcd-errors.ts";
import { StoreUnavailableError } from "./store.ts";

export interface EtcdTls {
  readonly ca: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

export interface EndpointOptions {
  /** `http://host:port` or `https://host:port`, all of one cluster. */
  readonly endpoints: readonly string[];
  readonly tls?: EtcdTls | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The oldest etcd that has all we use. */
const OLDEST = [3, 4] as const;

const STATUS_MS = 2000;
const FIRST_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 500;

/** Longer than any call. */
const RETIRE_MS = 15_000;

/** A member that froze is found out within these; etcd allows a ping each 5 s. */
const KEEPALIVE = { "grpc.keepalive_time_ms": 6000, "grpc.keepalive_timeout_ms": 3000 };

/** gRPC's own would grow to two minutes: an etcd that is back must be found soon. */
const RECONNECT = { "grpc.initial_reconnect_backoff_ms": 100, "grpc.max_reconnect_backoff_ms": 500 };

const NEVER = new AbortController().signal;

/**
 * Calls go through as they are. etcd3's own policies would repeat a transaction whose outcome is unknown, and refuse
 * calls for seconds after an outage.
 */
const asIs = {
  execute: async (call: (context: { signal: AbortSignal }) => unknown) => call({ signal: NEVER }),
} as unknown as ReturnType<NonNullable<NonNullable<IOptions["faultHandling"]>["host"]>>;

type CallOptions = Exclude<NonNullable<IOptions["defaultCallOptions"]>, (...args: never[]) => unknown>;
type Interceptor = NonNullable<CallOptions["interceptors"]>[number];

/** A member that has lost the others must say so, and end its watches, instead of answering nothing for ever. */
const requireLeader: Interceptor = (options, next) => {
  const call = next(options);
  const start = call.start.bind(call);
  call.start = (metadata, listener) => {
    metadata.set("hasleader", "true");
    start(metadata, listener);
  };
  return call as ReturnType<Interceptor>;
};

/** For questions about a member itself, which one without a leader can answer too. */
export const EVEN_ALONE: CallOptions = { interceptors: [] };

/**
 * The members of one etcd. Calls stay with one endpoint and move to the next when it fails; watches that were opened
 * on it move along, for a member that froze or was cut off does not end them itself.
 */
export class EtcdEndpoints {
  readonly names: readonly string[];
  #clients: readonly Etcd3[];
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #streams = new Map<number, Set<() => void>>();
  #current = 0;
  /** Since when calls fail; undefined: the last one was answered. */
  awaySince: number | undefined;

  constructor(o: EndpointOptions) {
    if (o.endpoints.length === 0) throw new Error("etcd: no endpoint given");
    this.names = o.endpoints;
    this.#clients = o.endpoints.map((endpoint) => connect(endpoint, o.tls));
    this.#clock = o.clock;
    this.#log = o.log;
  }

  get current(): number {
    return this.#current;
  }

  client(index: number): Etcd3 {
    const client = this.#clients[index];
    if (!client) throw new Error(`etcd: no endpoint ${index}`);
    return client;
  }

  async call<T>(call: (client: Etcd3) => Promise<T>): Promise<T> {
    const used = this.#current;
    try {
      const result = await call(this.client(used));
      this.awaySince = undefined;
      return result;
    } catch (error) {
      if (isOutage(error)) this.failed(used, error);
      throw error;
    }
  }

  /** Whoever still uses it goes on with the next. */
  failed(used: number, error: unknown): void {
    this.awaySince ??= this.#clock.now();
    if (this.#current !== used || this.#clients.length === 1) return;
    this.#current = (used + 1) % this.#clients.length;
    this.#log.warn({ from: this.names[used], to: this.names[this.#current], error: String(error) }, "moving on");
    for (const leave of this.#streams.get(used) ?? []) leave();
  }

  /** `leave` is called once when the endpoint is left; the result takes it back. */
  onLeave(index: number, leave: () => void): () => void {
    const streams = this.#streams.get(index) ?? new Set();
    this.#streams.set(index, streams.add(leave));
    return () => void streams.delete(leave);
  }

  /** From now on connections are made with these. Watches move at once, without loss; calls under way may end. */
  renew(tls: EtcdTls): void {
    const old = this.#clients;
    this.#clients = this.names.map((endpoint) => connect(endpoint, tls));
    for (const streams of this.#streams.values()) for (const leave of streams) leave();
    this.#clock.after(RETIRE_MS, () => {
      for (const client of old) client.close();
    });
  }

  status(index: number): Promise<IStatusResponse> {
    const deadline = this.#clock.now() + STATUS_MS;
    return this.client(index).maintenance.status({ ...EVEN_ALONE, deadline });
  }

  /**
   * Waits for the first that answers. Rejects with what is wrong where waiting does not help: certificates, a version
   * that is too old.
   */
  async check(deadlineMs: number, signal: AbortSignal): Promise<void> {
    const deadline = this.#clock.now() + deadlineMs;
    for (let backoff = FIRST_BACKOFF_MS; ; backoff = Math.min(2 * backoff, MAX_BACKOFF_MS)) {
      const answers = await Promise.allSettled(this.names.map((_, index) => this.status(index)));
      const first = answers.findIndex((answer) => answer.status === "fulfilled");
      const found = answers[first];
      if (found?.status === "fulfilled") {
        this.#current = first;
        return refuseOld(this.names[first] ?? "", found.value.version);
      }
      const reasons = answers.flatMap((a) => (a.status === "rejected" ? [String(a.reason)] : []));
      const why = reasons.map(explained);
      if (why.every((reason) => reason !== undefined)) throw new Error(`etcd at ${this.names.join(", ")}: ${why[0]}`);
      if (this.#clock.now() + backoff >= deadline) throw unreachable(this.names, reasons[0] ?? "");
      await this.#clock.sleep(backoff, signal);
    }
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}

/** Throws for a version without what we use of it. */
export function refuseOld(endpoint: string, version: string): void {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return;
  throw new Error(`etcd at ${endpoint} is version ${version}: ${OLDEST.join(".")} or newer is needed`);
}

function unreachable(endpoints: readonly string[], reason: string): StoreUnavailableError {
  // Of a server that speaks TLS alone the plain client sees no more than a connection that ends at once.
  const hint = reason.includes("Failed to connect") ? " (does it want TLS? then use etcds://)" : "";
  return new StoreUnavailableError(`etcd at ${endpoints.join(", ")} does not answer: ${shortly(reason)}${hint}`);
}

/** gRPC's message without what only it understands. */
function shortly(reason: string): string {
  const last = /Last error: (?:Error: )?(.*?)(?: \(\d{4}-|\. Resolution note|$)/.exec(reason)?.[1];
  return last ?? reason.replace(/^Error: \d+ [A-Z_]+: /, "").split(/,(?:name|Waiting|LB)/)[0] ?? reason;
}

function connect(endpoint: string, tls: EtcdTls | undefined): Etcd3 {
  try {
    return new Etcd3({
      hosts: endpoint,
      faultHandling: { host: () => asIs, global: asIs },
      grpcOptions: { ...KEEPALIVE, ...RECONNECT },
      defaultCallOptions: { interceptors: [requireLeader] },
      ...(tls && {
        credentials: {
          rootCertificate: tls.ca,
          ...(tls.key && { privateKey: tls.key }),
          ...(tls.cert && { certChain: tls.cert }),
        },
      }),
    });
  } catch (error) {
    throw new Error(`etcd: ${explained(String(error)) ?? String(error)}`, { cause: error });
  }
}
