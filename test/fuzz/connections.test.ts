import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import type { TLSSocket } from "node:tls";
import { configMaps as configMapDef } from "../../pkg/api/kinds/core/configmap.ts";
import type { ResourceDef } from "../../pkg/api/resource.ts";
import { systemClock } from "../../pkg/util/clock.ts";
import { TestApi } from "../harness/https.ts";
import { eventually } from "../harness/process.ts";

/** Clients that are slow, rude or gone: the server goes on, and keeps nothing of them. */
const PATIENCE_MS = 1_000;
const QUEUE = 50;
const configMaps = "/api/v1/namespaces/default/configmaps";

let api: TestApi;
beforeAll(async () => void (api = await TestApi.start({ patienceMs: PATIENCE_MS, watchQueueLimit: QUEUE })));
afterAll(() => api.close());

const watchers = () => api.server.cache.resource(configMapDef as unknown as ResourceDef).watchers;
/** Both ends of every connection of this process. */
const sockets = () => process.getActiveResourcesInfo().filter((r) => r === "TCPSocketWrap").length;

const closed = (socket: TLSSocket) =>
  new Promise<string>((resolve) => {
    let heard = "";
    socket.on("data", (d: Buffer) => (heard += d.toString())).on("error", () => {});
    socket.on("close", () => resolve(heard));
  });

const put = (name: string, data: string) =>
  api.ok(`${configMaps}/${name}`, { method: "PUT", body: { metadata: { name }, data: { k: data } } });

const longEnough = () => new Promise((resolve) => setTimeout(resolve, PATIENCE_MS * 3));

/** What the kernel holds of a stalled connection can still be read; then it breaks off, with no end of the answer. */
async function assertBroken(socket: TLSSocket): Promise<string> {
  await longEnough();
  const end = closed(socket);
  socket.resume();
  const heard = await end;
  expect(heard.endsWith("\r\n0\r\n\r\n") || heard.endsWith("]}\n")).toBe(false);
  await assertAlive();
  return heard;
}

async function assertAlive(): Promise<void> {
  expect((await api.ask("/api/v1/namespaces/default")).code).toBe(200);
}

