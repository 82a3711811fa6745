/**
 * The API over HTTPS: authenticate → authorize → route → decode → {@link ApiServer} → answer.
 *
 * Every failure is answered with a Status. What is served follows from the table of kinds; there is no route per kind.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import express from "express";
import { ApiError, badRequest } from "../api/status.ts";
import type { Call } from "../client/transport.ts";
import { systemRandom } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import { AgentProxy, type AgentTls } from "./agent-proxy.ts";
import { bodyOf, includeObject, send, sendError } from "./answers.ts";
import { ANONYMOUS, type Authenticator, type Authorizer, byCertificate, mastersOnly } from "./auth.ts";
import { Documents } from "./documents.ts";
import { withBody } from "./body.ts";
import { answerForm } from "./negotiate.ts";
import { Connects, type ConnectVerb } from "./proxy/connects.ts";
import { parseRequest, urlOf } from "./request.ts";
import type { User } from "./handler.ts";
import type { ApiServer } from "./server.ts";
import { apiErrorOf } from "./storage.ts";
import { streamWatch } from "./watch-stream.ts";

const PATIENCE_MS = 60_000;
/** How often Node looks for slow requests. */
const CHECK_MS = 30_000;

export interface ListenOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** PEM. */
  readonly tls: { readonly cert: string; readonly key: string; readonly clientCa: string };
  /** How the server shows itself to agents. */
  readonly agentTls: AgentTls;
  readonly log: Logger;
  /** Tried in order, after client certificates. */
  readonly authenticators?: readonly Authenticator[];
  readonly authorize?: Authorizer;
  /** A client that sends its request more slowly, or leaves an answer unread for longer, is cut off. */
  readonly patienceMs?: number;
}

export interface HttpListener {
  readonly url: string;
  readonly port: number;
  /** Ends watches and streams, then the listener. */
  close(): Promise<void>;
}

