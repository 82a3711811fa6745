/**
 * `v5.channel.k8s.io` and `v4.channel.k8s.io`: binary messages whose first byte is the channel.
 * 0 stdin, 1 stdout, 2 stderr, 3 error (a Status at the end), 4 resize; v5 adds 255 + channel: that channel is closed.
 */
import type { RawData, WebSocket } from "ws";
import { StreamQueue } from "./queue.ts";
import { parseTerminalSize, type Remote, type SessionStatus, type TerminalSize } from "./session.ts";

/** Best first. */
export const CHANNEL_PROTOCOLS: readonly string[] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const ERROR = 3;
const RESIZE = 4;
const CLOSE = 255;
/** Bytes of stdin that may wait for the process before the remote is held back. */
const STDIN_LIMIT = 256 * 1024;

export function channelRemote(ws: WebSocket, o: { stdin: boolean; protocol: string }): Remote {
  const gone = new AbortController();
  const stdin = new StreamQueue<Uint8Array>({
    limit: STDIN_LIMIT,
    sizeOf: (d) => d.byteLength,
    onFull: (full) => (full ? ws.pause() : ws.resume()),
  });
  const resizes = new StreamQueue<TerminalSize>({ limit: 100, sizeOf: () => 1, onFull: () => {} });
  const v5 = o.protocol === CHANNEL_PROTOCOLS[0];

  ws.on("message", (raw: RawData, binary: boolean) => {
    const message = bytesOf(raw);
    const channel = message[0];
    if (!binary && channel === undefined) return;
    const data = message.subarray(1);
    if (channel === STDIN && o.stdin) {
      if (data.byteLength > 0) stdin.push(data);
    } else if (channel === RESIZE) {
      const size = parseTerminalSize(Buffer.from(data).toString());
      if (size) resizes.push(size);
    } else if (channel === CLOSE && v5 && data[0] === STDIN) stdin.end();
  });
  ws.once("close", () => {
    stdin.end();
    resizes.end();
    gone.abort();
  });
  ws.on("error", () => ws.terminate());

  return {
    ...(o.stdin && { stdin }),
    resizes,
    gone: gone.signal,
    write: (stream, data) => send(ws, stream === "stdout" ? STDOUT : STDERR, data),
    async finish(status: SessionStatus) {
      await send(ws, ERROR, Buffer.from(JSON.stringify(status)));
      ws.resume(); // or its answer to our close would never be read
      ws.close(1000);
    },
  };
}

/** Resolves once the socket has taken the message: one at a time is on its way. */
export function send(ws: WebSocket, channel: number, data: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    if (ws.readyState !== ws.OPEN) return resolve();
    const message = Buffer.allocUnsafe(data.byteLength + 1);
    message[0] = channel;
    message.set(data, 1);
    // A failed write means the remote has gone: `close` tells of it.
    ws.send(message, { binary: true }, () => resolve());
  });
}

export function bytesOf(raw: RawData): Uint8Array {
  if (Array.isArray(raw)) return Buffer.concat(raw);
  return raw instanceof ArrayBuffer ? new Uint8Array(raw) : raw;
}
