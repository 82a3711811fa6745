/**
 * A request's way: authenticate → authorize → route → decode → {@link ApiServer} → answer.
 *
 * Every failure is answered with a Status. What is served follows from the table of kinds; there is no route per kind.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import express from "express";
import { type Attributes, onPath } from "../api/rbac/attributes.ts";
import { ApiError, badRequest } from "../api/status.ts";
import { Client } from "../client/client.ts";
import type { Call } from "../client/transport.ts";
import { type Clock, systemRandom } from "../util/clock.ts";
import { own } from "../util/keys.ts";
import type { Logger } from "../util/log.ts";
import { newSigningKey } from "../util/pki.ts";
import type { AgentProxy } from "./agent-proxy.ts";
import { bodyOf, includeObject, send, sendError } from "./answers.ts";
import type { Access } from "./auth/access.ts";
import type { Audit } from "./auth/audit.ts";
import { connectOptions } from "./admission/connect-options.ts";
import { openAccess } from "./auth/open.ts";
import { attributesOf } from "./auth/request-attributes.ts";
import { Visit } from "./auth/visit.ts";
import { answerPage, type DebugPages } from "./debug.ts";
import { Documents } from "./documents.ts";
import { Drain } from "./drain.ts";
import { tellingDangling } from "./flow/dangling.ts";
import { FlowControl } from "./flow/flow-control.ts";
import { takeTurn } from "./flow/take-turn.ts";
import { widthOf } from "./flow/width.ts";
import { Health } from "./health.ts";
import { withBody } from "./body.ts";
import { answerForm } from "./negotiate.ts";
import { Connects, type ConnectVerb } from "./proxy/connects.ts";
import { type ParsedRequest, parseRequest, urlOf } from "./request.ts";
import type { RequestMetrics } from "./request-metrics.ts";
import type { ApiServer } from "./server.ts";
import { apiErrorOf } from "./storage.ts";
import { streamWatch } from "./watch-stream.ts";

const JSON_FORM = { encoding: "json", as: "Object", version: "v1" } as const;
const SWITCHING_PROTOCOLS = 101;
const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";
const UNAUTHORIZED = 401;
const STREAMS: ReadonlySet<string> = new Set(["exec", "attach", "portforward"]);
export const PATIENCE_MS = 60_000;
/** A watch whose client does not say how long is ended after this, and up to twice as long: as Kubernetes does. */
const WATCH_SECONDS = 1_800;

export interface FrontOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly log: Logger;
  /** Default: one whose tokens live no longer than this process. */
  readonly access?: Access;
  readonly audit?: Audit;
  /** A client that sends its request more slowly, or leaves an answer unread for longer, is cut off. */
  readonly patienceMs?: number;
  /** How much may be under way at once; see flow/seats.ts. */
  readonly seats?: number | undefined;
  /** By path; who may ask is the policy's matter. */
  readonly debug?: DebugPages;
}

/** A body that is not all there after `ms` ends its connection, unless what this gives is disposed before. */
function bodyInTime(req: IncomingMessage, clock: Clock, ms: number): Disposable | undefined {
  if (req.headers["content-length"] === undefined && req.headers["transfer-encoding"] === undefined) return undefined;
  const late = clock.after(ms, () => {
    if (!req.complete) req.socket.destroy();
  });
  req.once("close", () => late[Symbol.dispose]());
  return late;
}

/** `/api/v1/…`, `/apis/GROUP/…`. */
const OBJECTS = /^\/apis?\//;

export class Front {
  readonly #api: ApiServer;
  readonly #connects: Connects;
  readonly #o: FrontOptions;
  readonly #address: string;
  readonly #documents: Documents;
  /** Counts, as soon as it is there. */
  metrics: RequestMetrics | undefined;
  readonly drain = new Drain();
  readonly flow: FlowControl;
  readonly #health: Health;
  readonly #access: Access;
  readonly #visits = new WeakMap<IncomingMessage, Visit>();

