import { EventQueue } from "./event-queue.ts";
import type { Revision, StoreEvent } from "./store.ts";

/**
 * Hands committed events to every watcher, without ever waiting for one (Store S8). A prefix is matched once per event
 * however many watch it, and the event object is shared.
 */
export class WatchHub {
  readonly #queueBytes: number | undefined;
  readonly #byPrefix = new Map<string, Set<EventQueue>>();
  #closed: Error | undefined;

  constructor(queueBytes?: number) {
    this.#queueBytes = queueBytes;
  }

  /** Whether nobody watches, so that events need not be made at all. */
  get idle(): boolean {
    return this.#byPrefix.size === 0;
  }

  /** From this moment on the queue gets every event that is published: subscribe before you scan. */
  subscribe(prefix: string): EventQueue {
    const queue = new EventQueue(prefix, this.#queueBytes);
    if (this.#closed) {
      queue.end(this.#closed);
      return queue;
    }
    const queues = this.#byPrefix.get(prefix);
    if (queues) queues.add(queue);
    else this.#byPrefix.set(prefix, new Set([queue]));
    return queue;
  }

  unsubscribe(queue: EventQueue): void {
    const queues = this.#byPrefix.get(queue.prefix);
    if (queues?.delete(queue) && queues.size === 0) this.#byPrefix.delete(queue.prefix);
  }

  /** `events` in revision order, everything up to `revision`; who has none of them learns the revision as progress. */
  publish(events: readonly StoreEvent[], revision: Revision): void {
    for (const [prefix, queues] of this.#byPrefix) {
      const matching = events.filter((e) => e.type !== "progress" && keyOf(e).startsWith(prefix));
      if (matching.at(-1)?.revision !== revision) matching.push({ type: "progress", revision });
      for (const queue of queues) {
        if (!matching.every((event) => queue.push(event))) this.unsubscribe(queue);
      }
    }
  }

  close(error: Error): void {
    this.#closed = error;
    for (const queues of this.#byPrefix.values()) for (const queue of queues) queue.end(error);
    this.#byPrefix.clear();
  }
}

function keyOf(event: Exclude<StoreEvent, { type: "progress" }>): string {
  return event.type === "put" ? event.kv.key : event.key;
}
