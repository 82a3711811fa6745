import { afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { FakeClock } from "../util/fake-clock.ts";
import { createCa, issueCert, type KeyPair } from "../util/pki.ts";
import { systemClock } from "../util/clock.ts";
import { HttpTransport } from "./http.ts";
import type { Call } from "./transport.ts";

/** Several real HTTPS servers, of which one dies, freezes, refuses or comes back (HttpTransport I4, I5). */
let ca: KeyPair;
let pair: KeyPair;
beforeAll(async () => {
  ca = await createCa("test-ca", systemClock.now());
  pair = await issueCert(ca, { commonName: "api", ips: ["127.0.0.1"], usages: ["server"] }, systemClock.now());
});

class Server {
  readonly seen: string[] = [];
  /** Nothing is answered any more, as by a process that is stopped: neither requests nor new connections. */
  frozen = false;
  answer: (request: IncomingMessage, response: ServerResponse) => void = (_q, response) =>
    response.end('{"kind":"Pod"}');
  readonly #sockets = new Set<Socket>();
  #server: https.Server | undefined;
  port = 0;

  async start(): Promise<this> {
    const server = https.createServer({ ...pair, ca: ca.cert, requestCert: true, rejectUnauthorized: false });
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      if (this.frozen) return;
      const { method, url } = request;
      if (url !== "/livez") this.seen.push(`${method} ${url?.split("?")[0]}`);
      if (url === "/livez") response.end("ok");
      else this.answer(request, response);
    });
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      if (this.frozen) socket.pause();
    });
    server.listen(this.port, "127.0.0.1");
    await once(server, "listening");
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
    return this;
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  /** As kill -9: connections are cut. */
  async die(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

const LIMITS = { connectTimeoutMs: 300, answerTimeoutMs: 300 };

async function twoServers(o: { pulseMs?: number; clock?: FakeClock } = {}) {
  const [a, b] = await Promise.all([new Server().start(), new Server().start()]);
  const connection = { server: a.url, others: [b.url], ca: ca.cert };
  const transport = new HttpTransport({ connection, ...LIMITS, ...o });
  cleanups.push(
    () => transport.close(),
    () => a.die(),
    () => b.die(),
  );
  return { a, b, transport };
}

const pods = { group: "", version: "v1", resource: "pods", namespace: "default" } as const;
const get: Call = { verb: "get", ...pods, name: "web" };
const create: Call = { verb: "create", ...pods, body: {} };
const GET = "GET /api/v1/namespaces/default/pods/web";
const POST = "POST /api/v1/namespaces/default/pods";

describe("calls", () => {
  test("go to the first server, all of them, as long as it answers", async () => {
    const { a, b, transport } = await twoServers();
    for (let i = 0; i < 3; i++) await transport.call(get);
    expect([a.seen.length, b.seen.length]).toEqual([3, 0]);
  });

  test("of any kind go to the next when the first takes no connections; they stay there when it is back", async () => {
    const { a, b, transport } = await twoServers();
    await a.die();
    await transport.call(create);
    await a.start();
    await transport.call(get);
    expect([a.seen, b.seen]).toEqual([[], [POST, GET]]);
  });

  test("how far one came that nobody answers is said", async () => {
    const { a, b, transport } = await twoServers();
    a.frozen = b.frozen = true;
    await expect(transport.call(get)).rejects.toThrow("no answer within 0.3 s");
  });

  test("a read that a frozen server does not answer is answered by the next", async () => {
    const { a, b, transport } = await twoServers();
    await transport.call(get);
    a.frozen = true;
    await transport.call(get);
    expect([a.seen, b.seen]).toEqual([[GET], [GET]]);
  });

  test("a write that may have been done is not sent again; the next one goes elsewhere", async () => {
    const { a, b, transport } = await twoServers();
    a.answer = (request) => request.socket.destroy();
    await expect(transport.call(create)).rejects.toMatchObject({ reason: "ServiceUnavailable" });
    await transport.call(create);
    expect([a.seen, b.seen]).toEqual([[POST], [POST]]);
  });

  test("a server that cannot serve (503) is left; when all are so, the answer is that of the last", async () => {
    const { a, b, transport } = await twoServers();
    a.answer = (_q, response) => response.writeHead(503).end("starting");
    await transport.call(get);
    expect([a.seen, b.seen]).toEqual([[GET], [GET]]);
    b.answer = (_q, response) => response.writeHead(503).end("starting, too");
    await expect(transport.call(get)).rejects.toMatchObject({ code: 503 });
  });

  test("no answer from any: an error that says so, after each was asked once", async () => {
    const { a, b, transport } = await twoServers();
    await Promise.all([a.die(), b.die()]);
    await expect(transport.call(get)).rejects.toMatchObject({ reason: "ServiceUnavailable", retryable: true });
  });

  test("a new certificate is shown from the next call on", async () => {
    const { a, transport } = await twoServers();
    const names: unknown[] = [];
    a.answer = (request, response) => {
      names.push((request.socket as unknown as TLSSocket).getPeerCertificate().subject?.CN);
      response.end("{}");
    };
    for (const commonName of ["one", "two"]) {
      transport.use(await issueCert(ca, { commonName, usages: ["client"] }, systemClock.now()));
      await transport.call(get);
    }
    expect(names).toEqual(["one", "two"]);
  });
});

describe("watches", () => {
  const event = (name: string) => `${JSON.stringify({ type: "ADDED", object: { metadata: { name } } })}\n`;
  const watch: Call = { verb: "watch", ...pods };

  test("one that is cut ends as if its time was over, and goes on at the next server", async () => {
    const { a, b, transport } = await twoServers({ pulseMs: 10_000, clock: new FakeClock() });
    a.answer = (_q, response) => void response.write(event("one"));
    b.answer = (_q, response) => response.end(event("two"));
    const names: unknown[] = [];
    for (let i = 0; i < 2; i++) {
      for await (const { object } of transport.watch(watch, AbortSignal.timeout(60_000))) {
        names.push(object.metadata.name);
        if (i === 0) await a.die();
      }
    }
    expect(names).toEqual(["one", "two"]);
  });

  test("I5: one on a server that freezes ends within two pulses; not one that is merely silent", async () => {
    const clock = new FakeClock();
    const { a, b, transport } = await twoServers({ pulseMs: 100, clock });
    a.answer = (_q, response) => void response.write(event("one"));
    b.answer = (_q, response) => response.end(event("two"));
    const events = transport.watch(watch, AbortSignal.timeout(60_000))[Symbol.asyncIterator]();
    expect((await events.next()).value).toMatchObject({ object: { metadata: { name: "one" } } });
    let ended = false;
    const end = events.next().finally(() => (ended = true));
    // Silent, but alive.
    await clock.advance(100);
    await transport.text("/livez");
    expect(ended).toBe(false);
    a.frozen = true;
    await clock.advance(100);
    expect(await end).toMatchObject({ done: true });
    expect(transport.server.port).toBe(String(b.port));
  });
});
