/**
 * One SPDY/3.1 connection as Kubernetes' clients use it. The codec is spdy-transport's; the streams are ours, because
 * those clients (Go's spdystream) do without flow control: they count no window and grant none. The library's own
 * connection would stop for ever after the first 64 KiB of output, and take in any amount of stdin.
 *
 *  S1  Nothing is written on a stream before its reply: the Go client drops what comes earlier.
 *  S2  Back-pressure is TCP's: a write is done when the socket has taken it, and while one stream is full the whole
 *      connection is not read. Windows are granted for all that comes, for clients that do count.
 *  S3  However it ends (close, reset, a broken frame, a peer that takes nothing), it is destroyed and `gone` aborts, once.
 */
import type { Duplex } from "node:stream";
import spdy, { type CompressionPair, type Frame, type Framer, type Parser } from "spdy-transport";
import type { Clock } from "../../util/clock.ts";
import { StreamQueue } from "./queue.ts";

/** On the wire 3 and 3.1 differ only in the window of the whole connection, which 3 does not wait for. */
const VERSION = 3;
/** Of one frame. */
const MAX_DATA = 64 * 1024;
/** Bytes that may wait on a stream before the connection is held. */
const STREAM_LIMIT = 256 * 1024;
/** Bytes after which windows are granted anew: half of SPDY's first one. */
const GRANT = 32 * 1024;
/** Compressed bytes of headers; a stream's are 30 or so. */
const MAX_HEADERS = 16 * 1024;
/** Unsent bytes at which the peer is given up: it asks without reading. */
const MAX_BACKLOG = 4 * 1024 * 1024;
/** A connection that is not read notices a peer's end only by writing. */
const PROBE_MS = 5_000;
/** For the peer to close, once all is said. */
const CLOSE_MS = 5_000;
/** All streams alike: they take turns. */
const PRIORITY = 1;

/** Frames in, frames out, both by way of one socket. */
export class SpdyConnection {
  readonly #socket: Duplex;
  readonly #clock: Clock;
  readonly #onStream: (stream: SpdyStream) => void;
  readonly #parser: Parser;
  readonly #framer: Framer;
  readonly #compression: CompressionPair;
  readonly #streams = new Map<number, SpdyStream>();
  readonly #full = new Set<SpdyStream>();
  readonly #gone = new AbortController();
  #lastId = 0;
  #ungranted = 0;
  #timer: Disposable | undefined;
  #ending = false;

  /** `onStream` gets each stream that the peer opens, and refuses it by `reset`. */
  constructor(socket: Duplex, o: { clock: Clock; onStream: (stream: SpdyStream) => void }) {
    this.#socket = socket;
    this.#clock = o.clock;
    this.#onStream = o.onStream;
    this.#compression = spdy.protocol.spdy.compressionPool.create(false).get(VERSION);
    this.#parser = this.#createParser();
    this.#framer = this.#createFramer();
    const destroy = () => this.destroy();
    for (const broken of [this.#parser, this.#compression.compress, this.#compression.decompress]) {
      broken.on("error", destroy);
    }
    socket.on("error", destroy).once("end", destroy).once("close", destroy);
    socket.pipe(this.#parser).on("data", (frame: Frame) => this.#receive(frame));
    if (socket.destroyed) this.destroy();
  }

  /** Aborts when the connection has ended, whoever ended it. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** After the last FIN: leaves it to the peer to close, so that it has read everything; what it still sends is dropped. */
  end(): void {
    if (this.gone.aborted) return;
    this.#ending = true;
    this.#wait(CLOSE_MS, () => this.destroy());
    this.#parser.resume();
  }

  destroy(): void {
    if (this.gone.aborted) return;
    this.#gone.abort();
    this.#timer?.[Symbol.dispose]();
    this.#socket.unpipe(this.#parser);
    this.#socket.destroy();
    this.#parser.destroy();
    this.#compression.compress.destroy();
    this.#compression.decompress.destroy();
    for (const stream of this.#streams.values()) stream.incoming.end();
  }

  #createParser(): Parser {
    const parser = spdy.protocol.spdy.parser.create({ isServer: true });
    const parse = parser.parseKVs.bind(parser);
    parser.parseKVs = (block, done) => {
      if (block.size > MAX_HEADERS) return done(new Error("headers too long"));
      // It insists on these two, which Kubernetes' streams do not carry.
      parse(block, (error, headers) => done(error, { ":method": "POST", ":path": "/", ...headers }));
    };
    parser.setVersion(VERSION);
    parser.setCompression(this.#compression);
    return parser;
  }

  #createFramer(): Framer {
    const framer = spdy.protocol.spdy.framer.create({ window: { send: { update: () => {} } } });
    // In place of its own scheduler, which never waits for the socket.
    framer.schedule = ({ chunks, callback }) => {
      if (this.#socket.writableLength > MAX_BACKLOG) this.destroy();
      if (!this.#socket.writable) return void setImmediate(() => callback?.()); // lets `close` be heard meanwhile
      this.#socket.write(Buffer.concat(chunks), () => callback?.()); // a failed write ends in `close`
    };
    framer.setVersion(VERSION);
    framer.setCompression(this.#compression);
    return framer;
  }

  #receive(frame: Frame): void {
    if (this.gone.aborted) return;
    switch (frame.type) {
      case "HEADERS":
        return this.#open(frame);
      case "DATA":
        return this.#data(frame);
      case "RST":
        return this.#streams.get(frame.id)?.abandon();
      case "PING":
        if (!frame.ack) this.#framer.pingFrame({ opaque: frame.opaque, ack: true });
        return;
      case "GOAWAY": // the peer closes when it is done
      case "SETTINGS":
      case "WINDOW_UPDATE":
      case "NOOP":
        return;
    }
  }

  #open({ id, headers, fin }: Frame & { type: "HEADERS" }): void {
    if (this.#ending) return;
    if (id % 2 === 0 || id <= this.#lastId) return this.#framer.rstFrame({ id, code: "PROTOCOL_ERROR" });
    this.#lastId = id;
    const stream = new SpdyStream(id, headers, {
      framer: this.#framer,
      onFull: (full) => this.#hold(stream, full),
      onClosed: () => this.#forget(stream),
    });
    this.#streams.set(id, stream);
    if (fin) stream.receive(undefined);
    this.#onStream(stream);
  }

  #data({ id, data, fin }: Frame & { type: "DATA" }): void {
    this.#ungranted += data.byteLength;
    if (this.#ungranted >= GRANT) {
      this.#framer.windowUpdateFrame({ id: 0, delta: this.#ungranted });
      this.#ungranted = 0;
    }
    if (this.#ending) return;
    const stream = this.#streams.get(id);
    stream?.receive(data);
    if (fin) stream?.receive(undefined);
  }

  #hold(stream: SpdyStream, full: boolean): void {
    if (full) this.#full.add(stream);
    else this.#full.delete(stream);
    if (this.#ending || this.gone.aborted) return;
    if (this.#full.size === 0) {
      this.#timer?.[Symbol.dispose]();
      this.#parser.resume();
    } else {
      this.#parser.pause();
      this.#probe();
    }
  }

  #probe(): void {
    this.#wait(PROBE_MS, () => {
      this.#framer.pingFrame({ opaque: Buffer.from([0, 0, 0, 2]), ack: false }); // a server's numbers are even
      this.#probe();
    });
  }

  #wait(ms: number, then: () => void): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#clock.after(ms, then);
  }

  #forget(stream: SpdyStream): void {
    this.#streams.delete(stream.id);
    this.#hold(stream, false);
  }
}

