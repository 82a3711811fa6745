import { Change } from "./fake-process.ts";
import type { ExecSession, LogChunk } from "./runtime.ts";

/** What a command run in a fake container prints and how it ends. */
export interface ExecResult {
  readonly exitCode: number;
  readonly stdout?: string;
}

/** `echo`, `true`, `false` and `sh -c 'exit N'`; anything else succeeds and prints its own command line. */
export function runCommand(command: readonly string[]): ExecResult {
  const [program, ...rest] = command;
  if (program === "true") return { exitCode: 0 };
  if (program === "false") return { exitCode: 1 };
  if (program === "echo") return { exitCode: 0, stdout: `${rest.join(" ")}\n` };
  const exit = /^exit (\d+)$/.exec(rest.at(-1) ?? "");
  if (exit) return { exitCode: Number(exit[1]) };
  return { exitCode: 0, stdout: `${command.join(" ")}\n` };
}

/** A session whose output is all known at once. */
export function finishedSession(result: ExecResult): ExecSession {
  return {
    write: () => Promise.resolve(),
    end: () => {},
    resize: () => Promise.resolve(),
    close: () => {},
    exitCode: Promise.resolve(result.exitCode),
    output: (async function* (): AsyncGenerator<LogChunk> {
      if (result.stdout) yield { stream: "stdout", data: new TextEncoder().encode(result.stdout) };
    })(),
  };
}

/** `cat`: gives back what it is sent, until its stdin ends. */
export function catSession(): ExecSession {
  const change = new Change();
  const pending: Uint8Array[] = [];
  let ended = false;
  let closed = false;
  const stop = (how: { close: boolean }) => {
    ended = true;
    closed ||= how.close;
    change.notify();
  };
  let finish: (exitCode: number) => void = () => {};
  const exitCode = new Promise<number>((resolve) => (finish = resolve));
  async function* output(): AsyncGenerator<LogChunk> {
    for (;;) {
      for (let data = pending.shift(); data && !closed; data = pending.shift()) yield { stream: "stdout", data };
      if (ended) break;
      await change.wait();
    }
    finish(closed ? 137 : 0);
  }
  return {
    write(data) {
      pending.push(data);
      change.notify();
      return Promise.resolve();
    },
    end: () => stop({ close: false }),
    close: () => stop({ close: true }),
    resize: () => Promise.resolve(),
    output: output(),
    exitCode,
  };
}
