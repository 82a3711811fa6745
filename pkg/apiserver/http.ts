/**
 * The API over HTTPS: where it listens, by which certificates, and how long it is patient with who is slow. What becomes of
 * a request: see {@link Front}.
 */
import type { ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { SecureContextOptions } from "node:tls";
import { nameOf } from "../api/object.ts";
import type { Metrics } from "../util/metrics.ts";
import type { Summary } from "../api/stats-summary.ts";
import { AgentProxy, agentOf, type AgentTls } from "./agent-proxy.ts";
import { type DrainOptions, endServers } from "./drain.ts";
import { Front, type FrontOptions, PATIENCE_MS } from "./front.ts";
import type { RequestMetrics } from "./request-metrics.ts";
import type { ApiServer } from "./server.ts";
import { componentHandlers } from "./virtual/componentstatus.ts";
import { metricsHandlers } from "./virtual/metrics.ts";

/** Disks are counted file by file: nobody here asks for them. */
const SUMMARY = "/stats/summary?only_cpu_and_memory=true";
/** How often Node looks for slow requests. */
const CHECK_MS = 30_000;
/** As in Kubernetes. */
const IDLE_MS = 90_000;

export interface ListenOptions extends FrontOptions {
  /** PEM. */
  readonly tls: { readonly cert: string; readonly key: string; readonly clientCa: string };
  /** How the server shows itself to agents. */
  readonly agentTls: AgentTls;
  /** A connection is kept so long after its last answer. Default: 90 s. */
  readonly idleMs?: number;
  /** Adds what else is told with the requests. */
  readonly alsoCount?: (m: Metrics) => void;
}

/** PEM. */
type Pair = Readonly<Record<"cert" | "key", string>>;

export interface HttpListener {
  readonly url: string;
  readonly port: number;
  /** At another address of this machine, on the same port. Rejects with the socket's error. */
  listenAlso(host: string, pair: { readonly cert: string; readonly key: string }): Promise<void>;
  /** For connections from now on; those that stand go on. `serving`: at all addresses. `client`: towards agents. */
  renew(pairs: { readonly serving: Pair; readonly client: Pair }): void;
  /** From now on requests are counted, and `/metrics` tells. */
  count(metrics: RequestMetrics): void;
  /** Takes nobody any more, ends watches and streams, lets requests end that are under way. */
  close(o?: DrainOptions): Promise<void>;
}

/** Resolves when it listens; rejects with the socket's error (EADDRINUSE). */
export async function listen(api: ApiServer, o: ListenOptions): Promise<HttpListener> {
  const proxy = new AgentProxy(o.agentTls);
  answerForComponents(api, proxy);
  const front = new Front(api, proxy, o);
  const connections = new Set<Socket>();
  const first = await serve(front, o, connections);
  const servers = [first];
  const { port } = first.address() as AddressInfo;
  return {
    url: `https://${o.host}:${port}`,
    port,
    listenAlso: async (host, pair) =>
      void servers.push(await serve(front, { ...o, host, port, tls: { ...o.tls, ...pair } }, connections)),
    renew: ({ serving, client }) => {
      for (const server of servers) server.setSecureContext(secureContext({ ...o.tls, ...serving }));
      proxy.renew(client);
    },
    count: (metrics) => {
      front.metrics = metrics;
      front.flow.metrics(metrics.metrics);
      o.alsoCount?.(metrics.metrics);
    },
    close: async (drain = {}) => {
      await endServers(servers, front.drain, api.clock, drain, () => connections.forEach((c) => c.destroy()));
      proxy.close();
    },
  };
}

function secureContext({ cert, key, clientCa: ca }: ListenOptions["tls"]): SecureContextOptions {
  return { cert, key, ca, minVersion: "TLSv1.2" };
}

/**
 * `connections`: has those that stand; the HTTP server does not know of those that are in their TLS handshake, nor of
 * those that were upgraded.
 */
async function serve(front: Front, o: ListenOptions, connections: Set<Socket>): Promise<Server> {
  const server = createServer({
    ...secureContext(o.tls),
    requestCert: true,
    rejectUnauthorized: false,
    ...patience(o.patienceMs ?? PATIENCE_MS),
  });
  cutOff(server, { stalledMs: o.patienceMs ?? PATIENCE_MS, idleMs: o.idleMs ?? IDLE_MS });
  server.on("connection", (socket: Socket) => {
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
  });
  server.on("request", front.handler());
  server.on("upgrade", (req, socket, head) => void front.upgrade(req, socket, head));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(o.port, o.host, resolve);
  });
  return server;
}

/** Kinds that are answered by asking somebody else. */
function answerForComponents(api: ApiServer, proxy: AgentProxy): void {
  const { clock } = api;
  const handlers = [
    ...metricsHandlers({
      clock,
      summary: (node, signal) => proxy.json<Summary>(agentOf(node, nameOf(node)), SUMMARY, signal),
    }),
    ...componentHandlers({ clock, reachStore: () => api.reachStore() }),
  ];
  for (const [kind, handler] of handlers) api.virtual.set(kind, handler);
}

/** Of bodies see bodyInTime in front.ts. */
const patience = (ms: number) => ({
  handshakeTimeout: ms,
  headersTimeout: ms,
  requestTimeout: 0,
  connectionsCheckingInterval: Math.min(CHECK_MS, ms / 2),
});

/**
 * A watch may be silent for ever. What may not is a client that does not take what is written to it, nor a connection on
 * which nobody asks anything any more.
 */
function cutOff(server: Server, o: { readonly stalledMs: number; readonly idleMs: number }): void {
  /** The last request of each connection that has one; clients may send several before the first is answered. */
  const asked = new Map<Socket, ServerResponse>();
  server.timeout = o.stalledMs;
  server.keepAliveTimeout = o.idleMs;
  server.on("request", ({ socket }, res) => {
    asked.set(socket, res);
    res.once("close", () => asked.get(socket) === res && asked.delete(socket));
  });
  server.on("timeout", (socket) => {
    if (socket.writableLength > 0 || !asked.has(socket)) socket.destroy();
  });
}
