import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import {
  createServer,
  get as httpGet,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { KubeConfig, PortForward } from "client-node-1";
import { WebSocket, WebSocketServer } from "ws";
import { Harness } from "../../pkg/agent/testing/harness.ts";
import { RenewedPair } from "../../pkg/util/renewed-pair.ts";
import { TestApi } from "../harness/https.ts";

/**
 * The way to a Pod's ports, whole: client → API server → agent → Pod. The Pod is fake, but on its port 8080 answers a real
 * HTTP server; on all others an echo, and on port 1 nobody.
 */
let api: TestApi;
let agent: Harness;
let web: Server;
let directory: string;
/** What the web server was asked last. */
let asked: { method: string; url: string; headers: IncomingHttpHeaders; body: string };

const NS = "/api/v1/namespaces/default";
const WEB = `${NS}/pods/web:8080/proxy`;
const port = (server: Server) => (server.address() as AddressInfo).port;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "ports-"));
  web = createServer((req, res) => void answer(req, res));
  const sockets = new WebSocketServer({ server: web });
  sockets.on("connection", (ws) => ws.on("message", (m: Buffer) => ws.send(`echo ${String(m)}`)));
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));

  api = await TestApi.start();
  let listening: (port: number) => void = () => {};
  const ready = new Promise<number>((resolve) => (listening = resolve));
  const serving = await api.serving("node-1");
  agent = new Harness({
    port: (_, n) => (n === 8080 ? connect({ port: port(web), host: "127.0.0.1", allowHalfOpen: true }) : undefined),
    agent: {
      serve: {
        host: "127.0.0.1",
        port: 0,
        pair: new RenewedPair(serving),
        clientCa: api.ca,
        onListening: (p) => listening(p),
      },
    },
  });
  agent.start();
  agent.create("web", [{ name: "app", command: ["run"] }]);
  await agent.untilRunning("web");
  await describeCluster(await ready);
});

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const { method = "", url = "", headers } = req;
  asked = { method, url, headers, body: await text(req) };
  if (url.startsWith("/away")) return void res.writeHead(302, { Location: "/home?x=1" }).end();
  if (url.startsWith("/teapot")) return void res.writeHead(418, { "X-Why": "short and stout" }).end("no coffee");
  res.writeHead(200, {
    "Content-Type": "text/html",
    "Set-Cookie": ["a=1", "b=2"],
    Connection: "x-hop",
    "X-Hop": "1",
  });
  res.end(`${method} ${url} ${asked.body}`);
}

/** What the agent would report. */
async function describeCluster(agentPort: number): Promise<void> {
  await api.ok("/api/v1/nodes", {
    method: "POST",
    body: {
      metadata: { name: "node-1" },
      status: {
        addresses: [{ type: "InternalIP", address: "127.0.0.1" }],
        daemonEndpoints: { kubeletEndpoint: { Port: agentPort } },
      },
    },
  });
  await api.post(`${NS}/serviceaccounts`, { metadata: { name: "default" } });
  const container = { name: "app", image: "app", ports: [{ containerPort: 8080, name: "http" }] };
  const created = await api.ok(`${NS}/pods`, {
    method: "POST",
    body: { metadata: { name: "web", labels: { app: "web" } }, spec: { nodeName: "node-1", containers: [container] } },
  });
  const pod = created.json<{ status: object }>();
  await api.ok(`${NS}/pods/web/status`, {
    method: "PUT",
    body: { ...pod, status: { ...pod.status, phase: "Running" } },
  });
  await api.ok(`${NS}/services`, {
    method: "POST",
    body: {
      metadata: { name: "shop" },
      spec: {
        ports: [
          { name: "http", port: 80, targetPort: "http" },
          { name: "none", port: 81 },
        ],
      },
    },
  });
  await api.ok("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
    method: "POST",
    body: {
      metadata: { name: "shop-1", labels: { "kubernetes.io/service-name": "shop" } },
      addressType: "IPv4",
      ports: [{ name: "http", port: 8080 }],
      endpoints: [
        { addresses: ["10.0.0.9"], conditions: { ready: false }, targetRef: { kind: "Pod", name: "gone" } },
        { addresses: ["10.0.0.8"], conditions: { ready: true }, targetRef: { kind: "Pod", name: "web" } },
      ],
    },
  });
}

afterAll(async () => {
  await agent?.[Symbol.asyncDispose]();
  await api?.close();
  web?.closeAllConnections();
  web?.close();
  rmSync(directory, { recursive: true });
});

