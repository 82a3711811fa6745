/**
 * One forwarded connection, whatever protocol carries it (forward-spdy.ts, forward-websocket.ts).
 *
 *  F1  Bytes arrive in order and complete, both ways; either end may finish first and still hear the other out.
 *  F2  Neither side piles up in memory: each is read only as fast as the other takes it.
 *  F3  When the remote goes, the connection to the Pod is closed; when that ends or fails, the remote is told.
 */
import type { Duplex } from "node:stream";

/** A connection to a port of one Pod; the signal ends it. */
export type Connect = (port: number, signal: AbortSignal) => Promise<Duplex>;

/** The remote end of one connection, as a protocol adapter offers it. */
export interface Tunnel {
  readonly port: number;
  /** Ends with the remote's end of data, or with the remote. */
  readonly incoming: AsyncIterable<Uint8Array>;
  /** Resolves when more may be written. */
  write(data: Uint8Array): Promise<void>;
  /** It is over: nothing more comes from the Pod. `error` says why, when it should not be. */
  finish(error?: string): Promise<void>;
}

/** Resolves when the connection has ended, however it did. `pod` is what errors call it. */
export async function forward(tunnel: Tunnel, connect: Connect, o: { pod: string; gone: AbortSignal }): Promise<void> {
  const explain = (error: unknown) =>
    `error forwarding port ${tunnel.port} to pod ${o.pod}: ${error instanceof Error ? error.message : String(error)}`;
  let socket: Duplex | undefined;
  try {
    socket = await connect(tunnel.port, o.gone);
    socket.on("error", () => {}); // the reader below hears of it
    const ended = new Promise<void>((resolve) => socket?.once("close", resolve));
    void feed(tunnel.incoming, socket, ended);
    for await (const data of socket as AsyncIterable<Uint8Array>) await tunnel.write(data);
    await tunnel.finish();
  } catch (error) {
    if (!socket) void drain(tunnel.incoming);
    await tunnel.finish(o.gone.aborted ? undefined : explain(error));
  } finally {
    socket?.destroy();
  }
}

/** To the very end, also when the Pod no longer listens: what is not read would hold up the remote's other connections. */
async function feed(incoming: AsyncIterable<Uint8Array>, socket: Duplex, ended: Promise<void>): Promise<void> {
  for await (const data of incoming) {
    if (!socket.writable) continue;
    if (!socket.write(data)) await Promise.race([new Promise((resolve) => socket.once("drain", resolve)), ended]);
  }
  if (socket.writable) socket.end();
}

async function drain(incoming: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of incoming);
}

/** A port as a header or query names it. */
export function parsePort(text: string | undefined): number | undefined {
  const port = /^\d{1,5}$/.test(text ?? "") ? Number(text) : 0;
  return port > 0 && port < 65536 ? port : undefined;
}
