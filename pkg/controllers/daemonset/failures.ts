/** How long to leave a failed Pod of a node alone: who fails again at once is not started again at once. */
import { backoffMs } from "../../util/backoff.ts";

const BACKOFF = { initialMs: 1_000, maxMs: 15 * 60_000 };
/** Who has been well for so long begins anew. */
const FORGET_MS = 2 * BACKOFF.maxMs;

interface Failures {
  readonly count: number;
  readonly at: number;
}

export class FailedPods {
  /** By set, then by node. */
  readonly #failures = new Map<string, Map<string, Failures>>();

  retryAt(set: string, node: string): number {
    const last = this.#failures.get(set)?.get(node);
    return last ? last.at + backoffMs(last.count, BACKOFF) : 0;
  }

  /** Its Pod failed and is being replaced. */
  replaced(set: string, node: string, now: number): void {
    const nodes = this.#failures.get(set) ?? new Map<string, Failures>();
    const last = nodes.get(node);
    const count = last && now - last.at < FORGET_MS ? last.count + 1 : 1;
    this.#failures.set(set, nodes.set(node, { count, at: now }));
  }

  /** The set is gone. */
  forget(set: string): void {
    this.#failures.delete(set);
  }
}