describe("proxy to a Pod", () => {
  test.each(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])(
    "%s, with path, query and body as they are",
    async (method) => {
      const body = method === "GET" ? "" : "the body";
      const answer = await api.ask(`${WEB}/a%2Fb/c/?q=1&q=2`, { method, ...(body && { body }) });
      expect([answer.code, answer.text]).toEqual([200, `${method} /a%2Fb/c/?q=1&q=2 ${body}`]);
    },
  );

  test("HEAD has no body; a status that is no success comes through as it is", async () => {
    const head = await api.ask(`${WEB}/x`, { method: "HEAD" });
    expect([head.code, head.text, head.headers["content-type"]]).toEqual([200, "", "text/html"]);
    const teapot = await api.ask(`${WEB}/teapot`);
    expect([teapot.code, teapot.headers["x-why"], teapot.text]).toEqual([418, "short and stout", "no coffee"]);
  });

  test("headers: credentials and what belongs to one hop stay behind, the rest goes through, twice if twice", async () => {
    const headers = {
      Authorization: "Bearer secret",
      "X-Mine": "1",
      Connection: "close, x-hop",
      "X-Hop": "1",
      Cookie: "c=d",
    };
    const answer = await api.ask(`${WEB}/`, { headers });
    expect(asked.headers).toMatchObject({ "x-mine": "1", cookie: "c=d", "x-forwarded-uri": `${WEB}/` });
    expect(asked.headers).not.toHaveProperty("authorization");
    expect(asked.headers).not.toHaveProperty("x-hop");
    expect(answer.headers["set-cookie"]).toEqual(["a=1", "b=2"]);
    expect(answer.headers).not.toHaveProperty("x-hop");
  });

  test("without a port the first that a container declares; without a slash at the end a redirect to there", async () => {
    expect((await api.ask(`${NS}/pods/web/proxy/hi`)).text).toBe("GET /hi ");
    const bare = await api.ask(`${WEB}?q=1`);
    expect([bare.code, bare.headers.location]).toEqual([301, `${WEB}/?q=1`]);
    expect((await api.ask(WEB, { method: "POST", body: "x" })).text).toBe("POST / x");
  });

  test("a redirect of the Pod's own stays below the proxy", async () => {
    expect((await api.ask(`${WEB}/away`)).headers.location).toBe(`${WEB}/home?x=1`);
  });

  test("a large body goes both ways", async () => {
    const body = "x".repeat(5_000_000);
    expect((await api.ask(`${WEB}/`, { method: "POST", body })).text).toBe(`POST / ${body}`);
  });

  test("WebSockets", async () => {
    const url = `${api.listener.url.replace("https", "wss")}${WEB}/chat`;
    const ws = new WebSocket(url, { ca: api.ca, cert: api.admin.cert, key: api.admin.key });
    const said = await new Promise((resolve, reject) => {
      ws.on("open", () => ws.send("hello")).on("error", reject);
      ws.on("message", (m: Buffer) => resolve(String(m)));
    });
    ws.close();
    expect(said).toBe("echo hello");
  });

  test.each([
    ["nobody listens", `${NS}/pods/web:1/proxy/`, 503, /error trying to reach service: .*connection refused/],
    ["no such Pod", `${NS}/pods/none/proxy/`, 404, /pods "none" not found/],
    ["an odd name", `${NS}/pods/a:b:c:d/proxy/`, 400, /invalid pod request "a:b:c:d"/],
    ["an odd port", `${NS}/pods/web:http/proxy/`, 400, /invalid pod request "web:http"/],
    ["an odd scheme", `${NS}/pods/ftp:web:80/proxy/`, 400, /invalid pod request "ftp:web:80"/],
  ])("refused: %s", async (_, path, code, message) => {
    const answer = await api.ask(path);
    expect(answer.json()).toMatchObject({ kind: "Status", code, message: expect.stringMatching(message) });
  });
});

describe("proxy to a Service", () => {
  test.each(["shop:http", "shop:80", "http:shop:80"])("%s is a ready Pod of its", async (name) => {
    expect((await api.ask(`${NS}/services/${name}/proxy/path?x=1`)).text).toBe("GET /path?x=1 ");
  });

  test.each([
    ["no such Service", "none", 404, /services "none" not found/],
    ["a port that it lacks", "shop:8", 503, /no service port 8 found for service "shop"/],
    ["a port that no endpoint has", "shop:none", 503, /no endpoints available for service "shop"/],
    ["no name", ":80", 400, /invalid service request ":80"/],
  ])("refused: %s", async (_, name, code, message) => {
    const answer = await api.ask(`${NS}/services/${name}/proxy/`);
    expect(answer.json()).toMatchObject({ code, message: expect.stringMatching(message) });
  });
});

