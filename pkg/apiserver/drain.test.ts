import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { once } from "node:events";
import {
  Agent as HttpAgent,
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type ServerResponse,
} from "node:http";
import { Agent, request } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { MemoryStore } from "../store/memory.ts";
import { seededRandom, systemClock } from "../util/clock.ts";
import { FakeClock } from "../util/fake-clock.ts";
import { silent } from "../util/log.ts";
import { createCa, issueCert } from "../util/pki.ts";
import { Drain, endServers } from "./drain.ts";
import { type HttpListener, listen } from "./http.ts";
import { ApiServer } from "./server.ts";

async function start() {
  const now = systemClock.now();
  const ca = await createCa("test-ca", now);
  const issue = (usage: "client" | "server") =>
    issueCert(ca, { commonName: "x", organizations: ["system:masters"], ips: ["127.0.0.1"], usages: [usage] }, now);
  const [admin, tls] = await Promise.all([issue("client"), issue("server")]);
  const store = new MemoryStore();
  const server = await ApiServer.open({ store, clock: systemClock, random: seededRandom(1), log: silent });
  const said: string[] = [];
  const listener = await listen(server, {
    host: "127.0.0.1",
    port: 0,
    tls: { ...tls, clientCa: ca.cert },
    agentTls: { ...admin, ca: ca.cert },
    log: silent,
    debug: { "/debug/echo": { PUT: (body) => `{"said":${JSON.stringify(said.push(body) && body)}}` } },
  });
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: ca.cert, ...admin });
  const send = (path: string, o: { method?: string; agent?: Agent | false } = {}) =>
    request(`${listener.url}${path}`, {
      agent: false,
      ca: ca.cert,
      ...admin,
      headers: { "content-type": "application/json" },
      ...o,
    });
  const end = async () => {
    agent.destroy();
    await listener.close();
    await server.close();
    await store.close();
  };
  return { listener, send, agent, end, said };
}

type Sent = ReturnType<Awaited<ReturnType<typeof start>>["send"]>;

async function answerOf(sent: Sent) {
  const [res] = (await once(sent, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of res) text += String(chunk);
  return { code: res.statusCode, text, connection: res.headers.connection, complete: res.complete };
}

let c: Awaited<ReturnType<typeof start>>;
let closing: Promise<void> | undefined;
beforeEach(async () => {
  c = await start();
});
afterEach(async () => {
  await closing;
  closing = undefined;
  await c.end();
});

const drained = (listener: HttpListener, o: { drainMs: number; quietMs?: number }) => (closing = listener.close(o));

test("what was under way is answered, and the connection ends with it", async () => {
  const body = JSON.stringify({ metadata: { name: "a" } });
  const sent = c.send("/api/v1/namespaces/default/configmaps", { method: "POST" });
  sent.write(body.slice(0, 5));
  await once(sent, "socket").then(([socket]) => once(socket as never, "secureConnect"));
  await answered(c.send("/version")); // the server has seen what was sent before
  void drained(c.listener, { drainMs: 20_000 });
  sent.end(body.slice(5));
  expect(await answerOf(sent)).toMatchObject({ code: 201, connection: "close" });
  await closing; // long before its time is over: nothing is under way
  await expect(once(c.send("/version").end(), "response")).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

async function answered(sent: Sent) {
  sent.end();
  return answerOf(sent);
}

test("a watch ends as if its time was over", async () => {
  const watch = c.send("/api/v1/configmaps?watch=true").end();
  const [res] = (await once(watch, "response")) as [IncomingMessage];
  res.resume();
  void drained(c.listener, { drainMs: 20_000 });
  await once(res, "end");
  expect(res.complete).toBe(true);
});

test("a client that keeps its connection is answered, and told to look for another server", async () => {
  expect(await answered(c.send("/readyz", { agent: c.agent }))).toMatchObject({ code: 200, connection: "keep-alive" });
  void drained(c.listener, { drainMs: 20_000, quietMs: 5_000 });
  expect(await answered(c.send("/readyz", { agent: c.agent }))).toMatchObject({
    code: 500,
    connection: "close",
    text: expect.stringContaining("[-]shutdown failed"),
  });
  await closing; // no connection is left: nobody is waited for
});

test("what does not end in time is cut off", async () => {
  const sent = c.send("/api/v1/namespaces/default/configmaps", { method: "POST" });
  sent.write("{");
  await once(sent, "socket").then(([socket]) => once(socket as never, "secureConnect"));
  await answered(c.send("/version"));
  const [lost] = await Promise.allSettled([once(sent, "response"), drained(c.listener, { drainMs: 50 })]);
  expect(lost).toMatchObject({ status: "rejected", reason: { code: "ECONNRESET" } });
});

test("who asks by a kept connection in the quiet time is waited for as long as anybody", async () => {
  const clock = new FakeClock();
  const drain = new Drain();
  const held: ServerResponse[] = [];
  const server = createServer((req, res) => {
    drain.begins(res);
    if (req.method === "GET") res.end("ok");
    else held.push(res);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const agent = new HttpAgent({ keepAlive: true, maxSockets: 1 });
  const { port } = server.address() as AddressInfo;
  const ask = (method: string) => httpRequest({ port, host: "127.0.0.1", method, agent }).end();
  expect(await answerOf(ask("GET"))).toMatchObject({ code: 200, connection: "keep-alive" });
  let cut = false;
  const ended = endServers([server], drain, clock, { drainMs: 5_000, quietMs: 1_000 }, () => (cut = true));
  const answer = answerOf(ask("POST"));
  await once(server, "request");
  await clock.advance(4_999);
  expect(cut).toBe(false);
  held[0]?.end("at last");
  expect(await answer).toMatchObject({ code: 200, text: "at last", connection: "close" });
  await ended;
  agent.destroy();
});

test("a connection that says nothing, not even the first of TLS, holds up no end", async () => {
  const silentOne = connect(c.listener.port, "127.0.0.1");
  const gone = once(silentOne, "close");
  silentOne.on("error", () => {});
  await once(silentOne, "connect");
  await answered(c.send("/version")); // the server has taken what came before
  await drained(c.listener, { drainMs: 0 });
  expect((await gone)[0]).toBe(false);
}, 20_000); // long before anybody gives up the handshake

test("a page for administrators is answered", async () => {
  const sent = c.send("/debug/echo", { method: "PUT" });
  sent.end("debug\n");
  expect(await answerOf(sent)).toMatchObject({ code: 200, text: '{"said":"debug"}' });
  expect(c.said).toEqual(["debug"]);
  expect(await answered(c.send("/debug/echo"))).toMatchObject({ code: 405 });
});
