import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { systemClock } from "../../util/clock.ts";
import { silent } from "../../util/log.ts";
import { exchange, framed } from "./exchange.ts";
import { type Answer, type Question, readAnswer, type ResourceRecord, writeQuery } from "./message.ts";
import { DnsMetrics } from "./metrics.ts";
import { DnsServer } from "./server.ts";

const ADDRESS = "127.0.0.1";
const soon = () => AbortSignal.timeout(60_000);
const many = (name: string, count: number): ResourceRecord[] =>
  Array.from({ length: count }, (_, i) => ({ name, ttl: 1, type: "A", data: `10.0.${i >> 8}.${i & 255}` }));

/** `N.many` has N addresses, `hangs` never answers, `breaks` throws. */
function resolve({ name }: Question): Promise<Answer> {
  const [first = "", kind] = name.split(".");
  if (first === "hangs") return new Promise(() => {});
  if (first === "breaks") return Promise.reject(new Error("on purpose"));
  return Promise.resolve({ rcode: "NOERROR", answers: many(name, kind === "many" ? Number(first) : 1) });
}

let server: DnsServer;
let metrics: DnsMetrics;
const at = () => ({ host: ADDRESS, port: server.port });

beforeEach(async () => {
  metrics = new DnsMetrics();
  server = await DnsServer.listen({ resolve, address: ADDRESS, port: 0, metrics, clock: systemClock, log: silent });
});
afterEach(() => server[Symbol.asyncDispose]());

describe("the server", () => {
  test("answers over UDP, and over TCP what was cut", async () => {
    expect((await exchange(at(), { name: "one", type: "A" }, soon())).answers).toMatchObject(many("one", 1));
    expect((await exchange(at(), { name: "900.many", type: "A" }, soon())).answers).toMatchObject(
      many("900.many", 900),
    );
    expect(metrics.get("coredns_dns_requests_total", 'proto="udp",type="A"')).toBe(2);
    expect(metrics.get("coredns_dns_requests_total", 'proto="tcp",type="A"')).toBe(1);
    expect(metrics.text()).toContain('coredns_dns_responses_total{rcode="NOERROR"} 3\n');
  });

  test("D2: one that hangs delays no other, on the same connection neither", async () => {
    const socket = connect(at());
    const messages = ["hangs", "one"].map((name, i) => framed(writeQuery(i, { name, type: "A" })));
    socket.write(Buffer.concat(messages));
    const [reply] = (await once(socket, "data", { signal: soon() })) as [Buffer];
    expect(readAnswer(reply.subarray(2), 1, { name: "one", type: "A" })?.rcode).toBe("NOERROR");
    socket.destroy();
  });

  test("D1: what breaks is a failure of that question alone", async () => {
    expect((await exchange(at(), { name: "breaks", type: "A" }, soon())).rcode).toBe("SERVFAIL");
    expect((await exchange(at(), { name: "one", type: "A" }, soon())).rcode).toBe("NOERROR");
  });

  test("D1: garbage on both transports; afterwards it answers as before", async () => {
    const socket = createSocket("udp4");
    for (let i = 0; i < 200; i++) {
      const bytes = Buffer.from(Array.from({ length: (i * 7) % 90 }, (_, n) => (n * 31 + i * 17) & 255));
      socket.send(bytes, server.port, ADDRESS);
    }
    const stream = connect(at());
    stream.on("error", () => {});
    stream.end(Buffer.from("ffff00000000", "hex"));
    expect((await exchange(at(), { name: "one", type: "A" }, soon())).rcode).toBe("NOERROR");
    socket.close();
    stream.destroy();
  });

  test("a port that is taken is said, and nothing stays open", async () => {
    const again = DnsServer.listen({
      resolve,
      address: ADDRESS,
      port: server.port,
      metrics,
      clock: systemClock,
      log: silent,
    });
    await expect(again).rejects.toThrow(/EADDRINUSE/);
  });
});

describe("asking others", () => {
  test("the signal ends it", async () => {
    const stop = new AbortController();
    const asking = exchange(at(), { name: "hangs", type: "A" }, stop.signal);
    stop.abort(new Error("enough"));
    await expect(asking).rejects.toThrow("enough");
  });

  test("where nobody listens, it fails at once", async () => {
    const { port } = server;
    await server[Symbol.asyncDispose]();
    await expect(exchange({ host: ADDRESS, port }, { name: "one", type: "A" }, soon())).rejects.toThrow(/ECONNREFUSED/);
    server = await DnsServer.listen({ resolve, address: ADDRESS, port: 0, metrics, clock: systemClock, log: silent });
  });

  test("an answer to something else does not count", async () => {
    const liar = createSocket("udp4");
    liar.on("message", (bytes, from) => {
      const forged = Buffer.from(bytes);
      forged.writeUInt16BE(forged.readUInt16BE(0) ^ 1, 0);
      liar.send(forged, from.port, from.address);
    });
    liar.bind(0, ADDRESS);
    await once(liar, "listening");
    const stop = new AbortController();
    const asking = exchange({ host: ADDRESS, port: liar.address().port }, { name: "one", type: "A" }, stop.signal);
    liar.once("message", () => setImmediate(() => stop.abort(new Error("still waiting"))));
    await expect(asking).rejects.toThrow("still waiting");
    liar.close();
  });

  test("a server that cuts its answer and then hangs up", async () => {
    const cutter = createSocket("udp4");
    cutter.on("message", (bytes, from) => {
      bytes.writeUInt16BE(0x8300, 2);
      cutter.send(bytes, from.port, from.address);
    });
    cutter.bind(0, ADDRESS);
    await once(cutter, "listening");
    const { port } = cutter.address();
    const closer: Server = createServer((socket) => socket.destroy()).listen(port, ADDRESS);
    await once(closer, "listening");
    const asking = exchange({ host: ADDRESS, port }, { name: "one", type: "A" }, soon());
    await expect(asking).rejects.toThrow(/closed the connection|ECONNRESET/);
    cutter.close();
    closer.close();
  });
});
