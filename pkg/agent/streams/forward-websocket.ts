/**
 * `v4.channel.k8s.io` with `?ports=80,443`: binary messages whose first byte is the channel. Port n has channel 2n for
 * data and 2n + 1 for its error; the first message of each is the port, two bytes, little endian. No end of data is told
 * but the socket's own.
 */
import type { RawData, WebSocket } from "ws";
import { ApiError } from "../../api/status.ts";
import { type Connect, forward, parsePort, type Tunnel } from "./forward.ts";
import { StreamQueue } from "./queue.ts";
import { bytesOf, send } from "./websocket.ts";

export const FORWARD_CHANNELS = "v4.channel.k8s.io";
/** A channel's number is a byte, and two are needed for each port. */
const MAX_PORTS = 127;
/** Bytes that may wait for the Pod before the remote is held back. */
const LIMIT = 256 * 1024;

/** Throws BadRequest, as must be said before the upgrade. */
export function forwardPorts(q: URLSearchParams): number[] {
  const texts = q.getAll("ports").flatMap((text) => text.split(","));
  if (texts.length === 0) throw new ApiError("BadRequest", 'query parameter "ports" is required');
  if (texts.length > MAX_PORTS) throw new ApiError("BadRequest", `more than ${MAX_PORTS} ports`);
  return texts.map((text) => {
    const port = parsePort(text);
    if (port === undefined) throw new ApiError("BadRequest", `unable to parse "${text}" as a port`);
    return port;
  });
}

/** Resolves when all connections have ended. */
export async function serveForwardChannels(
  ws: WebSocket,
  ports: readonly number[],
  o: { connect: Connect; pod: string },
): Promise<void> {
  const gone = new AbortController();
  const full = new Set<number>();
  const queues = ports.map((_, n) => {
    const onFull = (isFull: boolean) => {
      if (isFull) full.add(n);
      else full.delete(n);
      if (full.size > 0) ws.pause();
      else ws.resume();
    };
    return new StreamQueue<Uint8Array>({ limit: LIMIT, sizeOf: (d) => d.byteLength, onFull });
  });
  ws.on("message", (raw: RawData) => {
    const message = bytesOf(raw);
    const channel = message[0] ?? 1;
    if (channel % 2 === 0 && message.byteLength > 1) queues[channel / 2]?.push(message.subarray(1));
  });
  ws.once("close", () => {
    for (const queue of queues) queue.end();
    gone.abort();
  });
  ws.on("error", () => ws.terminate());
  const tunnels = queues.map((incoming, n) => channelTunnel(ws, { n, port: ports[n] ?? 0, incoming }));
  await Promise.all(tunnels.map((t) => forward(t, o.connect, { pod: o.pod, gone: gone.signal })));
  ws.resume(); // or its answer to our close would never be read
  ws.close(1000);
}

function channelTunnel(ws: WebSocket, o: { n: number; port: number; incoming: AsyncIterable<Uint8Array> }): Tunnel {
  const [data, error] = [2 * o.n, 2 * o.n + 1];
  const port = Uint8Array.of(o.port & 255, o.port >> 8);
  void send(ws, data, port);
  void send(ws, error, port);
  return {
    port: o.port,
    incoming: o.incoming,
    write: (bytes) => send(ws, data, bytes),
    finish: (why) => (why === undefined ? Promise.resolve() : send(ws, error, Buffer.from(why))),
  };
}
