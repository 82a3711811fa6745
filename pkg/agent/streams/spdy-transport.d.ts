/** Of spdy-transport, which comes without types: its codec, as far as spdy-connection.ts uses it, and what a test's client needs. */
declare module "spdy-transport" {
  import type { Duplex, Transform } from "node:stream";
  import type { Zlib } from "node:zlib";

  type Headers = Readonly<Record<string, string>>;
  type Done = (error?: Error | null) => void;

  export type Frame =
    | { readonly type: "HEADERS"; readonly id: number; readonly headers: Headers; readonly fin: boolean }
    | { readonly type: "DATA"; readonly id: number; readonly data: Buffer; readonly fin: boolean }
    | { readonly type: "RST"; readonly id: number; readonly code: string }
    | { readonly type: "PING"; readonly opaque: Buffer; readonly ack: boolean }
    | { readonly type: "GOAWAY" | "SETTINGS" | "WINDOW_UPDATE" | "NOOP" };

  type ZlibStream = Transform & Zlib;

  export interface CompressionPair {
    readonly compress: ZlibStream;
    readonly decompress: ZlibStream;
  }

  /** Bytes in, frames out. */
  export interface Parser extends Transform {
    setVersion(version: number): void;
    setCompression(pair: CompressionPair): void;
    /** Decompresses a header block. */
    parseKVs(block: { readonly size: number }, done: (error: Error | null, headers?: Headers) => void): void;
  }

  export interface Framer {
    setVersion(version: number): void;
    setCompression(pair: CompressionPair): void;
    responseFrame(f: { id: number; status: number; headers: Headers }, done?: Done): void;
    dataFrame(f: { id: number; priority: number; fin: boolean; data: Buffer }, done?: Done): void;
    rstFrame(f: { id: number; code: "CANCEL" | "INVALID_STREAM" | "PROTOCOL_ERROR" }): void;
    pingFrame(f: { opaque: Buffer; ack: boolean }): void;
    windowUpdateFrame(f: { id: number; delta: number }): void;
    /** Called with each encoded frame. */
    schedule(item: { readonly chunks: readonly Buffer[]; readonly callback?: Done }): void;
  }

  /** A stream of the client's own connection. */
  export interface Stream extends Duplex {
    abort(): void;
  }

  export interface Connection {
    start(version: number): void;
    request(
      o: { method: string; path: string; headers: Headers },
      done: (error: Error | null, stream: Stream) => void,
    ): Stream;
    ping(done: Done): void;
    on(event: "error", listener: (error: Error) => void): this;
    on(event: "close", listener: () => void): this;
  }

  const transport: {
    readonly connection: { create(socket: Duplex, o: { protocol: "spdy"; isServer: boolean }): Connection };
    readonly protocol: {
      readonly spdy: {
        readonly parser: { create(o: { isServer: boolean }): Parser };
        readonly framer: { create(o: { window: { send: { update(delta: number): void } } }): Framer };
        readonly compressionPool: { create(compress: boolean): { get(version: number): CompressionPair } };
      };
    };
  };
  export default transport;
}
