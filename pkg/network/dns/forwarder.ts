/** Asks other servers what is not the cluster's to know. */
import { onAbort } from "../../reconcile/controller.ts";
import type { Clock } from "../../util/clock.ts";
import { AnswerCache, questionKey } from "./cache.ts";
import type { Exchange } from "./exchange.ts";
import type { Answer, Question } from "./message.ts";
import type { UpstreamAddress } from "./settings.ts";

export interface ForwarderOptions {
  readonly upstreams: readonly UpstreamAddress[];
  readonly exchange: Exchange;
  readonly clock: Clock;
  /** Told of each answer, and of each server that gave none. */
  readonly onResult?: (result: "hit" | "answered" | "failed" | "refused") => void;
}

/** The next server is asked, too, when one has not answered within this. */
const NEXT_MS = 500;
/** A client asks again after 5 s: later answers reach nobody. */
const DEADLINE_MS = 4_500;
/** Who has failed is asked last for so long. */
const SHUN_MS = 10_000;
const MAX_IN_FLIGHT = 512;
const CACHED = 10_000;

const FAILED: Answer = { rcode: "SERVFAIL", answers: [] };

/**
 *  F1  Every question is answered within 4.5 s; with a failure, if by nobody else.
 *  F2  A server that hangs costs a question half a second, and the next ten seconds of questions nothing, as long as
 *      another one answers.
 *  F3  One question of a name is under way at a time; who asks for the same meanwhile gets its answer.
 *  F4  At most 512 questions are under way; what is more is refused at once.
 */
export class Forwarder implements Disposable {
  readonly #o: ForwarderOptions;
  readonly #cache: AnswerCache;
  readonly #inFlight = new Map<string, Promise<Answer>>();
  readonly #shunnedUntil = new Map<UpstreamAddress, number>();
  readonly #stop = new AbortController();

  constructor(o: ForwarderOptions) {
    this.#o = o;
    this.#cache = new AnswerCache({ clock: o.clock, size: CACHED });
  }

  /** Never rejects. */
  async ask(question: Question): Promise<Answer> {
    const cached = this.#cache.get(question);
    if (cached) {
      this.#o.onResult?.("hit");
      return cached;
    }
    const key = questionKey(question);
    const underWay = this.#inFlight.get(key);
    if (underWay) return underWay;
    if (this.#inFlight.size >= MAX_IN_FLIGHT || this.#o.upstreams.length === 0) {
      this.#o.onResult?.("refused");
      return this.#o.upstreams.length === 0 ? { rcode: "REFUSED", answers: [] } : FAILED;
    }
    const asking = this.#askAnyone(question).finally(() => this.#inFlight.delete(key));
    this.#inFlight.set(key, asking);
    return asking;
  }

  [Symbol.dispose](): void {
    this.#stop.abort(new Error("the forwarder is no longer used"));
  }

  async #askAnyone(question: Question): Promise<Answer> {
    const end = new AbortController();
    using _deadline = this.#o.clock.after(DEADLINE_MS, () => end.abort(new Error("no server answered in time")));
    using _stop = onAbort(this.#stop.signal, () => end.abort(this.#stop.signal.reason));
    try {
      const answer = await this.#firstOf(question, end.signal);
      this.#cache.put(question, answer);
      this.#o.onResult?.("answered");
      return answer;
    } catch {
      this.#o.onResult?.("failed");
      return FAILED;
    } finally {
      end.abort(new Error("answered by another"));
    }
  }

  /** One after the other joins in; the first that knows something decides. */
  #firstOf(question: Question, signal: AbortSignal): Promise<Answer> {
    const servers = this.#inOrder();
    return new Promise((resolve, reject) => {
      let [next, pending, timer] = [0, 0, undefined as Disposable | undefined];
      const end = (settle: () => void) => {
        timer?.[Symbol.dispose]();
        settle();
      };
      const ask = () => {
        timer?.[Symbol.dispose]();
        const server = servers[next++];
        if (!server || signal.aborted) return;
        pending++;
        timer = this.#o.clock.after(NEXT_MS, () => {
          this.#shun(server);
          ask();
        });
        this.#askOne(server, question, signal).then(
          (answer) => end(() => resolve(answer)),
          (error: unknown) => {
            pending--;
            if (!signal.aborted) this.#shun(server);
            if (next < servers.length) ask();
            else if (pending === 0) end(() => reject(error as Error));
          },
        );
      };
      signal.addEventListener("abort", () => end(() => reject(signal.reason as Error)), { once: true });
      ask();
    });
  }

  async #askOne(server: UpstreamAddress, question: Question, signal: AbortSignal): Promise<Answer> {
    const answer = await this.#o.exchange(server, question, signal);
    // It lives, but does not know; another may.
    if (answer.rcode === "SERVFAIL" || answer.rcode === "REFUSED") throw new Error(`${server.host}: ${answer.rcode}`);
    this.#shunnedUntil.delete(server);
    return answer;
  }

  #shun(server: UpstreamAddress): void {
    this.#shunnedUntil.set(server, this.#o.clock.now() + SHUN_MS);
  }

  /** As they are listed, but those who failed lately at the end. */
  #inOrder(): readonly UpstreamAddress[] {
    const now = this.#o.clock.now();
    const shunned = (u: UpstreamAddress) => ((this.#shunnedUntil.get(u) ?? 0) > now ? 1 : 0);
    return this.#o.upstreams.toSorted((a, b) => shunned(a) - shunned(b));
  }
}
