/** The sockets: bytes to questions, answers to bytes. */
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import type { Clock } from "../../util/clock.ts";
import type { Logger } from "../../util/log.ts";
import { framed } from "./exchange.ts";
import { type Answer, type Question, readQuery, writeAnswer } from "./message.ts";
import { type DnsMetrics, typeLabel } from "./metrics.ts";

export interface DnsServerOptions {
  readonly resolve: (question: Question, client: string) => Promise<Answer>;
  readonly address: string;
  /** 0: any. */
  readonly port: number;
  readonly metrics: DnsMetrics;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Answers being looked for. More than these, and messages are lost, as UDP may lose them. */
const MAX_PENDING = 4096;
const MAX_CONNECTIONS = 256;
/** Questions of one connection that wait for an answer; then it is not read on. */
const MAX_PIPELINED = 16;
const IDLE_MS = 10_000;
const ANY_PORT_ATTEMPTS = 10;
const RECEIVE_BUFFER = 4 * 1024 * 1024;

/**
 * Listens on UDP and TCP of one port.
 *
 *  D1  Nothing that comes in makes it throw, nor hold more than a bounded amount of memory.
 *  D2  One slow answer delays no other, of whatever client.
 */
export class DnsServer implements AsyncDisposable {
  readonly #o: DnsServerOptions;
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #connections = new Set<Socket>();
  #pending = 0;

  private constructor(o: DnsServerOptions) {
    this.#o = o;
    this.#udp = createSocket(o.address.includes(":") ? "udp6" : "udp4");
    this.#tcp = createServer((socket) => this.#serve(socket));
    this.#tcp.maxConnections = MAX_CONNECTIONS;
  }

  /** Rejects when the address cannot be had; then nothing is left open. */
  static async listen(o: DnsServerOptions): Promise<DnsServer> {
    for (let attempt = 1; ; attempt++) {
      const server = new DnsServer(o);
      try {
        await server.#listen();
        return server;
      } catch (error) {
        await server[Symbol.asyncDispose]();
        // Any port, but what is free for UDP may be taken for TCP.
        if (o.port !== 0 || attempt === ANY_PORT_ATTEMPTS) throw error;
      }
    }
  }

  get port(): number {
    return this.#udp.address().port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#connections) socket.destroy();
    this.#udp.close();
    if (this.#tcp.listening) await new Promise((resolve) => this.#tcp.close(resolve));
  }

  async #listen(): Promise<void> {
    const { address, port } = this.#o;
    const bound = once(this.#udp, "listening");
    this.#udp.bind(port, address);
    await bound;
    const listening = once(this.#tcp, "listening");
    this.#tcp.listen(this.port, address);
    await listening;
    this.#udp.setRecvBufferSize(RECEIVE_BUFFER);
    // A client that is gone is reported here by the kernel; nobody waits for that answer.
    this.#udp.on("error", (error) => this.#o.log.debug({ err: error }, "dns: socket error"));
    this.#tcp.on("error", (error) => this.#o.log.debug({ err: error }, "dns: listener error"));
    this.#udp.on("message", (bytes, from) => this.#received(bytes, from));
  }

  #received(bytes: Buffer, from: RemoteInfo): void {
    if (this.#pending >= MAX_PENDING) return this.#o.metrics.count("coredns_dns_dropped_total", 'reason="overload"');
    this.#pending++;
    void this.#answer(bytes, from.address, "udp").then((reply) => {
      this.#pending--;
      if (reply) this.#udp.send(reply, from.port, from.address, () => {});
    });
  }

  /** Undefined: there is nothing to say. Never rejects. */
  async #answer(bytes: Buffer, client: string, proto: "udp" | "tcp"): Promise<Buffer | undefined> {
    const { metrics, log } = this.#o;
    const { query, refusal } = readQuery(bytes);
    if (!query) {
      if (refusal) metrics.count("coredns_dns_responses_total", `rcode="${refusal.rcode}"`);
      else metrics.count("coredns_dns_dropped_total", 'reason="no question"');
      return refusal?.reply;
    }
    metrics.count("coredns_dns_requests_total", `proto="${proto}",type="${typeLabel(query.question.type)}"`);
    try {
      const answer = await this.#o.resolve(query.question, client);
      const reply = writeAnswer(query, answer, proto);
      metrics.count("coredns_dns_responses_total", `rcode="${answer.rcode}"`);
      return reply;
    } catch (error) {
      log.error({ err: error, question: query.question }, "dns: a question broke the server's own code");
      metrics.count("coredns_dns_responses_total", 'rcode="SERVFAIL"');
      return writeAnswer(query, { rcode: "SERVFAIL", answers: [] }, proto);
    }
  }

  #serve(socket: Socket): void {
    this.#connections.add(socket);
    const client = (socket.remoteAddress ?? "").replace(/^::ffff:/, "");
    let [bytes, waiting, idle] = [Buffer.alloc(0), 0, undefined as Disposable | undefined];
    const stillThere = () => {
      idle?.[Symbol.dispose]();
      idle = this.#o.clock.after(IDLE_MS, () => socket.destroy());
    };
    const readOn = () => {
      while (waiting < MAX_PIPELINED && bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0)) {
        const end = 2 + bytes.readUInt16BE(0);
        const message = bytes.subarray(2, end);
        bytes = bytes.subarray(end);
        waiting++;
        void this.#answer(message, client, "tcp").then((reply) => {
          waiting--;
          if (socket.destroyed) return;
          if (reply) socket.write(framed(reply));
          readOn();
        });
      }
      if (waiting >= MAX_PIPELINED) socket.pause();
      else socket.resume();
    };
    socket.on("data", (more) => {
      stillThere();
      bytes = Buffer.concat([bytes, more]);
      readOn();
    });
    socket.on("error", () => {}); // "close" follows
    socket.on("close", () => {
      idle?.[Symbol.dispose]();
      this.#connections.delete(socket);
    });
    stillThere();
  }
}