interface StreamContext {
  readonly framer: Framer;
  readonly onFull: (full: boolean) => void;
  readonly onClosed: () => void;
}

/** Two directions, each with an end of its own. */
export class SpdyStream {
  readonly id: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Ends with the peer's FIN, or with the connection. */
  readonly incoming: StreamQueue<Uint8Array>;
  readonly #framer: Framer;
  readonly #onClosed: () => void;
  readonly #replied: Promise<void>;
  #ungranted = 0;
  #theirsEnded = false;
  #oursEnded = false;

  constructor(id: number, headers: Readonly<Record<string, string>>, o: StreamContext) {
    this.id = id;
    this.headers = headers;
    this.#framer = o.framer;
    this.#onClosed = o.onClosed;
    this.incoming = new StreamQueue({ limit: STREAM_LIMIT, sizeOf: (d) => d.byteLength, onFull: o.onFull });
    this.#replied = new Promise((resolve) =>
      this.#framer.responseFrame({ id, status: 200, headers: {} }, () => resolve()),
    );
  }

  /** Resolves when the socket has taken it; also when nobody wants it any more. */
  async write(data: Uint8Array): Promise<void> {
    const all = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    for (let at = 0; at < all.length; at += MAX_DATA) await this.#send(all.subarray(at, at + MAX_DATA), false);
  }

  /** FIN. */
  async end(): Promise<void> {
    await this.#send(Buffer.alloc(0), true);
    this.#oursEnded = true;
    if (this.#theirsEnded) this.#onClosed();
  }

  reset(): void {
    this.#framer.rstFrame({ id: this.id, code: "PROTOCOL_ERROR" });
    this.abandon();
  }

  /** The peer has reset it. */
  abandon(): void {
    this.#oursEnded = true;
    this.receive(undefined);
  }

  /** From the connection: undefined is FIN. */
  receive(data: Uint8Array | undefined): void {
    if (data === undefined) {
      this.#theirsEnded = true;
      this.incoming.end();
      if (this.#oursEnded) this.#onClosed();
      return;
    }
    if (data.byteLength > 0) this.incoming.push(data);
    this.#ungranted += data.byteLength;
    if (this.#ungranted < GRANT || this.#theirsEnded) return;
    this.#framer.windowUpdateFrame({ id: this.id, delta: this.#ungranted });
    this.#ungranted = 0;
  }

  async #send(data: Buffer, fin: boolean): Promise<void> {
    await this.#replied;
    if (this.#oursEnded) return;
    await new Promise<void>((resolve) =>
      this.#framer.dataFrame({ id: this.id, priority: PRIORITY, fin, data }, () => resolve()),
    );
  }
}
