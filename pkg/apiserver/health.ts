/** `/livez`, `/readyz` and `/healthz`: whether the process lives, and whether it can serve. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { ApiError } from "../api/status.ts";
import type { Clock } from "../util/clock.ts";
import { urlOf } from "./request.ts";

export interface Check {
  readonly name: string;
  /** Rejects when all is not well. */
  readonly run: () => Promise<unknown>;
  /** A process that only waits for another one is alive, but not ready. */
  readonly readyOnly: boolean;
}

/** No answer within it is a bad one. */
const DEADLINE_MS = 2_000;

/** `/readyz` asks every check, `/readyz/NAME` one; `?exclude=NAME` leaves one out, `?verbose` tells each outcome. */
export class Health {
  readonly #checks: readonly Check[];
  readonly #clock: Clock;

  constructor(checks: readonly Check[], clock: Clock) {
    this.#checks = [{ name: "ping", run: () => Promise.resolve(), readyOnly: false }, ...checks];
    this.#clock = clock;
  }

  /** 200 `ok` or 500 with the outcomes; rejects with NotFound for a check that there is not. */
  async answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = urlOf(req);
    const [, endpoint = "", one] = url.pathname.replace(/\/$/, "").split("/");
    const excluded = url.searchParams.getAll("exclude");
    const checks = this.#checks.filter(
      (c) => (one === undefined ? endpoint === "readyz" || !c.readyOnly : c.name === one) && !excluded.includes(c.name),
    );
    if (one !== undefined && checks.length === 0) {
      throw new ApiError("NotFound", "the server could not find the requested resource");
    }
    const outcomes = await Promise.all(checks.map((c) => this.#outcome(c)));
    const well = outcomes.every((o) => o.startsWith("[+]"));
    const told = [...outcomes, `${endpoint} check ${well ? "passed" : "failed"}`, ""].join("\n");
    const verbose = !well || (url.searchParams.has("verbose") && one === undefined);
    res.writeHead(well ? 200 : 500, {
      "Content-Type": "text/plain; charset=utf-8",
      "X-Content-Type-Options": "nosniff",
      "Cache-Control": "no-cache, private",
    });
    res.end(verbose ? told : "ok");
  }

  async #outcome({ name, run }: Check): Promise<string> {
    const late = new AbortController();
    const deadline = this.#clock.sleep(DEADLINE_MS, late.signal).then(() => Promise.reject(new Error("no answer")));
    try {
      await Promise.race([run(), deadline]);
      return `[+]${name} ok`;
    } catch {
      // Why is for the log, not for whoever asks: anybody may.
      return `[-]${name} failed: reason withheld`;
    } finally {
      deadline.catch(() => undefined);
      late.abort();
    }
  }
}
