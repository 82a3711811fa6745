/** The ingress proxy: serves HTTP and HTTPS by the table that it was given last. */
import http, { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import https from "node:https";
import type { Duplex } from "node:stream";
import { createSecureContext, type SecureContext } from "node:tls";
import type { Clock } from "../../util/clock.ts";
import type { Logger } from "../../util/log.ts";
import type { KeyPair } from "../../util/pki.ts";
import { Balancer } from "./balancer.ts";
import type { Endpoint } from "./backends.ts";
import { Counters, type Served } from "./counters.ts";
import { certificateFor, hostName, match, routingPath } from "./match.ts";
import type { Route, Table } from "./table.ts";
import { hasBody, UpstreamError, Upstreams } from "./upstream.ts";

export interface ProxyOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly table: Table;
  /** By key of its Secret; undefined for one that cannot be used, and for `""`: the default one's turn. */
  readonly certificate: (secret: string) => SecureContext | undefined;
  readonly defaultCertificate: KeyPair;
  /** Told of every request after its answer. */
  readonly onServed?: (s: Served) => void;
}

/** Endpoints that are asked one after the other before a client hears of it. */
const MAX_ATTEMPTS = 3;
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS"]);
const SERVER = {
  keepAlive: true,
  keepAliveTimeout: 75_000,
  headersTimeout: 20_000,
  /** A long upload is not cut off while it moves; the upstream's timeout bounds it when it does not. */
  requestTimeout: 0,
};

interface Arrival {
  readonly route: Route;
  readonly host: string;
}

/** Why a request goes nowhere. */
interface Refusal {
  readonly status: number;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly ingress?: string;
}

/**
 * Guarantees:
 *
 *  P1  A change of routes or certificates closes no connection and fails no request.
 *  P2  A request that reached no endpoint is tried on others, at most three in all; one that may have been acted on is
 *      repeated only if that does no harm (no body, and GET, HEAD or OPTIONS).
 *  P3  What the client says about where it comes from is replaced by what is known: X-Forwarded-For, -Host, -Port,
 *      -Proto and X-Real-IP.
 *  P4  `close` lets requests under way end, up to its time limit; nothing new is taken meanwhile.
 */
export class IngressProxy {
  readonly counters = new Counters();
  readonly #o: ProxyOptions;
  readonly #upstreams: Upstreams;
  readonly #balancer = new Balancer();
  readonly #servers = new Set<http.Server>();
  readonly #upgraded = new Set<Duplex>();
  readonly #defaultContext: SecureContext;
  #table: Table;
  /** Where redirects to HTTPS lead; undefined: HTTPS is not served, and nothing is redirected. */
  #httpsPort: number | undefined;
  #draining = false;

  constructor(o: ProxyOptions) {
    this.#o = o;
    this.#table = o.table;
    this.#defaultContext = createSecureContext({ ...o.defaultCertificate });
    this.#upstreams = new Upstreams(o.clock);
  }

  use(table: Table): void {
    this.#table = table;
    this.counters.reloads++;
    const known = endpointsOf(table);
    this.#upstreams.drop((key) => known.has(key));
    this.#balancer.keep((key) => known.has(key));
  }

