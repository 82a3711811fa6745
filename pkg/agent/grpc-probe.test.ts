import { afterEach, expect, test } from "@jest/globals";
import { createServer, type Http2Server, type IncomingHttpHeaders } from "node:http2";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import { grpcProbe } from "./grpc-probe.ts";

const never = new AbortController().signal;
const servers = new Set<Http2Server | Server>();

afterEach(async () => {
  for (const s of servers) await new Promise((resolve) => s.close(resolve));
  servers.clear();
});

async function listen(server: Http2Server | Server): Promise<number> {
  servers.add(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

interface Asked {
  headers?: IncomingHttpHeaders;
  body?: Buffer;
}

/** A health service that gives this answer, or ends the call with a status in its trailers or its headers. */
function health(answer: { message?: number[]; status?: number; inHeaders?: boolean }, asked: Asked = {}) {
  const server = createServer();
  server.on("stream", (stream, headers) => {
    asked.headers = headers;
    const status = { "grpc-status": String(answer.status ?? 0), "grpc-message": "out%20of%20order" };
    const parts: Buffer[] = [];
    stream.on("data", (part: Buffer) => parts.push(part));
    stream.on("end", () => {
      asked.body = Buffer.concat(parts);
      const head = { ":status": 200, "content-type": "application/grpc" };
      if (answer.inHeaders) return stream.respond({ ...head, ...status }, { endStream: true });
      stream.respond(head, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers(status));
      const { message = [] } = answer;
      stream.end(Buffer.from([0, 0, 0, 0, message.length, ...message]));
    });
  });
  return listen(server);
}

const ask = (port: number, service = "", signal = never) => grpcProbe({ host: "127.0.0.1", port, service }, signal);

test("asks for the service by name", async () => {
  const asked: Asked = {};
  const port = await health({ message: [0x08, 1] }, asked);
  expect((await ask(port, "shop.Cart")).ok).toBe(true);
  expect(asked.headers).toMatchObject({
    ":method": "POST",
    ":path": "/grpc.health.v1.Health/Check",
    "content-type": "application/grpc",
    te: "trailers",
  });
  expect(asked.body).toEqual(Buffer.concat([Buffer.from([0, 0, 0, 0, 11, 0x0a, 9]), Buffer.from("shop.Cart")]));
  const long = "s".repeat(200);
  await ask(port, long);
  expect(asked.body?.subarray(0, 8)).toEqual(Buffer.from([0, 0, 0, 0, 203, 0x0a, 0xc8, 1]));
  await ask(port);
  expect(asked.body).toEqual(Buffer.alloc(5));
});

test.each([
  [[], "UNKNOWN"],
  [[0x08, 2], "NOT_SERVING"],
  [[0x08, 3], "SERVICE_UNKNOWN"],
])("answers %j: not healthy, %s", async (message, said) => {
  const result = await ask(await health({ message }));
  expect(result).toEqual({ ok: false, message: `service unhealthy (responded with "${said}")` });
});

test.each([true, false])("a server without the protocol says so (status in headers: %s)", async (inHeaders) => {
  expect((await ask(await health({ status: 12, inHeaders }))).message).toBe(
    "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): rpc error: code = Unimplemented desc = out of order",
  );
});

test("any other failure is told with its code", async () => {
  const result = await ask(await health({ status: 14 }));
  expect(result).toEqual({ ok: false, message: "error: health rpc probe failed: code = 14 desc = out of order" });
});

test("nobody there, or somebody who speaks something else: rejects", async () => {
  const port = await listen(createTcpServer((socket) => socket.resume().end("220 mail ready\r\n")));
  await expect(ask(port)).rejects.toThrow(/Protocol error|ECONNRESET|closed/);
  for (const s of servers) await new Promise((resolve) => s.close(resolve));
  servers.clear();
  await expect(ask(port)).rejects.toThrow("ECONNREFUSED");
});

test("no answer ends by the signal, with its reason", async () => {
  const stop = new AbortController();
  const port = await listen(
    createTcpServer((socket) => {
      socket.resume();
      stop.abort(new Error("timeout"));
    }),
  );
  await expect(ask(port, "", stop.signal)).rejects.toThrow("timeout");
});