/** Resolves when it listens; rejects with the socket's error (EADDRINUSE). */
export async function listen(api: ApiServer, o: ListenOptions): Promise<HttpListener> {
  const { cert, key, clientCa: ca } = o.tls;
  const server = createServer({
    cert,
    key,
    ca,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: "TLSv1.2",
    ...patience(o.patienceMs ?? PATIENCE_MS),
  });
  cutOffStalled(server, o.patienceMs ?? PATIENCE_MS);
  const proxy = new AgentProxy(o.agentTls);
  const front = new Front(api, proxy, o);
  server.on("request", front.app());
  server.on("upgrade", (req, socket, head) => void front.upgrade(req, socket, head));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(o.port, o.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return { url: `https://${o.host}:${port}`, port, close: () => close(server, proxy, front) };
}

const patience = (ms: number) => ({ requestTimeout: ms, connectionsCheckingInterval: Math.min(CHECK_MS, ms / 2) });

/** A watch may be idle for ever; what may not be is a client that does not take what is written to it. */
function cutOffStalled(server: Server, ms: number): void {
  server.timeout = ms;
  server.on("timeout", (socket) => {
    if (socket.writableLength > 0) socket.destroy();
  });
}

async function close(server: Server, proxy: AgentProxy, front: Front): Promise<void> {
  proxy.close();
  front.endUpgraded();
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
}

class Front {
  readonly #api: ApiServer;
  readonly #connects: Connects;
  readonly #o: ListenOptions;
  readonly #documents: Documents;
  readonly #authorize: Authorizer;
  /** Sockets that are no longer the HTTP server's. */
  readonly #upgraded = new Set<Duplex>();

  constructor(api: ApiServer, agents: AgentProxy, o: ListenOptions) {
    this.#api = api;
    this.#connects = new Connects({ transport: api.transport(), agents, random: systemRandom });
    this.#o = o;
    this.#documents = new Documents(api.resources, `${o.host}:${o.port}`);
    this.#authorize = o.authorize ?? mastersOnly;
  }

  app(): express.Express {
    const app = express();
    app.disable("x-powered-by").disable("etag");
    app.get(["/healthz", "/livez", "/readyz", "/healthz/*check", "/livez/*check", "/readyz/*check"], health);
    app.get("/version", (req, res, next) => this.#document(req, res).catch(next));
    app.use((req, _res, next) => {
      if (this.#user(req) === ANONYMOUS) throw new ApiError("Unauthorized", "Unauthorized");
      next();
    });
    app.get("/", (_req, res) => void res.json(this.#documents.paths()));
    app.use((req, res, next) => {
      this.#object(req, res).catch(next);
    });
    app.use((error: unknown, req: IncomingMessage, res: ServerResponse, _next: unknown) => {
      const status = apiErrorOf(error);
      if (status.code === 500) this.#o.log.error({ err: error, url: req.url }, "request failed");
      sendError(req, res, status).catch(() => res.destroy());
    });
    return app;
  }

  /** A stream to a container: everything is decided here, then the sockets are tied together. */
  async upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    this.#upgraded.add(socket);
    socket.once("close", () => this.#upgraded.delete(socket));
    socket.on("error", () => socket.destroy());
    try {
      const request = parseRequest(req.method ?? "GET", urlOf(req), undefined);
      const verb = request && this.#connect(request.call);
      if (!request || !verb) throw badRequest("this address takes no upgrade");
      this.#authorize(this.#user(req), request.call);
      await this.#connects.upgrade(verb, request, { req, socket, head });
    } catch (error) {
      refuseUpgrade(socket, apiErrorOf(error));
    }
  }

  endUpgraded(): void {
    for (const socket of this.#upgraded) socket.destroy();
  }

  #user(req: IncomingMessage): User {
    for (const authenticate of [byCertificate, ...(this.#o.authenticators ?? [])]) {
      const user = authenticate(req);
      if (user) return user;
    }
    return ANONYMOUS;
  }

  async #document(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const found = await this.#documents.get(urlOf(req).pathname, req.headers.accept);
    if (!found) throw new ApiError("NotFound", "the server could not find the requested resource");
    const { etag, contentType } = found;
    const headers = { ETag: etag, "Content-Type": contentType, Vary: "Accept" };
    if (req.headers["if-none-match"] === etag) return void res.writeHead(304, headers).end();
    const form = { encoding: "json", as: "Object", version: "v1" } as const;
    await send(req, res, found.body, { code: 200, form, headers });
  }

  async #object(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = urlOf(req);
    const request = parseRequest(req.method ?? "GET", url, req.headers["content-type"]);
    if (!request) return this.#document(req, res);
    this.#authorize(this.#user(req), request.call);
    const connect = this.#connect(request.call);
    if (connect) return this.#connects.request(connect, request, req, res);
    const view = {
      form: answerForm(req.headers.accept),
      include: includeObject(request.query.get("includeObject") ?? undefined),
      now: this.#api.clock.now(),
    };
    if (request.call.verb === "watch") {
      const def = this.#api.find(request.call.group, request.call.version, request.call.resource);
      const watcher = await this.#api.watch(request.call);
      if (!def) throw new ApiError("NotFound", "the server could not find the requested resource");
      return streamWatch(res, { def, watcher, view }, this.#api.clock);
    }
    const warnings: string[] = [];
    const caller = { user: this.#user(req), warn: (text: string) => void warnings.push(text) };
    const answer = await this.#api.handle(await withBody(req, request.call), caller);
    const code = answer.type !== "list" && answer.created ? 201 : 200;
    await send(req, res, bodyOf(answer, view), { code, form: view.form, warnings });
  }

  /** What this call wants to be connected with, if its subresource is for that. Throws MethodNotAllowed. */
  #connect(call: Call): ConnectVerb | undefined {
    const def = this.#api.find(call.group, call.version, call.resource);
    const sub = call.subresource === undefined ? undefined : def?.subresources[call.subresource];
    if (sub?.type !== "connect") return undefined;
    if ((sub.verbs as readonly string[]).includes(call.verb)) return call.subresource as ConnectVerb;
    throw new ApiError("MethodNotAllowed", "the server does not allow this method on the requested resource");
  }
}

function health(req: IncomingMessage, res: ServerResponse): void {
  const url = urlOf(req);
  const [, name = "", check] = url.pathname.split("/");
  const verbose = url.searchParams.has("verbose") && check === undefined;
  res.writeHead(200, { "Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff" });
  res.end(verbose ? `[+]ping ok\n[+]store ok\n${name} check passed\n` : "ok");
}

function refuseUpgrade(socket: Duplex, error: ApiError): void {
  const body = JSON.stringify(error.toStatus());
  const head = [`HTTP/1.1 ${error.code} ${error.reason}`, "Content-Type: application/json", "Connection: close"];
  socket.end(`${head.join("\r\n")}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}
