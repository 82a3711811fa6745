import { SlowWatcherError, type StoreEvent } from "./store.ts";

export interface WatchLimits {
  /** How much may wait for one watcher; default 32 MiB. */
  readonly watchQueueBytes?: number | undefined;
}

const DEFAULT_WATCH_QUEUE_BYTES = 32 * 1024 * 1024;

/** Counts what an event occupies besides its values. */
const EVENT_BYTES = 200;

/**
 * What waits for one watcher, between a backend that never waits and a consumer that may be slow (Store S8).
 *
 * `push` never blocks. Past the limit nothing more is taken: the consumer gets what is queued and then SlowWatcherError,
 * so that even one who always comes too late gets on. A progress event gives way to whatever follows it.
 */
export class EventQueue {
  readonly prefix: string;
  readonly #limitBytes: number;
  #events: StoreEvent[] = [];
  #head = 0;
  #bytes = 0;
  #end: { error?: Error } | undefined;
  #wake: (() => void) | undefined;

  constructor(prefix: string, limitBytes = DEFAULT_WATCH_QUEUE_BYTES) {
    this.prefix = prefix;
    this.#limitBytes = limitBytes;
  }

  /** Nothing more is wanted. */
  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** False once the queue has ended. */
  push(event: StoreEvent): boolean {
    if (this.#end) return false;
    const last = this.#events.length - 1;
    if (last >= this.#head && this.#events[last]?.type === "progress") {
      this.#events.pop();
      this.#bytes -= EVENT_BYTES;
    }
    if (this.#bytes > 0 && this.#bytes + cost(event) > this.#limitBytes) {
      this.end(new SlowWatcherError(this.prefix, this.#limitBytes));
      return false;
    }
    this.#events.push(event);
    this.#bytes += cost(event);
    this.#notify();
    return true;
  }

  /** The consumer gets what is queued, then the error (or a plain end). */
  end(error?: Error): void {
    this.#end ??= error ? { error } : {};
    this.#notify();
  }

  /** Yields until the queue ends; an abort ends it at once, what is queued is dropped. */
  async *drain(signal: AbortSignal): AsyncGenerator<StoreEvent, void, void> {
    const onAbort = () => {
      this.#clear();
      this.end();
    };
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      for (;;) {
        const event = this.#shift();
        if (event) yield event;
        else if (this.#end) break;
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
    if (this.#end.error && !signal.aborted) throw this.#end.error;
  }

  #shift(): StoreEvent | undefined {
    const event = this.#events[this.#head];
    if (!event) return undefined;
    this.#bytes -= cost(event);
    this.#head++;
    if (this.#head === this.#events.length) this.#clear();
    else if (this.#head > 1000 && this.#head * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#head);
      this.#head = 0;
    }
    return event;
  }

  #clear(): void {
    this.#events = [];
    this.#head = 0;
    this.#bytes = 0;
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

function cost(event: StoreEvent): number {
  if (event.type === "progress") return EVENT_BYTES;
  const value = event.type === "put" ? event.kv.value.length : 0;
  return EVENT_BYTES + value + (event.prev?.value.length ?? 0);
}
