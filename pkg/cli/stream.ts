/**
 * A command's terminal over a WebSocket (`v5.channel.k8s.io`, older servers v4): the first byte of each message is its
 * channel: 0 stdin, 1 stdout, 2 stderr, 3 the result as a Status, 4 the terminal's size.
 */
import type { WebSocket } from "ws";
import type { Status } from "../api/status.ts";
import { ApiError } from "../api/status.ts";
import type { Query } from "../client/request.ts";
import { CliError, write } from "./io.ts";
import type { Session } from "./session.ts";

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const RESULT = 3;
const RESIZE = 4;
/** v5 only: the channel that the next byte names has ended. */
const CLOSE = 255;

export interface StreamOptions {
  readonly path: string;
  readonly query: Query;
  readonly stdin: boolean;
  readonly tty: boolean;
}

/** Connects the session's streams; resolves with the command's exit code. */
export async function runStream(session: Session, o: StreamOptions): Promise<number> {
  const socket = await session.transport.upgrade(o.path, o.query, ["v5.channel.k8s.io", "v4.channel.k8s.io"]);
  const done = results(session, socket);
  using _terminal = o.tty ? rawTerminal(session, socket) : undefined;
  using _input = o.stdin ? forwardInput(session, socket) : undefined;
  return exitCodeOf(await done);
}

function results(session: Session, socket: WebSocket): Promise<Partial<Status>> {
  const { stdout, stderr } = session.io;
  let status: Partial<Status> | undefined;
  // In order and one at a time: while a reader is behind, the socket is not read.
  let writing = Promise.resolve();
  let waiting = 0;
  return new Promise((resolve, reject) => {
    socket.on("message", (data: Buffer) => {
      const channel = data[0];
      const payload = data.subarray(1);
      if (channel === RESULT) status = JSON.parse(payload.toString("utf8")) as Partial<Status>;
      else if (channel === STDOUT || channel === STDERR) {
        socket.pause();
        waiting += 1;
        writing = writing
          .then(() => write(channel === STDOUT ? stdout : stderr, payload))
          .then(() => {
            waiting -= 1;
            if (waiting === 0) socket.resume();
          });
      }
    });
    socket.on("error", reject);
    socket.on("close", () => {
      // Every command ends with a Status: without one nobody knows how it ended.
      writing.then(
        () =>
          status === undefined
            ? reject(new CliError("the connection broke off before the command ended"))
            : resolve(status),
        reject,
      );
    });
    session.io.signal.addEventListener("abort", () => socket.terminate(), { once: true });
  });
}

/** Throws what went wrong before the command could run. */
export function exitCodeOf(status: Partial<Status>): number {
  if (status.status === "Success") return 0;
  const exit = status.details?.causes?.find((c) => c.reason === "ExitCode");
  if (exit?.message !== undefined) return Number(exit.message);
  throw ApiError.fromStatus(status);
}

function forwardInput(session: Session, socket: WebSocket): Disposable {
  const { stdin } = session.io;
  const send = (data: Buffer) => {
    const message = Buffer.concat([Buffer.from([STDIN]), data]);
    stdin.pause();
    // An error says that the command has ended: the rest of the input is nobody's, and reading on would never end.
    socket.send(message, (error) => {
      if (!error) stdin.resume();
    });
  };
  // v4 cannot say that the input has ended: there the command learns it when the connection closes.
  const end = () => socket.protocol.startsWith("v5") && socket.send(Buffer.from([CLOSE, STDIN]));
  stdin.on("data", send).on("end", end);
  return {
    [Symbol.dispose]: () => {
      stdin.off("data", send).off("end", end);
      stdin.pause();
    },
  };
}

/** Keys go to the command as they are pressed, Ctrl-C included; the size of the window follows. */
function rawTerminal(session: Session, socket: WebSocket): Disposable {
  const { stdin, stdout } = session.io;
  stdin.setRawMode?.(true);
  const resize = () => {
    const size = { Width: stdout.columns ?? 80, Height: stdout.rows ?? 24 };
    socket.send(Buffer.concat([Buffer.from([RESIZE]), Buffer.from(JSON.stringify(size))]));
  };
  resize();
  stdout.on("resize", resize);
  return {
    [Symbol.dispose]: () => {
      stdout.off("resize", resize);
      stdin.setRawMode?.(false);
    },
  };
}