describe("proxy to a node", () => {
  test("is its agent, and nothing else that listens there", async () => {
    expect((await api.ask("/api/v1/nodes/node-1/proxy/healthz")).text).toBe("ok");
    const pods = (await api.ask("/api/v1/nodes/node-1/proxy/pods")).json<{ items: { metadata: { name: string } }[] }>();
    expect(pods.items.map((p) => p.metadata.name)).toEqual(["web"]);
    expect((await api.ask("/api/v1/nodes/node-1:22/proxy/")).json()).toMatchObject({ code: 400 });
    expect((await api.ask("/api/v1/nodes/none/proxy/")).json()).toMatchObject({ code: 404 });
  });
});

describe("client-node", () => {
  const kubeconfig = () => {
    const config = new KubeConfig();
    config.loadFromFile(api.kubeconfig(directory));
    return config;
  };

  test("forwards a port over WebSocket channels", async () => {
    const [input, output, errors] = [new PassThrough(), new PassThrough(), new PassThrough()];
    const forward = new PortForward(kubeconfig());
    const ws = await forward.portForward("default", "web", [7], output, errors, input);
    input.write("to and fro");
    const said = await new Promise((resolve) => output.once("data", (d: Buffer) => resolve(d.toString())));
    if (typeof ws !== "function" && ws) ws.close();
    expect(said).toBe("to and fro");
  });

  test("is told of a port where nobody listens", async () => {
    const errors = new PassThrough();
    const told = new Promise((resolve) => errors.once("data", (d: Buffer) => resolve(d.toString())));
    const forward = new PortForward(kubeconfig());
    await forward.portForward("default", "web", [1], new PassThrough(), errors, new PassThrough());
    expect(await told).toMatch(/error forwarding port 1 to pod web: .*connection refused/);
  });
});

describe("kubectl", () => {
  const running: ChildProcess[] = [];
  const env = () => ({ PATH: process.env["PATH"], HOME: directory, KUBECONFIG: api.kubeconfig(directory) });

  /** Its first lines, until one of them tells the port. */
  function listening(...args: string[]): Promise<{ child: ChildProcess; port: number; errors: () => string }> {
    const child = spawn("kubectl", args, { env: env() });
    running.push(child);
    let said = "";
    let errors = "";
    child.stderr.on("data", (d: Buffer) => (errors += d.toString()));
    return new Promise((resolve, reject) => {
      child.stdout.on("data", (d: Buffer) => {
        said += d.toString();
        const found = /127\.0\.0\.1:(\d+)/.exec(said)?.[1];
        if (found) resolve({ child, port: Number(found), errors: () => errors });
      });
      child.once("exit", () => reject(new Error(`kubectl ${args.join(" ")}: ${errors}`)));
    });
  }

  const fetchText = (url: string) =>
    new Promise<string>((resolve, reject) =>
      httpGet(url, { agent: false }, (res) => resolve(text(res))).on("error", reject),
    );

  afterAll(() => running.forEach((child) => child.kill()));

  test("port-forward: many connections at once, HTTP and plain", async () => {
    const forward = await listening("port-forward", "pod/web", ":8080");
    const paths = Array.from({ length: 10 }, (_, n) => `/page-${n}`);
    const pages = await Promise.all(paths.map((path) => fetchText(`http://127.0.0.1:${forward.port}${path}`)));
    expect(pages).toEqual(paths.map((path) => `GET ${path} `));
    const echo = await listening("port-forward", "web", ":7");
    const socket = connect({ port: echo.port, host: "127.0.0.1", allowHalfOpen: true });
    socket.end("to and fro");
    expect(await text(socket)).toBe("to and fro");
  });

  test("port-forward to where nobody listens says so", async () => {
    const forward = await listening("port-forward", "web", ":1");
    await expect(fetchText(`http://127.0.0.1:${forward.port}/`)).rejects.toThrow(/hang up|ECONNRESET/);
    const told = new RegExp(
      "an error occurred forwarding \\d+ -> 1: error forwarding port 1 to pod web: .*connection refused",
    );
    while (!told.test(forward.errors())) await new Promise((resolve) => forward.child.stderr?.once("data", resolve));
    expect(forward.errors()).toMatch(told);
  });

  test("proxy and get --raw go through the proxy subresource", async () => {
    const proxy = await listening("proxy", "--port=0");
    expect(await fetchText(`http://127.0.0.1:${proxy.port}${NS}/services/shop:80/proxy/hello?a=b`)).toBe(
      "GET /hello?a=b ",
    );
    const raw = await promisify(execFile)("kubectl", ["get", "--raw", `${WEB}/raw`], { env: env() });
    expect(raw.stdout).toBe("GET /raw ");
  });
});
