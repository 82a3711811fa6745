import { afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { request } from "node:https";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import spdy from "spdy-transport";
import { WebSocket } from "ws";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:tls";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KeptLogEntry } from "../api/kept-logs.ts";
import type { NodeImageList } from "../api/node-images.ts";
import type { Summary } from "../api/stats-summary.ts";
import { RuntimeError } from "../runtime/runtime.ts";
import { systemClock } from "../util/clock.ts";
import { createCa, issueCert, type KeyPair } from "../util/pki.ts";
import { RenewedPair } from "../util/renewed-pair.ts";
import { Harness } from "./testing/harness.ts";

let ca: KeyPair;
let serverCert: KeyPair;
let apiserver: KeyPair;
let nobody: KeyPair;

beforeAll(async () => {
  const now = systemClock.now();
  ca = await createCa("test", now);
  serverCert = await issueCert(ca, { commonName: "node", ips: ["127.0.0.1"], usages: ["server"] }, now);
  apiserver = await issueCert(ca, { commonName: "kube-apiserver-kubelet-client", usages: ["client"] }, now);
  nobody = await issueCert(ca, { commonName: "nobody", usages: ["client"] }, now);
});

interface Answer {
  readonly code: number;
  readonly body: string;
}

describe("the agent's endpoint", () => {
  let h: Harness;
  let dataDir: string;
  let port: number;
  let pair: RenewedPair;

  beforeEach(async () => {
    let listening: (port: number) => void = () => {};
    const ready = new Promise<number>((resolve) => (listening = resolve));
    dataDir = mkdtempSync(join(tmpdir(), "agent-"));
    pair = new RenewedPair(serverCert);
    h = new Harness({
      agent: {
        dataDir,
        serve: { host: "127.0.0.1", port: 0, pair, clientCa: ca.cert, onListening: (p) => listening(p) },
      },
    });
    h.start();
    port = await ready;
    h.create("web", [{ name: "app", command: ["run", "--log=one", "--log=two", "--log=three"] }]);
    await h.untilRunning("web");
  });

  afterEach(async () => {
    await h[Symbol.asyncDispose]();
    rmSync(dataDir, { recursive: true });
  });

  function get(path: string, as: KeyPair | undefined = apiserver): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const req = request({ host: "127.0.0.1", port, path, ca: ca.cert, ...as, agent: false }, (res) => {
        let body = "";
        res.setEncoding("utf8").on("data", (d: string) => (body += d));
        res.on("end", () => resolve({ code: res.statusCode ?? 0, body }));
      });
      req.on("error", reject).end();
    });
  }

  const served = () =>
    new Promise<string>((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port, ca: ca.cert, ...apiserver }, () => {
        resolve(socket.getPeerX509Certificate()?.toString() ?? "");
        socket.destroy();
      }).on("error", reject);
    });

  test("H3: a renewed certificate is served from then on, and the sessions of the one before go on", async () => {
    expect(await served()).toBe(new X509Certificate(serverCert.cert).toString());
    const before = connect({ host: "127.0.0.1", port, ca: ca.cert, ...apiserver });
    await once(before, "secureConnect");
    const names = { commonName: "node", ips: ["127.0.0.1"], usages: ["server"] } as const;
    const next = await issueCert(ca, names, systemClock.now());
    pair.replace(next);
    expect(await served()).toBe(new X509Certificate(next.cert).toString());
    before.write("GET /pods HTTP/1.1\r\nHost: node\r\n\r\n");
    expect(String(await once(before, "data"))).toContain("200 OK");
    before.destroy();
  });

  test("while there is no certificate yet, a handshake fails", async () => {
    const silent = new RenewedPair();
    await h[Symbol.asyncDispose]();
    let listening: (port: number) => void = () => {};
    const ready = new Promise<number>((resolve) => (listening = resolve));
    const serve = { host: "127.0.0.1", port: 0, pair: silent, clientCa: ca.cert, onListening: listening };
    h = new Harness({ agent: { dataDir, serve } });
    h.start();
    port = await ready;
    await expect(served()).rejects.toThrow(/handshake failure/);
    silent.replace(serverCert);
    expect(await served()).toBe(new X509Certificate(serverCert.cert).toString());
  });

  function open(path: string, protocols: string[]): WebSocket {
    return new WebSocket(`wss://127.0.0.1:${port}${path}`, protocols, { ca: ca.cert, ...apiserver });
  }

  /** All messages by channel, once the socket has closed. */
  async function conversation(ws: WebSocket, onOpen: (ws: WebSocket) => void = () => {}) {
    const channels: Record<number, string> = {};
    ws.on("message", (m: Buffer) => (channels[m[0] ?? -1] = (channels[m[0] ?? -1] ?? "") + m.subarray(1).toString()));
    ws.on("open", () => onOpen(ws));
    await new Promise((resolve, reject) => ws.on("close", resolve).on("error", reject));
    const text = channels[3];
    return { channels, status: text === undefined ? undefined : (JSON.parse(text) as unknown) };
  }

  const refusal = (ws: WebSocket) =>
    new Promise<number | undefined>((resolve) =>
      ws.on("unexpected-response", (_, res) => resolve(res.statusCode)).on("error", () => {}),
    );

  test("tells what the node and its containers use, in the kubelet's two forms", async () => {
    let answer: Answer | undefined;
    void get("/stats/summary").then((a) => (answer = a));
    await h.clock.advanceUntil(() => answer !== undefined, 600_000);
    const summary = JSON.parse(answer?.body ?? "") as Summary;
    expect(summary.node.nodeName).toBe("node-1");
    expect(summary.pods.map((p) => [p.podRef.name, p.containers.map((c) => c.name)])).toEqual([["web", ["app"]]]);
    const metrics = await get("/metrics/resource");
    expect(metrics.body).toMatch(/^container_cpu_usage_seconds_total{container="app",namespace="default",pod="web"} /m);
    expect((await get("/stats/nonsense")).code).toBe(404);
  });

  test("lets in only the API server and administrators", async () => {
    expect(await get("/healthz")).toEqual({ code: 200, body: "ok" });
    expect(await get("/healthz", nobody)).toMatchObject({ code: 403 });
    await expect(get("/healthz", { cert: "", key: "" })).rejects.toThrow(
      /certificate required|ECONNRESET|socket hang up/,
    );
  });

  test("logs, with tail, limit and what is waiting", async () => {
    expect(await get("/containerLogs/default/web/app")).toEqual({ code: 200, body: "one\ntwo\nthree\n" });
    expect((await get("/containerLogs/default/web/app?tailLines=1")).body).toBe("three\n");
    expect((await get("/containerLogs/default/web/app?limitBytes=5")).body).toBe("one\nt");
    expect((await get("/containerLogs/default/web/app?timestamps=true&tailLines=1")).body).toMatch(
      /^\d{4}-.*Z three\n$/,
    );
    expect((await get("/containerLogs/default/web/app?tailLines=x")).code).toBe(400);
    expect((await get("/containerLogs/default/none/app")).code).toBe(404);
    const { code, body } = await get("/containerLogs/default/web/app?previous=true");
    expect([code, (JSON.parse(body) as { message: string }).message]).toEqual([
      400,
      'previous terminated container "app" in pod "web" not found',
    ]);
  });

  test.each([
    ["tailLines=-1", /tailLines: Invalid value: -1: must be greater than or equal to 0/],
    ["limitBytes=0", /limitBytes: Invalid value: 0: must be greater than 0/],
    ["sinceSeconds=0", /sinceSeconds: Invalid value: 0: must be greater than 0/],
    ["sinceSeconds=1&sinceTime=2024-01-01T00:00:00Z", /Forbidden: at most one of `sinceTime` or `sinceSeconds`/],
    ["stream=Both", /stream: Unsupported value: "Both": supported values: "All", "Stdout", "Stderr"/],
    ["stream=Stdout&tailLines=1", /tailLines: Forbidden: `tailLines` and specific `stream` are mutually exclusive/],
  ])("logs refused: %s", async (query, message) => {
    const { code, body } = await get(`/containerLogs/default/web/app?${query}`);
    expect(code).toBe(422);
    expect(JSON.parse(body)).toMatchObject({
      reason: "Invalid",
      message: expect.stringMatching(message),
      details: { name: "web", kind: "PodLogOptions" },
    });
  });

  test("logs of one stream; what is meant for others is ignored", async () => {
    const path = "/containerLogs/default/web/app?insecureSkipTLSVerifyBackend=true&pretty=true";
    expect((await get(`${path}&stream=Stdout&sinceTime=1970-01-01T00:00:00Z`)).body).toBe("one\ntwo\nthree\n");
    expect((await get(`${path}&stream=Stderr`)).body).toBe("");
    expect((await get(`${path}&stream=All&sinceSeconds=3600`)).body).toBe("one\ntwo\nthree\n");
  });

  test("logs of the attempt before", async () => {
    h.runtime.running("web-uid", "app").print("last words");
    h.runtime.kill("web-uid", "app");
    await h.until(() => h.pod("web")?.status?.containerStatuses?.[0]?.restartCount === 1);
    expect((await get("/containerLogs/default/web/app?previous=true&tailLines=1")).body).toBe("last words\n");
  });

  test("logs that the runtime refuses are refused with its reason, not begun and broken off", async () => {
    const away = new RuntimeError("RuntimeUnavailable", "Docker does not answer");
    h.runtime.failNext("logs", away);
    const { code, body } = await get("/containerLogs/default/web/app");
    expect(code).toBe(503);
    expect(JSON.parse(body)).toMatchObject({ reason: "ServiceUnavailable", message: "Docker does not answer" });
  });

  test("/pods is a PodList with the present status", async () => {
    const { body } = await get("/pods");
    expect(JSON.parse(body)).toMatchObject({
      kind: "PodList",
      items: [{ metadata: { name: "web" }, status: { phase: "Running" } }],
    });
  });

  test("exec: output, Success, and the exit code in a Status", async () => {
    const echo = await conversation(
      open("/exec/default/web/app?command=echo&command=hi&stdout=true", ["v5.channel.k8s.io"]),
    );
    expect(echo.channels[1]).toBe("hi\n");
    expect(echo.status).toEqual({ metadata: {}, status: "Success" });
    const failed = await conversation(
      open("/exec/default/web/app?command=sh&command=-c&command=exit+42&stdout=true", ["v4.channel.k8s.io"]),
    );
    expect(failed.status).toMatchObject({
      status: "Failure",
      reason: "NonZeroExitCode",
      details: { causes: [{ reason: "ExitCode", message: "42" }] },
    });
  });

  test("exec: a megabyte through cat and back, ended by v5's close signal", async () => {
    const ws = open("/exec/default/web/app?command=cat&stdin=True&stdout=true", [
      "v5.channel.k8s.io",
      "v4.channel.k8s.io",
    ]);
    const big = "0123456789abcdef".repeat(65536);
    const { channels, status } = await conversation(ws, () => {
      for (let at = 0; at < big.length; at += 16384) ws.send(Buffer.from(`\0${big.slice(at, at + 16384)}`));
      ws.send(Buffer.from([4, ...Buffer.from('{"Width":80,"Height":24}')]));
      ws.send(Buffer.from([255, 0]));
    });
    expect(ws.protocol).toBe("v5.channel.k8s.io");
    expect(channels[1] === big).toBe(true);
    expect(status).toEqual({ metadata: {}, status: "Success" });
  });

  test("exec over SPDY, asked for by POST as kubectl before 1.30 does", async () => {
    const path = "/exec/default/web/app?command=echo&command=hi&stdout=true";
    const headers = { Connection: "Upgrade", Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": "v4.channel.k8s.io" };
    const socket = await new Promise<Duplex>((resolve, reject) => {
      const req = request({ host: "127.0.0.1", port, method: "POST", path, headers, ca: ca.cert, ...apiserver });
      req.on("upgrade", (_, s) => resolve(s)).on("error", reject);
      req.end();
    });
    const connection = spdy.connection.create(socket, { protocol: "spdy", isServer: false });
    connection.start(3.1);
    const read = (streamType: string) => {
      const stream = connection.request({ method: "POST", path: "/", headers: { streamType } }, () => {});
      return text(stream.end());
    };
    expect(await Promise.all([read("stdout"), read("error")])).toEqual(["hi\n", '{"metadata":{},"status":"Success"}']);
    socket.destroy();
  });

  test("attach sees what is printed from now on", async () => {
    const ws = open("/attach/default/web/app?stdout=true", ["v5.channel.k8s.io"]);
    const talk = conversation(ws, () => {
      setImmediate(() => h.runtime.running("web-uid", "app").print("hello"));
      setImmediate(() => setImmediate(() => h.runtime.kill("web-uid", "app", 3)));
    });
    const { status } = await talk; // how the container ended is not the session's affair
    expect(status).toEqual({ metadata: {}, status: "Success" });
  });

  test("an image that is loaded starts the Pods that wait for it, at once", async () => {
    h.create("waits", [{ image: "new:1", imagePullPolicy: "Never" }]);
    await h.until(() => h.events("ErrImageNeverPull").length > 0);
    const loaded = await new Promise<string>((resolve, reject) => {
      const where = { host: "127.0.0.1", port, path: "/images/load", ca: ca.cert, ...apiserver, agent: false };
      request({ ...where, method: "POST" }, (res) => void text(res).then(resolve, reject)).end("new:1\n");
    });
    expect(loaded.split("\n")).toEqual(['{"line":"Loaded image: new:1\\n"}', '{"done":true}', ""]);
    await h.until(() => h.pod("waits")?.status?.phase === "Running", 5_000);
    const { body } = await get("/images");
    expect((JSON.parse(body) as NodeImageList).images).toContainEqual(
      expect.objectContaining({ names: ["new:1"], usedBy: [{ namespace: "default", name: "waits" }] }),
    );
    expect((await get("/images/save?name=none")).code).toBe(404);
    expect((await get("/images/nonsense")).code).toBe(404);
  });

  test("what a Pod has said outlives it", async () => {
    h.api.deletePod("default", "web", 0);
    const list = async () => (JSON.parse((await get("/keptLogs?pod=web")).body) as { logs: KeptLogEntry[] }).logs;
    let kept: KeptLogEntry[] = [];
    for (let n = 0; n < 100 && !kept[0]?.sizeBytes; n++) {
      await h.clock.advance(1_000);
      kept = await list();
    }
    expect(kept).toMatchObject([{ namespace: "default", pod: "web", uid: "web-uid", container: "app" }]);
    expect((await get("/containerLogs/default/web/app?tailLines=2")).body).toBe("two\nthree\n");
    expect((await get("/containerLogs/default/web/other")).body).toMatch(/is gone, and of its container .*other/);
    expect((await get("/containerLogs/default/web/app?uid=another")).code).toBe(404);
  });

  test("twenty sessions at once do not mix", async () => {
    const words = Array.from({ length: 20 }, (_, n) => `word-${n}`);
    const all = await Promise.all(
      words.map((w) =>
        conversation(open(`/exec/default/web/app?command=echo&command=${w}&stdout=true`, ["v5.channel.k8s.io"])),
      ),
    );
    expect(all.map((a) => a.channels[1])).toEqual(words.map((w) => `${w}\n`));
  });

  test("refuses before the upgrade: no such container, no common protocol, no WebSocket", async () => {
    expect(await refusal(open("/exec/default/web/none?command=true", ["v5.channel.k8s.io"]))).toBe(404);
    expect(await refusal(open("/exec/default/web/app?command=true", ["base64.channel.k8s.io"]))).toBe(400);
    expect(await refusal(open("/exec/default/web/app", ["v5.channel.k8s.io"]))).toBe(400);
    expect((await get("/exec/default/web/app?command=true")).code).toBe(400);
  });
});