  constructor(api: ApiServer, agents: AgentProxy, o: FrontOptions) {
    this.#api = api;
    this.#connects = new Connects({ transport: api.transport(), agents, random: systemRandom });
    this.#o = o;
    this.#address = `${o.host}:${o.port}`;
    const staying = async () => {
      if (this.drain.ending) throw new Error("the server is shutting down");
    };
    this.#health = new Health(
      [
        { name: "store", run: () => api.reachStore(), readyOnly: true },
        { name: "shutdown", run: staying, readyOnly: true },
      ],
      api.clock,
    );
    this.flow = new FlowControl({
      view: api.view,
      clock: api.clock,
      seats: o.seats,
      changed: tellingDangling(new Client(api.transport(), "apiserver"), api, o.log),
    });
    this.#documents = new Documents(api.resources, this.#address);
    this.#access = o.access ?? openAccess(api, { key: newSigningKey(), random: systemRandom });
  }

  /** Objects have a way of their own: a router for a handful of pages would cost a quarter of what a get costs. */
  handler(): RequestListener {
    const pages = this.#pages();
    return (req, res) => {
      const visit = this.#visit(req);
      visit.endsWith(res);
      this.drain.begins(res);
      visit.following = this.metrics?.follow(res, () => visit);
      if (OBJECTS.test(req.url ?? "")) this.#answer(req, res).catch((error: unknown) => this.#refuse(error, req, res));
      else pages(req, res);
    };
  }

  #pages(): express.Express {
    const app = express();
    app.disable("x-powered-by").disable("etag");
    if (!this.#access.anonymous)
      app.use((req, _res, next) =>
        this.#visit(req)
          .identify()
          .then(() => next(), next),
      );
    app.get(
      ["/healthz", "/livez", "/readyz", "/healthz/*check", "/livez/*check", "/readyz/*check"],
      (req, res, next) => {
        this.#health.answer(req, res).catch(next);
      },
    );
    app.get("/version", (req, res, next) => this.#document(req, res).catch(next));
    app.use((req, res, next) => {
      this.#answer(req, res).catch(next);
    });
    app.use((error: unknown, req: IncomingMessage, res: ServerResponse, _next: unknown) => {
      this.#refuse(error, req, res);
    });
    return app;
  }

  #refuse(error: unknown, req: IncomingMessage, res: ServerResponse): void {
    const status = apiErrorOf(error);
    this.#visit(req).fails(status);
    if (status.code === 500) this.#o.log.error({ err: error, url: req.url }, "request failed");
    // Who a connection is of was judged at its handshake, perhaps by a clock that has been set right since.
    if (status.code === UNAUTHORIZED) res.shouldKeepAlive = false;
    sendError(req, res, status).catch(() => res.destroy());
  }

  /** A stream to a container: everything is decided here, then the sockets are tied together. */
  async upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
    const visit = this.#visit(req);
    try {
      await visit.identify();
      const request = parseRequest(req.method ?? "GET", urlOf(req), undefined);
      if (request) {
        await this.#authorizeUpgrade(visit, request.call);
        this.#checkPlace(request.call);
      }
      const verb = request && this.#connect(request.call);
      if (!request || !verb) throw badRequest("this address takes no upgrade");
      await this.#admitConnect(visit, request);
      socket.once("close", () => visit.end(SWITCHING_PROTOCOLS));
      await this.#connects.upgrade(verb, request, { req, socket, head });
    } catch (error) {
      const status = apiErrorOf(error);
      visit.fails(status);
      visit.end(status.code);
      refuseUpgrade(socket, status);
    }
  }

  /** Its way of asking makes a GET of what is a POST elsewhere: what changes something needs the right to create. */
  async #authorizeUpgrade(visit: Visit, call: Call): Promise<void> {
    const a = attributesOf(visit.user, call);
    await visit.authorize(a, call.version);
    if (a.verb === "get" && STREAMS.has(a.subresource)) await visit.authorize({ ...a, verb: "create" }, call.version);
  }

  /** A right in one namespace says nothing of what lies in none, whatever address it is asked for by. */
  #checkPlace({ group, version, resource, namespace }: Call): void {
    const def = this.#api.find(group, version, resource);
    if (!def || def.namespaced || namespace === undefined) return;
    throw new ApiError("NotFound", "the server could not find the requested resource");
  }

  #visit(req: IncomingMessage): Visit {
    let visit = this.#visits.get(req);
    if (!visit) {
      visit = new Visit(req, this.#access, this.#o.audit);
      this.#visits.set(req, visit);
    }
    return visit;
  }

  async #document(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { pathname } = urlOf(req);
    const page = this.#o.debug?.[pathname];
    if (page) return answerPage(page, req, res);
    if (pathname === "/metrics" && this.metrics) {
      return void res.writeHead(200, { "Content-Type": METRICS_TYPE }).end(await this.metrics.text());
    }
    const plain = pathname === "/" ? this.#documents.paths() : this.#access.published(pathname, this.#address);
    if (plain) return send(req, res, plain, { code: 200, form: JSON_FORM });
    const found = await this.#documents.get(pathname, req.headers.accept);
    if (!found) throw new ApiError("NotFound", "the server could not find the requested resource");
    const { etag, contentType } = found;
    const headers = { ETag: etag, "Content-Type": contentType, Vary: "Accept" };
    if (req.headers["if-none-match"] === etag) return void res.writeHead(304, headers).end();
    await send(req, res, found.body, { code: 200, form: JSON_FORM, headers });
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const late = bodyInTime(req, this.#api.clock, this.#o.patienceMs ?? PATIENCE_MS);
    const visit = this.#visit(req);
    await visit.identify();
    const url = urlOf(req);
    const request = parseRequest(req.method ?? "GET", url, req.headers["content-type"]);
    if (!request) {
      const path = onPath(visit.user, (req.method ?? "GET").toLowerCase(), url.pathname);
      await takeTurn(this.flow, res, path, () => 1);
      await visit.authorize(path);
      return this.#document(req, res);
    }
    const asked = attributesOf(visit.user, request.call);
    const turn = await takeTurn(this.flow, res, asked, () => this.#widthOf(asked, request.call));
    await visit.authorize(asked, request.call.version);
    this.#checkPlace(request.call);
    const connect = this.#connect(request.call);
    if (connect) {
      late?.[Symbol.dispose](); // whom it is handed on to may need longer: an image can be large
      await this.#admitConnect(visit, request);
      this.drain.lasts(res);
      return this.#connects.request(connect, request, req, res);
    }
    const view = {
      form: answerForm(req.headers.accept),
      include: includeObject(request.query.get("includeObject") ?? undefined),
      now: this.#api.clock.now(),
    };
    if (request.call.verb === "watch") {
      const def = this.#api.find(request.call.group, request.call.version, request.call.resource);
      const watcher = await this.#api.watch(this.#withEnd(request.call));
      if (!def) throw new ApiError("NotFound", "the server could not find the requested resource");
      this.drain.watches(watcher, res);
      turn?.leave(); // only its beginning costs
      return streamWatch(res, { def, watcher, view, check: () => visit.check() }, this.#api.clock);
    }
    const warnings: string[] = [];
    const caller = {
      user: visit.user,
      userAgent: req.headers["user-agent"] ?? "",
      warn: (text: string) => void warnings.push(text),
      mayCreate: () => visit.needs({ ...attributesOf(visit.user, request.call), verb: "create" }),
    };
    const call = await withBody(req, request.call);
    visit.asks(call.body);
    const answer = await this.#api.handle(call, caller);
    const code = answer.type !== "list" && answer.created ? 201 : 200;
    const body = bodyOf(answer, view);
    visit.answers(body);
    await send(req, res, body, { code, form: view.form, warnings });
  }

  /** A watch from outside ends, so that what was decided at its beginning does not hold for ever. */
  #withEnd(call: Call): Call {
    if (Number(call.params?.["timeoutSeconds"] ?? 0) !== 0) return call;
    const seconds = Math.round(WATCH_SECONDS * (1 + this.#api.random()));
    return { ...call, params: { ...call.params, timeoutSeconds: String(seconds) } };
  }

  #widthOf(a: Attributes, call: Call): number {
    const limit = Number(call.params?.["limit"] ?? 0);
    return widthOf(a, { stored: () => this.#api.sizeOf(call), limit: limit > 0 ? limit : 0 });
  }

  /** A connection changes things too. */
  async #admitConnect(visit: Visit, { call, query, rest }: ParsedRequest): Promise<void> {
    const def = this.#api.find(call.group, call.version, call.resource);
    const asked = { query, ...(rest !== undefined && { path: rest }) };
    const options = def && connectOptions(def, call.subresource ?? "", asked);
    if (options) await this.#api.admitConnect(call, options, { user: visit.user, warn: () => {} });
  }

  /** What this call wants to be connected with, if its subresource is for that. Throws MethodNotAllowed. */
  #connect(call: Call): ConnectVerb | undefined {
    const def = this.#api.find(call.group, call.version, call.resource);
    const sub = call.subresource === undefined ? undefined : own(def?.subresources, call.subresource);
    if (sub?.type !== "connect") return undefined;
    if ((sub.verbs as readonly string[]).includes(call.verb)) return call.subresource as ConnectVerb;
    throw new ApiError("MethodNotAllowed", "the server does not allow this method on the requested resource");
  }
}

function refuseUpgrade(socket: Duplex, error: ApiError): void {
  const body = JSON.stringify(error.toStatus());
  const head = [`HTTP/1.1 ${error.code} ${error.reason}`, "Content-Type: application/json", "Connection: close"];
  socket.end(`${head.join("\r\n")}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}
