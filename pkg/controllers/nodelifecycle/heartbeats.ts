/** When each node was last heard of. */

interface Heard {
  /** Its signs of life as last seen, by their source: their own times mean nothing here but that they change. */
  readonly marks: Map<string, string | undefined>;
  at: number;
  /** When somebody means to look again. */
  look?: number;
}

/** A look that comes this much later than it was meant to: this machine slept, or did not get to work. */
const LATE_MS = 1_000;

/**
 *  B1  The clocks of nodes are not trusted: a node counts as heard of when a sign of life is seen to change.
 *  B2  Time in which nobody listened is not held against a node: after a late look all begins anew for it.
 */
export class Heartbeats {
  readonly #heard = new Map<string, Heard>();

  /** `mark`: what changes with every sign of life from this source. */
  beat(node: string, source: "lease" | "status", mark: string | undefined, now: number): void {
    const heard = this.#of(node, now);
    if (heard.marks.get(source) === mark) return;
    heard.marks.set(source, mark);
    heard.at = now;
  }

  /** How long the node may be silent still; zero or less: it was silent for `graceMs`. To be asked again by then. */
  remaining(node: string, graceMs: number, now: number): number {
    const heard = this.#of(node, now);
    if (heard.look !== undefined && now - heard.look > LATE_MS) heard.at = now;
    const rest = heard.at + graceMs - now;
    if (rest > 0) heard.look = now + rest;
    else delete heard.look;
    return rest;
  }

  /** Nobody could be heard until now. */
  restart(now: number): void {
    for (const heard of this.#heard.values()) heard.at = now;
  }

  forget(node: string): void {
    this.#heard.delete(node);
  }

  #of(node: string, now: number): Heard {
    let heard = this.#heard.get(node);
    if (!heard) this.#heard.set(node, (heard = { marks: new Map(), at: now }));
    return heard;
  }
}
