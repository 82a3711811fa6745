import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Duplex, PassThrough } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import transport, { type Connection, type Stream } from "spdy-transport";
import { WebSocket } from "ws";
import { ApiError } from "../../api/status.ts";
import { FakeClock } from "../../util/fake-clock.ts";
import type { Connect } from "./forward.ts";
import { Upgrades } from "./upgrades.ts";

/** What the test's Pod listens with, by port. */
class Pod {
  /** Connections made, by port. */
  readonly made: { port: number; socket: Duplex; closed: boolean }[] = [];
  listens: (port: number) => Duplex = () => new PassThrough();

  readonly connect: Connect = async (port, signal) => {
    const socket = this.listens(port);
    const entry = { port, socket, closed: false };
    this.made.push(entry);
    socket.once("close", () => (entry.closed = true));
    signal.addEventListener("abort", () => socket.destroy());
    return socket;
  };
}

async function until(what: () => boolean): Promise<void> {
  for (let n = 0; !what(); n++) {
    if (n > 100_000) throw new Error(`never came true: ${String(what)}`);
    await turn();
  }
}

let clock: FakeClock;
let upgrades: Upgrades;
let http: Server;
let pod: Pod;
let broken: unknown[];

beforeEach(async () => {
  clock = new FakeClock();
  pod = new Pod();
  const mine: unknown[] = [];
  broken = mine;
  upgrades = new Upgrades(clock, (error) => mine.push(error));
  http = createServer();
  http.on("upgrade", (req, socket: Duplex, head) => {
    socket.on("error", () => socket.destroy());
    const refuse = (error: unknown) =>
      socket.end(
        `HTTP/1.1 ${(error as ApiError).code} X\r\nX-Error: ${(error as Error).message}\r\nConnection: close\r\n\r\n`,
      );
    try {
      if (req.url === "/dial") {
        upgrades.dial({ req, socket, head }, (signal) => pod.connect(80, signal)).catch(refuse);
      } else upgrades.forward({ req, socket, head }, { connect: pod.connect, pod: "web" });
    } catch (error) {
      refuse(error);
    }
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
});

afterEach(async () => {
  upgrades[Symbol.dispose]();
  http.closeAllConnections();
  await new Promise((resolve) => http.close(resolve));
  if (broken.length > 0) throw new Error(`sessions broke: ${broken.map(String).join(", ")}`);
  if (clock.pending > 0) throw new Error(`${clock.pending} timers leaked`);
});

const port = () => (http.address() as AddressInfo).port;

/** The upgraded connection, or the error that was answered in its place. */
function upgrade(
  headers: Record<string, string>,
  path = "/portForward/default/web",
): Promise<{ socket: Duplex; protocol: string }> {
  return new Promise((resolve, reject) => {
    const o = {
      host: "127.0.0.1",
      port: port(),
      method: headers["Upgrade"] === "SPDY/3.1" ? "POST" : "GET",
      path,
      agent: false,
    } as const;
    const req = request({ ...o, headers: { Connection: "Upgrade", ...headers } });
    req.on("upgrade", (answer, socket) => {
      socket.on("error", () => {}); // "close" follows: the server may cut it off with something unread
      resolve({ socket, protocol: String(answer.headers["x-stream-protocol-version"] ?? "") });
    });
    req.on("response", (res) => reject(new Error(`${res.statusCode}: ${String(res.headers["x-error"])}`)));
    req.on("error", reject).end();
  });
}

const SPDY = { Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": "portforward.k8s.io" };

function spdyClient(socket: Duplex): Connection {
  const connection = transport.connection.create(socket, { protocol: "spdy", isServer: false });
  connection.on("error", () => {});
  connection.start(3.1);
  return connection;
}

/** As kubectl up to 1.30. */
async function overSpdy(): Promise<Connection> {
  const { socket, protocol } = await upgrade(SPDY);
  expect(protocol).toBe("portforward.k8s.io");
  return spdyClient(socket);
}

/** As kubectl from 1.31. `ws` has no client for it: the protocol's name is no token of HTTP. */
async function overTunnel(): Promise<Connection> {
  const { socket } = await upgrade({
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "SPDY/3.1+portforward.k8s.io",
  });
  return spdyClient(inMessages(socket));
}

/** The client's side of a WebSocket whose messages are all binary: masked, by a mask of zeros. */
function inMessages(socket: Duplex): Duplex {
  const duplex = new Duplex({
    read() {},
    write(data: Buffer, _, done) {
      const length = data.length < 126 ? [0x80 | data.length] : [0xfe, data.length >> 8, data.length & 255];
      if (data.length > 0xffff) return done(new Error("too long for a test"));
      socket.write(Buffer.concat([Buffer.from([0x82, ...length, 0, 0, 0, 0]), data]), done);
    },
  });
  let rest = Buffer.alloc(0);
  socket.on("data", (data: Buffer) => {
    rest = Buffer.concat([rest, data]);
    for (;;) {
      const short = (rest[1] ?? 0) < 126;
      const long = rest[1] === 127;
      const at = short ? 2 : long ? 10 : 4;
      if (rest.length < at) return;
      const length = short ? (rest[1] ?? 0) : long ? Number(rest.readBigUInt64BE(2)) : rest.readUInt16BE(2);
      if (rest.length < at + length) return;
      if (rest[0] === 0x82) duplex.push(Buffer.from(rest.subarray(at, at + length)));
      rest = rest.subarray(at + length);
    }
  });
  socket.once("close", () => duplex.destroy());
  duplex.once("close", () => socket.destroy());
  duplex.on("error", () => {});
  return duplex;
}

/** All until the end of its data; whether it was ended from here, too, does not matter (to node:stream/consumers it does). */
function bytesFrom(stream: NodeJS.ReadableStream): Promise<Buffer> {
  const parts: Buffer[] = [];
  return new Promise((resolve, reject) => {
    stream.on("data", (part: Buffer) => void parts.push(part));
    stream.on("end", () => resolve(Buffer.concat(parts))).on("error", reject);
  });
}
const text = async (stream: NodeJS.ReadableStream) => (await bytesFrom(stream)).toString();

let requests = 0;

/** One connection, as kubectl makes it: the error stream first, and nothing is written on that. */
function connect(connection: Connection, to: number): { data: Stream; error: Promise<string> } {
  const requestID = String(requests++);
  const open = (streamType: string) => {
    const headers = { streamType, port: String(to), requestID };
    return connection.request({ method: "POST", path: "/", headers }, () => {});
  };
  const error = text(open("error").end());
  return { error, data: open("data") };
}

describe.each([
  ["over SPDY", overSpdy],
  ["over SPDY in WebSocket messages", overTunnel],
])("port forwarding %s", (_, dial) => {
  let client: Connection;

  beforeEach(async () => {
    client = await dial();
  });

  test("bytes go to the port and come back; the end of each side reaches the other", async () => {
    const { data, error } = connect(client, 8080);
    data.end("hello");
    expect(await text(data)).toBe("hello");
    expect(await error).toBe("");
    expect(pod.made.map((m) => m.port)).toEqual([8080]);
    await until(() => pod.made[0]?.closed === true);
  });

  test("F1 the Pod may answer long after the client has said all", async () => {
    const [inbound, outbound] = [new PassThrough(), new PassThrough()];
    pod.listens = () => Duplex.from({ readable: outbound, writable: inbound });
    const { data } = connect(client, 80);
    data.end("question");
    expect(await text(inbound)).toBe("question");
    outbound.end("answer");
    expect(await text(data)).toBe("answer");
  });

  test("F1 the Pod may finish first: the connection is over, and the next one works", async () => {
    pod.listens = () => Duplex.from({ readable: new PassThrough().end("bye"), writable: new PassThrough() });
    const first = connect(client, 80);
    expect(await text(first.data)).toBe("bye");
    expect(await first.error).toBe("");
    first.data.end();
    expect(await text(connect(client, 80).data)).toBe("bye");
  });

  test("a port where nobody listens: said on the error stream, and only this connection ends", async () => {
    const echo = pod.listens;
    pod.listens = () => {
      throw new Error("dial tcp4 127.0.0.1:81: connect: connection refused");
    };
    const refused = connect(client, 81);
    expect(await refused.error).toBe(
      "error forwarding port 81 to pod web: dial tcp4 127.0.0.1:81: connect: connection refused",
    );
    expect(await text(refused.data)).toBe("");
    refused.data.end("too late");
    pod.listens = echo;
    const { data } = connect(client, 80);
    data.end("still here");
    expect(await text(data)).toBe("still here");
  });

  test("a connection that breaks in the middle is told", async () => {
    const broken = new PassThrough();
    pod.listens = () => broken;
    const { data, error } = connect(client, 80);
    data.write("x");
    await until(() => pod.made.length === 1);
    broken.destroy(new Error("read ECONNRESET"));
    expect(await error).toBe("error forwarding port 80 to pod web: read ECONNRESET");
  });

  test("many at once do not mix", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string({ maxLength: 2000 }), { minLength: 1, maxLength: 20 }), async (words) => {
        const before = pod.made.length;
        const open: Stream[] = [];
        for (const [n] of words.entries()) {
          open.push(connect(client, 80).data);
          await until(() => pod.made.length > before + n);
        }
        const answers = open.map((data) => text(data));
        for (const [n, data] of open.entries()) data.end(words[n]);
        expect(await Promise.all(answers)).toEqual(words);
      }),
      { numRuns: 10 },
    );
  });

  test("F2 a megabyte goes through a Pod that reads slowly", async () => {
    const bytes = Buffer.alloc(1_000_000, "0123456789");
    const { data } = connect(client, 80);
    for (let at = 0; at < bytes.length; at += 10_000) data.write(bytes.subarray(at, at + 10_000));
    data.end();
    expect((await bytesFrom(data)).equals(bytes)).toBe(true);
  });

  test("F3 when the client goes, the Pod's connections are closed", async () => {
    for (const [n, to] of [80, 81].entries()) {
      const { data, error } = connect(client, to);
      data
        .on("error", () => {})
        .resume()
        .write("x");
      error.catch(() => {});
      await until(() => pod.made.length > n); // spdy-transport may send the second stream before the first
    }
    http.closeAllConnections();
    upgrades[Symbol.dispose]();
    await until(() => pod.made.every((m) => m.closed));
    expect(pod.made.map((m) => m.port)).toEqual([80, 81]);
  });

  test("half a pair is given up after a while; a stream without a port or of no type at once", async () => {
    const open = (headers: Record<string, string>) => {
      const stream = connection.request({ method: "POST", path: "/", headers }, () => {});
      return new Promise<void>((resolve) => stream.on("error", () => resolve()).on("close", () => resolve()));
    };
    const connection = client;
    await open({ streamType: "data", requestID: "x" });
    await open({ streamType: "data", port: "70000", requestID: "x" });
    await open({ streamType: "other", port: "80", requestID: "x" });
    const half = open({ streamType: "data", port: "80", requestID: "half" });
    await until(() => clock.pending > 0);
    await clock.advance(30_000);
    await half;
    expect(pod.made).toEqual([]);
  });
});

