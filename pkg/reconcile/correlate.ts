import type { Clock } from "../util/clock.ts";

/** A map that forgets the entry written longest ago when it is full. */
export class BoundedMap<K, V> {
  readonly #limit: number;
  readonly #map = new Map<K, V>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#map.size;
  }

  get(key: K): V | undefined {
    return this.#map.get(key);
  }

  set(key: K, value: V): void {
    this.#map.delete(key);
    this.#map.set(key, value);
    if (this.#map.size <= this.#limit) return;
    for (const oldest of this.#map.keys()) {
      this.#map.delete(oldest);
      return;
    }
  }

  delete(key: K): void {
    this.#map.delete(key);
  }
}

/**
 * A token bucket per key: `burst` at once, then one per `refillMs`. client-go's spam filter of events has 25 and
 * five minutes.
 */
export class SpamFilter {
  readonly #clock: Clock;
  readonly #burst: number;
  readonly #refillMs: number;
  readonly #buckets: BoundedMap<string, { tokens: number; at: number }>;

  constructor(o: { clock: Clock; burst: number; refillMs: number; keys: number }) {
    this.#clock = o.clock;
    this.#burst = o.burst;
    this.#refillMs = o.refillMs;
    this.#buckets = new BoundedMap(o.keys);
  }

  /** Takes a token; false when there is none. */
  allow(key: string): boolean {
    const now = this.#clock.now();
    const bucket = this.#buckets.get(key) ?? { tokens: this.#burst, at: now };
    const tokens = Math.min(this.#burst, bucket.tokens + (now - bucket.at) / this.#refillMs);
    this.#buckets.set(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now });
    return tokens >= 1;
  }
}
