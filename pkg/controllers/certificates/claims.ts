import type { Clock } from "../../util/clock.ts";

/** From its approval until its Node is there a machine takes seconds. */
export const HELD_MS = 60_000;

/** Names of nodes that were given away a moment ago and have no Node yet: two machines may ask at the same time. */
export class Claims {
  readonly #clock: Clock;
  readonly #held = new Map<string, { readonly request: string; readonly until: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** False: another request has it. True as often as the same one asks. `since`: when it was given away. */
  claim(node: string, request: string, since = this.#clock.now()): boolean {
    const now = this.#clock.now();
    for (const [name, { until }] of this.#held) if (until <= now) this.#held.delete(name);
    const held = this.#held.get(node);
    if (held && held.request !== request) return false;
    this.#held.set(node, { request, until: since + HELD_MS });
    return true;
  }

  /** Its Node is there, by which everybody knows. */
  settle(node: string): void {
    this.#held.delete(node);
  }

  /** It was not given away after all. */
  release(node: string, request: string): void {
    if (this.#held.get(node)?.request === request) this.#held.delete(node);
  }
}
