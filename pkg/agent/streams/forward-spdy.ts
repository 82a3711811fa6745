/**
 * `portforward.k8s.io` over SPDY/3.1: for each connection the client opens two streams, `streamType: error` and `data`,
 * with the same `requestID` and the `port`. kubectl from 1.31 sends the same frames inside WebSocket messages.
 */
import type { Clock } from "../../util/clock.ts";
import { type Connect, forward, parsePort, type Tunnel } from "./forward.ts";
import type { SpdyConnection, SpdyStream } from "./spdy-connection.ts";

export const FORWARD_PROTOCOL = "portforward.k8s.io";
/** As the kubelet: for the second stream of a pair. */
const PAIR_TIMEOUT_MS = 30_000;
/** Of one client. */
const MAX_CONNECTIONS = 1000;

type StreamType = "error" | "data";

interface Pair extends Partial<Record<StreamType, SpdyStream>> {
  readonly late: Disposable;
}

/** Finds the streams that belong together. */
export class ForwardPairs implements Disposable {
  readonly #waiting = new Map<string, Pair>();
  readonly #clock: Clock;
  readonly #onPair: (pair: Readonly<Record<StreamType, SpdyStream>>) => void;

  constructor(clock: Clock, onPair: (pair: Readonly<Record<StreamType, SpdyStream>>) => void) {
    this.#clock = clock;
    this.#onPair = onPair;
  }

  /** Refuses by a reset what belongs nowhere. */
  add(stream: SpdyStream): void {
    const type = stream.headers["streamtype"];
    if ((type !== "error" && type !== "data") || !parsePort(stream.headers["port"])) return stream.reset();
    const id = requestId(stream, type);
    const pair = this.#waiting.get(id) ?? this.#begin(id);
    if (pair[type] || this.#waiting.size > MAX_CONNECTIONS) return stream.reset();
    pair[type] = stream;
    const { error, data } = pair;
    if (!error || !data) return;
    pair.late[Symbol.dispose]();
    this.#waiting.delete(id);
    this.#onPair({ error, data });
  }

  [Symbol.dispose](): void {
    for (const pair of this.#waiting.values()) pair.late[Symbol.dispose]();
    this.#waiting.clear();
  }

  #begin(id: string): Pair {
    const late = this.#clock.after(PAIR_TIMEOUT_MS, () => {
      const half = this.#waiting.get(id);
      this.#waiting.delete(id);
      half?.error?.reset();
      half?.data?.reset();
    });
    const pair: Pair = { late };
    this.#waiting.set(id, pair);
    return pair;
  }
}

/** Old clients name none: they open data right after error, and their numbers are odd. */
function requestId(stream: SpdyStream, type: StreamType): string {
  return stream.headers["requestid"] ?? String(type === "error" ? stream.id : stream.id - 2);
}

/** Serves a connection until it ends. */
export async function serveForward(
  accept: (onStream: (stream: SpdyStream) => void) => SpdyConnection,
  o: { connect: Connect; pod: string; clock: Clock },
): Promise<void> {
  let open = 0;
  using pairs = new ForwardPairs(o.clock, ({ error, data }) => {
    if (++open > MAX_CONNECTIONS) {
      error.reset();
      data.reset();
      open--;
      return;
    }
    void forward(spdyTunnel(error, data), o.connect, { pod: o.pod, gone: connection.gone }).finally(() => open--);
  });
  const connection = accept((stream) => pairs.add(stream));
  if (connection.gone.aborted) return;
  await new Promise((resolve) => connection.gone.addEventListener("abort", resolve, { once: true }));
}

function spdyTunnel(error: SpdyStream, data: SpdyStream): Tunnel {
  void discard(error.incoming);
  return {
    port: parsePort(data.headers["port"]) ?? 0,
    incoming: data.incoming,
    write: (bytes) => data.write(bytes),
    async finish(why) {
      if (why !== undefined) await error.write(Buffer.from(why));
      await Promise.all([error.end(), data.end()]);
    },
  };
}

/** Nobody has anything to say on it. */
async function discard(incoming: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of incoming);
}
