/**
 * One request to one endpoint, by httpxy, and the connections that are kept for the next ones.
 *
 *  U1  A body begins to flow only over a connection that stands: what fails before that can be tried elsewhere.
 *  U2  The connections to an endpoint that is routed to no more are closed as soon as no request uses them.
 */
import http, { type ClientRequest, type IncomingMessage, type ServerResponse } from "node:http";
import https from "node:https";
import net, { type Socket } from "node:net";
import { type Duplex, Transform } from "node:stream";
import tls from "node:tls";
import { createProxyServer } from "httpxy";
import type { Clock } from "../../util/clock.ts";
import type { Endpoint } from "./backends.ts";
import type { RouteSettings } from "./settings.ts";

const CONNECT_MS = 2_000;
const KEEP = { keepAlive: true, maxFreeSockets: 128, scheduling: "lifo" as const };
/** Certificates within a cluster are rarely signed by anybody the ingress knows. */
const UNVERIFIED = { rejectUnauthorized: false };

/** How an exchange failed. Nothing has been answered to the client if `answered` is false. */
export class UpstreamError extends Error {
  readonly why: "connect" | "reset" | "timeout" | "too-large";
  readonly answered: boolean;
  constructor(why: UpstreamError["why"], answered: boolean, cause?: unknown) {
    super(cause instanceof Error ? cause.message : why, { cause });
    this.why = why;
    this.answered = answered;
  }
}

interface Exchange {
  connected: boolean;
  timedOut: boolean;
  tooLarge: boolean;
  request?: ClientRequest;
  /** Lets the body flow. */
  readonly open: () => void;
}

export const hasBody = (req: IncomingMessage): boolean =>
  req.headers["transfer-encoding"] !== undefined || Number(req.headers["content-length"] ?? 0) > 0;

export class Upstreams {
  readonly #clock: Clock;
  readonly #plain = new http.Agent(KEEP);
  readonly #tls = new https.Agent({ ...KEEP, ...UNVERIFIED });
  readonly #proxy = createProxyServer();
  readonly #exchanges = new WeakMap<IncomingMessage, Exchange>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#proxy.on("proxyReq", (request, req) => {
      const exchange = this.#exchanges.get(req);
      if (exchange) this.#watch(exchange, request);
    });
    this.#proxy.on("proxyRes", (answer) => {
      // Of this hop only: the client's connection is its own.
      delete answer.headers.connection;
      delete answer.headers["keep-alive"];
    });
  }

  /** Resolves when the answer is with the client, or the client is gone; rejects with {@link UpstreamError}. */
  async exchange(req: IncomingMessage, res: ServerResponse, to: Endpoint, settings: RouteSettings): Promise<void> {
    const body = hasBody(req) ? limited(settings.maxBodyBytes, () => this.#refuse(exchange)) : undefined;
    const exchange: Exchange = {
      connected: false,
      timedOut: false,
      tooLarge: false,
      open: () => body && req.pipe(body),
    };
    this.#exchanges.set(req, exchange);
    try {
      await this.#proxy.web(req, res, {
        target: { protocol: to.tls ? "https:" : "http:", host: to.host, port: to.port },
        agent: to.tls ? this.#tls : this.#plain,
        secure: false,
        proxyTimeout: settings.timeoutMs,
        ...(body && { buffer: body }),
      });
    } catch (error) {
      if (body) req.unpipe(body);
      const { timedOut, tooLarge, connected } = exchange;
      const why = tooLarge ? "too-large" : timedOut ? "timeout" : connected ? "reset" : "connect";
      throw new UpstreamError(why, res.headersSent, error);
    }
  }

  #watch(exchange: Exchange, request: ClientRequest): void {
    const { socket } = request;
    exchange.request = request;
    request.once("timeout", () => (exchange.timedOut = true));
    const connected = () => {
      exchange.connected = true;
      exchange.open();
    };
    if (!socket?.connecting) return connected();
    const late = this.#clock.after(CONNECT_MS, () => request.destroy(new Error(`no connection in ${CONNECT_MS} ms`)));
    socket.once("connect", connected).once("connect", () => late[Symbol.dispose]());
    request.once("close", () => late[Symbol.dispose]());
  }

  #refuse(exchange: Exchange): void {
    exchange.tooLarge = true;
    exchange.request?.destroy(new Error("request entity too large"));
  }

  /** A connection for an upgrade; rejects when there is none in time. */
  connect({ host, port, tls: secure }: Endpoint): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = secure ? tls.connect({ host, port, ...UNVERIFIED }) : net.connect({ host, port });
      const late = this.#clock.after(CONNECT_MS, () => socket.destroy(new Error(`no connection in ${CONNECT_MS} ms`)));
      socket.once("close", () => late[Symbol.dispose]()).once("error", reject);
      socket.once(secure ? "secureConnect" : "connect", () => {
        late[Symbol.dispose]();
        resolve(socket);
      });
    });
  }

  /** Ties the client's socket to the endpoint's; resolves when both have ended. */
  async upgrade(req: IncomingMessage, client: Duplex, head: Buffer, to: Endpoint, over: Socket): Promise<void> {
    const agent = new http.Agent();
    agent.createConnection = () => over;
    const target = { protocol: "http:", host: to.host, port: to.port };
    await this.#proxy.ws(req, client as Socket, { target, agent }, head);
  }

  /** U2 */
  drop(isKnown: (endpoint: string) => boolean): void {
    for (const agent of [this.#plain, this.#tls]) {
      for (const [name, sockets] of Object.entries(agent.freeSockets)) {
        if (!isKnown(endpointOf(name))) for (const socket of sockets ?? []) socket.destroy();
      }
    }
  }

  close(): void {
    this.#plain.destroy();
    this.#tls.destroy();
  }
}

/** Agents keep connections under `host:port:local address:…`. */
function endpointOf(name: string): string {
  const m = /^(.*?):(\d+):/.exec(name);
  const [, host = "", port = ""] = m ?? [];
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Passes bytes on until there are too many. */
function limited(max: number, exceeded: () => void): Transform {
  let seen = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      seen += chunk.byteLength;
      if (seen <= max) return done(null, chunk);
      exceeded();
      done();
    },
  });
}
