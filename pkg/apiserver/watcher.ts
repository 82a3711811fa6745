/** The server's end of one watch. */
import type { ResourceDef } from "../api/resource.ts";
import type { Notice } from "./entry.ts";

/** Notices waiting for one watcher; they are shared with all others, so this bounds pointers, not objects. */
export const WATCH_QUEUE_LIMIT = 10_000;

/**
 * What waits for one watcher, between a cache that never waits and a client that may be slow.
 *
 *  W1  Notices come out in the order in which they went in, none twice, none left out before the end.
 *  W2  `push` never blocks. Past the limit the watcher is cut off: what waits is dropped and the stream ends as if the
 *      server had closed it, so the client continues from the last revision it saw (or lists again).
 *  W3  After the end, by whichever side, nothing is kept and `onEnd` has run exactly once.
 */
export class Watcher {
  readonly #limit: number;
  readonly #onEnd: () => void;
  readonly #shownAs: ResourceDef | undefined;
  #waiting: Notice[];
  #end: { error?: Error } | undefined;
  #wake: (() => void) | undefined;

  /** `initial` does not count towards the limit: the client asked for it. `shownAs`: the view asked for, if it is one. */
  constructor(o: { initial: Notice[]; limit: number; onEnd: () => void; shownAs?: ResourceDef | undefined }) {
    this.#shownAs = o.shownAs;
    this.#waiting = o.initial;
    this.#limit = o.limit + o.initial.length;
    this.#onEnd = o.onEnd;
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  push(notice: Notice): void {
    if (this.#end) return;
    if (this.#waiting.length >= this.#limit) {
      this.#waiting = [];
      return this.end();
    }
    this.#waiting.push(notice);
    this.#wake?.();
  }

  /** The client still gets what waits, then the error or a plain end. */
  end(error?: Error): void {
    if (this.#end) return;
    this.#end = error ? { error } : {};
    this.#onEnd();
    this.#wake?.();
  }

  /** What waits, as often as something does. Ends when the watch has ended or the signal aborts. */
  async *batches(signal: AbortSignal): AsyncGenerator<readonly Notice[], void, void> {
    const onAbort = () => {
      this.#waiting = [];
      this.end();
    };
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      for (;;) {
        const batch = this.#waiting;
        if (batch.length > 0) {
          this.#waiting = [];
          const def = this.#shownAs;
          yield def ? batch.map((notice) => notice.as(def)) : batch;
        } else if (this.#end) break;
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      onAbort();
    }
    if (this.#end?.error && !signal.aborted) throw this.#end.error;
  }
}
