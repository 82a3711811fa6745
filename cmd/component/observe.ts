/**
 * What a program shows of itself to those who run it, over plain HTTP: `/healthz`, `/livez`, `/readyz` (`?verbose`,
 * `/readyz/CHECK`), `/metrics` as Prometheus reads them, and from this machine alone `/debug/log-level`.
 *
 * Nothing here tells of objects, so nobody has to say who they are; what changes something is refused from elsewhere.
 */
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, isIP } from "node:net";
import { type Check, Health } from "../../pkg/apiserver/health.ts";
import { ApiError } from "../../pkg/api/status.ts";
import { systemClock } from "../../pkg/util/clock.ts";
import type { Logger } from "../../pkg/util/log.ts";
import { PROMETHEUS_TYPE } from "../../pkg/util/metrics.ts";
import type { LogLevels } from "./log-levels.ts";

export interface ObserveOptions {
  /** `HOST:PORT`; port 0: any free one. */
  readonly address: string;
  readonly checks: readonly Check[];
  readonly metrics: { text(): Promise<string> };
  readonly log: Logger;
  readonly level: LogLevels;
}

export interface Observed {
  readonly url: string;
  close(): Promise<void>;
}

/** No spec is longer. */
const MAX_BODY = 4_096;
/** Who asks takes what is answered, soon. */
const PATIENCE_MS = 10_000;

/** Rejects with what hinders it, in a sentence. */
export async function serveObserve(o: ObserveOptions): Promise<Observed> {
  const { host, port } = parseAddress(o.address);
  const health = new Health(o.checks, systemClock);
  const server = http.createServer((req, res) => {
    answer(o, health, req, res).catch((error: unknown) => refuse(res, error));
  });
  server.requestTimeout = server.headersTimeout = server.timeout = PATIENCE_MS;
  await new Promise<void>((done, fail) => {
    server.once("error", (error: NodeJS.ErrnoException) => fail(sayWhy(o.address, error)));
    server.listen(port, host, done);
  });
  // It says how the program is; it is no reason for it to go on.
  server.unref();
  const { port: listening } = server.address() as AddressInfo;
  const url = `http://${isIP(host) === 6 ? `[${host}]` : host}:${listening}`;
  o.log.info({ url }, "health and metrics are served");
  return { url, close: () => close(server) };
}

async function answer(o: ObserveOptions, health: Health, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const { pathname } = new URL(req.url ?? "/", "http://localhost");
  if (/^\/(healthz|livez|readyz)(\/|$)/.test(pathname)) return health.answer(req, res);
  if (pathname === "/metrics") {
    return void res.writeHead(200, { "Content-Type": PROMETHEUS_TYPE }).end(await o.metrics.text());
  }
  if (pathname === "/debug/log-level") return logLevel(o, req, res);
  throw new ApiError("NotFound", "there are /healthz /livez /readyz /metrics /debug/log-level");
}

async function logLevel(o: ObserveOptions, req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (!isLoopback(req.socket.remoteAddress ?? "")) throw new ApiError("Forbidden", "this is for its own machine only");
  if (req.method === "PUT") {
    const spec = await bodyOf(req);
    changeLevel(o.level, spec);
    o.log.info({ levels: o.level.report() }, "log level changed");
  } else if (req.method !== "GET") {
    throw new ApiError("MethodNotAllowed", "GET tells the level, PUT changes it");
  }
  res.writeHead(200, { "Content-Type": "application/json" }).end(`${JSON.stringify(o.level.report())}\n`);
}

function changeLevel(level: LogLevels, spec: string): void {
  try {
    level.set(spec);
  } catch (error) {
    throw new ApiError("BadRequest", (error as Error).message);
  }
}

async function bodyOf(req: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of req) {
    text += String(chunk);
    if (text.length > MAX_BODY) throw new ApiError("BadRequest", "write NAME=LEVEL,…");
  }
  return text.trim();
}

function refuse(res: ServerResponse, error: unknown): void {
  const code = error instanceof ApiError ? error.code : 500;
  if (!res.headersSent) res.writeHead(code, { "Content-Type": "text/plain; charset=utf-8", Connection: "close" });
  res.end(`${(error as Error).message}\n`);
}

async function close(server: http.Server): Promise<void> {
  const closed = new Promise((done) => server.close(done));
  server.closeAllConnections();
  await closed;
}

const isLoopback = (address: string) => address === "::1" || /^(::ffff:)?127\./.test(address);

/** `127.0.0.1:10259`, `[::1]:10259`, `:10259`. Throws a sentence. */
export function parseAddress(text: string): { readonly host: string; readonly port: number } {
  const [, six, host = six ?? "", digits = ""] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === "" || port > 65_535) {
    throw new Error(`${text}: an address to listen at is HOST:PORT, like 127.0.0.1:10259`);
  }
  return { host: host === "" ? "0.0.0.0" : host, port };
}

function sayWhy(address: string, error: NodeJS.ErrnoException): Error {
  const why: Readonly<Record<string, string>> = {
    EADDRINUSE: "another program listens there; choose another one with --observe-address",
    EADDRNOTAVAIL: "this machine does not have that address",
    EACCES: "a port below 1024 is for root only",
  };
  return new Error(`--observe-address ${address}: ${why[error.code ?? ""] ?? error.message}`, { cause: error });
}
