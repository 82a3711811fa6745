import type { Duplex } from "node:stream";
import type { ExecSession } from "../runtime.ts";
import { chunks } from "./streams.ts";

export interface SessionOptions {
  readonly socket: Duplex;
  readonly tty: boolean;
  readonly signal: AbortSignal;
  resize(size: { width: number; height: number }): Promise<void>;
  /** Asked once the output has ended; the signal ends with the session too. */
  exitCode(signal: AbortSignal): Promise<number>;
}

/** A hijacked connection as an ExecSession. Half closing the socket ends the process's stdin and leaves its output. */
export function session(o: SessionOptions): ExecSession {
  const { socket } = o;
  const closing = new AbortController();
  const signal = AbortSignal.any([o.signal, closing.signal]);
  let end = () => {};
  const outputEnded = new Promise<void>((resolve) => (end = resolve));
  socket.once("close", end);
  async function* output() {
    try {
      yield* chunks(socket, { tty: o.tty, signal });
    } finally {
      end();
    }
  }
  const exitCode = outputEnded.then(() => o.exitCode(signal));
  // Not everybody wants to know.
  exitCode.catch(() => {});
  return {
    output: output(),
    exitCode,
    resize: (size) => o.resize(size),
    write: (data) =>
      new Promise((resolve) => void (socket.destroyed ? resolve() : socket.write(data, () => resolve()))),
    end: () => void socket.end(),
    close() {
      closing.abort();
      socket.destroy();
    },
  };
}
