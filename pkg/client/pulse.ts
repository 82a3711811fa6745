/**
 * Whether a server that a watch hangs on still lives. A watch may be silent for long, and a server that was frozen or cut
 * off says nothing either: so it is asked beside the watch, and whoever hangs on one that gives no answer is let go.
 */
import type { Readable } from "node:stream";
import type { Clock } from "../util/clock.ts";

export interface PulseOptions {
  /** Rejects when the server gives no answer in time. */
  readonly ask: () => Promise<unknown>;
  readonly everyMs: number;
  readonly clock: Clock;
  /** The error of those that are let go. */
  readonly onDead: (error: Error) => void;
}

/** Asks as long as somebody hangs on the server, and no longer. */
export class Pulse {
  readonly #o: PulseOptions;
  readonly #streams = new Set<Readable>();
  #next: Disposable | undefined;

  constructor(o: PulseOptions) {
    this.#o = o;
  }

  /** Destroyed when the server is found dead. */
  watch(stream: Readable): void {
    this.#streams.add(stream);
    stream.once("close", () => {
      this.#streams.delete(stream);
      if (this.#streams.size === 0) this[Symbol.dispose]();
    });
    this.#plan();
  }

  [Symbol.dispose](): void {
    this.#next?.[Symbol.dispose]();
    this.#next = undefined;
  }

  #plan(): void {
    this.#next ??= this.#o.clock.after(this.#o.everyMs, () => void this.#beat());
  }

  async #beat(): Promise<void> {
    // Those that came after the question are not judged by its answer.
    const asked = [...this.#streams];
    const own = this.#next;
    try {
      await this.#o.ask();
    } catch (error) {
      this.#o.onDead(error as Error);
      for (const stream of asked) stream.destroy(error as Error);
    }
    // While it asked, all may have let go, and the next may have begun anew.
    if (this.#next !== own) return;
    this.#next = undefined;
    if (this.#streams.size > 0) this.#plan();
  }
}
