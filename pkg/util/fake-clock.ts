import { type Clock, sleepOn } from "./clock.ts";

/**
 * A clock that stands still until {@link FakeClock.advance}.
 *
 * Guarantees: timers fire in order of their due time, ties in order of creation; before and after each timer all
 * promise reactions and immediates already queued have run, so a test needs no waiting of its own.
 */
export class FakeClock implements Clock {
  #now: number;
  #order = 0;
  #timers = new Set<{ due: number; order: number; fn: () => void }>();

  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, fn: () => void): Disposable {
    const timer = { due: this.#now + Math.max(0, ms), order: this.#order++, fn };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) };
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal);
  }

  /** Timers not yet fired nor disposed: zero after a clean shutdown. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves time forward by `ms`, firing on the way what falls due, timers set on the way included. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.due);
      next.fn();
      await settle();
    }
    this.#now = end;
    await settle();
  }

  /** Advances in steps until `done()` holds; throws after `limitMs` of fake time. */
  async advanceUntil(done: () => boolean | Promise<boolean>, limitMs = 60_000, stepMs = 50): Promise<void> {
    const start = this.#now;
    await settle();
    while (!(await this.#answered(done(), stepMs))) {
      if (this.#now - start >= limitMs) throw new Error(`condition not met after ${limitMs} ms of fake time`);
      await this.advance(stepMs);
    }
  }

  /** What is asked may itself wait for time to pass: it does, once nothing else goes on. */
  async #answered(answer: boolean | Promise<boolean>, stepMs: number): Promise<boolean> {
    if (typeof answer === "boolean") return answer;
    let open = true;
    void Promise.allSettled([answer]).then(() => (open = false));
    while (open) {
      // No round more than it needs: what is asked at every step is most of what a test does.
      for (let round = 0; open && round < PATIENT_ROUNDS; round++) await settle(1);
      if (open) await this.advance(stepMs);
    }
    return answer;
  }

  #next(end: number) {
    let best: { due: number; order: number; fn: () => void } | undefined;
    for (const t of this.#timers) {
      if (t.due <= end && (!best || t.due < best.due || (t.due === best.due && t.order < best.order))) best = t;
    }
    return best;
  }
}

/** More than any hand-over needs. */
const PATIENT_ROUNDS = 2_000;

/** Lets queued promise reactions and immediates run. Ten rounds cover every hand-over between our components. */
export async function settle(rounds = 10): Promise<void> {
  for (let i = 0; i < rounds; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}
