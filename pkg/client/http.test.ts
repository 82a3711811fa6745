import { afterEach, describe, expect, test } from "@jest/globals";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import { ApiError, notFound } from "../api/status.ts";
import { HttpTransport } from "./http.ts";
import { pathOf } from "./request.ts";
import type { Call } from "./transport.ts";
import { eventually } from "../../test/harness/process.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

async function serve(handler: (request: IncomingMessage, response: ServerResponse, body: string) => void) {
  const server = http.createServer((request, response) => {
    let body = "";
    request.on("data", (d: Buffer) => (body += d.toString()));
    request.on("end", () => handler(request, response, body));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  const warnings: string[] = [];
  const transport = new HttpTransport({
    connection: { server: `http://127.0.0.1:${port}`, token: "t0k" },
    answerTimeoutMs: 200,
    watchIdleMs: 200,
    onWarning: (text) => warnings.push(text),
  });
  cleanups.push(() => {
    transport.close();
    server.closeAllConnections();
    server.close();
  });
  return { transport, server, warnings };
}

const pods = { group: "", version: "v1", resource: "pods", namespace: "default" } as const;
const watchPods: Call = { verb: "watch", ...pods };

async function rejection(promise: Promise<unknown>): Promise<ApiError> {
  const error: unknown = await promise.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (error instanceof ApiError) return error;
  throw new Error(`no ApiError: ${String(error)}`);
}

function deferred() {
  let resolve = () => {};
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe("paths", () => {
  test.each<[Partial<Call>, string]>([
    [{ ...pods }, "/api/v1/namespaces/default/pods"],
    [{ ...pods, name: "a", subresource: "status" }, "/api/v1/namespaces/default/pods/a/status"],
    [{ group: "", version: "v1", resource: "nodes", name: "n/1" }, "/api/v1/nodes/n%2F1"],
    [{ group: "apps", version: "v1", resource: "deployments" }, "/apis/apps/v1/deployments"],
  ])("%j", (call, path) => {
    expect(pathOf({ group: "", version: "v1", resource: "", ...call })).toBe(path);
  });
});

describe("calls", () => {
  test("become a request, and its answer an object", async () => {
    const { transport } = await serve((request, response, body) => {
      const { method, url, headers } = request;
      response.end(JSON.stringify({ method, url, type: headers["content-type"], auth: headers.authorization, body }));
    });
    const answer = await transport.call({
      verb: "patch",
      ...pods,
      name: "a",
      patchType: "application/strategic-merge-patch+json",
      body: { x: "ü" },
      params: { dryRun: "All" },
      cause: { component: "kubelet", reason: "Because" },
    });
    expect(answer).toEqual({
      method: "PATCH",
      url: "/api/v1/namespaces/default/pods/a?fieldManager=kubelet&dryRun=All",
      type: "application/strategic-merge-patch+json",
      auth: "Bearer t0k",
      body: '{"x":"ü"}',
    });
  });

  test("a DELETE has a body too, and the connection is good for more", async () => {
    const { transport } = await serve((request, response, body) =>
      response.end(JSON.stringify([request.method, body])),
    );
    const remove: Call = { verb: "delete", ...pods, name: "a", body: { gracePeriodSeconds: 0 } };
    expect(await transport.call(remove)).toEqual(["DELETE", '{"gracePeriodSeconds":0}']);
    expect(await transport.call(remove)).toEqual(["DELETE", '{"gracePeriodSeconds":0}']);
  });

  test("I1: a Status is an ApiError with its reason, any other failure too", async () => {
    const { transport } = await serve((request, response) => {
      const gone = request.url?.endsWith("/gone");
      response.writeHead(gone ? 404 : 502);
      response.end(gone ? JSON.stringify(notFound({ group: "", resource: "pods" }, "gone").toStatus()) : "<html>");
    });
    const missing = await rejection(transport.call({ verb: "get", ...pods, name: "gone" }));
    expect(missing).toMatchObject({ reason: "NotFound", code: 404, message: 'pods "gone" not found' });
    const odd = await rejection(transport.call({ verb: "get", ...pods, name: "odd" }));
    expect(odd).toMatchObject({ code: 502, message: "the server answered 502: <html>" });
  });

  test("warnings are handed on", async () => {
    const { transport, warnings } = await serve((_request, response) => {
      response.setHeader("warning", '299 - "unknown field \\"spec.x\\"", 299 - "two"');
      response.end("{}");
    });
    await transport.call({ verb: "list", ...pods });
    expect(warnings).toEqual(['unknown field "spec.x"', "two"]);
  });

  test("an unreachable server is named, with what to do", async () => {
    const { transport, server } = await serve(() => {});
    server.close();
    const error = await rejection(transport.call({ verb: "list", ...pods }));
    expect(error.reason).toBe("ServiceUnavailable");
    expect(error.retryable).toBe(true);
    expect(error.message).toMatch(
      /^The connection to the server 127\.0\.0\.1:\d+ was refused - did you specify the right host or port\?\nstart one with: mini-kube up$/,
    );
  });

  test("I2: a server that never answers is given up on", async () => {
    const { transport } = await serve(() => {});
    const error = await rejection(transport.call({ verb: "list", ...pods }));
    expect(error.reason).toBe("ServiceUnavailable");
    expect(error.message).toContain("Unable to connect to the server 127.0.0.1:");
  });

  test("an aborted call rejects with its signal's reason", async () => {
    const abort = new AbortController();
    const { transport } = await serve(() => abort.abort(new Error("enough")));
    await expect(transport.call({ verb: "list", ...pods }, abort.signal)).rejects.toThrow("enough");
  });

  test("I4: a kept connection that the server closed costs no failure", async () => {
    let seen = 0;
    const { transport } = await serve((request, response) => {
      seen += 1;
      // The second request on the connection is cut off, as by a server that closes idle connections.
      if (seen === 2) return void request.socket.resetAndDestroy();
      response.end(String(seen));
    });
    expect(await transport.call({ verb: "list", ...pods })).toBe(1);
    expect(await transport.call({ verb: "list", ...pods })).toBe(3);
  });

  test("what a burst of calls leaves of connections is few", async () => {
    const { transport, server } = await serve((_, response) => void response.end("1"));
    await Promise.all(Array.from({ length: 40 }, () => transport.call({ verb: "list", ...pods })));
    const open = () => new Promise<number>((done) => server.getConnections((_, n) => done(n)));
    expect(await eventually(open, (n) => n <= 8)).toBeLessThanOrEqual(8);
    expect(await transport.call({ verb: "list", ...pods })).toBe(1);
  });

  test.each(["create", "update", "patch", "delete"] as const)(
    "I4: a %s that was cut off is not sent again",
    async (verb) => {
      let seen = 0;
      const { transport } = await serve((request, response) => {
        seen += 1;
        if (seen === 2) return void request.socket.resetAndDestroy();
        response.end(String(seen));
      });
      await transport.call({ verb: "list", ...pods });
      const cut = await rejection(transport.call({ verb, ...pods, body: {} }));
      expect(cut.retryable).toBe(true);
      expect(seen).toBe(2);
    },
  );
});

describe("watches", () => {
  const event = (name: string) => ({ type: "ADDED", object: { metadata: { name } } });

  test("yield an event a line, however the lines are cut, and end with the server", async () => {
    const { transport } = await serve((request, response) => {
      expect(request.url).toBe("/api/v1/namespaces/default/pods?watch=true");
      const bytes = Buffer.from(`${JSON.stringify(event("ä"))}\n${JSON.stringify(event("b"))}\n`);
      const cut = bytes.indexOf(0xc3) + 1;
      response.write(bytes.subarray(0, cut), () => response.end(bytes.subarray(cut)));
    });
    expect(await collect(transport.watch(watchPods, new AbortController().signal))).toEqual([event("ä"), event("b")]);
  });

  test("reject with the ApiError of an ERROR event, or of an answer that is no stream", async () => {
    const status = new ApiError("Expired", "too old resource version").toStatus();
    const { transport } = await serve((request, response) => {
      if (request.url?.includes("resourceVersion=1"))
        response.end(`${JSON.stringify({ type: "ERROR", object: status })}\n`);
      else response.writeHead(410).end(JSON.stringify(status));
    });
    for (const params of [{ resourceVersion: "1" }, { resourceVersion: "2" }]) {
      const watch = transport.watch({ ...watchPods, params }, new AbortController().signal);
      expect(await rejection(collect(watch))).toMatchObject({ reason: "Expired", code: 410 });
    }
  });

  test("end quietly when aborted, and reject when the connection breaks or goes silent", async () => {
    const { transport } = await serve((request, response) => {
      response.write(`${JSON.stringify(event("a"))}\n`);
      if (request.url?.includes("broken")) request.socket.destroy();
    });
    const abort = new AbortController();
    const seen: unknown[] = [];
    for await (const e of transport.watch(watchPods, abort.signal)) {
      seen.push(e);
      abort.abort();
    }
    expect(seen).toHaveLength(1);
    const { signal } = new AbortController();
    const broken = transport.watch({ ...watchPods, params: { labelSelector: "broken" } }, signal);
    expect((await rejection(collect(broken))).retryable).toBe(true);
    expect((await rejection(collect(transport.watch(watchPods, signal)))).retryable).toBe(true);
  });

  test("I3: a slow consumer holds the server back", async () => {
    let written = 0;
    const full = deferred();
    const line = `${JSON.stringify({ type: "ADDED", object: { metadata: { name: "x".repeat(64 * 1024) } } })}\n`;
    const { transport } = await serve((_request, response) => {
      const pump = () => {
        for (let room = true; room && written < 2000; written++) room = response.write(line);
        response.once("drain", pump);
        if (response.socket?.writableNeedDrain) full.resolve();
      };
      pump();
    });
    const abort = new AbortController();
    for await (const _ of transport.watch(watchPods, abort.signal)) {
      await full.promise;
      abort.abort();
    }
    expect(written).toBeLessThan(500);
  });
});

describe("upgrade", () => {
  test("gives an open WebSocket that speaks the protocol the server chose", async () => {
    const { transport, server } = await serve(() => {});
    const sockets = new WebSocketServer({ server, handleProtocols: (offered) => [...offered].at(-1) ?? false });
    const asked = new Promise<string | undefined>((resolve) =>
      sockets.on("connection", (socket, request) => {
        socket.close();
        resolve(request.url);
      }),
    );
    const socket = await transport.upgrade("/exec", { command: ["sh", "-c"] }, ["v5", "v4"]);
    expect(socket.protocol).toBe("v4");
    expect(await asked).toBe("/exec?command=sh&command=-c");
    socket.terminate();
  });

  test("rejects with the server's Status", async () => {
    const { transport, server } = await serve(() => {});
    server.on("upgrade", (_request, socket) => {
      const body = JSON.stringify(notFound({ group: "", resource: "pods" }, "a").toStatus());
      socket.end(`HTTP/1.1 404 Not Found\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    });
    const error = await rejection(transport.upgrade("/exec", {}, ["v5"]));
    expect(error.message).toBe('pods "a" not found');
  });
});
