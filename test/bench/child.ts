import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";

const JOB_DEADLINE_MS = 180_000;

/** A forked module that answers one message at a time. */
export class Child {
  readonly #process: ChildProcess;

  constructor(module: string) {
    this.#process = fork(join(import.meta.dirname, module), {
      execArgv: ["--import", "tsx", "--expose-gc", ...(process.env["BENCH_NODE_FLAGS"]?.split(" ") ?? [])],
    });
  }

  ask<T>(message: unknown): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer);
        this.#process.removeAllListeners();
      };
      const timer = setTimeout(() => {
        settle();
        reject(new Error(`no answer within ${JOB_DEADLINE_MS} ms`));
      }, JOB_DEADLINE_MS);
      this.#process.once("message", (answer) => {
        settle();
        if (typeof answer === "object" && "error" in answer) reject(new Error(String(answer.error)));
        else resolve(answer as T);
      });
      this.#process.once("exit", (code) => {
        settle();
        reject(new Error(`it ended with ${code}`));
      });
      this.#process.send(message as object);
    });
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  /** SIGKILL: it does nothing more. */
  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGKILL");
    await gone;
  }

  async end(): Promise<void> {
    if (!this.#process.connected) return;
    const gone = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.disconnect();
    await gone;
  }
}
