/**
 * The agent's HTTPS endpoint, which the API server calls for logs, exec, attach, the Pods' ports, and what all that uses.
 *
 *  H1  Only a client certificate of the cluster's CA gets in, and only the API server's or an administrator's.
 *  H2  Every refusal is a Status, also of an upgrade.
 *  H3  Closing the server closes its sessions; a renewed certificate closes none.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { SecureContextOptions, TLSSocket } from "node:tls";
import { ApiError } from "../api/status.ts";
import type { ContainerRuntime, ExecSession } from "../runtime/runtime.ts";
import type { Clock } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import type { KeyPair } from "../util/pki.ts";
import type { RenewedPair } from "../util/renewed-pair.ts";
import type { Fleet } from "./fleet.ts";
import { sendJson, toApiError } from "./answers.ts";
import { serveImages } from "./image-requests.ts";
import type { KeptLogs } from "./kept-logs/store.ts";
import { serveKeptLogList, serveLogs } from "./log-requests.ts";
import { flag } from "./logs.ts";
import { type Connect, parsePort } from "./streams/forward.ts";
import { type SessionStart, type Upgrade, Upgrades } from "./streams/upgrades.ts";
import type { UsagePages } from "./usage.ts";
import type { PodWorker } from "./worker.ts";

export interface ServeOptions {
  /** Default: all addresses. */
  readonly host?: string;
  /** 0: any free one. */
  readonly port: number;
  /** What it shows itself by, renewed while it runs. Before the first is there, nobody gets in. */
  readonly pair: RenewedPair;
  /** PEM of the CA that signs clients. */
  readonly clientCa: string;
  readonly onListening?: (port: number) => void;
}

export interface ServerContext {
  readonly runtime: ContainerRuntime;
  readonly clock: Clock;
  readonly log: Logger;
  readonly pods: Pick<Fleet, "find" | "workers">;
  readonly usage: Pick<UsagePages, "page">;
  readonly keptLogs: Pick<KeptLogs, "list" | "lines">;
}

export interface AgentServer extends AsyncDisposable {
  readonly port: number;
  /** At another address of this machine, on the same port. */
  listenAlso(host: string, pair: KeyPair): Promise<void>;
}

/** Resolves when it listens. */
export async function serveAgent(o: ServeOptions, ctx: ServerContext): Promise<AgentServer> {
  const upgrades = new Upgrades(ctx.clock, (err, req) => ctx.log.warn({ err, url: req.url }, "session broke"));
  const endpoint = new Endpoint(ctx, upgrades);
  const first = await listen(o, o.pair.current, endpoint);
  const servers = [first];
  const renewals = o.pair.onChange((pair) => {
    for (const server of servers) server.setSecureContext(secureContext(o, pair));
  });
  const { port } = first.address() as AddressInfo;
  o.onListening?.(port);
  return {
    port,
    listenAlso: async (host, pair) => void servers.push(await listen({ ...o, host, port }, pair, endpoint)),
    async [Symbol.asyncDispose]() {
      renewals[Symbol.dispose]();
      upgrades[Symbol.dispose]();
      await Promise.all(servers.map(close));
    },
  };
}

const secureContext = (o: ServeOptions, pair: KeyPair | undefined): SecureContextOptions => ({
  ...pair,
  ca: o.clientCa,
  minVersion: "TLSv1.2",
});

async function listen(o: ServeOptions, pair: KeyPair | undefined, endpoint: Endpoint): Promise<Server> {
  const server = createServer({ ...secureContext(o, pair), requestCert: true, rejectUnauthorized: true });
  server.requestTimeout = 0; // an image may be large and the way to it slow
  server.on("request", (req, res) => void endpoint.request(req, res));
  server.on("upgrade", (req, socket, head) => void endpoint.upgrade({ req, socket, head }));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(o.port, o.host, resolve);
  });
  return server;
}

async function close(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
}

class Endpoint {
  readonly #ctx: ServerContext;
  readonly #upgrades: Upgrades;

  constructor(ctx: ServerContext, upgrades: Upgrades) {
    this.#ctx = ctx;
    this.#upgrades = upgrades;
  }

  async request(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const gone = new AbortController();
    res.once("close", () => gone.abort());
    try {
      authorize(req);
      await this.#route(req, res, gone.signal);
    } catch (error) {
      const status = toApiError(error).toStatus();
      if (gone.signal.aborted) return;
      if (res.headersSent) return void res.destroy();
      res.writeHead(status.code ?? 500, { "Content-Type": "application/json" }).end(JSON.stringify(status));
    }
  }

  async upgrade(u: Upgrade): Promise<void> {
    u.socket.on("error", () => u.socket.destroy());
    try {
      authorize(u.req);
      const { verb, query, ...target } = targetOf(u.req);
      switch (verb) {
        case "exec":
        case "attach":
          return this.#upgrades.session(u, () => this.#session(verb, target, query));
        case "portForward":
          return this.#upgrades.forward(u, { connect: this.#ports(target), pod: target.pod });
        case "dial":
          return await this.#dial(u, this.#ports(target), query.get("port") ?? undefined);
        default:
          throw new ApiError("NotFound", `the agent has no ${u.req.url}`);
      }
    } catch (error) {
      refuse(u.socket, toApiError(error));
    }
  }

