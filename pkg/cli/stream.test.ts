/** `exec` and `logs` against the agent's own side of the channel protocol, with scripted processes in place of containers. */
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import { WebSocketServer } from "ws";
import { runSession } from "../agent/streams/session.ts";
import { channelRemote } from "../agent/streams/websocket.ts";
import { singleKubeconfig, writeKubeconfig } from "../client/kubeconfig.ts";
import { catSession, finishedSession } from "../runtime/fake-exec.ts";
import type { ExecSession } from "../runtime/runtime.ts";
import { systemClock } from "../util/clock.ts";
import { settle } from "../util/fake-clock.ts";
import { runCli } from "./program.ts";

const PODS = {
  items: [
    {
      metadata: { name: "" },
      versions: [
        {
          version: "v1",
          resources: [
            {
              resource: "pods",
              responseKind: { kind: "Pod" },
              scope: "Namespaced",
              verbs: ["get"],
              shortNames: ["po"],
            },
          ],
        },
      ],
    },
  ],
};

interface FakePod {
  readonly annotations?: Record<string, string>;
  readonly init?: readonly string[];
  readonly containers: readonly string[];
  readonly phase?: string;
}

/** As much of an API server as `exec` and `logs` see. */
class FakeApi {
  readonly pods = new Map<string, FakePod>();
  /** The queries of the streams asked for. */
  readonly asked: URLSearchParams[] = [];
  open: (command: readonly string[]) => ExecSession = () => finishedSession({ exitCode: 0 });
  log: (res: ServerResponse, q: URLSearchParams, pod: string) => void = (res) => res.end();
  protocols: readonly string[] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
  chosen = "";
  /** Ends its streams without saying how. */
  silent = false;
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => [...offered].find((p) => this.protocols.includes(p)) ?? false,
  });

  constructor() {
    this.#server = createServer((req, res) => this.#get(req, res));
    this.#server.on("upgrade", (req, socket, head) => {
      const q = this.#ask(req);
      this.#sockets.handleUpgrade(req, socket, head, (ws) => {
        this.chosen = ws.protocol;
        if (this.silent) return ws.close(1000);
        const remote = channelRemote(ws, { stdin: q.get("stdin") === "true", protocol: ws.protocol });
        void runSession(() => Promise.resolve(this.open(q.getAll("command"))), remote);
      });
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const ws of this.#sockets.clients) ws.terminate();
    const closed = new Promise((done) => this.#server.close(done));
    this.#server.closeAllConnections();
    await closed;
  }

  #ask(req: IncomingMessage): URLSearchParams {
    const q = new URL(req.url ?? "", "http://x").searchParams;
    this.asked.push(q);
    return q;
  }

  #get(req: IncomingMessage, res: ServerResponse): void {
    const { pathname } = new URL(req.url ?? "", "http://x");
    const [name = "", sub] = pathname.split("/pods/")[1]?.split("/") ?? [];
    if (sub === "log") return this.log(res, this.#ask(req), name);
    const found = this.pods.get(name);
    if (pathname === "/api") return json(res, 200, PODS);
    if (pathname === "/apis") return json(res, 200, { items: [] });
    if (pathname.endsWith("/pods")) return json(res, 200, { metadata: {}, items: [...this.pods].map(objectOf) });
    if (found) return json(res, 200, objectOf([name, found]));
    json(res, 404, {
      kind: "Status",
      status: "Failure",
      reason: "NotFound",
      message: `pods "${name}" not found`,
      code: 404,
    });
  }
}

const json = (res: ServerResponse, code: number, body: object) =>
  void res.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(body));

function objectOf([name, p]: [string, FakePod]): object {
  const named = (names: readonly string[] = []) => names.map((n) => ({ name: n }));
  return {
    metadata: { name, namespace: "default", annotations: p.annotations ?? {} },
    spec: { containers: named(p.containers), initContainers: named(p.init) },
    status: { phase: p.phase ?? "Running" },
  };
}

let api: FakeApi;
let home: string;

