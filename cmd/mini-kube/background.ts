/** Programs that go on when the command that has started them is over, with what they say in a file. */
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, statSync } from "node:fs";
import { CliError } from "../../pkg/cli/io.ts";
import type { Clock } from "../../pkg/util/clock.ts";

export interface Background<T> {
  /** `cluster` */
  readonly what: string;
  /** Script and arguments. */
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly log: string;
  /** Asked until it is there; undefined: not yet. */
  readonly look: () => Promise<T | undefined>;
  readonly everyMs: number;
  readonly deadlineMs: number;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}

/** Resolves with what `look` finds. Rejects with the program's last words when it ends before, or when it takes too long. */
export async function startInBackground<T>(o: Background<T>): Promise<T> {
  const { what, clock, signal = new AbortController().signal } = o;
  const before = statSync(o.log, { throwIfNoEntry: false })?.size ?? 0;
  const log = openSync(o.log, "a", 0o600);
  const child = spawn(process.execPath, [...process.execArgv, ...o.command], {
    detached: true,
    stdio: ["ignore", log, log],
    env: o.env,
  });
  closeSync(log);
  let ended = false;
  child.once("exit", () => (ended = true));
  const deadline = clock.now() + o.deadlineMs;
  try {
    for (;;) {
      const found = await o.look();
      if (found !== undefined) return found;
      if (ended) throw new CliError(`the ${what} did not start: ${lastWords(o.log, before)}`);
      if (clock.now() >= deadline)
        throw new CliError(`the ${what} was not ready within ${o.deadlineMs / 1000} s; see ${o.log}`);
      await clock.sleep(o.everyMs, signal);
    }
  } catch (error) {
    child.kill();
    throw error;
  } finally {
    // From here on it is on its own; until here it kept this process waiting.
    child.unref();
  }
}

/** What it said on its error output: the lines of the log, from that byte on, that are not JSON. */
function lastWords(log: string, from: number): string {
  const lines = readFileSync(log).subarray(from).toString().split("\n");
  const words = lines.filter((line) => line.trim() && !line.startsWith("{")).slice(-5);
  return words.join("\n").replace(/^error: /i, "") || `see ${log}`;
}
