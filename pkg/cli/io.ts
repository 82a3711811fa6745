/** What a command may touch of the world around it; `cmd/mini-kube/main.ts` passes the process's, tests pass their own. */
import type { Readable, Writable } from "node:stream";
import type { Clock } from "../util/clock.ts";

export interface Io {
  readonly stdin: Readable & { isTTY?: boolean; setRawMode?: (on: boolean) => unknown };
  readonly stdout: Writable & { isTTY?: boolean; columns?: number; rows?: number };
  readonly stderr: Writable & { isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The user's home directory. */
  readonly userHome: string;
  readonly clock: Clock;
  /** Aborts when the user wants the command to end (Ctrl-C). */
  readonly signal: AbortSignal;
}

/** Ends the command with a message of its own and an exit code; an empty message says nothing. */
export class CliError extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode = 1) {
    super(message);
    this.name = "CliError";
    this.exitCode = exitCode;
  }
}

/** A mistake in how the command was called: shown with where to look. */
export class UsageError extends CliError {}

/** What a shell reports for a program that Ctrl-C ended. */
export const EXIT_INTERRUPTED = 130;

export type Colour = "red" | "green" | "yellow" | "cyan" | "bold" | "dim";

const CODES: Readonly<Record<Colour, readonly [number, number]>> = {
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
  bold: [1, 22],
  dim: [2, 22],
};

export type Paint = (colour: Colour, text: string) => string;

/** Colours on a terminal unless NO_COLOR is set (https://no-color.org); elsewhere only if FORCE_COLOR is. */
export function paintFor(stream: { isTTY?: boolean }, env: Io["env"]): Paint {
  const on = !env.NO_COLOR && (Boolean(env.FORCE_COLOR) || (stream.isTTY === true && env.TERM !== "dumb"));
  if (!on) return (_, text) => text;
  return (colour, text) => {
    const [start, end] = CODES[colour];
    return `\u001b[${start}m${text}\u001b[${end}m`;
  };
}

/** Writes and waits while the other side is behind; a reader that left (`| head`) is no error. */
export async function write(stream: Writable, text: string | Uint8Array): Promise<void> {
  if (stream.destroyed || stream.write(text)) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      stream.off("drain", done).off("close", done).off("error", done);
      resolve();
    };
    stream.on("drain", done).on("close", done).on("error", done);
  });
}
