/** A place among those of a node who start containers: held from the first step of a start to its last. */
import type { Limiter } from "./limiter.ts";

export class StartSlot implements Disposable {
  readonly #starts: Limiter;
  readonly #granted: () => void;
  /** Takes back what one that has ended still asks for. */
  readonly #ended = new AbortController();
  #slot: Disposable | "asked" | undefined;

  /** `granted` is called when a place that was asked for has been given. */
  constructor(starts: Limiter, granted: () => void) {
    this.#starts = starts;
    this.#granted = granted;
  }

  /** Asks for a place; true when there is one already. */
  held(signal: AbortSignal): boolean {
    if (this.#slot === undefined) {
      this.#slot = "asked";
      this.#starts.acquire(AbortSignal.any([signal, this.#ended.signal])).then(
        (slot) => {
          this.#slot = slot;
          if (this.#ended.signal.aborted) this.release();
          this.#granted();
        },
        () => {}, // only by the signals
      );
    }
    return this.#slot !== "asked";
  }

  release(): void {
    if (this.#slot === undefined || this.#slot === "asked") return;
    this.#slot[Symbol.dispose]();
    this.#slot = undefined;
  }

  [Symbol.dispose](): void {
    this.#ended.abort();
    this.release();
  }
}
