/** How often which amount was used, where what is long ago weighs less. Pure but for its own numbers. */

/** Amounts fall into buckets that grow by a constant ratio: the relative error is the same for small and large ones. */
export interface Buckets {
  readonly count: number;
  /** Lower end. */
  readonly start: (bucket: number) => number;
  readonly find: (value: number) => number;
}

export function exponentialBuckets(o: { first: number; ratio: number; max: number }): Buckets {
  const { first, ratio, max } = o;
  const indexOf = (value: number) => Math.floor(Math.log((value * (ratio - 1)) / first + 1) / Math.log(ratio));
  const count = indexOf(max) + 2;
  return {
    count,
    start: (bucket) => (first * (ratio ** bucket - 1)) / (ratio - 1),
    find: (value) => (value < first ? 0 : Math.min(count - 1, indexOf(value))),
  };
}

/** As VerticalPodAutoscalerCheckpoints keep it: weights relative to the largest. */
export interface SavedHistogram {
  readonly referenceTimestamp: string;
  readonly bucketWeights: Readonly<Record<string, number>>;
  readonly totalWeight: number;
}

const SAVED_MAX = 10_000;
/** Beyond it, weights are brought back to a new reference time, lest they overflow. */
const MAX_HALF_LIVES = 100;
const EPSILON = 0.001;

/**
 *  D1  A sample that is one half-life older weighs half as much.
 *  D2  Percentiles depend on the ratios of weights only, so no time at which they are asked for is better than another.
 */
export class DecayingHistogram {
  readonly #buckets: Buckets;
  readonly #halfLifeMs: number;
  readonly #weights: Float64Array;
  #total = 0;
  /** A sample of this time weighs what it says. */
  #reference = 0;

  constructor(buckets: Buckets, halfLifeMs: number) {
    this.#buckets = buckets;
    this.#halfLifeMs = halfLifeMs;
    this.#weights = new Float64Array(buckets.count);
  }

  get isEmpty(): boolean {
    return this.#total < EPSILON;
  }

  add(value: number, weight: number, at: number): void {
    this.#change(value, weight * this.#decay(at));
  }

  /** Takes back what was added with the same numbers. */
  subtract(value: number, weight: number, at: number): void {
    this.#change(value, -weight * this.#decay(at));
  }

  /** The amount that was enough for this share of the weight: the upper end of the bucket that reaches it; 0 of nothing. */
  percentile(share: number): number {
    if (this.isEmpty) return 0;
    const wanted = share * this.#total;
    let sum = 0;
    let bucket = 0;
    for (let i = 0; i < this.#weights.length; i++) {
      const weight = this.#weights[i] ?? 0;
      if (weight <= 0) continue;
      sum += weight;
      bucket = i;
      if (sum >= wanted) break;
    }
    const { count, start } = this.#buckets;
    return start(bucket < count - 1 ? bucket + 1 : bucket);
  }

  save(): SavedHistogram {
    const largest = this.#weights.reduce((a, b) => Math.max(a, b), 0);
    const relative = [...this.#weights].map((w): number => (largest > 0 ? Math.round((w / largest) * SAVED_MAX) : 0));
    const kept = relative.flatMap((w, i): [string, number][] => (w > 0 ? [[String(i), w]] : []));
    return {
      referenceTimestamp: new Date(this.#reference).toISOString(),
      bucketWeights: Object.fromEntries(kept),
      totalWeight: this.#total,
    };
  }

  load(saved: SavedHistogram): void {
    const sum = Object.values(saved.bucketWeights).reduce((a, b) => a + b, 0);
    this.#weights.fill(0);
    this.#reference = Date.parse(saved.referenceTimestamp) || 0;
    this.#total = sum > 0 ? saved.totalWeight : 0;
    for (const [bucket, weight] of Object.entries(saved.bucketWeights)) {
      this.#weights[Math.min(Number(bucket), this.#weights.length - 1)] = (weight * saved.totalWeight) / sum;
    }
  }

  #change(value: number, weight: number): void {
    const bucket = this.#buckets.find(value);
    const next = Math.max(0, (this.#weights[bucket] ?? 0) + weight);
    this.#total = Math.max(0, this.#total + next - (this.#weights[bucket] ?? 0));
    this.#weights[bucket] = next;
  }

  #decay(at: number): number {
    if (at - this.#reference > MAX_HALF_LIVES * this.#halfLifeMs) this.#rebase(at);
    return 2 ** ((at - this.#reference) / this.#halfLifeMs);
  }

  #rebase(at: number): void {
    const reference = Math.round(at / this.#halfLifeMs) * this.#halfLifeMs;
    const factor = 2 ** ((this.#reference - reference) / this.#halfLifeMs);
    this.#weights.forEach((w, i) => (this.#weights[i] = w * factor));
    this.#total *= factor;
    this.#reference = reference;
  }
}