describe("port forwarding over WebSocket channels, as client-node", () => {
  /** Messages by channel, until the socket closes. */
  function open(query: string, onOpen: (ws: WebSocket) => void): Promise<Record<number, Buffer>> {
    const ws = new WebSocket(`ws://127.0.0.1:${port()}/portForward/default/web${query}`, [
      "v5.channel.k8s.io",
      "v4.channel.k8s.io",
    ]);
    const channels: Record<number, Buffer> = {};
    ws.on("message", (m: Buffer) => {
      const channel = m[0] ?? -1;
      channels[channel] = Buffer.concat([channels[channel] ?? Buffer.alloc(0), m.subarray(1)]);
    });
    ws.on("open", () => {
      expect(ws.protocol).toBe("v4.channel.k8s.io");
      onOpen(ws);
    });
    return new Promise((resolve, reject) => {
      ws.on("close", () => resolve(channels)).on("error", reject);
      ws.on("unexpected-response", (_, res) => reject(new Error(String(res.headers["x-error"]))));
    });
  }

  test("each port has its channels, which begin with its number", async () => {
    const pods: PassThrough[] = [];
    pod.listens = () => {
      const socket = new PassThrough();
      pods.push(socket);
      return socket;
    };
    const channels = await open("?ports=80&ports=8443", (ws) => {
      ws.send(Buffer.from("\0first"));
      ws.send(Buffer.from("\u0002second"));
      let echoes = 0;
      ws.on("message", (m: Buffer) => {
        if (m.length > 3 && ++echoes === 2) pods.forEach((p) => p.end());
      });
    });
    const said = (n: number) => channels[n]?.toString("latin1");
    expect([said(0), said(1)]).toEqual(["P\0first", "P\0"]);
    expect([said(2), said(3)]).toEqual(["\u00fb\u0020second", "\u00fb\u0020"]);
    expect(pod.made.map((m) => m.port)).toEqual([80, 8443]);
  });

  test("a port where nobody listens: its error channel says so", async () => {
    pod.listens = () => {
      throw new Error("connection refused");
    };
    const channels = await open("?ports=81", () => {});
    expect(channels[1]?.subarray(2).toString()).toBe("error forwarding port 81 to pod web: connection refused");
  });

  test.each([
    ["", 'query parameter "ports" is required'],
    ["?ports=http", 'unable to parse "http" as a port'],
    ["?ports=0", 'unable to parse "0" as a port'],
  ])("refused: %s", async (query, message) => {
    await expect(open(query, () => {})).rejects.toThrow(message);
  });
});

describe("one port as plain bytes", () => {
  test("what is sent comes back; the end of either is the other's", async () => {
    const { socket } = await upgrade({ Upgrade: "tcp" }, "/dial");
    socket.end("ping");
    expect(await text(socket)).toBe("ping");
    await until(() => pod.made[0]?.closed === true);
  });

  test("a refusal is an answer", async () => {
    pod.listens = () => {
      throw new ApiError("InternalError", "connection refused");
    };
    await expect(upgrade({ Upgrade: "tcp" }, "/dial")).rejects.toThrow("500: connection refused");
  });
});

test.each([
  [
    { Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": "v4.channel.k8s.io" },
    /400: none of .* over SPDY, but portforward/,
  ],
  [{ Upgrade: "h2c" }, /400: cannot upgrade to h2c/],
  [{ Upgrade: "websocket", "Sec-WebSocket-Protocol": "v1.x" }, /400: none of v1.x is spoken here/],
])("a protocol that is not spoken is refused: %o", async (headers, message) => {
  await expect(upgrade(headers)).rejects.toThrow(message);
});
