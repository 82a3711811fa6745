import type { ObjectKey } from "../api/object.ts";
import { backoffMs, type BackoffOptions } from "../util/backoff.ts";
import type { Clock, Random } from "../util/clock.ts";

/** As controller-runtime's default rate limiter, with a cap that a person is willing to wait for. */
const BACKOFF: BackoffOptions = { initialMs: 5, maxMs: 60_000, jitter: 0.1 };

/** Told of what goes through a queue. */
export interface QueueObserver {
  /** It is due, or will be when it is given back. Once before each time it is taken. */
  added(key: ObjectKey): void;
  taken(key: ObjectKey): void;
  done(key: ObjectKey): void;
  retried(): void;
  closed(): void;
}

/**
 * Keys to look at again. A key says "look", never "this happened", so adding it often is as good as once.
 *
 *  I1  A key waits at most once, however often it is added.
 *  I2  A key is in the hands of at most one worker.
 *  I3  A key added while a worker has it is handed out again after `done`: no addition is lost.
 *  I4  Keys leave in the order they became due.
 *  I5  Of several delayed additions of a key the earliest counts; it is no obstacle to an immediate one.
 *  I6  After `close` nothing is handed out, all takers get undefined, and no timer is left.
 */
export class WorkQueue implements Disposable {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #backoff: BackoffOptions;
  /** Due and not in anybody's hands, in order. */
  readonly #ready = new Set<ObjectKey>();
  /** In a worker's hands; true → added meanwhile. */
  readonly #taken = new Map<ObjectKey, boolean>();
  readonly #delayed = new Map<ObjectKey, { due: number; timer: Disposable }>();
  readonly #failures = new Map<ObjectKey, number>();
  readonly #takers: ((key: ObjectKey | undefined) => void)[] = [];
  #observer: QueueObserver | undefined;
  #closed = false;

  constructor(o: { clock: Clock; random: Random; backoff?: BackoffOptions }) {
    this.#clock = o.clock;
    this.#random = o.random;
    this.#backoff = o.backoff ?? BACKOFF;
  }

  /** Keys due or in hand: zero when there is nothing to do before some time passes. */
  get busy(): number {
    return this.#ready.size + this.#taken.size;
  }

  /** From here on; there is one. */
  observe(observer: QueueObserver): void {
    this.#observer = observer;
  }

  add(key: ObjectKey): void {
    if (this.#closed || this.#ready.has(key) || this.#taken.get(key) === true) return;
    if (this.#taken.has(key)) {
      this.#taken.set(key, true);
      this.#observer?.added(key);
    } else {
      this.#observer?.added(key);
      this.#enqueue(key);
    }
  }

  addAfter(key: ObjectKey, ms: number): void {
    if (this.#closed) return;
    if (ms <= 0) return this.add(key);
    const due = this.#clock.now() + ms;
    const earlier = this.#delayed.get(key);
    if (earlier && earlier.due <= due) return;
    earlier?.timer[Symbol.dispose]();
    const timer = this.#clock.after(ms, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { due, timer });
  }

  /** Adds the key after a delay that grows with each call, until `forget`. Returns the delay. */
  retry(key: ObjectKey): number {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    const ms = backoffMs(failures, this.#backoff, this.#random);
    this.addAfter(key, ms);
    this.#observer?.retried();
    return ms;
  }

  /** The key is well: its next back-off begins anew. */
  forget(key: ObjectKey): void {
    this.#failures.delete(key);
  }

  /** The next key, when there is one; undefined once the queue is closed. Every key taken must be given back by `done`. */
  take(): Promise<ObjectKey | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#takers.push(resolve);
      this.#dispatch();
    });
  }

  done(key: ObjectKey): void {
    const again = this.#taken.get(key) === true;
    this.#taken.delete(key);
    this.#observer?.done(key);
    if (again && !this.#closed) this.#enqueue(key);
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#delayed.values()) timer[Symbol.dispose]();
    this.#delayed.clear();
    this.#ready.clear();
    for (const give of this.#takers.splice(0)) give(undefined);
    this.#observer?.closed();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #enqueue(key: ObjectKey): void {
    this.#ready.add(key);
    this.#dispatch();
  }

  #dispatch(): void {
    if (this.#takers.length === 0) return;
    for (const key of this.#ready) {
      const give = this.#takers.shift();
      if (!give) return;
      this.#ready.delete(key);
      this.#taken.set(key, false);
      this.#observer?.taken(key);
      give(key);
    }
  }
}
