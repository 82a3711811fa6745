/** Child processes with deadlines, for scenarios. */
import { spawn } from "node:child_process";

/** A deadline tells a hang from a busy machine; how fast something is, the benchmark tells. */
export const PATIENCE_MS = 120_000;

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly input?: string | Uint8Array;
  /** Milliseconds; then the process is killed and the run rejects. */
  readonly deadline?: number;
}

/** Runs to the end; never rejects for an exit code. */
export function run(command: string, args: readonly string[], o: RunOptions = {}): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: o.env ?? process.env, cwd: o.cwd, stdio: ["pipe", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (d: Buffer) => (stdout += d.toString()));
    child.stderr.on("data", (d: Buffer) => (stderr += d.toString()));
    const deadline = o.deadline ?? PATIENCE_MS;
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`${command} ${args.join(" ")} did not end within ${deadline} ms\n${stdout}${stderr}`));
    }, deadline);
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? -1, stdout, stderr });
    });
    child.stdin.on("error", () => {});
    child.stdin.end(o.input);
  });
}

/** As {@link run}; an exit code other than 0 throws with all the process said. */
export async function runOk(command: string, args: readonly string[], o: RunOptions = {}): Promise<string> {
  const done = await run(command, args, o);
  if (done.code === 0) return done.stdout;
  throw new Error(`${command} ${args.join(" ")}: exit code ${done.code}\n${done.stdout}${done.stderr}`);
}

/** A running process whose output can be waited for. */
export class Running {
  #output = "";
  #waiters = new Set<() => void>();
  #child;
  readonly exited: Promise<number>;
  #ended = false;

  constructor(command: string, args: readonly string[], o: RunOptions = {}) {
    this.#child = spawn(command, args, { env: o.env ?? process.env, cwd: o.cwd, stdio: ["pipe", "pipe", "pipe"] });
    const hear = (d: Buffer) => {
      this.#output += d.toString();
      for (const w of this.#waiters) w();
    };
    this.#child.stdout.on("data", hear);
    this.#child.stderr.on("data", hear);
    this.exited = new Promise((resolve) =>
      this.#child.on("close", (code) => {
        this.#ended = true;
        resolve(code ?? -1);
        for (const w of this.#waiters) w();
      }),
    );
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get running(): boolean {
    return !this.#ended;
  }

  get output(): string {
    return this.#output;
  }

  write(text: string): void {
    this.#child.stdin.write(text);
  }

  endInput(): void {
    this.#child.stdin.end();
  }

  /** Resolves when the output matches; rejects after `deadline` ms, or at its end, with what was said instead. */
  until(pattern: RegExp, deadline = PATIENCE_MS): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = pattern.exec(this.#output);
        if (!found && this.#ended) return fail("before it ended");
        if (!found) return;
        finish();
        resolve(found);
      };
      const fail = (when: string) => {
        finish();
        reject(new Error(`no ${pattern} ${when} in:\n${this.#output}`));
      };
      const timer = setTimeout(() => fail(`within ${deadline} ms`), deadline);
      const finish = () => {
        clearTimeout(timer);
        this.#waiters.delete(look);
      };
      this.#waiters.add(look);
      look();
    });
  }

  kill(signal: NodeJS.Signals = "SIGTERM"): void {
    this.#child.kill(signal);
  }
}

/** For what cannot be watched: asks until `done` holds; the last answer either way, so that an `expect` on it can tell. */
export async function eventually<T>(
  ask: () => Promise<T>,
  done: (answer: T) => boolean,
  deadline = PATIENCE_MS,
): Promise<T> {
  const end = Date.now() + deadline;
  for (;;) {
    const answer = await ask();
    if (done(answer) || Date.now() > end) return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
