/** The API server for programs of this machine that have no credentials of their own: `proxy` lends them the user's. */
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import https from "node:https";
import type { Duplex } from "node:stream";
import { tlsOptions } from "../../client/http.ts";
import type { Connection } from "../../client/kubeconfig.ts";
import { compileRegexp, type Regexp } from "../../util/regexp.ts";

/** Lists of regular expressions, with commas. */
export interface ProxyRules {
  readonly acceptHosts: string;
  readonly acceptPaths: string;
  readonly rejectPaths: string;
  readonly rejectMethods: string;
}

/** kubectl's own. A page of another site cannot speak through it: its host is no localhost. */
export const DEFAULT_RULES: ProxyRules = {
  acceptHosts: "^localhost$,^127\\.0\\.0\\.1$,^\\[::1\\]$",
  acceptPaths: "^.*",
  rejectPaths: "^/api/.*/pods/.*/exec,^/api/.*/pods/.*/attach",
  rejectMethods: "^$",
};

export type Judge = (r: { method: string; host: string; path: string }) => boolean;

/** Throws RegexpError. What is not accepted is refused; what is rejected is, too. */
export function judgeOf(rules: ProxyRules): Judge {
  const list = (text: string): Regexp[] => text.split(",").map(compileRegexp);
  const [hosts, paths] = [list(rules.acceptHosts), list(rules.acceptPaths)];
  const [noPaths, noMethods] = [list(rules.rejectPaths), list(rules.rejectMethods)];
  const some = (all: readonly Regexp[], text: string) => all.some((r) => r.test(text));
  return ({ method, host, path }) =>
    some(hosts, host) && some(paths, path) && !some(noPaths, path) && !some(noMethods, method);
}

/** Of one hop only, and what is the proxy's to say. */
const NOT_PASSED = new Set(["authorization", "connection", "host", "keep-alive", "proxy-connection", "te", "origin"]);

export interface ApiProxyOptions {
  readonly connection: Connection;
  readonly judge: Judge;
  /** `/`, or what stands before the API's paths here. */
  readonly prefix: string;
}

export function apiProxy(o: ApiProxyOptions): { server: http.Server; close(): void } {
  const upstream = new URL(o.connection.server);
  const secure = upstream.protocol === "https:";
  const options = tlsOptions(o.connection);
  const agent = secure ? new https.Agent({ keepAlive: true, ...options }) : new http.Agent({ keepAlive: true });
  const send = (req: IncomingMessage, path: string, more: http.RequestOptions) =>
    (secure ? https : http).request({
      ...options,
      host: upstream.hostname,
      port: upstream.port,
      method: req.method,
      path: upstream.pathname.replace(/\/$/, "") + path,
      headers: headersFor(req, o.connection),
      ...more,
    });
  const server = http.createServer((req, res) => {
    const path = allowed(req, o);
    if (path === undefined) return void res.writeHead(403, { "content-type": "text/plain" }).end("Forbidden\n");
    relay(req, res, send(req, path, { agent }));
  });
  server.on("upgrade", (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    const path = allowed(req, o);
    if (path === undefined) return void socket.end("HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n");
    const { upgrade = "" } = req.headers;
    const headers = { ...headersFor(req, o.connection), connection: "Upgrade", upgrade };
    relayUpgrade(send(req, path, { headers, agent: false }), socket, head);
  });
  const close = () => {
    server.close();
    server.closeAllConnections();
    agent.destroy();
  };
  return { server, close };
}

/** The API's path that is meant; undefined: it must not be asked for. */
function allowed(req: IncomingMessage, { judge, prefix }: ApiProxyOptions): string | undefined {
  const target = req.url ?? "/";
  if (!target.startsWith(prefix)) return undefined;
  const path = `/${target.slice(prefix.length)}`;
  const host = (req.headers.host ?? "").replace(/:\d+$/, "");
  // Decoded, too: what the server reads is what is judged.
  const bare = path.split("?")[0] ?? "";
  let decoded = bare;
  try {
    decoded = decodeURIComponent(bare);
  } catch {
    return undefined;
  }
  const ok = [bare, decoded].every((p) => judge({ method: req.method ?? "", host, path: p }));
  return ok ? path : undefined;
}

function headersFor(req: IncomingMessage, { token }: Connection): http.OutgoingHttpHeaders {
  const kept = Object.entries(req.headers).filter(([name]) => !NOT_PASSED.has(name));
  return { ...Object.fromEntries(kept), ...(token !== undefined && { authorization: `Bearer ${token}` }) };
}

function relay(req: IncomingMessage, res: ServerResponse, sent: http.ClientRequest): void {
  sent.on("response", (answer) => {
    res.writeHead(answer.statusCode ?? 502, answer.headers);
    res.flushHeaders(); // a watch's answer begins long before its first event
    answer.pipe(res);
    answer.on("error", () => res.destroy());
  });
  sent.on("error", (error) => {
    if (res.headersSent) return void res.destroy();
    res
      .writeHead(502, { "content-type": "text/plain" })
      .end(`error trying to reach the API server: ${error.message}\n`);
  });
  res.on("close", () => sent.destroy());
  req.pipe(sent);
}

function relayUpgrade(sent: http.ClientRequest, socket: Duplex, head: Buffer): void {
  const write = (answer: IncomingMessage) => {
    const lines = [`HTTP/1.1 ${answer.statusCode ?? 502} ${answer.statusMessage ?? ""}`];
    for (let i = 0; i < answer.rawHeaders.length; i += 2)
      lines.push(`${answer.rawHeaders[i]}: ${answer.rawHeaders[i + 1]}`);
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  };
  socket.on("error", () => sent.destroy());
  sent.on("error", () => socket.destroy());
  sent.on("response", (answer) => {
    write(answer);
    answer.pipe(socket);
  });
  sent.on("upgrade", (answer, over, first) => {
    write(answer);
    if (first.length > 0) socket.write(first);
    if (head.length > 0) over.write(head);
    over.on("error", () => socket.destroy()).on("close", () => socket.destroy());
    socket.on("close", () => over.destroy());
    over.pipe(socket).pipe(over);
  });
  sent.end();
}