beforeEach(async () => {
  api = new FakeApi();
  home = mkdtempSync(join(tmpdir(), "mini-kube-cli-"));
  writeKubeconfig(join(home, "kubeconfig"), singleKubeconfig("test", { server: await api.listen() }));
  api.pods.set("web", { containers: ["main"] });
});
afterEach(async () => {
  await api.close();
  rmSync(home, { recursive: true, force: true });
});

interface Options {
  readonly stdin?: Readable & { isTTY?: boolean; setRawMode?: (on: boolean) => unknown };
  readonly stdout?: Writable & { columns?: number; rows?: number };
  readonly signal?: AbortSignal;
  readonly onOutput?: (out: string) => unknown;
}

async function cli(words: string, o: Options = {}): Promise<{ code: number; out: string; err: string }> {
  const chunks: Record<"out" | "err", Buffer[]> = { out: [], err: [] };
  const text = (key: "out" | "err") => Buffer.concat(chunks[key]).toString();
  const sink = (key: "out" | "err") =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        chunks[key].push(chunk);
        if (key === "out") o.onOutput?.(text("out"));
        done();
      },
    });
  const io = {
    stdin: o.stdin ?? new PassThrough(),
    stdout: o.stdout ?? sink("out"),
    stderr: sink("err"),
    env: { MINI_KUBE_HOME: home },
    userHome: home,
    clock: systemClock,
    signal: o.signal ?? new AbortController().signal,
  };
  const code = await runCli(words.split(" "), { io });
  return { code, out: text("out"), err: text("err") };
}

