import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "@jest/globals";
import { DockerApi } from "./api.ts";

let server: Server | undefined;
let socketPath = "";
const sockets = new Set<Socket>();

afterEach(() => {
  for (const s of sockets) s.destroy();
  server?.close();
  rmSync(socketPath, { force: true });
});

/** A daemon that answers each request with these bytes, then (perhaps) goes away. */
async function daemon(answer: string, o: { dies?: boolean } = {}): Promise<DockerApi> {
  socketPath = join(tmpdir(), `mk-api-${randomUUID()}.sock`);
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", () => socket.write(answer, () => o.dies && socket.destroy()));
  });
  await new Promise<void>((resolve) => server?.listen(socketPath, resolve));
  return new DockerApi({ socketPath });
}

const head = (status: string, length: number) =>
  `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;
const call = (alsoOk: readonly number[] = []) => ({ path: "/x", signal: new AbortController().signal, alsoOk });

describe("an answer", () => {
  test("is parsed", async () => {
    const api = await daemon(`${head("200 OK", 7)}{"a":1}`);
    expect(await api.request(call())).toEqual({ a: 1 });
  });

  test("may be empty", async () => {
    const api = await daemon("HTTP/1.1 304 Not Modified\r\n\r\n");
    expect(await api.request(call([304]))).toBeNull();
  });

  test("with an error has the daemon's words", async () => {
    const body = '{"message":"No such container: x"}';
    const api = await daemon(`${head("404 Not Found", body.length)}${body}`);
    const failure = { reason: "NotFound", status: 404, message: "No such container: x" };
    await expect(api.request(call())).rejects.toMatchObject(failure);
  });

  test("that breaks off means that the daemon is away", async () => {
    const api = await daemon(`${head("200 OK", 100)}[1,`, { dies: true });
    await expect(api.request(call())).rejects.toMatchObject({ reason: "RuntimeUnavailable" });
  });

  test("that stops in the middle ends by the signal", async () => {
    const api = await daemon(`${head("200 OK", 100)}[1,`);
    const stop = new AbortController();
    const answer = api.request({ path: "/x", signal: stop.signal });
    setImmediate(() => stop.abort(new Error("enough")));
    await expect(answer).rejects.toThrow("enough");
  });
});
