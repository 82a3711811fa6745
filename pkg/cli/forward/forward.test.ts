import { afterEach, describe, expect, test } from "@jest/globals";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { WebSocket, WebSocketServer } from "ws";
import type { Pod, Service } from "../../api/generated/types.ts";
import { apiProxy, DEFAULT_RULES, judgeOf } from "./api-proxy.ts";
import { choosePod, parsePorts, podPort, podSelector } from "./targets.ts";

describe("ports", () => {
  test.each([
    ["8080:80", { local: 8080, remote: "80" }],
    ["80", { local: 80, remote: "80" }],
    [":80", { local: 0, remote: "80" }],
    ["0:80", undefined],
    ["8080:http", { local: 8080, remote: "http" }],
    ["http", { local: 0, remote: "http" }],
    ["8080:", undefined],
    ["x:80", undefined],
    ["1:2:3", undefined],
    ["70000", undefined],
    ["", undefined],
  ])("%j", (word, wanted) => {
    const parse = () => {
      try {
        return parsePorts([word])[0];
      } catch (error) {
        return /is not of the form \[LOCAL:\]REMOTE/.test(String(error)) ? undefined : error;
      }
    };
    expect(parse()).toEqual(wanted);
  });
});

const pod = (name: string, o: { ready?: boolean; phase?: string; gone?: boolean; born?: string } = {}): Pod => ({
  metadata: {
    name,
    creationTimestamp: o.born ?? "2026-01-01T00:00:00Z",
    ...(o.gone && { deletionTimestamp: "2026-01-02T00:00:00Z" }),
  },
  spec: { containers: [{ name: "a" }, { name: "b", ports: [{ name: "http", containerPort: 8080 }] }] },
  status: {
    phase: o.phase ?? "Running",
    conditions: [{ type: "Ready", status: o.ready === false ? "False" : "True" }],
  },
});

test("of a Service's Pods a ready one is taken, never one that goes or does not run", () => {
  const young = pod("young", { born: "2026-02-01T00:00:00Z" });
  const all = [
    pod("going", { gone: true }),
    pod("unready", { ready: false }),
    young,
    pod("old"),
    pod("done", { phase: "Failed" }),
  ];
  expect(choosePod(all)?.metadata.name).toBe("old");
  expect(choosePod(all.filter((p) => !["old", "young"].includes(p.metadata.name ?? "")))?.metadata.name).toBe(
    "unready",
  );
  expect(choosePod([pod("going", { gone: true })])).toBeUndefined();
});

describe("the Pod's port", () => {
  const service = (targetPort?: number | string, clusterIP = "10.0.0.1"): Service => ({
    metadata: { name: "web" },
    spec: { clusterIP, ports: [{ name: "main", port: 80, ...(targetPort !== undefined && { targetPort }) }] },
  });
  test.each<[string, string, Service | undefined, number | string]>([
    ["its own number", "9", undefined, 9],
    ["its own name", "http", undefined, 8080],
    ["a name it has not", "grpc", undefined, "does not have a named port 'grpc'"],
    ["a Service's number", "80", service(9000), 9000],
    ["a Service's name", "main", service("http"), 8080],
    ["a Service's port as it is", "80", service(), 80],
    ["of a headless one", "80", service("http", "None"), 80],
    ["a Service has no such port", "81", service(), "Service web does not have a service port 81"],
  ])("%s", (_, remote, of, wanted) => {
    const found = () => {
      try {
        return podPort(pod("web"), remote, of);
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(String(found())).toContain(String(wanted));
  });
});

test("what selects Pods: labels of a Service, expressions of a Deployment", () => {
  const of = (selector: object) =>
    ({ metadata: { name: "web" }, spec: { selector } }) as Parameters<typeof podSelector>[0];
  expect(podSelector(of({ app: "web", tier: "a" }), "Service")).toBe("app=web,tier=a");
  const expressions = {
    matchLabels: { app: "web" },
    matchExpressions: [{ key: "env", operator: "In", values: ["b", "a"] }],
  };
  expect(podSelector(of(expressions), "Deployment")).toBe("app=web,env in (a,b)");
  expect(() => podSelector({ metadata: { name: "web" } }, "Service")).toThrow("service web selects no pods");
});

describe("the API on a local port", () => {
  const cleanups: (() => void)[] = [];
  afterEach(() => {
    for (const cleanup of cleanups.splice(0)) cleanup();
  });
  async function start(prefix = "/"): Promise<number> {
    const api = http.createServer((req, res) => {
      void text(req).then((body) => res.end(JSON.stringify([req.method, req.url, req.headers.authorization, body])));
    });
    const sockets = new WebSocketServer({ server: api });
    sockets.on("connection", (ws) => ws.on("message", (d: Buffer) => ws.send(d)));
    await new Promise<void>((done) => api.listen(0, "127.0.0.1", done));
    const server = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
    const proxy = apiProxy({ connection: { server, token: "t0k" }, judge: judgeOf(DEFAULT_RULES), prefix });
    await new Promise<void>((done) => proxy.server.listen(0, "127.0.0.1", done));
    cleanups.push(
      () => proxy.close(),
      () => {
        for (const ws of sockets.clients) ws.terminate();
        api.close();
        api.closeAllConnections();
      },
    );
    return (proxy.server.address() as AddressInfo).port;
  }
  const ask = (port: number, path: string, o: http.RequestOptions & { body?: string } = {}) =>
    new Promise<string>((resolve, reject) => {
      const req = http.request({ host: "127.0.0.1", port, path, agent: false, ...o }, (res) => {
        text(res).then((body) => resolve(`${res.statusCode} ${body}`), reject);
      });
      req.on("error", reject).end(o.body);
    });

  test("requests go there with the user's credentials, not with the caller's", async () => {
    const port = await start();
    const answer = await ask(port, "/api/v1/pods?limit=1", {
      method: "POST",
      body: "x",
      headers: { authorization: "Bearer mine" },
    });
    expect(answer).toBe('200 ["POST","/api/v1/pods?limit=1","Bearer t0k","x"]');
  });

  test("below a prefix only what has it is served", async () => {
    const port = await start("/k8s/");
    expect(await ask(port, "/k8s/version")).toMatch(/^200 \["GET","\/version"/);
    expect(await ask(port, "/version")).toBe("403 Forbidden\n");
  });

  test.each([
    ["a page of another site", "/api", { host: "evil.example" }],
    ["exec", "/api/v1/namespaces/d/pods/p/exec?command=sh", {}],
    ["exec, in disguise", "/api/v1/namespaces/d/pods/p/%65xec", {}],
    ["attach", "/api/v1/namespaces/d/pods/p/attach", {}],
    ["what cannot be read", "/api/%zz", {}],
  ])("%s is refused", async (_, path, headers) => {
    expect(await ask(await start(), path, { headers })).toBe("403 Forbidden\n");
  });

  test("upgrades pass", async () => {
    const ws = new WebSocket(`ws://127.0.0.1:${await start()}/api/v1/namespaces/d/pods/p/portforward`);
    cleanups.push(() => ws.terminate());
    const echoed = await new Promise<string>((resolve, reject) => {
      ws.on("error", reject).on("open", () => ws.send("hello"));
      ws.on("message", (d: Buffer) => resolve(d.toString()));
    });
    expect(echoed).toBe("hello");
  });
});
