import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import transport, { type Connection, type Stream } from "spdy-transport";
import { ApiError } from "../../api/status.ts";
import type { ExecSession, LogChunk } from "../../runtime/runtime.ts";
import { FakeClock } from "../../util/fake-clock.ts";
import { spdyOffer, SpdyServer } from "./spdy.ts";

/** A process whose every move the test decides. */
class Process implements ExecSession {
  readonly got: Uint8Array[] = [];
  readonly sizes: { width: number; height: number }[] = [];
  readonly output: AsyncIterable<LogChunk>;
  readonly exitCode: Promise<number>;
  readonly stdinEnded: Promise<void>;
  readonly closed: Promise<void>;
  #eof: () => void = () => {};
  #close: () => void = () => {};
  /** Held while set: stdin is not taken. */
  busy: Promise<void> | undefined;

  constructor(output: (p: Process) => AsyncIterable<LogChunk>, exitCode = 0) {
    this.stdinEnded = new Promise((resolve) => (this.#eof = resolve));
    this.closed = new Promise((resolve) => (this.#close = resolve));
    this.output = output(this);
    this.exitCode = Promise.resolve(exitCode);
  }
  async write(data: Uint8Array): Promise<void> {
    await this.busy;
    this.got.push(data);
  }
  end(): void {
    this.#eof();
  }
  resize(size: { width: number; height: number }): Promise<void> {
    this.sizes.push(size);
    return Promise.resolve();
  }
  close(): void {
    this.#close();
  }
}

const chunk = (text: string, stream: LogChunk["stream"] = "stdout"): LogChunk => ({
  stream,
  data: new TextEncoder().encode(text),
});
const printing = (...chunks: LogChunk[]) =>
  async function* () {
    yield* chunks;
  };
/** Lives until it is closed. */
const sleeping = async function* (p: Process): AsyncGenerator<LogChunk> {
  await p.closed;
  yield chunk("killed");
};
/** Gives back all of its stdin. */
const cat = async function* (p: Process): AsyncGenerator<LogChunk> {
  await p.stdinEnded;
  for (const data of p.got) yield { stream: "stdout", data };
};

async function until(what: () => boolean): Promise<void> {
  for (let n = 0; !what(); n++) {
    if (n > 100_000) throw new Error(`never came true: ${String(what)}`);
    await turn();
  }
}

describe("exec over SPDY", () => {
  let clock: FakeClock;
  let spdy: SpdyServer;
  let http: Server;
  let process: Process;
  let start: () => Promise<ExecSession>;
  let ended: (string | undefined)[];
  let serverSide: Duplex & { bytesRead?: number };

  beforeEach(async () => {
    clock = new FakeClock();
    spdy = new SpdyServer(clock);
    const mine: (string | undefined)[] = [];
    ended = mine;
    process = new Process(printing());
    start = () => Promise.resolve(process);
    http = createServer();
    http.on("upgrade", (req, socket: Duplex, head) => {
      serverSide = socket;
      try {
        const offer = spdyOffer(req);
        if (!offer) throw new ApiError("BadRequest", "not SPDY");
        spdy
          .serve(offer, () => start(), { socket, head })
          .then(
            () => mine.push(undefined),
            (error: Error) => mine.push(error.message),
          );
      } catch (error) {
        socket.end(`HTTP/1.1 400 Bad Request\r\nX-Error: ${(error as Error).message}\r\nConnection: close\r\n\r\n`);
      }
    });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  });

  afterEach(async () => {
    spdy[Symbol.dispose]();
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
    if (clock.pending > 0) throw new Error(`${clock.pending} timers leaked`);
  });

  function upgrade(query: string, protocols: string[]): Promise<{ socket: Duplex } | { answer: IncomingMessage }> {
    return new Promise((resolve, reject) => {
      const headers = { Connection: "Upgrade", Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": protocols };
      const { port } = http.address() as AddressInfo;
      const req = request({ port, host: "127.0.0.1", method: "POST", path: `/exec?${query}`, headers, agent: false });
      req.on("upgrade", (answer, socket) => {
        expect(answer.headers["x-stream-protocol-version"]).toBe("v4.channel.k8s.io");
        resolve({ socket });
      });
      req.on("response", (answer) => resolve({ answer }));
      req.on("error", reject).end();
    });
  }

  async function dial(query: string): Promise<{ socket: Duplex; connection: Connection }> {
    const answer = await upgrade(query, ["v4.channel.k8s.io", "v3.channel.k8s.io", "channel.k8s.io"]);
    if (!("socket" in answer)) throw new Error(String(answer.answer.headers["x-error"]));
    const { socket } = answer;
    const connection = transport.connection.create(socket, { protocol: "spdy", isServer: false });
    connection.on("error", () => {});
    connection.start(3.1);
    return { socket, connection };
  }

  /** Resolves with the reply. */
  function open(connection: Connection, streamType: string): Promise<Stream> {
    return new Promise((resolve, reject) => {
      const stream = connection.request({ method: "POST", path: "/", headers: { streamType } }, (error) => {
        if (error) reject(error);
      });
      stream.on("error", () => {});
      stream.once("response", () => resolve(stream));
      stream.once("close", () => reject(new Error(`stream ${streamType} was refused`)));
    });
  }

  async function text(stream: Stream): Promise<string> {
    const parts: Buffer[] = [];
    stream.on("data", (d: Buffer) => parts.push(d));
    await new Promise((resolve) => stream.once("end", resolve));
    return Buffer.concat(parts).toString();
  }

  /** A whole exec as kubectl does it. */
  async function exec(o: { stdin?: string | Buffer; query?: string } = {}) {
    const query = o.query ?? `stdout=true&stderr=true${o.stdin === undefined ? "" : "&stdin=true"}`;
    const { socket, connection } = await dial(query);
    const names = ["error", ...["stdin", "stdout", "stderr"].filter((s) => query.includes(`${s}=true`))];
    const streams = new Map<string, Stream>();
    for (const name of names) streams.set(name, await open(connection, name));
    streams.get("stdin")?.end(o.stdin);
    const read = async (name: string) => {
      const stream = streams.get(name);
      return stream && text(stream);
    };
    const [error, stdout, stderr] = await Promise.all([read("error"), read("stdout"), read("stderr")]);
    socket.destroy();
    return { status: JSON.parse(error ?? "") as unknown, stdout, stderr };
  }

  test("output by stream, then Success; the exit code in a Status", async () => {
    process = new Process(printing(chunk("out"), chunk("err", "stderr"), chunk("put")));
    expect(await exec()).toEqual({ stdout: "output", stderr: "err", status: { metadata: {}, status: "Success" } });
    process = new Process(printing(chunk("x")), 42);
    expect(await exec()).toMatchObject({
      stdout: "x",
      status: { reason: "NonZeroExitCode", details: { causes: [{ reason: "ExitCode", message: "42" }] } },
    });
  });

  test("what was not asked for is dropped", async () => {
    process = new Process(printing(chunk("out"), chunk("err", "stderr")));
    const { stdout, stderr } = await exec({ query: "stdout=true" });
    expect([stdout, stderr]).toEqual(["out", undefined]);
  });

  test("3 MB there and back in order, ended by the FIN of stdin", async () => {
    process = new Process(cat);
    const big = Buffer.from(Array.from({ length: 3 << 18 }, (_, n) => n.toString(36).padStart(4, "_")).join(""));
    const { stdout, status } = await exec({ stdin: big });
    expect(stdout === big.toString()).toBe(true);
    expect(status).toEqual({ metadata: {}, status: "Success" });
  });

  test("a start that fails is told on the error stream", async () => {
    process = new Process(printing());
    start = () => Promise.reject(new Error("no such program"));
    expect((await exec()).status).toMatchObject({ status: "Failure", message: "no such program" });
  });

  test("resizes, also cut in pieces; what is no size is ignored", async () => {
    process = new Process(sleeping);
    const { connection } = await dial("stdin=true&stdout=true&stderr=true&tty=true"); // no stderr on a terminal
    for (const name of ["error", "stdin", "stdout"]) await open(connection, name);
    const resize = await open(connection, "resize");
    resize.write('{"Width":80,"Height":24}\n{"Wid');
    await until(() => process.sizes.length === 1);
    resize.write('th":100,"Height":40}{"Width":-1,"Height":2}nonsense}{"Width":1,"Height":2}');
    await until(() => process.sizes.length === 3);
    expect(process.sizes).toEqual([
      { width: 80, height: 24 },
      { width: 100, height: 40 },
      { width: 1, height: 2 },
    ]);
  });

  test("refuses before the upgrade what it cannot do", async () => {
    const refused = async (query: string, protocols: string[]) => {
      const answer = await upgrade(query, protocols);
      return "answer" in answer ? answer.answer.headers["x-error"] : "upgraded";
    };
    expect(await refused("stdout=true", ["v9.channel.k8s.io"])).toMatch(/v9.channel.k8s.io.*but v4.channel.k8s.io/);
    expect(await refused("tty=true", ["v4.channel.k8s.io"])).toBe(
      "you must specify at least 1 of stdin, stdout, stderr",
    );
  });

  test("resets a stream it does not expect, and one too many of a kind", async () => {
    process = new Process(sleeping);
    const { connection } = await dial("stdout=true");
    await open(connection, "error");
    for (const name of ["stdin", "nonsense", "error"]) {
      const refused = connection.request({ method: "POST", path: "/", headers: { streamType: name } }, () => {});
      const why = await new Promise<Error>((resolve) => refused.once("error", resolve));
      expect(why.message).toBe("Got RST: PROTOCOL_ERROR");
    }
    await open(connection, "stdout");
  });

  test("a client that does not open its streams is given up after 30 s", async () => {
    const { socket, connection } = await dial("stdout=true&stdin=true");
    await open(connection, "error");
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.resume();
    await clock.advance(29_000);
    expect(ended).toEqual([]);
    await clock.advance(1_000);
    await closed;
    await until(() => ended.length > 0);
    expect(ended).toEqual(["the client did not open its streams: stdin, stdout"]);
  });

  test("answers pings", async () => {
    const { connection } = await dial("stdout=true");
    await new Promise<void>((resolve) => connection.ping(() => resolve()));
    expect(ended).toEqual([]);
  });

  /** A session with an open stdin. */
  async function interactive() {
    const { socket, connection } = await dial("stdin=true&stdout=true");
    for (const name of ["error", "stdout"]) await open(connection, name);
    return { socket, stdin: await open(connection, "stdin") };
  }

  test("S3: a client that goes ends the process, also before its streams are open", async () => {
    process = new Process(sleeping);
    const { socket } = await interactive();
    socket.destroy();
    await process.closed;
    await until(() => ended.length === 1);
    const early = await dial("stdout=true");
    early.socket.destroy();
    await until(() => ended.length === 2);
    expect(ended).toEqual([undefined, "the client did not open its streams: error, stdout"]);
  });

  test("S2: stdin waits for the process, outside of our memory", async () => {
    process = new Process(sleeping);
    let release: () => void = () => {};
    process.busy = new Promise((resolve) => (release = resolve));
    const { stdin, socket } = await interactive();
    const all = 16 << 20;
    stdin.end(Buffer.alloc(all, "x"));
    await until(() => clock.pending === 1); // the probe of a held connection
    for (let n = 0; n < 200; n++) await turn();
    expect(serverSide.bytesRead).toBeLessThan(2 << 20);
    release();
    await process.stdinEnded;
    expect(process.got.reduce((sum, d) => sum + d.byteLength, 0)).toBe(all);
    socket.destroy();
  });

  test("S3: a client that goes while it is held back is noticed", async () => {
    process = new Process(sleeping);
    process.busy = new Promise(() => {});
    const { stdin, socket } = await interactive();
    stdin.end(Buffer.alloc(16 << 20, "x"));
    await until(() => clock.pending === 1);
    socket.destroy();
    for (let n = 0; n < 100 && ended.length === 0; n++) {
      await clock.advance(5_000);
      await turn();
    }
    await process.closed;
    expect(clock.pending).toBe(0);
  });

  test("S2: output waits for a client that does not read, and ends with it", async () => {
    let produced = 0;
    process = new Process(async function* (p) {
      let open = true;
      void p.closed.then(() => (open = false));
      while (open) {
        produced += 1 << 16;
        yield { stream: "stdout", data: Buffer.alloc(1 << 16) };
      }
    });
    const { socket } = await interactive();
    socket.unpipe().pause();
    let before = -1;
    while (before !== produced) {
      before = produced;
      for (let n = 0; n < 200; n++) await turn();
    }
    expect(serverSide.writableLength).toBeLessThan(1 << 20);
    socket.destroy();
    await until(() => ended.length === 1);
    expect(ended).toEqual([undefined]);
  });

  test.each([
    ["headers that do not inflate", Buffer.concat([frame(1, 10 + 8), Buffer.alloc(10, 1), Buffer.from("nonsense")])],
    ["headers cut short", frame(1, 2, Buffer.alloc(2))],
    ["headers of a megabyte", frame(1, 1 << 20, Buffer.alloc(1 << 20))],
    ["data on stream 0", Buffer.from([0, 0, 0, 0, 0, 0, 0, 1, 120])],
  ])("S3: %s ends the connection", async (_, bytes) => {
    const { socket } = await dial("stdout=true");
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.write(bytes);
    await closed;
    await until(() => ended.length === 1);
    expect(ended).toEqual(["the client did not open its streams: error, stdout"]);
  });

  test("many sessions at once", async () => {
    start = () => Promise.resolve(new Process(cat));
    const texts = Array.from({ length: 40 }, (_, n) => `session ${n}`);
    const sessions = await Promise.all(texts.map((stdin) => exec({ stdin })));
    expect(sessions.map((s) => s.stdout)).toEqual(texts);
  });

  test("ends all sessions with the server", async () => {
    process = new Process(sleeping);
    await interactive();
    spdy[Symbol.dispose]();
    await process.closed;
    await until(() => ended.length === 1);
    expect(clock.pending).toBe(0);
  });

  test("a client that does not close is closed 5 s after the end", async () => {
    process = new Process(printing(chunk("hi")));
    const { socket } = await interactive();
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await until(() => ended.length === 1);
    await clock.advance(4_999);
    expect(socket.destroyed).toBe(false);
    await clock.advance(1);
    await closed;
  });
});

/** A control frame of version 3. */
function frame(type: number, length: number, body = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16BE(0x8003);
  head.writeUInt16BE(type, 2);
  head.writeUIntBE(length, 5, 3);
  return Buffer.concat([head, body]);
}