describe("exec", () => {
  test("both outputs, each in its place, and the exit code, told as kubectl tells it", async () => {
    api.open = () => ({
      ...finishedSession({ exitCode: 42 }),
      output: (async function* () {
        yield { stream: "stdout" as const, data: Buffer.from("out\n") };
        yield { stream: "stderr" as const, data: Buffer.from("err\n") };
      })(),
    });
    expect(await cli("exec web -- sh -c x")).toEqual({
      code: 42,
      out: "out\n",
      err: "err\ncommand terminated with exit code 42\n",
    });
    expect(await cli("exec -q pod/web -- x")).toMatchObject({ code: 42, err: "err\n" });
  });

  test("the command goes over word by word, flags of its own included", async () => {
    await cli("exec -n other web -c main -- ls -l --help -n x");
    expect(api.asked[0]?.getAll("command")).toEqual(["ls", "-l", "--help", "-n", "x"]);
    expect(Object.fromEntries(api.asked[0] ?? [])).toMatchObject({ container: "main", stdout: "true", stderr: "true" });
    expect(api.asked[0]?.has("stdin")).toBe(false);
  });

  test("five megabytes in and out, ended by the half close of v5", async () => {
    api.open = catSession;
    const big = Buffer.alloc(5_000_000, "0123456789abcdef");
    const parts = Array.from({ length: 100 }, (_, i) => big.subarray(i * 50_000, (i + 1) * 50_000));
    const { code, out } = await cli("exec -i web -- cat", { stdin: Readable.from(parts) });
    expect(code).toBe(0);
    expect(out === big.toString()).toBe(true);
    expect(api.chosen).toBe("v5.channel.k8s.io");
  });

  test("falls back to v4", async () => {
    api.protocols = ["v4.channel.k8s.io"];
    api.open = (command) => finishedSession({ exitCode: 7, stdout: command.join(" ") });
    expect(await cli("exec web -- echo hi")).toMatchObject({ code: 7, out: "echo hi" });
    expect(api.chosen).toBe("v4.channel.k8s.io");
  });

  test("a terminal: raw while it lasts, its size at once and at each change", async () => {
    const raw: boolean[] = [];
    const sizes: unknown[] = [];
    const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (on: boolean) => raw.push(on) });
    const stdout = Object.assign(new PassThrough().resume(), { columns: 99, rows: 31 });
    api.open = () => {
      const cat = catSession();
      const resize = (size: unknown) => {
        if (sizes.push(size) === 1) stdout.emit("resize", (stdout.columns = 50));
        else cat.close();
        return Promise.resolve();
      };
      return { ...cat, resize };
    };
    expect((await cli("exec -it web -- sh", { stdin, stdout })).code).toBe(137);
    expect(sizes).toEqual([
      { width: 99, height: 31 },
      { width: 50, height: 31 },
    ]);
    expect(raw).toEqual([true, false]);
    expect(api.asked[0]?.get("tty")).toBe("true");
    expect(stdout.listenerCount("resize") + stdin.listenerCount("data")).toBe(0);
  });

  test("a pipe is no terminal: said, and run without one", async () => {
    const { err } = await cli("exec -it web -- sh", { stdin: Readable.from([]) });
    expect(err).toContain("Unable to use a TTY - input is not a terminal or the right kind of file");
    expect(api.asked[0]?.has("tty")).toBe(false);
  });

  test("-t without -i gives no terminal: nothing could send it Ctrl-C", async () => {
    const raw: boolean[] = [];
    const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (on: boolean) => raw.push(on) });
    await cli("exec -t web -- top", { stdin });
    expect(raw).toEqual([]);
    expect(api.asked[0]?.has("tty")).toBe(false);
  });

  test("output waits for a slow reader", async () => {
    let made = 0;
    const gone = new AbortController();
    api.open = () => ({
      ...finishedSession({ exitCode: 0 }),
      close: () => gone.abort(),
      output: (async function* () {
        for (; !gone.signal.aborted && made < 400_000; made++)
          yield { stream: "stdout" as const, data: new Uint8Array(100) };
      })(),
    });
    const ctrlC = new AbortController();
    let read = 0;
    let ahead = 0;
    const stdout = new Writable({
      highWaterMark: 1000,
      write(chunk: Buffer, _encoding, done) {
        read += chunk.byteLength;
        if (read >= 500_000 && !ctrlC.signal.aborted) {
          ahead = made * 100 - read;
          ctrlC.abort();
        }
        setImmediate(done);
      },
    });
    await cli("exec web -- yes", { stdout, signal: ctrlC.signal });
    expect(read).toBeGreaterThanOrEqual(500_000);
    // What the sockets themselves hold, whatever we do, is some megabytes.
    expect(ahead).toBeLessThan(10_000_000);
  });

  test("a command that ends early leaves the rest of the input unread", async () => {
    api.open = () => finishedSession({ exitCode: 0 });
    let taken = 0;
    const stdin = new Readable({
      read() {
        taken += 1;
        this.push(Buffer.alloc(65_536));
      },
    });
    expect((await cli("exec -i web -- true", { stdin })).code).toBe(0);
    await settle();
    const after = taken;
    await settle();
    expect(taken).toBe(after);
    expect(stdin.isPaused()).toBe(true);
  });

  test("an end without a result is a failure: nobody knows how the command ended", async () => {
    api.silent = true;
    const { code, err } = await cli("exec web -- cat");
    expect(code).toBe(1);
    expect(err).toContain("the connection broke off before the command ended");
  });

  test("a broken connection is a failure, not an end", async () => {
    api.open = () => {
      void api.close();
      return catSession();
    };
    const { code, err } = await cli("exec web -- cat");
    expect(code).toBe(1);
    expect(err).toContain("the connection broke off before the command ended");
  });

  test("refused before it starts: no command, no such Pod or container, a Pod that has ended", async () => {
    api.pods.set("job", { containers: ["main"], phase: "Succeeded" });
    expect((await cli("exec web")).err).toContain("you must specify at least one command");
    expect((await cli("exec none -- true")).err).toBe('Error from server (NotFound): pods "none" not found\n');
    expect((await cli("exec web -c x -- true")).err).toContain("container x is not valid for pod web");
    expect((await cli("exec job -- true")).err).toContain("completed pod; current phase is Succeeded");
    expect(api.asked).toEqual([]);
  });

  test("the note says which are init containers; -q keeps it back", async () => {
    api.pods.set("two", { containers: ["a", "b"], init: ["first"] });
    expect((await cli("exec two -- true")).err).toBe('Defaulted container "a" out of: a, b, first (init)\n');
    expect((await cli("exec -q two -- true")).err).toBe("");
  });

  test("several containers: the annotated one in silence, else the first with a note", async () => {
    api.pods.set("two", { containers: ["a", "b"] });
    expect((await cli("exec two -- true")).err).toBe('Defaulted container "a" out of: a, b\n');
    api.pods.set("two", { containers: ["a", "b"], annotations: { "kubectl.kubernetes.io/default-container": "b" } });
    expect((await cli("exec two -- true")).err).toBe("");
    expect(api.asked.map((q) => q.get("container"))).toEqual(["a", "b"]);
  });
});

