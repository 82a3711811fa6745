import type { Random } from "./clock.ts";

export interface BackoffOptions {
  /** The first delay. */
  readonly initialMs: number;
  /** No delay is longer, jitter included. */
  readonly maxMs: number;
  /** Default 2. */
  readonly factor?: number;
  /** Adds up to this share of the delay at random, so that many who failed together do not return together. Default 0. */
  readonly jitter?: number;
}

/** The delay before attempt number `failures + 1`: `initial * factor^(failures - 1)`, bounded, jittered. */
export function backoffMs(failures: number, o: BackoffOptions, random?: Random): number {
  const exponent = Math.min(Math.max(0, failures - 1), 64);
  const base = Math.min(o.maxMs, o.initialMs * (o.factor ?? 2) ** exponent);
  return Math.min(o.maxMs, base * (1 + (o.jitter ?? 0) * (random?.() ?? 0)));
}
