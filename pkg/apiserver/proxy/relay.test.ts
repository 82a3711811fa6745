import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Server as TcpServer,
  type Socket,
} from "node:net";
import { text } from "node:stream/consumers";
import type { ApiError } from "../../api/status.ts";
import { passedOn, relay, relayUpgrade, rewriteLocation } from "./relay.ts";

describe("headers", () => {
  test.each<[string, string[], [string, string][]]>([
    ["of one hop", ["Connection", "keep-alive", "Keep-Alive", "x", "TE", "x", "X-A", "1"], [["X-A", "1"]]],
    ["that Connection names", ["connection", "X-B, close", "x-b", "1", "X-A", "1"], [["X-A", "1"]]],
    [
      "more than once",
      ["Set-Cookie", "a", "Set-Cookie", "b"],
      [
        ["Set-Cookie", "a"],
        ["Set-Cookie", "b"],
      ],
    ],
  ])("%s", (_, raw, passed) => {
    expect(passedOn(raw)).toEqual(passed);
  });

  test.each([
    ["/home", "/base/home"],
    ["/base/home", "/base/home"],
    ["home", "home"],
    ["//other/home", "//other/home"],
    ["https://other/home", "https://other/home"],
  ])("Location %s", (location, expected) => {
    expect(rewriteLocation(location, "/base")).toBe(expected);
  });
});

/** The other side says bytes as they are written here. */
describe("whatever the other side does", () => {
  let far: TcpServer;
  let near: Server;
  let behave: (socket: Socket) => void;
  let refused: ApiError[];

  beforeEach(async () => {
    refused = [];
    far = createTcpServer((socket) => {
      socket.on("error", () => {});
      behave(socket);
    });
    near = createServer((req, res) => void serve(req, res));
    near.on("upgrade", (req, socket, head) => {
      socket.on("error", () => {});
      relayUpgrade(to(), { req, socket, head }).catch((error: ApiError) => {
        refused.push(error);
        socket.destroy();
      });
    });
    for (const server of [far, near]) await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  afterEach(() => {
    near.closeAllConnections();
    near.close();
    far.close();
  });

  const port = (server: { address(): unknown }) => (server.address() as AddressInfo).port;
  const dial = () => Promise.resolve(connect(port(far), "127.0.0.1"));
  let dialing: () => Promise<Socket> = dial;
  const to = () => ({ path: "/", base: "/base", dial: () => dialing() });

  async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    try {
      await relay(to(), req, res);
    } catch (error) {
      refused.push(error as ApiError);
      res.writeHead((error as ApiError).code).end();
    }
  }

  function ask(headers: Record<string, string> = {}): Promise<{ code: number | undefined; body: string }> {
    return new Promise((resolve, reject) => {
      const req = request({ port: port(near), host: "127.0.0.1", agent: false, headers }, (res) => {
        text(res).then((body) => resolve({ code: res.statusCode, body }), reject);
      });
      req.on("error", reject).end();
    });
  }

  test.each([
    ["closes at once", (s: Socket) => void s.destroy()],
    ["says nonsense", (s: Socket) => void s.end("SSH-2.0-OpenSSH\r\n")],
    [
      "upgrades what was no upgrade",
      (s: Socket) => void s.end("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: y\r\n\r\n"),
    ],
  ])("%s: ServiceUnavailable", async (_, how) => {
    behave = how;
    expect((await ask()).code).toBe(503);
    expect(refused[0]).toMatchObject({
      reason: "ServiceUnavailable",
      message: expect.stringMatching(/^error trying to reach service: /),
    });
  });

  test("breaks off in the middle: so does the answer", async () => {
    behave = (s) => s.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", () => s.destroy());
    await expect(ask()).rejects.toThrow(/aborted|hang up|ECONNRESET/);
  });

  test("answers an upgrade with a refusal: that is the answer", async () => {
    behave = (s) => void s.once("data", () => s.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"));
    expect(await ask({ Connection: "Upgrade", Upgrade: "websocket" })).toEqual({ code: 403, body: "no" });
  });

  test("L3 the client goes: its connection is closed", async () => {
    const closed = new Promise<string>((resolve) => {
      behave = (s) => void s.on("data", () => {}).on("close", () => resolve("closed"));
    });
    const req = request({ port: port(near), host: "127.0.0.1", agent: false }).on("error", () => {});
    req.flushHeaders();
    near.once("request", () => req.destroy());
    req.end();
    expect(await closed).toBe("closed");
  });

  test("L3 the client goes while the other side is dialled: what was dialled is closed", async () => {
    behave = () => {};
    let dialled: Socket | undefined;
    const req = request({ port: port(near), host: "127.0.0.1", agent: false }).on("error", () => {});
    const done = new Promise<void>((resolve) => {
      dialing = async () => {
        near.closeAllConnections();
        dialled = await dial();
        dialled.once("close", () => resolve());
        return dialled;
      };
    });
    req.end();
    await done;
    dialing = dial;
    expect(dialled?.destroyed).toBe(true);
  });
});
