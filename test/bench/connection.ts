/**
 * A bare HTTP/1.1 client on one TLS connection: it asks, counts the answer's bytes and keeps nothing else, so that the
 * benchmark's own cost is small beside the server's.
 */
import { connect, type TLSSocket } from "node:tls";
import type { ServerReady } from "./api-server.ts";

export interface Answer {
  readonly code: number;
  readonly bytes: number;
  /** Milliseconds from the request to the answer's first and last byte. */
  readonly firstMs: number;
  readonly wholeMs: number;
}

interface Pending {
  readonly startedAt: number;
  readonly done: (answer: Answer) => void;
  readonly fail: (error: Error) => void;
  firstMs: number;
  code: number;
  head: Buffer;
  missing: number;
  bytes: number;
}

export class Connection {
  readonly #socket: TLSSocket;
  #pending: Pending | undefined;

  private constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#hear(chunk));
    const fail = (error: Error) => this.#pending?.fail(error);
    socket.on("error", fail).on("close", () => fail(new Error("the server closed the connection")));
  }

  static open(server: ServerReady): Promise<Connection> {
    const { port, ca, cert, key } = server;
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port, ca, cert, key }, () => resolve(new Connection(socket)));
      socket.once("error", reject);
      socket.setNoDelay(true);
    });
  }

  /** One request at a time. */
  ask(method: string, path: string, o: { body?: string; headers?: string } = {}): Promise<Answer> {
    const { body = "", headers = "" } = o;
    const length =
      body === "" ? "" : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`;
    return new Promise((done, fail) => {
      const startedAt = performance.now();
      this.#pending = { startedAt, done, fail, firstMs: -1, code: 0, head: Buffer.alloc(0), missing: -1, bytes: 0 };
      this.#socket.write(`${method} ${path} HTTP/1.1\r\nHost: bench\r\n${headers}${length}\r\n${body}`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #hear(chunk: Buffer): void {
    const p = this.#pending;
    if (!p) return;
    if (p.firstMs < 0) p.firstMs = performance.now() - p.startedAt;
    let body = chunk;
    if (p.missing < 0) {
      p.head = p.head.length === 0 ? chunk : Buffer.concat([p.head, chunk]);
      const end = p.head.indexOf("\r\n\r\n");
      if (end < 0) return;
      const head = p.head.toString("latin1", 0, end);
      p.code = Number(head.slice(9, 12));
      p.missing = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? Number.NaN);
      if (Number.isNaN(p.missing)) return p.fail(new Error(`an answer without length:\n${head}`));
      body = p.head.subarray(end + 4);
    }
    p.missing -= body.length;
    p.bytes += body.length;
    if (p.missing > 0) return;
    this.#pending = undefined;
    p.done({ code: p.code, bytes: p.bytes, firstMs: p.firstMs, wholeMs: performance.now() - p.startedAt });
  }
}