describe("slow clients are cut off", () => {
  test.each<[string, string]>([
    ["headers that do not end", "GET /api/v1/pods HTTP/1.1\r\nHost: x\r\nX-Slow: "],
    ["a body that does not come", `POST ${configMaps} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"a"`],
    [
      "chunks that do not end",
      `POST ${configMaps} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n`,
    ],
  ])("%s", async (_, words) => {
    const socket = await api.socket();
    const end = closed(socket);
    socket.write(words);
    // A byte now and then does not help.
    const drip = setInterval(() => socket.write("x"), PATIENCE_MS / 4);
    expect(await end).toMatch(/^(HTTP\/1.1 (408|400)|$)/);
    clearInterval(drip);
    await assertAlive();
  });

  test("one that never comes to its TLS", async () => {
    const socket = api.tcp().on("error", () => {});
    await once(socket, "close");
    expect(socket.bytesWritten).toBe(0);
    await assertAlive();
  });

  test("but not those whose bodies are handed on: an image may be large, and the way to a node slow", async () => {
    const { cert, key } = await api.serving("node");
    const agent = createServer({ cert, key }, (req, res) => void text(req).then((body) => res.end(`got ${body}`)));
    await new Promise<void>((resolve) => agent.listen(0, "127.0.0.1", resolve));
    const { port } = agent.address() as AddressInfo;
    await api.post("/api/v1/nodes", { metadata: { name: "far" } });
    const addresses = [{ type: "InternalIP", address: "127.0.0.1" }];
    const status = { addresses, daemonEndpoints: { kubeletEndpoint: { Port: port } } };
    const patch = { method: "PATCH", headers: { "Content-Type": "application/merge-patch+json" }, body: { status } };
    await api.ok("/api/v1/nodes/far/status", patch);
    const socket = await api.socket();
    const end = closed(socket);
    const path = "/api/v1/nodes/far/proxy/images/load";
    socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 8\r\n\r\n`);
    for (let n = 0; n < 8; n++) {
      socket.write(String(n));
      await systemClock.sleep(PATIENCE_MS / 4, new AbortController().signal);
    }
    expect(await end).toMatch(/^HTTP\/1\.1 200 [^]*got 01234567/);
    agent.close();
    await api.ok("/api/v1/nodes/far", { method: "DELETE" });
  });

  test("a watch that is not read", async () => {
    const big = "x".repeat(200_000);
    await api.post(configMaps, { metadata: { name: "big" }, data: { k: big } });
    const socket = await api.socket();
    socket.write(`GET ${configMaps}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n`);
    await once(socket, "readable");
    socket.pause();
    const before = watchers();
    for (let i = 0; i < QUEUE * 2; i++) await put("big", big + i);
    // First the queue overflows, then the connection goes.
    expect(
      await eventually(
        async () => watchers(),
        (n) => n < before,
      ),
    ).toBe(before - 1);
    await assertBroken(socket);
  });

  test("a list that is not read", async () => {
    const many = "/api/v1/namespaces/kube-public/configmaps";
    const data = { k: "x".repeat(500_000) };
    for (let i = 0; i < 40; i++) await api.post(many, { metadata: { name: `l${i}` }, data });
    const socket = await api.socket();
    socket.pause();
    socket.write(`GET ${many} HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect((await assertBroken(socket)).length).toBeLessThan(20_000_000);
  });

  test("one that asks nothing any more", async () => {
    const socket = await api.socket();
    const end = closed(socket);
    socket.write(`GET /api/v1/namespaces/default HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(await end).toMatch(/^HTTP\/1\.1 200 /);
  });

  test("a watch at rest is none of them", async () => {
    const quiet = "/api/v1/namespaces/kube-system/configmaps";
    const socket = await api.socket();
    socket.write(`GET ${quiet}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n`);
    await longEnough();
    await api.post(quiet, { metadata: { name: "late" } });
    let heard = "";
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      heard += chunk.toString();
      if (heard.includes('"name":"late"')) break;
    }
    expect(heard).toMatch(/^HTTP\/1\.1 200 [^]*"type":"ADDED"[^]*"name":"late"/);
  });
});

describe("connections that break", () => {
  test("a hundred watches dropped, at the same time and one after the other: none is left", async () => {
    const quiet = "/api/v1/namespaces/kube-node-lease/configmaps";
    expect(
      await eventually(
        async () => watchers(),
        (n) => n === 0,
      ),
    ).toBe(0);
    const open = sockets();
    const all = await Promise.all(Array.from({ length: 100 }, () => api.open(`${quiet}?watch=1&resourceVersion=0`)));
    expect(watchers()).toBe(100);
    for (const res of all) res.destroy();
    for (let i = 0; i < 20; i++) (await api.open(`${quiet}?watch=1`)).destroy();
    expect(
      await eventually(
        async () => watchers(),
        (n) => n === 0,
      ),
    ).toBe(0);
    expect(
      await eventually(
        async () => sockets(),
        (n) => n <= open,
      ),
    ).toBeLessThanOrEqual(open);
  });

  test("in the middle of a request, or right behind it", async () => {
    const open = sockets();
    for (const text of [
      "GET /api/v1/pods HT",
      `POST ${configMaps} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{`,
      `GET ${configMaps} HTTP/1.1\r\nHost: x\r\n\r\n`,
      `GET ${configMaps}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n`,
    ]) {
      const socket = await api.socket();
      socket.on("error", () => {});
      socket.write(text, () => socket.destroy());
      await once(socket, "close");
    }
    await assertAlive();
    expect(
      await eventually(
        async () => sockets(),
        (n) => n <= open,
      ),
    ).toBeLessThanOrEqual(open);
  });

  test.each<[string, string]>([
    ["no HTTP", "\u0016\u0003\u0001 hello\r\n\r\n"],
    ["HTTP/9", "GET / HTTP/9.9\r\n\r\n"],
    ["a header without end", `GET / HTTP/1.1\r\nX: ${"x".repeat(100_000)}\r\n\r\n`],
    [
      "a thousand headers",
      `GET / HTTP/1.1\r\n${Array.from({ length: 5_000 }, (_, i) => `X-${i}: 1\r\n`).join("")}\r\n`,
    ],
    ["two lengths", `POST ${configMaps} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}`],
    [
      "a length and chunks",
      `POST ${configMaps} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ["a negative length", `POST ${configMaps} HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n`],
    ["no host", "GET /api HTTP/1.1\r\n\r\n"],
  ])("%s is refused and the connection closed", async (_, text) => {
    const socket = await api.socket();
    const end = closed(socket);
    socket.write(text);
    expect(await end).toMatch(/^HTTP\/1.1 4\d\d /);
    await assertAlive();
  });

  test.each<[string, string]>([
    ["a path that takes none", "/api/v1/pods"],
    ["a Pod that is not there", "/api/v1/namespaces/default/pods/none/exec?command=ls"],
    ["a subresource that is none", "/api/v1/namespaces/default/pods/none/nothing"],
  ])("an upgrade on %s is refused with a Status", async (_, path) => {
    const socket = await api.socket();
    const end = closed(socket);
    const head = ["Host: x", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
    socket.write(`GET ${path} HTTP/1.1\r\n${head.join("\r\n")}\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n`);
    expect(await end).toMatch(/^HTTP\/1.1 4\d\d [\s\S]*"kind":"Status"/);
    await assertAlive();
  });
});