  async #route(req: IncomingMessage, res: ServerResponse, signal: AbortSignal): Promise<void> {
    const { verb, query, ...target } = targetOf(req);
    switch (verb) {
      case "healthz":
        return void res.writeHead(200, { "Content-Type": "text/plain" }).end("ok");
      case "pods":
        return sendJson(res, this.#podList());
      case "stats":
      case "metrics":
        return this.#usage(`${verb}/${target.namespace}`, { query, res, signal });
      case "containerLogs":
        return serveLogs(this.#ctx, { ...target, query, res, signal });
      case "keptLogs":
        return serveKeptLogList(this.#ctx, query, res);
      case "images":
        return serveImages(this.#ctx, { req, res, what: target.namespace, query, signal });
      case "exec":
      case "attach":
      case "portForward":
        throw new ApiError("BadRequest", `you must upgrade to a WebSocket or to SPDY to ${verb}`);
      default:
        throw new ApiError("NotFound", `the agent has no ${req.url}`);
    }
  }

  async #usage(what: string, o: { query: URLSearchParams; res: ServerResponse; signal: AbortSignal }): Promise<void> {
    const page = await this.#ctx.usage.page(what, o.query, o.signal);
    if (!page) throw new ApiError("NotFound", `the agent has no /${what}`);
    o.res.writeHead(200, { "Content-Type": page.type }).end(page.text);
  }

  /** Throws what must be said before the upgrade. */
  #session(verb: "exec" | "attach", { container: name, ...t }: Target, q: URLSearchParams): SessionStart {
    const container = this.#worker(t).container(name);
    if (container?.state !== "running") throw new ApiError("NotFound", `container not found ("${name}")`);
    const [stdin, tty, command] = [flag(q, "stdin"), flag(q, "tty"), q.getAll("command")];
    const { runtime } = this.#ctx;
    if (verb === "attach") {
      return { stdin, start: async (s) => looker(await runtime.attach(container.id, { stdin, tty }, s)) };
    }
    if (command.length === 0) throw new ApiError("BadRequest", "you must specify at least 1 command for the container");
    return { stdin, start: (s) => runtime.exec(container.id, { command, tty, stdin }, s) };
  }

  /** Throws what must be said before the upgrade. A Pod whose sandbox is made anew is reached in the new one. */
  #ports(t: Pick<Target, "namespace" | "pod">): Connect {
    const worker = this.#worker(t);
    const sandbox = () => {
      const { sandbox: s } = worker.actual ?? {};
      if (s?.state === "running") return s.id;
      throw new ApiError(
        "BadRequest",
        `unable to forward port because pod is not running. Current status=${phase(worker)}`,
      );
    };
    sandbox();
    return async (port, signal) => this.#ctx.runtime.connectPort(sandbox(), port, signal);
  }

  async #dial(u: Upgrade, connect: Connect, named: string | undefined): Promise<void> {
    const port = parsePort(named);
    if (port === undefined) throw new ApiError("BadRequest", `unable to parse "${named ?? ""}" as a port`);
    await this.#upgrades.dial(u, (signal) => connect(port, signal));
  }

  #worker(t: Pick<Target, "namespace" | "pod">): PodWorker {
    const worker = this.#ctx.pods.find(t.namespace, t.pod);
    if (!worker) throw new ApiError("NotFound", `pod "${t.pod}" does not run on this node`);
    return worker;
  }

  #podList(): object {
    const items = [...this.#ctx.pods.workers()].flatMap((w) =>
      w.pod ? [{ ...w.pod, status: w.status ?? w.pod.status }] : [],
    );
    return { kind: "PodList", apiVersion: "v1", metadata: {}, items };
  }
}

/** How the container ends is told by its status alone: to kubectl an exit code here would mean that attaching failed. */
function looker(session: ExecSession): ExecSession {
  const ended = () => 0;
  return { ...session, exitCode: session.exitCode.then(ended, ended) };
}

interface Target {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

/** `/VERB/NAMESPACE/POD/CONTAINER?QUERY`, as the kubelet's addresses are made. */
function targetOf(req: IncomingMessage): Target & { readonly verb: string; readonly query: URLSearchParams } {
  const url = new URL(req.url ?? "/", "https://agent");
  const words = url.pathname.split("/").slice(1).map(decodeURIComponent);
  const [verb = "", namespace = "", pod = "", container = ""] = words;
  return { verb, namespace, pod, container, query: url.searchParams };
}

/** Authenticated by the handshake already: this says who may. */
function authorize(req: IncomingMessage): void {
  const { subject } = (req.socket as TLSSocket).getPeerCertificate();
  const names = (x: unknown) => (Array.isArray(x) ? (x as unknown[]) : [x]);
  if (names(subject?.CN).includes("kube-apiserver-kubelet-client")) return;
  if (names(subject?.O).includes("system:masters")) return;
  throw new ApiError("Forbidden", `user "${String(subject?.CN ?? "")}" may not use the agent`);
}

function refuse(socket: Duplex, error: ApiError): void {
  const body = JSON.stringify(error.toStatus());
  const head = [
    `HTTP/1.1 ${error.code} ${error.reason}`,
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}

const phase = (worker: PodWorker) => worker.status?.phase ?? worker.pod?.status?.phase ?? "Pending";