  /** Rejects when the port is taken or not permitted. */
  async listen(o: { host: string; port: number; tls: boolean }): Promise<number> {
    const secured = { ...SERVER, ...this.#o.defaultCertificate, SNICallback: this.#sni };
    const server = o.tls ? https.createServer(secured) : http.createServer(SERVER);
    server.on("request", (req, res) => void this.#serve(req, res, o.tls));
    server.on("upgrade", (req, socket, head) => void this.#upgrade(server, req, socket, head, o.tls));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject).listen(o.port, o.host, resolve);
    });
    server.on("error", (err) => this.#o.log.warn({ err }, "ingress: a listening socket failed"));
    this.#servers.add(server);
    const address = server.address();
    const port = address && typeof address === "object" ? address.port : o.port;
    if (o.tls) this.#httpsPort = port;
    return port;
  }

  async close(graceMs: number): Promise<void> {
    this.#draining = true;
    const closed = [...this.#servers].map((s) => new Promise<void>((resolve) => s.close(() => resolve())));
    for (const server of this.#servers) server.closeIdleConnections();
    using _end = this.#o.clock.after(graceMs, () => {
      for (const server of this.#servers) server.closeAllConnections();
      for (const socket of this.#upgraded) socket.destroy();
    });
    if (graceMs === 0) for (const socket of this.#upgraded) socket.destroy();
    await Promise.all(closed);
    for (const socket of this.#upgraded) socket.destroy();
    this.#servers.clear();
    this.#upstreams.close();
  }

  readonly #sni = (name: string, done: (error: Error | null, context?: SecureContext) => void): void => {
    const secret = certificateFor(this.#table, hostName(name) ?? "");
    done(null, (secret && this.#o.certificate(secret)) || this.#defaultContext);
  };

  async #serve(req: IncomingMessage, res: ServerResponse, tls: boolean): Promise<void> {
    const startedAt = this.#o.clock.now();
    const target = req.url ?? "/";
    this.counters.active.requests++;
    let served: Pick<Served, "ingress" | "backend" | "endpoint" | "retries"> = NOTHING;
    const arrival = this.#arrive(req, tls);
    // A request whose connection ends before its answer gets none: 499, as nginx counts it.
    res.once("close", () => {
      this.counters.active.requests--;
      const status = res.writableFinished ? res.statusCode : 499;
      const ms = this.#o.clock.now() - startedAt;
      const { method = "", headers, socket } = req;
      const all = { ...served, method, host: headers.host ?? "", target, status, ms };
      this.counters.count(all);
      this.#o.onServed?.({ ...all, client: socket.remoteAddress ?? "" });
    });
    if (this.#draining) res.setHeader("connection", "close");
    if ("status" in arrival) {
      served = { ...NOTHING, ingress: arrival.ingress ?? "" };
      return answer(req, res, arrival);
    }
    const { route } = arrival;
    forwarded(req, arrival.host, tls);
    served = await this.#forward(req, res, route, (s) => (served = s));
  }

  /** Finds the route, or why there is none; normalizes what an upstream is to see of the target. */
  #arrive(req: IncomingMessage, tls: boolean): Arrival | Refusal {
    const absolute = /^https?:\/\/([^/?#]*)(.*)$/i.exec(req.url ?? "");
    if (absolute) {
      req.headers.host = absolute[1] ?? "";
      req.url = absolute[2]?.startsWith("/") ? absolute[2] : `/${absolute[2] ?? ""}`;
    }
    const host = hostName(req.headers.host);
    const path = routingPath(req.url ?? "");
    if (host === undefined || path === undefined) return { status: 400, text: "the request names no host and path" };
    const route = match(this.#table, host, path);
    if (!route) return { status: 404, text: `no Ingress has a rule for ${host}${path}` };
    const { settings, ingress } = route;
    const secured = settings.redirectToHttps && certificateFor(this.#table, host) !== undefined;
    if (!tls && secured && this.#httpsPort !== undefined) {
      const port = this.#httpsPort === 443 ? "" : `:${this.#httpsPort}`;
      const location = `https://${host}${port}${req.url ?? "/"}`;
      return { status: 308, text: "this host is served by HTTPS", headers: { location }, ingress };
    }
    if (Number(req.headers["content-length"] ?? 0) > settings.maxBodyBytes) {
      return { status: 413, text: tooLarge(settings.maxBodyBytes), ingress };
    }
    return { route, host };
  }

  async #forward(req: IncomingMessage, res: ServerResponse, route: Route, note: (s: Asked) => void): Promise<Asked> {
    const tried = new Set<string>();
    let failure: UpstreamError | undefined;
    let asked: Asked = { ingress: route.ingress, backend: route.backend.name, endpoint: "", retries: 0 };
    while (tried.size < MAX_ATTEMPTS) {
      const to = this.#balancer.pick(route.backend, this.#o.clock.now(), tried);
      if (!to) break;
      asked = { ...asked, endpoint: to.key, retries: tried.size };
      note(asked);
      tried.add(to.key);
      failure = await this.#attempt(req, res, route, to);
      if (!failure || !this.#mayRepeat(req, res, failure)) break;
    }
    if (tried.size === 0) {
      answer(req, res, { status: 503, text: route.backend.missing ?? "no endpoints" });
    } else if (failure) {
      this.#o.log.debug({ err: failure, ...asked }, "ingress: a request failed");
      answer(req, res, refusalOf(failure, route));
    }
    return asked;
  }

  async #attempt(req: IncomingMessage, res: ServerResponse, route: Route, to: Endpoint) {
    this.#balancer.begin(to);
    try {
      await this.#upstreams.exchange(req, res, to, route.settings);
      return undefined;
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      if (error.why === "connect") this.#balancer.failed(to, this.#o.clock.now());
      return error;
    } finally {
      this.#balancer.end(to);
    }
  }

  /** P2 */
  #mayRepeat(req: IncomingMessage, res: ServerResponse, { why, answered }: UpstreamError): boolean {
    if (answered || res.destroyed) return false;
    return why === "connect" || (why === "reset" && !hasBody(req) && IDEMPOTENT.has(req.method ?? ""));
  }

  async #upgrade(server: http.Server, req: IncomingMessage, client: Duplex, head: Buffer, tls: boolean): Promise<void> {
    if (req.headers.upgrade?.toLowerCase() !== "websocket") return withoutUpgrade(server, req, client, head, tls);
    client.on("error", () => client.destroy());
    const arrival = this.#arrive(req, tls);
    if ("status" in arrival) return refuseUpgrade(client, arrival);
    const { route, host } = arrival;
    forwarded(req, host, tls);
    const found = await this.#connected(route);
    if (!found) return refuseUpgrade(client, { status: 502, text: route.backend.missing ?? "no endpoint answers" });
    const { to, over } = found;
    if (client.destroyed) return void over.destroy();
    this.#upgraded.add(client);
    this.#balancer.begin(to);
    this.counters.active.upgrades++;
    client.once("close", () => {
      over.destroy();
      this.#upgraded.delete(client);
      this.#balancer.end(to);
      this.counters.active.upgrades--;
    });
    over.once("close", () => client.end());
    await this.#upstreams.upgrade(req, client, head, to, over).catch((err: unknown) => {
      this.#o.log.debug({ err, backend: route.backend.name }, "ingress: an upgraded connection failed");
    });
  }

  async #connected(route: Route) {
    const tried = new Set<string>();
    while (tried.size < MAX_ATTEMPTS) {
      const to = this.#balancer.pick(route.backend, this.#o.clock.now(), tried);
      if (!to) return undefined;
      tried.add(to.key);
      const over = await this.#upstreams.connect(to).catch(() => undefined);
      if (over) return { to, over };
      this.#balancer.failed(to, this.#o.clock.now());
    }
    return undefined;
  }
}

type Asked = Pick<Served, "ingress" | "backend" | "endpoint" | "retries">;
const NOTHING: Asked = { ingress: "", backend: "", endpoint: "", retries: 0 };

function endpointsOf(t: Table): ReadonlySet<string> {
  const hosts = [...t.exactHosts.values(), ...t.wildcardHosts.values(), t.anyHost];
  const routes = hosts.flatMap((h) => [
    ...h.exact.values(),
    ...h.prefixes.values(),
    ...(h.fallback ? [h.fallback] : []),
  ]);
  return new Set(routes.flatMap((r) => r.backend.endpoints.map((e) => e.key)));
}

/** P3. What concerns only the client's own connection goes no further. */
function forwarded(req: IncomingMessage, host: string, tls: boolean): void {
  const { headers, socket } = req;
  const upgrade = headers.upgrade;
  for (const name of ["connection", "keep-alive", "proxy-connection", "te", "upgrade", "expect", "forwarded"]) {
    delete headers[name];
  }
  if (upgrade?.toLowerCase() === "websocket") Object.assign(headers, { connection: "Upgrade", upgrade });
  const client = (socket.remoteAddress ?? "").replace(/^::ffff:/, "");
  headers["x-forwarded-for"] = client;
  headers["x-real-ip"] = client;
  headers["x-forwarded-host"] = headers.host ?? host;
  headers["x-forwarded-port"] = String(socket.localPort ?? "");
  headers["x-forwarded-proto"] = tls ? "https" : "http";
}

const tooLarge = (max: number) => `the request is larger than ${max} bytes`;

function refusalOf(failure: UpstreamError, route: Route): Refusal {
  const unreachable: Refusal = { status: 502, text: "the service could not be reached" };
  const texts: Readonly<Record<UpstreamError["why"], Refusal>> = {
    connect: unreachable,
    reset: unreachable,
    timeout: { status: 504, text: `the service did not answer within ${route.settings.timeoutMs / 1000} s` },
    "too-large": { status: 413, text: tooLarge(route.settings.maxBodyBytes) },
  };
  return texts[failure.why];
}

function answer(req: IncomingMessage, res: ServerResponse, { status, text, headers = {} }: Refusal): void {
  if (res.destroyed) return;
  if (res.headersSent) return void res.destroy();
  // The rest of a body that nobody wants would have to be read before the next request.
  const close = req.complete ? {} : { connection: "close" };
  res.writeHead(status, { "content-type": "text/plain; charset=utf-8", ...headers, ...close });
  res.end(`${status} ${STATUS_CODES[status] ?? ""}: ${text}\n`);
}

function refuseUpgrade(client: Duplex, { status, text, headers = {} }: Refusal): void {
  const body = `${status} ${STATUS_CODES[status] ?? ""}: ${text}\n`;
  const all = {
    ...headers,
    "content-type": "text/plain; charset=utf-8",
    "content-length": String(Buffer.byteLength(body)),
    connection: "close",
  };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  client.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${head.join("")}\r\n${body}`);
}

/**
 * A client that offers another protocol (`h2c`, as Java's does with every first request) is content with an answer in
 * HTTP/1.1: its request is read again as one that offers nothing.
 */
function withoutUpgrade(server: http.Server, req: IncomingMessage, client: Duplex, head: Buffer, tls: boolean): void {
  const lines = [`${req.method ?? "GET"} ${req.url ?? "/"} HTTP/${req.httpVersion}`];
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i] ?? "";
    if (!/^(upgrade|connection|http2-settings)$/i.test(name)) lines.push(`${name}: ${req.rawHeaders[i + 1] ?? ""}`);
  }
  client.unshift(Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), head]));
  server.emit(tls ? "secureConnection" : "connection", client);
}
