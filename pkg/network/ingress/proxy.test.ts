/** The proxy on real sockets: bodies, retries, WebSockets, TLS, and changes of routes under load. */
import { afterEach, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import https from "node:https";
import net, { type AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { connect as tlsConnect, createSecureContext } from "node:tls";
import { WebSocket, WebSocketServer } from "ws";
import { systemClock } from "../../util/clock.ts";
import { silent } from "../../util/log.ts";
import { createCa, issueCert } from "../../util/pki.ts";
import type { Served } from "./counters.ts";
import { IngressProxy } from "./proxy.ts";
import { DEFAULT_SETTINGS, type RouteSettings } from "./settings.ts";
import type { HostRoutes, Table } from "./table.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

type Handler = (req: IncomingMessage, res: ServerResponse) => void;

async function upstream(handler: Handler): Promise<{ port: number; server: http.Server; close(): Promise<void> }> {
  const server = http.createServer(handler);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const close = () =>
    new Promise<void>((done) => {
      server.close(() => done());
      server.closeAllConnections();
    });
  cleanups.push(close);
  return { port: (server.address() as AddressInfo).port, server, close };
}

interface Shape {
  readonly ports: readonly number[];
  readonly settings?: Partial<RouteSettings>;
  readonly certificates?: Readonly<Record<string, string>>;
}

function tableOf({ ports, settings = {}, certificates = {} }: Shape): Table {
  const endpoints = ports.map((port) => ({ key: `127.0.0.1:${port}`, host: "127.0.0.1", port, tls: false }));
  const backend = { name: "default/web:80", endpoints, ...(ports.length === 0 && { missing: "no ready endpoints" }) };
  const route = { ingress: "default/web", path: "/", backend, settings: { ...DEFAULT_SETTINGS, ...settings } };
  const none: HostRoutes = { exact: new Map(), prefixes: new Map() };
  return {
    exactHosts: new Map([["web.test", { ...none, prefixes: new Map([["", route]]) }]]),
    wildcardHosts: new Map(),
    anyHost: none,
    certificates: new Map(Object.entries(certificates)),
    problems: [],
  };
}

const ca = await createCa("test-ca", systemClock.now());
const certOf = (name: string) =>
  issueCert(ca, { commonName: name, dnsNames: [name], usages: ["server"] }, systemClock.now());
const defaultCertificate = await certOf("default.test");
const webCertificate = createSecureContext({ ...(await certOf("web.test")) });

async function start(shape: Shape, tls = false) {
  const served: Served[] = [];
  const proxy = new IngressProxy({
    clock: systemClock,
    log: silent,
    table: tableOf(shape),
    certificate: (secret) => (secret === "default/web" ? webCertificate : undefined),
    defaultCertificate,
    onServed: (s) => served.push(s),
  });
  cleanups.push(() => proxy.close(0));
  const port = await proxy.listen({ host: "127.0.0.1", port: 0, tls });
  return { proxy, port, served };
}

interface Ask extends http.RequestOptions {
  readonly body?: string | Buffer;
}

function ask(
  port: number,
  { body, ...o }: Ask = {},
): Promise<{ status: number; headers: http.IncomingHttpHeaders; body: string }> {
  return new Promise((resolve, reject) => {
    const req = http.request({
      host: "127.0.0.1",
      port,
      path: "/",
      agent: false,
      ...o,
      headers: { host: "web.test", ...(o.headers as http.OutgoingHttpHeaders | undefined) },
    });
    req.on("error", reject).on("response", (res) => {
      text(res).then((all) => resolve({ status: res.statusCode ?? 0, headers: res.headers, body: all }), reject);
    });
    req.end(body);
  });
}

/** A port where nobody listens. */
async function closedPort(): Promise<number> {
  const closed = await upstream(() => {});
  await closed.close();
  return closed.port;
}

describe("requests", () => {
  test("arrive as they were sent, with where they came from; answers come back whole", async () => {
    const { port: to } = await upstream((req, res) => {
      void text(req).then((body) => {
        res.writeHead(201, { "x-answer": "yes", "set-cookie": ["a=1", "b=2"] });
        res.end(JSON.stringify({ method: req.method, url: req.url, headers: req.headers, body }));
      });
    });
    const { port } = await start({ ports: [to] });
    const answer = await ask(port, {
      method: "POST",
      path: "/a/../b?x=%20y",
      headers: { "x-forwarded-for": "6.6.6.6", "x-real-ip": "6.6.6.6", "transfer-encoding": "chunked", te: "trailers" },
      body: "ü".repeat(100_000),
    });
    expect(answer).toMatchObject({ status: 201, headers: { "x-answer": "yes", "set-cookie": ["a=1", "b=2"] } });
    const seen = JSON.parse(answer.body) as {
      method: string;
      url: string;
      headers: Record<string, string>;
      body: string;
    };
    expect(seen).toMatchObject({ method: "POST", url: "/a/../b?x=%20y", body: "ü".repeat(100_000) });
    expect(seen.headers).toMatchObject({
      host: "web.test",
      "x-forwarded-for": "127.0.0.1",
      "x-real-ip": "127.0.0.1",
      "x-forwarded-host": "web.test",
      "x-forwarded-proto": "http",
      "x-forwarded-port": String(port),
    });
    expect(seen.headers.te).toBeUndefined();
  });

  test("go to another endpoint when one refuses, with their bodies", async () => {
    const { port: to } = await upstream((req, res) => void text(req).then((body) => res.end(body)));
    const { port, served } = await start({ ports: [await closedPort(), to, await closedPort()] });
    const bodies = Array.from({ length: 12 }, (_, i) => `body ${i} `.repeat(20_000));
    const answers = await Promise.all(bodies.map((body) => ask(port, { method: "POST", body })));
    expect(answers.map((a) => a.status)).toEqual(bodies.map(() => 200));
    expect(answers.map((a) => a.body)).toEqual(bodies);
    expect(served.some((s) => s.retries > 0)).toBe(true);
  });

  test("that may have been acted on are repeated only where that does no harm", async () => {
    let calls = 0;
    const broken: Handler = (req) => {
      calls++;
      req.socket.destroy();
    };
    const [a, b] = [await upstream(broken), await upstream(broken)];
    const { port } = await start({ ports: [a.port, b.port] });
    expect((await ask(port, { method: "POST", body: "once" })).status).toBe(502);
    expect(calls).toBe(1);
    expect((await ask(port)).status).toBe(502);
    expect(calls).toBe(3);
  });

  test.each<[string, Partial<Shape>, Ask, number, RegExp]>([
    ["no such host", {}, { headers: { host: "other.test" } }, 404, /no Ingress has a rule for other\.test\//],
    ["no endpoints", { ports: [] }, {}, 503, /no ready endpoints/],
    ["a path nobody can read", {}, { path: "/%zz" }, 400, /names no host and path/],
    [
      "too long, as announced",
      { settings: { maxBodyBytes: 10 } },
      { method: "POST", body: "x".repeat(11) },
      413,
      /larger than 10 bytes/,
    ],
    [
      "too long, unannounced",
      { settings: { maxBodyBytes: 10 } },
      { method: "POST", body: "x".repeat(11), headers: { "transfer-encoding": "chunked" } },
      413,
      /larger than 10/,
    ],
    ["an answer that does not come", { settings: { timeoutMs: 50 } }, { path: "/never" }, 504, /within 0\.05 s/],
    ["HTTPS is meant", { certificates: { "web.test": "default/web" } }, { path: "/a?b" }, 308, /HTTPS/],
  ])("%s", async (_, shape, request, status, body) => {
    const { port: to } = await upstream((req, res) => {
      if (req.url !== "/never")
        void text(req).then(
          () => res.end("fine"),
          () => {},
        );
    });
    const { port, proxy } = await start({ ports: [to], ...shape });
    const https = await proxy.listen({ host: "127.0.0.1", port: 0, tls: true });
    const answer = await ask(port, request);
    expect(answer.status).toBe(status);
    expect(answer.body).toMatch(body);
    expect(answer.headers.location).toBe(status === 308 ? `https://web.test:${https}/a?b` : undefined);
  });

  test("an absolute target is read by its own host; an offer of another protocol is declined in peace", async () => {
    const { port: to } = await upstream((req, res) => res.end(`${req.headers.host} ${req.url} ${req.headers.upgrade}`));
    const { port } = await start({ ports: [to] });
    const absolute = await ask(port, { path: "http://web.test/x?y", headers: { host: "other.test" } });
    expect(absolute.body).toBe("web.test /x?y undefined");
    const headers = { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c", "http2-settings": "AAMAAABk" };
    const offered = await ask(port, { path: "/h2c", headers });
    expect([offered.status, offered.body]).toEqual([200, "web.test /h2c undefined"]);
  });

  test("stream: the first bytes arrive while the rest is not yet sent", async () => {
    const { port: to } = await upstream((_, res) => void res.write("first"));
    const { port } = await start({ ports: [to] });
    const first = await new Promise<string>((resolve, reject) => {
      const req = http.get({ host: "127.0.0.1", port, headers: { host: "web.test" }, agent: false }, (res) => {
        res.once("data", (d: Buffer) => {
          req.destroy();
          resolve(d.toString());
        });
      });
      req.on("error", reject);
    });
    expect(first).toBe("first");
  });

  test("of any shape get an answer, and the proxy lives", async () => {
    const { port: to } = await upstream((_, res) => res.end("ok"));
    const { port } = await start({ ports: [to] });
    const token = fc.stringMatching(/^[\w!#$%&'*+.^`|~-]{1,12}$/);
    const raw = fc.tuple(
      fc.oneof(fc.constantFrom("GET", "POST", "CONNECT", "PRI", "get"), token),
      fc.oneof(fc.webPath(), fc.constantFrom("*", "http://", "http://web.test", "//", "/\x00", "/%"), fc.string()),
      fc.array(
        fc.tuple(
          fc.oneof(
            token,
            fc.constantFrom("Host", "Content-Length", "Transfer-Encoding", "Upgrade", "Connection", "Expect"),
          ),
          fc.string(),
        ),
        { maxLength: 5 },
      ),
    );
    await fc.assert(
      fc.asyncProperty(raw, async ([method, target, headers]) => {
        const socket = net.connect(port, "127.0.0.1");
        const lines = [
          `${method} ${target} HTTP/1.1`,
          "Host: web.test",
          ...headers.map(([n, v]) => `${n}: ${v}`),
          "",
          "",
        ];
        socket.on("error", () => {});
        socket.end(lines.join("\r\n"));
        const answer = await text(socket).catch(() => "");
        expect(answer).toMatch(/^(HTTP\/1\.1 \d{3} |$)/);
      }),
      { numRuns: 60 },
    );
    expect((await ask(port)).body).toBe("ok");
  });
});

test("1,000 requests over connections that are kept, while endpoints come and go: none fails", async () => {
  const echo: Handler = (req, res) => void text(req).then((body) => res.end(body || "ok"));
  const first = await upstream(echo);
  const { proxy, port } = await start({ ports: [first.port] });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 20 });
  cleanups.push(() => agent.destroy());
  let live = [first];
  const gone: Promise<void>[] = [];
  const statuses = new Map<number, number>();
  const underWay = new Set<Promise<unknown>>();
  const worker = async (n: number) => {
    for (let i = 0; i < 50; i++) {
      const body = i % 3 === 0 ? `${n}-${i}` : undefined;
      const asked = ask(port, { agent, ...(body && { method: "POST", body }) });
      underWay.add(asked);
      const { status } = await asked;
      underWay.delete(asked);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (n > 0 || i % 5 !== 4) continue;
      // As a roll-out does: the new one first, then the old one is taken out, ends what it has begun, and stops.
      const next = await upstream(echo);
      proxy.use(tableOf({ ports: [...live, next].map((u) => u.port) }));
      proxy.use(tableOf({ ports: [next.port] }));
      const ended = Promise.all(underWay);
      const stop = (old: (typeof live)[number]) => new Promise<void>((done) => old.server.close(() => done()));
      for (const old of live) gone.push(ended.then(() => stop(old)));
      live = [next];
    }
  };
  await Promise.all(Array.from({ length: 20 }, (_, n) => worker(n)));
  expect([...statuses]).toEqual([[200, 1_000]]);
  expect(gone.length).toBe(10);
  // The proxy has let their idle connections go, so that they could end by themselves.
  await Promise.all(gone);
});

describe("WebSockets", () => {
  async function echo() {
    const u = await upstream((_, res) => res.end());
    const sockets = new WebSocketServer({ server: u.server });
    cleanups.push(() => {
      for (const ws of sockets.clients) ws.terminate();
    });
    sockets.on("connection", (ws, req) => {
      ws.send(`${req.url} ${String(req.headers["x-forwarded-proto"])}`);
      ws.on("message", (data, binary) => ws.send(data, { binary }));
    });
    return u;
  }
  const open = (port: number) => new WebSocket(`ws://127.0.0.1:${port}/ws?a=b`, { headers: { host: "web.test" } });
  const next = (ws: WebSocket) =>
    new Promise<string>((resolve, reject) => {
      ws.once("message", (d: Buffer) => resolve(d.toString())).once("error", reject);
    });

  test("are passed through, past endpoints that refuse, and survive a change of routes", async () => {
    const { port: to } = await echo();
    const { port, proxy } = await start({ ports: [await closedPort(), to] });
    for (let i = 0; i < 4; i++) {
      const ws = open(port);
      expect(await next(ws)).toBe("/ws?a=b http");
      proxy.use(tableOf({ ports: [] }));
      const big = "x".repeat(300_000);
      ws.send(big);
      expect(await next(ws)).toBe(big);
      const closed = new Promise((done) => ws.once("close", done));
      ws.close();
      await closed;
      proxy.use(tableOf({ ports: [to] }));
    }
    expect(proxy.counters.active.upgrades).toBe(0);
  });

  test.each([
    ["nobody listens", true, 502],
    ["there is no endpoint", false, 502],
  ])("%s: the client is told", async (_, some, status) => {
    const { port } = await start({ ports: some ? [await closedPort()] : [] });
    const ws = open(port);
    const answer = await new Promise<number>((resolve, reject) => {
      ws.once("unexpected-response", (_req, res) => resolve(res.statusCode ?? 0)).once("error", reject);
    });
    expect(answer).toBe(status);
    ws.terminate();
  });

  test("an endpoint that wants no WebSocket answers as it likes", async () => {
    const refusing = await upstream(() => {});
    refusing.server.on("upgrade", (_req, socket) =>
      socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno"),
    );
    const { port } = await start({ ports: [refusing.port] });
    const ws = open(port);
    const status = await new Promise<number>((resolve) => {
      ws.once("unexpected-response", (_req, res) => resolve(res.statusCode ?? 0)).on("error", () => {});
    });
    expect(status).toBe(403);
    ws.terminate();
  });
});

describe("TLS", () => {
  const certificates = { "web.test": "default/web", "other.test": "default/broken" };
  const subject = (port: number, servername?: string) =>
    new Promise<string>((resolve, reject) => {
      const socket = tlsConnect({
        port,
        host: "127.0.0.1",
        ca: ca.cert,
        rejectUnauthorized: false,
        ...(servername && { servername }),
      });
      socket.once("error", reject).once("secureConnect", () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      });
    });

  test("each host has its certificate; all others have the default one", async () => {
    const { port } = await start({ ports: [], certificates }, true);
    expect(await Promise.all([subject(port, "web.test"), subject(port, "other.test"), subject(port)])).toEqual([
      "web.test",
      "default.test",
      "default.test",
    ]);
  });

  test("the request arrives, verified by the CA, as one by https", async () => {
    const { port: to } = await upstream((req, res) => res.end(String(req.headers["x-forwarded-proto"])));
    const { port } = await start({ ports: [to], certificates }, true);
    const body = await new Promise<string>((resolve, reject) => {
      const o = {
        host: "127.0.0.1",
        port,
        servername: "web.test",
        ca: ca.cert,
        headers: { host: "web.test" },
        agent: false,
      };
      https.get({ ...o, agent: new https.Agent() }, (res) => void text(res).then(resolve, reject)).on("error", reject);
    });
    expect(body).toBe("https");
  });
});

test("closing lets what is under way end, and takes nothing new", async () => {
  let finish = () => {};
  let begun = () => {};
  const started = new Promise<void>((resolve) => (begun = resolve));
  const { port: to } = await upstream((_, res) => {
    finish = () => res.end("late");
    begun();
  });
  const { proxy, port } = await start({ ports: [to] });
  const slow = ask(port);
  await started;
  const closing = proxy.close(5_000);
  await expect(ask(port)).rejects.toThrow("ECONNREFUSED");
  finish();
  expect((await slow).body).toBe("late");
  await closing;
});
