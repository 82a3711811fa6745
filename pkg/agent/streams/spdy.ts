/**
 * `v4.channel.k8s.io` over SPDY/3.1, all that kubectl before 1.30 speaks: the client opens one stream for each channel,
 * named by its header `streamType`; a FIN is the end of stdin, and the error stream carries the Status at the end.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { ApiError } from "../../api/status.ts";
import type { ExecSession } from "../../runtime/runtime.ts";
import type { Clock } from "../../util/clock.ts";
import { flag } from "../logs.ts";
import { parseTerminalSize, type Remote, runSession, type TerminalSize } from "./session.ts";
import { SpdyConnection, type SpdyStream } from "./spdy-connection.ts";

const PROTOCOL = "v4.channel.k8s.io";
/** As the kubelet. */
const OPEN_TIMEOUT_MS = 30_000;
/** A size is 30 bytes or so: more without an end is none. */
const MAX_SIZE_TEXT = 1024;

type StreamType = "error" | "stdin" | "stdout" | "stderr" | "resize";

/** What an upgrade asks for. */
export interface SpdyOffer {
  readonly streams: ReadonlySet<StreamType>;
}

/** Undefined: it asks for another protocol. Throws what must be said before the upgrade. */
export function spdyOffer(req: IncomingMessage): SpdyOffer | undefined {
  if (!isSpdy(req)) return undefined;
  requireOffered(req, PROTOCOL);
  return { streams: expectedStreams(new URL(req.url ?? "/", "https://agent").searchParams) };
}

export const isSpdy = (req: IncomingMessage) => req.headers.upgrade?.toLowerCase() === "spdy/3.1";

/** Throws BadRequest unless the client speaks this protocol. */
export function requireOffered(req: IncomingMessage, protocol: string): void {
  const offered = String(req.headers["x-stream-protocol-version"] ?? "").split(/,\s*/);
  if (offered.includes(protocol)) return;
  throw new ApiError("BadRequest", `none of "${offered.join(", ")}" is spoken here over SPDY, but ${protocol}`);
}

function expectedStreams(q: URLSearchParams): Set<StreamType> {
  const tty = flag(q, "tty");
  const wanted = (["stdin", "stdout", "stderr"] as const).filter((s) => flag(q, s));
  if (wanted.length === 0) throw new ApiError("BadRequest", "you must specify at least 1 of stdin, stdout, stderr");
  const streams = new Set<StreamType>(["error", ...wanted]);
  if (!tty) return streams;
  streams.delete("stderr"); // a terminal has one output
  return streams.add("resize");
}

/** Its connections, so that they end with the server. */
export class SpdyServer implements Disposable {
  readonly #clock: Clock;
  readonly #connections = new Set<SpdyConnection>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Answers the upgrade and holds the session. Resolves at its end; rejects, with all closed, when it could not be held. */
  async serve(
    offer: SpdyOffer,
    start: (signal: AbortSignal) => Promise<ExecSession>,
    { socket, head }: { socket: Duplex; head: Buffer },
  ): Promise<void> {
    const channels = new Channels(offer.streams);
    const connection = this.accept(PROTOCOL, { socket, head }, (stream) => channels.add(stream));
    try {
      await channels.complete(this.#clock, connection.gone);
      await runSession(() => start(connection.gone), spdyRemote(connection, channels));
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  /** Answers the upgrade. */
  accept(
    protocol: string,
    { socket, head }: { socket: Duplex; head: Buffer },
    onStream: (stream: SpdyStream) => void,
  ): SpdyConnection {
    if (head.length > 0) socket.unshift(head);
    socket.write([...UPGRADED, `X-Stream-Protocol-Version: ${protocol}`, "\r\n"].join("\r\n"));
    return this.over(socket, onStream);
  }

  /** A connection inside another, which needs no answer. */
  over(socket: Duplex, onStream: (stream: SpdyStream) => void): SpdyConnection {
    const connection = new SpdyConnection(socket, { clock: this.#clock, onStream });
    this.#connections.add(connection);
    connection.gone.addEventListener("abort", () => this.#connections.delete(connection), { once: true });
    return connection;
  }

  [Symbol.dispose](): void {
    for (const connection of this.#connections) connection.destroy();
  }
}

const UPGRADED = ["HTTP/1.1 101 Switching Protocols", "Upgrade: SPDY/3.1", "Connection: Upgrade"];

/** The streams of one session. */
class Channels {
  readonly #missing: Set<string>;
  readonly #streams = new Map<string, SpdyStream>();
  #onComplete: () => void = () => {};

  constructor(expected: ReadonlySet<StreamType>) {
    this.#missing = new Set(expected);
  }

  add(stream: SpdyStream): void {
    const type = stream.headers["streamtype"] ?? "";
    if (!this.#missing.delete(type)) return stream.reset();
    this.#streams.set(type, stream);
    if (this.#missing.size === 0) this.#onComplete();
  }

  get(type: StreamType): SpdyStream | undefined {
    return this.#streams.get(type);
  }

  all(): Iterable<SpdyStream> {
    return this.#streams.values();
  }

  /** Rejects when the client does not open them in time, or goes. */
  async complete(clock: Clock, gone: AbortSignal): Promise<void> {
    if (this.#missing.size === 0) return;
    await new Promise<void>((resolve, reject) => {
      const late = () => reject(new Error(`the client did not open its streams: ${[...this.#missing].join(", ")}`));
      const timer = clock.after(OPEN_TIMEOUT_MS, late);
      const settle = (how: () => void) => () => {
        timer[Symbol.dispose]();
        how();
      };
      this.#onComplete = settle(resolve);
      gone.addEventListener("abort", settle(late), { once: true });
    });
  }
}

function spdyRemote(connection: SpdyConnection, channels: Channels): Remote {
  const stdin = channels.get("stdin")?.incoming;
  return {
    ...(stdin && { stdin }),
    resizes: sizes(channels.get("resize")?.incoming),
    gone: connection.gone,
    async write(stream, data) {
      await channels.get(stream)?.write(data); // not asked for: dropped
    },
    async finish(status) {
      await channels.get("error")?.write(Buffer.from(JSON.stringify(status)));
      await Promise.all([...channels.all()].map((s) => s.end()));
      connection.end();
    },
  };
}

/** `{"Width":80,"Height":24}`, one after the other, cut anywhere. */
async function* sizes(incoming: AsyncIterable<Uint8Array> = none()): AsyncGenerator<TerminalSize> {
  let text = "";
  for await (const data of incoming) {
    text += Buffer.from(data).toString("latin1");
    for (let end = text.indexOf("}"); end >= 0; end = text.indexOf("}")) {
      const size = parseTerminalSize(text.slice(0, end + 1));
      if (size) yield size;
      text = text.slice(end + 1);
    }
    if (text.length > MAX_SIZE_TEXT) text = "";
  }
}

async function* none(): AsyncGenerator<never> {}
