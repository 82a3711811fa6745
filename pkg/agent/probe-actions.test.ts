import { createServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import { afterEach, describe, expect, test } from "@jest/globals";
import { FakeRuntime } from "../runtime/fake.ts";
import { FakeClock } from "../util/fake-clock.ts";
import { execProbe, httpProbe, tcpProbe } from "./probe-actions.ts";

const signal = new AbortController().signal;
const servers = new Set<Server>();

afterEach(async () => {
  for (const s of servers) await new Promise((resolve) => s.close(resolve));
  servers.clear();
});

async function listen(server: Server): Promise<number> {
  servers.add(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

const http = (answer: RequestListener) => listen(createServer(answer));

/** Nobody listens there: one that was there a moment ago. */
async function deadPort(): Promise<number> {
  const server = createTcpServer();
  const port = await listen(server);
  servers.delete(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe("httpGet", () => {
  test.each([
    [200, true],
    [302, true],
    [399, true],
    [400, false],
    [503, false],
  ])("%i → healthy: %s", async (code, ok) => {
    const port = await http((_, res) => res.writeHead(code, { Location: "http://elsewhere.example/" }).end("body"));
    const result = await httpProbe({ host: "127.0.0.1", port, path: "/healthz" }, signal);
    expect(result).toEqual({ ok, message: `HTTP probe failed with statuscode: ${code}` });
  });

  test("asks for the path, with the headers given and as kube-probe", async () => {
    let seen: unknown;
    const port = await http((req, res) => {
      seen = { url: req.url, host: req.headers.host, agent: req.headers["user-agent"] };
      res.end();
    });
    const httpHeaders = [{ name: "Host", value: "shop.example" }];
    await httpProbe({ host: "127.0.0.1", port, path: "/ready?full=1", httpHeaders }, signal);
    expect(seen).toEqual({ url: "/ready?full=1", host: "shop.example", agent: "kube-probe/1.36" });
  });

  test("a redirect is followed while it stays on the host, but not for ever", async () => {
    const moved = await http((req, res) =>
      req.url === "/new" ? res.writeHead(503).end() : res.writeHead(301, { Location: "/new" }).end(),
    );
    const result = await httpProbe({ host: "127.0.0.1", port: moved, path: "/old" }, signal);
    expect(result).toEqual({ ok: false, message: "HTTP probe failed with statuscode: 503" });
    const port = await http((_, res) => res.writeHead(302, { Location: "/" }).end());
    expect(await httpProbe({ host: "127.0.0.1", port }, signal)).toEqual({
      ok: false,
      message: `Get "http://127.0.0.1:${port}/": stopped after 10 redirects`,
    });
  });

  test("a refused connection is a failure that says so", async () => {
    const probe = httpProbe({ host: "127.0.0.1", port: await deadPort() }, signal);
    await expect(probe).rejects.toThrow(/dial tcp 127\.0\.0\.1:\d+: connect: connection refused$/);
  });

  test("no answer ends by the signal, with its reason", async () => {
    const stop = new AbortController();
    const port = await http(() => stop.abort(new Error("timeout")));
    await expect(httpProbe({ host: "127.0.0.1", port }, stop.signal)).rejects.toThrow("timeout");
  });
});

describe("tcpSocket", () => {
  test("a port that accepts is healthy", async () => {
    const port = await listen(createTcpServer((socket) => socket.end()));
    expect(await tcpProbe("127.0.0.1", port, signal)).toEqual({ ok: true, message: "" });
  });

  test("one that does not is none", async () => {
    await expect(tcpProbe("127.0.0.1", await deadPort(), signal)).rejects.toThrow(
      /dial tcp 127\.0\.0\.1:\d+: connect: connection refused$/,
    );
  });
});

describe("exec", () => {
  async function ask(command: readonly string[]) {
    const exec = () => ({ exitCode: command[0] === "ok" ? 0 : 7, stdout: `${command.join(" ")}\n` });
    const runtime = new FakeRuntime({ clock: new FakeClock(), images: ["app"], exec });
    const of = { attempt: 0, hostNetwork: false, ports: [], shareProcessNamespace: false };
    const sandbox = await runtime.createSandbox({ uid: "u", name: "p", namespace: "n", hostname: "p", ...of }, signal);
    await runtime.startSandbox(sandbox.id, signal);
    const pod = { podUid: "u", podName: "p", podNamespace: "n", sandboxId: sandbox.id, name: "c", attempt: 0 };
    const rest = { image: "app", env: [], mounts: [], resources: {}, security: {}, tty: false, stdin: false };
    const { id } = await runtime.createContainer({ ...pod, ...rest, specHash: "" }, signal);
    await runtime.startContainer(id, signal);
    return execProbe(runtime, { id, command }, signal);
  }

  test("exit code 0 is healthy", async () => expect((await ask(["ok"])).ok).toBe(true));

  test("any other is not, and the output says why", async () =>
    expect(await ask(["db", "is", "locked"])).toEqual({ ok: false, message: "db is locked" }));
});
