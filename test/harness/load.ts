/**
 * A steady stream of requests, and what became of each: for tests that promise that none fails.
 *
 * Every request has a connection of its own, unless `keepAlive`: so each is balanced anew, and each would notice an
 * endpoint that is gone.
 */
import { Agent, request } from "node:http";

export interface LoadOptions {
  readonly url: string;
  /** Requests under way at once. Default 8. */
  readonly concurrency?: number;
  readonly keepAlive?: boolean;
  /** One that takes longer has failed. Default 5 s. */
  readonly timeoutMs?: number;
}

export interface LoadReport {
  readonly sent: number;
  /** By what was answered. */
  readonly answers: Readonly<Record<string, number>>;
  readonly failures: readonly string[];
}

export class Load implements AsyncDisposable {
  readonly #o: LoadOptions;
  readonly #agent: Agent;
  readonly #loops: readonly Promise<void>[];
  readonly #answers = new Map<string, number>();
  readonly #failures: string[] = [];
  readonly #looks = new Set<() => void>();
  #sent = 0;
  #stopped = false;

  constructor(o: LoadOptions) {
    this.#o = o;
    this.#agent = new Agent({ keepAlive: o.keepAlive ?? false });
    this.#loops = Array.from({ length: o.concurrency ?? 8 }, () => this.#loop());
  }

  report(): LoadReport {
    return { sent: this.#sent, answers: Object.fromEntries(this.#answers), failures: this.#failures };
  }

  /** Resolves when so many more requests were answered: the load is known to run. */
  async more(count: number): Promise<void> {
    const until = this.#sent + count;
    await new Promise<void>((resolve) => {
      const look = () => {
        if (this.#sent < until) return;
        this.#looks.delete(look);
        resolve();
      };
      this.#looks.add(look);
    });
  }

  async stop(): Promise<LoadReport> {
    this.#stopped = true;
    await Promise.all(this.#loops);
    this.#agent.destroy();
    return this.report();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      const started = performance.now();
      try {
        const answer = await this.#ask();
        this.#answers.set(answer, (this.#answers.get(answer) ?? 0) + 1);
      } catch (error) {
        const at = new Date().toISOString().slice(11, 23);
        this.#failures.push(`${at} after ${Math.round(performance.now() - started)} ms: ${String(error)}`);
      }
      this.#sent++;
      for (const look of this.#looks) look();
    }
  }

  #ask(): Promise<string> {
    const { url, timeoutMs = 5_000 } = this.#o;
    return new Promise((resolve, reject) => {
      const call = request(url, { agent: this.#agent, signal: AbortSignal.timeout(timeoutMs) }, (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (text: string) => (body += text));
        response.once("error", reject);
        response.once("end", () => {
          if (response.statusCode === 200) resolve(body.trim());
          else reject(new Error(`HTTP ${response.statusCode}: ${body}`));
        });
      });
      call.once("error", reject);
      call.end();
    });
  }
}
