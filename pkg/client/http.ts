/**
 * The {@link Transport} over HTTPS (or plain HTTP), with connections kept alive.
 *
 *  - I1: every failure rejects with an ApiError; only an aborted call rejects with its signal's reason.
 *  - I2: nothing hangs: connecting, waiting for an answer and silence on a watch all have deadlines.
 *  - I3: a watch reads no faster than its consumer.
 *  - I4: a read is sent again if it went out on a kept connection that the server had closed; a write is not, for it may
 *    have been done. A call goes, where there are several servers, to the next one: if it never reached the first, or only reads.
 *  - I5: of several servers one is asked as long as it answers. A watch on one that no longer does ends within the time of
 *    two pulses, as if the server had ended it, and goes on where the next one is.
 */
import http, { type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import https from "node:https";
import { Readable } from "node:stream";
import type { WebSocket } from "ws";
import type { ApiObject, WatchEvent } from "../api/object.ts";
import { ApiError, type Status } from "../api/status.ts";
import { type Clock, systemClock } from "../util/clock.ts";
import { exchange } from "./exchange.ts";
import { answerError, connectionError, Unreached } from "./http-error.ts";
import { jsonLines } from "./json-lines.ts";
import type { Connection } from "./kubeconfig.ts";
import { Pulse } from "./pulse.ts";
import { METHODS, pathOf, type Query, type RawRequest, requestOf } from "./request.ts";
import { Servers } from "./servers.ts";
import type { Call, Transport } from "./transport.ts";

export interface HttpOptions {
  readonly connection: Connection;
  /** `mini-kube/0.1.0`; the default field manager of writes is its first part. */
  readonly userAgent?: string;
  /** Until a connection stands. Default 10 s. */
  readonly connectTimeoutMs?: number;
  /** Until an answer begins, and between its parts. Default 60 s. */
  readonly answerTimeoutMs?: number;
  /** Without any event on a watch (ask for bookmarks: the server sends one a minute). Default 5 min. */
  readonly watchIdleMs?: number;
  /** So often a server is asked whether it lives while a watch hangs on it, and so long it may take. Default: never. */
  readonly pulseMs?: number;
  readonly clock?: Clock;
  /** Gets the texts of the answers' `Warning` headers. */
  readonly onWarning?: (text: string) => void;
}

/** An answer of success, its body unread: read it to the end or destroy it. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: IncomingMessage;
}

export class HttpTransport implements Transport {
  readonly #options: HttpOptions;
  readonly #servers: Servers;
  readonly #pulses = new Map<URL, Pulse>();
  #connection: Connection;
  #agent: http.Agent;

  constructor(options: HttpOptions) {
    const { connection } = options;
    this.#options = options;
    this.#connection = connection;
    this.#servers = new Servers([connection.server, ...(connection.others ?? [])].map((s) => new URL(s)));
    this.#agent = agentFor(connection);
  }

  /** The one that is asked at the moment. */
  get server(): URL {
    return this.#servers.current;
  }

  /** From now on it shows itself with this; what is under way goes on as it is. */
  use({ cert, key }: { readonly cert: string; readonly key: string }): void {
    const before = this.#agent;
    this.#connection = { ...this.#connection, cert, key };
    this.#agent = agentFor(this.#connection);
    // Those in use end with their calls.
    before.maxFreeSockets = 0;
    for (const socket of Object.values(before.freeSockets).flatMap((s) => s ?? [])) socket.destroy();
  }

  async call(call: Call, signal?: AbortSignal): Promise<unknown> {
    const { body } = await this.raw(METHODS[call.verb], pathOf(call), requestOf(call), signal);
    const text = await this.#readAll(body, signal);
    try {
      return text === "" ? undefined : JSON.parse(text);
    } catch {
      throw new ApiError("InternalError", `the server's answer is no JSON: ${text.slice(0, 200)}`);
    }
  }

  async *watch(call: Call, signal: AbortSignal): AsyncGenerator<WatchEvent<ApiObject>, void, undefined> {
    const request = requestOf({ ...call, params: { ...call.params, watch: "true" } });
    yield* this.watchRaw(pathOf(call), { idleMs: this.#options.watchIdleMs ?? 300_000, ...request }, signal);
  }

  /** A watch by path, for those that want other forms than plain objects (Tables). */
  async *watchRaw(
    path: string,
    request: RawRequest,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<ApiObject>, void, undefined> {
    let established = false;
    try {
      const idleMs = this.#options.watchIdleMs ?? 300_000;
      const { body } = await this.raw("GET", path, { idleMs, ...request }, signal);
      established = true;
      for await (const event of jsonLines(body as AsyncIterable<Buffer>)) {
        const { type, object } = event as { type: string; object: ApiObject };
        if (type === "ERROR") throw ApiError.fromStatus(object as unknown as Status);
        yield event as WatchEvent<ApiObject>;
      }
    } catch (error) {
      if (signal.aborted) return;
      const known = error instanceof ApiError ? error : connectionError(error as NodeJS.ErrnoException, this.server);
      // Its reader has lost nothing: it asks again, perhaps another server, for what came after.
      if (established && known instanceof Unreached && this.#options.pulseMs !== undefined) return;
      throw known;
    }
  }

  /** Resolves as soon as an answer of success (2xx) begins; any other rejects with its ApiError. */
  async raw(method: string, path: string, request: RawRequest = {}, signal?: AbortSignal): Promise<RawAnswer> {
    const response = await this.#ask({ method, path, request, signal });
    const status = response.statusCode ?? 500;
    this.#reportWarnings(response);
    if (status >= 200 && status < 300) return { status, headers: response.headers, body: response };
    throw answerError(status, await this.#readAll(response, signal));
  }

  /** The text of a GET: discovery, OpenAPI, `/version`. */
  async text(path: string, request: RawRequest = {}, signal?: AbortSignal): Promise<string> {
    const { body } = await this.raw("GET", path, request, signal);
    return this.#readAll(body, signal);
  }

  /**
   * A WebSocket on `path`, open. `protocols` in order of preference; the server's choice is in `.protocol`.
   * Listeners added as soon as this resolves miss nothing, not even messages that came along with the answer.
   */
  async upgrade(path: string, query: Query, protocols: readonly string[]): Promise<WebSocket> {
    const { WebSocket: Socket } = await import("ws");
    const url = this.#url(this.server, path, query);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new Socket(url, [...protocols], {
      headers: this.#headers({}),
      handshakeTimeout: this.#options.connectTimeoutMs ?? 10_000,
      perMessageDeflate: false,
      ...tlsOptions(this.#connection),
    });
    await new Promise<void>((resolve, reject) => {
      socket.once("open", () => {
        socket.pause();
        setImmediate(() => socket.resume());
        resolve();
      });
      socket.once("error", (error) => reject(connectionError(error, this.server)));
      socket.once("unexpected-response", (_request, response) => {
        this.#readAll(response).then((body) => reject(answerError(response.statusCode ?? 500, body)), reject);
      });
    });
    return socket;
  }

  /** Lets go of the idle connections, so that the process can end. */
  close(): void {
    for (const pulse of this.#pulses.values()) pulse[Symbol.dispose]();
    this.#agent.destroy();
  }

  #url(server: URL, path: string, query: Query = {}): URL {
    const url = new URL(server);
    url.pathname = url.pathname.replace(/\/$/, "") + path;
    for (const [key, value] of Object.entries(query)) {
      for (const one of typeof value === "string" ? [value] : value) url.searchParams.append(key, one);
    }
    return url;
  }

  #headers(own: Readonly<Record<string, string>>): Record<string, string> {
    const { token } = this.#connection;
    return {
      accept: "application/json",
      "user-agent": this.#options.userAgent ?? "mini-kube",
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...own,
    };
  }

  /** One server after the other, each once, as long as the call may be made again. */
  async #ask(o: Ask): Promise<IncomingMessage> {
    for (let left = this.#servers.count - 1; ; left--) {
      const server = this.server;
      try {
        const response = await this.#exchange(server, o);
        if (response.statusCode !== UNAVAILABLE || this.#servers.count === 1) return response;
        // It lives, but cannot serve: another one may.
        this.#servers.failed(server);
        if (left <= 0 || o.method !== "GET") return response;
        response.destroy();
      } catch (error) {
        if (!(error instanceof Unreached)) throw error;
        this.#servers.failed(server);
        const again = o.method === "GET" || (!error.sent && !(o.request.body instanceof Readable));
        if (left <= 0 || !again) throw error;
      }
    }
  }

  async #exchange(server: URL, { method, path, request, signal }: Ask): Promise<IncomingMessage> {
    const { connectTimeoutMs = 10_000, answerTimeoutMs = 60_000 } = this.#options;
    const response = await exchange({
      server,
      url: this.#url(server, path, request.query),
      method,
      headers: this.#headers(request.headers ?? {}),
      body: request.body,
      agent: this.#agent,
      connectTimeoutMs,
      answerTimeoutMs: request.answerMs ?? answerTimeoutMs,
      idleMs: request.idleMs ?? answerTimeoutMs,
      signal,
    });
    response.once("error", () => {
      if (!signal?.aborted) this.#servers.failed(server);
    });
    // It may be silent for long.
    if (request.idleMs !== undefined) this.#pulse(server)?.watch(response);
    return response;
  }

  #pulse(server: URL): Pulse | undefined {
    const { pulseMs: everyMs, clock = systemClock } = this.#options;
    const known = this.#pulses.get(server);
    if (known || everyMs === undefined) return known;
    const ask = async () => {
      const request = { answerMs: everyMs };
      const answer = await this.#exchange(server, { method: "GET", path: "/livez", request, signal: undefined });
      answer.resume();
    };
    const pulse = new Pulse({ ask, everyMs, clock, onDead: () => this.#servers.failed(server) });
    this.#pulses.set(server, pulse);
    return pulse;
  }

  async #readAll(stream: IncomingMessage, signal?: AbortSignal): Promise<string> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of stream) chunks.push(chunk as Buffer);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw connectionError(error as NodeJS.ErrnoException, this.server);
    }
    return Buffer.concat(chunks).toString("utf8");
  }

  #reportWarnings(response: IncomingMessage): void {
    const { onWarning } = this.#options;
    const header = response.headers.warning;
    if (!onWarning || !header) return;
    for (const m of header.matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)) onWarning((m[1] ?? "").replace(/\\(.)/g, "$1"));
  }
}

interface Ask {
  readonly method: string;
  readonly path: string;
  readonly request: RawRequest;
  readonly signal: AbortSignal | undefined;
}

const UNAVAILABLE = 503;

/** Of connections that nobody uses: what a burst leaves is closed, and the rest before the server does it (90 s). */
const KEPT = { maxFreeSockets: 8, timeout: 30_000 };

function agentFor(connection: Connection): http.Agent {
  const keep = { keepAlive: true, maxSockets: 256, scheduling: "lifo" as const, ...KEPT };
  return connection.server.startsWith("https:")
    ? new https.Agent({ ...keep, ...tlsOptions(connection) })
    : new http.Agent(keep);
}

/** For those that speak to the server by other means than a transport. */
export function tlsOptions(c: Connection): https.AgentOptions {
  return {
    ...(c.ca !== undefined && { ca: c.ca }),
    ...(c.cert !== undefined && { cert: c.cert }),
    ...(c.key !== undefined && { key: c.key }),
    ...(c.insecure === true && { rejectUnauthorized: false }),
    ...(c.serverName !== undefined && { servername: c.serverName }),
  };
}