describe("logs", () => {
  test("each flag under its name on the wire", async () => {
    await cli("logs web main --tail=5 --since=90s --previous --timestamps --limit-bytes=9");
    await cli("logs pod/web --since-time=2026-01-01T00:00:00Z -f");
    expect(api.asked.map((q) => Object.fromEntries(q))).toEqual([
      { container: "main", tailLines: "5", sinceSeconds: "90", previous: "true", timestamps: "true", limitBytes: "9" },
      { container: "main", sinceTime: "2026-01-01T00:00:00Z", follow: "true" },
    ]);
  });

  test("follows many at once; lines do not mix; Ctrl-C ends it", async () => {
    api.pods.set("db", { containers: ["main", "side"] });
    api.log = (res, q, pod) => {
      res.write(`${pod}/${q.get("container")} begins `);
      setImmediate(() => res.write("and goes on\n"));
    };
    const ctrlC = new AbortController();
    const onOutput = (out: string) => out.split("\n").length > 3 && ctrlC.abort();
    const { out } = await cli("logs -l app -f --all-containers --prefix", { signal: ctrlC.signal, onOutput });
    expect(out.trimEnd().split("\n").toSorted()).toEqual([
      "[pod/db/main] db/main begins and goes on",
      "[pod/db/side] db/side begins and goes on",
      "[pod/web/main] web/main begins and goes on",
    ]);
    expect(api.asked[0]?.get("tailLines")).toBe("10");
  });

  test("refuses more followers than allowed, and flags that contradict each other", async () => {
    api.pods.set("db", { containers: ["main"] });
    const { code, err } = await cli("logs -l app -f --max-log-requests=1");
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining("maximum allowed concurrency is 1") });
    expect((await cli("logs")).err).toContain("expected 'logs POD");
    expect((await cli("logs web -l app")).err).toContain("only a selector (-l) or a POD name");
    expect((await cli("logs web --since=1s --since-time=2026-01-01T00:00:00Z")).err).toContain("at most one of");
    expect((await cli("logs web --tail=x")).err).toContain('"x" is no number');
    expect(api.asked).toEqual([]);
  });

  test("what the server refuses of one container does not hide the others", async () => {
    api.pods.set("web", { containers: ["bad", "good"] });
    api.log = (res, q) => {
      if (q.get("container") === "good") return void res.end("hello\n");
      json(res, 400, {
        kind: "Status",
        status: "Failure",
        reason: "BadRequest",
        message: "waiting to start",
        code: 400,
      });
    };
    expect(await cli("logs web --all-containers")).toEqual({
      code: 1,
      out: "hello\n",
      err: "Error from server (BadRequest): waiting to start\n",
    });
  });

  test("a character in two chunks stays one", async () => {
    const text = Buffer.from("first\ncaf\u00e9\n");
    let rest = () => {};
    api.log = (res) => {
      rest = () => res.end(text.subarray(-2));
      res.write(text.subarray(0, -2));
    };
    const { out } = await cli("logs web --prefix", { onOutput: (seen) => seen.includes("first") && rest() });
    expect(out).toBe("[pod/web/main] first\n[pod/web/main] caf\u00e9\n");
  });

  test("a log that breaks off is a failure", async () => {
    api.log = (res) => res.write("half", () => res.destroy());
    const { code, out, err } = await cli("logs web");
    expect({ code, out }).toEqual({ code: 1, out: "half" });
    expect(err).toContain("the log broke off");
  });
});
