/**
 * The {@link Transport} over HTTPS (or plain HTTP), with connections kept alive.
 *
 *  - I1: every failure rejects with an ApiError; only an aborted call rejects with its signal's reason.
 *  - I2: nothing hangs: connecting, waiting for an answer and silence on a watch all have deadlines.
 *  - I3: a watch reads no faster than its consumer.
 *  - I4: a call is sent again only if it went out on a kept connection that the server had already closed, and never a POST.
 */
import http, { type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import https from "node:https";
import { Readable } from "node:stream";
import type { WebSocket } from "ws";
import type { ApiObject, WatchEvent } from "../api/object.ts";
import { ApiError, type Status } from "../api/status.ts";
import { answerError, connectionError } from "./http-error.ts";
import { jsonLines } from "./json-lines.ts";
import type { Connection } from "./kubeconfig.ts";
import type { Call, Transport, Verb } from "./transport.ts";

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
  /** Gets the texts of the answers' `Warning` headers. */
  readonly onWarning?: (text: string) => void;
}

export type Query = Readonly<Record<string, string | readonly string[]>>;

export interface RawRequest {
  readonly query?: Query;
  readonly headers?: Readonly<Record<string, string>>;
  /** A stream goes out as it is read. */
  readonly body?: string | Uint8Array | Readable;
  /** Milliseconds of silence allowed; 0 for ever (`logs -f`). Default {@link HttpOptions.answerTimeoutMs}. */
  readonly idleMs?: number;
}

/** An answer of success, its body unread: read it to the end or destroy it. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: IncomingMessage;
}

const METHODS: Readonly<Record<Verb, string>> = {
  get: "GET",
  list: "GET",
  watch: "GET",
  create: "POST",
  update: "PUT",
  patch: "PATCH",
  delete: "DELETE",
  deletecollection: "DELETE",
};

export class HttpTransport implements Transport {
  readonly server: URL;
  readonly #options: HttpOptions;
  readonly #agent: http.Agent;

  constructor(options: HttpOptions) {
    const { connection } = options;
    this.#options = options;
    this.server = new URL(connection.server);
    const keep = { keepAlive: true, maxSockets: 64, scheduling: "lifo" as const };
    this.#agent =
      this.server.protocol === "https:"
        ? new https.Agent({ ...keep, ...tlsOptions(connection) })
        : new http.Agent(keep);
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
    try {
      const idleMs = this.#options.watchIdleMs ?? 300_000;
      const { body } = await this.raw("GET", path, { idleMs, ...request }, signal);
      for await (const event of jsonLines(body as AsyncIterable<Buffer>)) {
        const { type, object } = event as { type: string; object: ApiObject };
        if (type === "ERROR") throw ApiError.fromStatus(object as unknown as Status);
        yield event as WatchEvent<ApiObject>;
      }
    } catch (error) {
      if (signal.aborted) return;
      throw error instanceof ApiError ? error : connectionError(error as NodeJS.ErrnoException, this.server);
    }
  }

  /** Resolves as soon as an answer of success (2xx) begins; any other rejects with its ApiError. */
  async raw(method: string, path: string, request: RawRequest = {}, signal?: AbortSignal): Promise<RawAnswer> {
    const response = await this.#exchange({ method, path, request, signal });
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
    const url = this.#url(path, query);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new Socket(url, [...protocols], {
      headers: this.#headers({}),
      handshakeTimeout: this.#options.connectTimeoutMs ?? 10_000,
      perMessageDeflate: false,
      ...tlsOptions(this.#options.connection),
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
    this.#agent.destroy();
  }

  #url(path: string, query: Query = {}): URL {
    const url = new URL(this.server);
    url.pathname = url.pathname.replace(/\/$/, "") + path;
    for (const [key, value] of Object.entries(query)) {
      for (const one of typeof value === "string" ? [value] : value) url.searchParams.append(key, one);
    }
    return url;
  }

  #headers(own: Readonly<Record<string, string>>): Record<string, string> {
    const { token } = this.#options.connection;
    return {
      accept: "application/json",
      "user-agent": this.#options.userAgent ?? "mini-kube",
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...own,
    };
  }

  #exchange(o: Exchange, retried = false): Promise<IncomingMessage> {
    const { method, path, request, signal } = o;
    const { connectTimeoutMs = 10_000, answerTimeoutMs = 60_000 } = this.#options;
    const start = this.server.protocol === "https:" ? https.request : http.request;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      const sent = start(this.#url(path, request.query), {
        method,
        agent: this.#agent,
        headers: { ...this.#headers(request.headers ?? {}), ...lengthOf(request.body) },
        ...(signal && { signal }),
      });
      // One timer per socket does for all deadlines: it is set anew as the exchange goes on.
      const deadline = (ms: number, what: string) =>
        sent.setTimeout(ms, () => sent.destroy(new Error(`${what} within ${ms / 1000} s`)));
      deadline(connectTimeoutMs, "no connection");
      sent.once("socket", (socket) => {
        const connected = () => sent.setTimeout(answerTimeoutMs);
        socket.setKeepAlive(true, 30_000);
        if (sent.reusedSocket || !socket.connecting) connected();
        else socket.once(this.server.protocol === "https:" ? "secureConnect" : "connect", connected);
      });
      sent.once("response", (response) => {
        sent.setTimeout(request.idleMs ?? answerTimeoutMs);
        resolve(response);
      });
      sent.on("error", (error: NodeJS.ErrnoException) => {
        if (signal?.aborted) return reject(signal.reason as Error);
        const stale = sent.reusedSocket && error.code === "ECONNRESET" && method !== "POST" && !retried;
        if (stale) return resolve(this.#exchange(o, true));
        reject(connectionError(error, this.server));
      });
      if (request.body instanceof Readable) upload(request.body, sent);
      else sent.end(request.body);
    });
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

interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly request: RawRequest;
  readonly signal: AbortSignal | undefined;
}

/** Node adds it for POST and PUT only, and sends the body of a DELETE without saying how long it is. */
function lengthOf(body: RawRequest["body"]): Record<string, number> {
  return body === undefined || body instanceof Readable ? {} : { "content-length": Buffer.byteLength(body) };
}

/** What breaks the body breaks the request; the server's answer may come, and end, before all is sent. */
function upload(body: Readable, sent: http.ClientRequest): void {
  body.once("error", (error) => sent.destroy(error));
  body.pipe(sent);
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

/** The path of a call: `/apis/apps/v1/namespaces/default/deployments/web/status`. */
export function pathOf(call: Omit<Call, "verb">): string {
  const parts = call.group ? ["apis", call.group, call.version] : ["api", call.version];
  if (call.namespace) parts.push("namespaces", call.namespace);
  parts.push(call.resource);
  if (call.name) parts.push(call.name);
  if (call.subresource) parts.push(...call.subresource.split("/"));
  return `/${parts.map(encodeURIComponent).join("/")}`;
}

const WRITES: ReadonlySet<Verb> = new Set(["create", "update", "patch"]);

function requestOf(call: Call): RawRequest {
  const { cause, params } = call;
  const manager = WRITES.has(call.verb) && cause && !params?.fieldManager ? { fieldManager: cause.component } : {};
  return {
    query: { ...manager, ...params },
    ...(call.body !== undefined && { body: JSON.stringify(call.body) }),
    headers: {
      ...(call.body !== undefined && { "content-type": call.patchType ?? "application/json" }),
      ...(cause && call.verb !== "get" && { "mini-kube-cause": JSON.stringify(cause) }),
    },
  };
}
