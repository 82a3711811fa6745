/** Chance as tests use it; all of it from one generator, so from one seed. */
import type { Random } from "../../pkg/util/clock.ts";

export class Dice {
  readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }

  pick<T>(of: readonly T[]): T {
    return of[this.upTo(of.length)] as T;
  }

  /** A whole number, smaller than `n`. */
  upTo(n: number): number {
    return Math.floor(this.random() * n);
  }

  chance(share: number): boolean {
    return this.random() < share;
  }
}
