/** How big each ReplicaSet of a Deployment may be at this moment: the arithmetic of roll-outs, in numbers alone. Pure. */
import type { DeploymentStrategy } from "../../api/generated/types.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { shareOf } from "../workload/share.ts";

export interface Limits {
  readonly desired: number;
  /** How many Pods there may be beyond. */
  readonly maxSurge: number;
  /** How many may be lacking. */
  readonly maxUnavailable: number;
}

/** One ReplicaSet. In lists the oldest comes first. */
export interface Size {
  readonly name: string;
  readonly replicas: number;
  /** Never more than `replicas`: what is about to go is not counted on. */
  readonly available: number;
  /** It was sized since it last said how many are available. Having shrunk and grown again, it may have fewer. */
  readonly stale?: boolean;
  /** How many Pods the Deployment wanted when this was last sized, and how many it could have. */
  readonly desired?: number;
  readonly max?: number;
}

/** The new size of each that gets one, by name. */
export type Sizes = ReadonlyMap<string, number>;

/**
 * The surge is rounded up, what may be lacking down. Where both come to nothing one may be lacking: nothing could ever be
 * replaced otherwise, and a surge might fail for want of quota.
 */
export function limitsOf(desired: number, strategy: DeepReadonly<DeploymentStrategy> | undefined): Limits {
  if (strategy?.type === "Recreate") return { desired, maxSurge: 0, maxUnavailable: 0 };
  const { maxSurge, maxUnavailable } = strategy?.rollingUpdate ?? {};
  const surge = shareOf(maxSurge, desired, "up");
  const lacking = shareOf(maxUnavailable, desired, "down");
  return { desired, maxSurge: surge, maxUnavailable: Math.min(surge + lacking === 0 ? 1 : lacking, desired) };
}

/**
 * One step of a rolling update.
 *
 *  R1  All sizes together never exceed desired + maxSurge, unless they did before, and then they do not grow.
 *  R2  Pods that are available go only while desired − maxUnavailable stay. Those that are not go first, from the oldest
 *      ReplicaSet on; they could block a roll-out for ever otherwise.
 *  R3  It comes to an end: once all Pods of the new ReplicaSet are available, the old ones are empty.
 */
export function rollingSizes(limits: Limits, next: Size, olds: readonly Size[]): Sizes {
  const replicas = sizeOfNew(limits, next.replicas, sum(olds));
  const grown = { ...next, replicas, available: Math.min(next.available, replicas) };
  return new Map([[next.name, replicas], ...shrunk(limits, grown, olds)]);
}

function sizeOfNew({ desired, maxSurge }: Limits, replicas: number, others: number): number {
  if (replicas >= desired) return desired;
  const room = Math.max(0, desired + maxSurge - others - replicas);
  return Math.min(desired, replicas + room);
}

function shrunk({ desired, maxUnavailable }: Limits, next: Size, olds: readonly Size[]): [string, number][] {
  if ([...olds, next].some((s) => s.stale && s.available > 0)) return [];
  const minAvailable = desired - maxUnavailable;
  // New Pods that are not available yet are owed: on their account no old one may go.
  const spare = sum(olds) + next.available - minAvailable;
  if (spare <= 0) return [];
  const healthier = take(olds, spare, (s) => s.replicas - s.available);
  const available = olds.reduce((n, s) => n + s.available, next.available);
  const rest = take(healthier, available - minAvailable, (s) => s.replicas);
  return rest.map((s) => [s.name, s.replicas]);
}

/** Up to `count` from all together, from the first on, and from each no more than `from` allows. */
function take(sizes: readonly Size[], count: number, from: (s: Size) => number): readonly Size[] {
  let left = Math.max(0, count);
  return sizes.map((s) => {
    const gone = Math.min(left, from(s));
    left -= gone;
    return { ...s, replicas: s.replicas - gone };
  });
}

/**
 * After the Deployment was scaled: who has Pods keeps its share of them. Growth to the new ReplicaSet alone would hasten a
 * roll-out that may be going wrong. `count`: the Pods there are, where a ReplicaSet does not say of how many it is a share.
 */
export function scaledSizes(limits: Limits, next: Size | undefined, olds: readonly Size[], count: number): Sizes {
  const all = next ? [...olds, next] : olds;
  const active = all.filter((s) => s.replicas > 0);
  const only = active.length > 1 ? undefined : (active[0] ?? next ?? olds.at(-1));
  if (only) return new Map([[only.name, limits.desired]]);
  if (next && isSaturated(limits, next)) {
    return new Map([[next.name, next.replicas], ...olds.map((s): [string, number] => [s.name, 0])]);
  }
  return proportional(limits, active, count);
}

const isSaturated = ({ desired }: Limits, s: Size) =>
  s.replicas === desired && s.available === desired && s.desired === desired;

function proportional(limits: Limits, active: readonly Size[], count: number): Sizes {
  const allowed = limits.desired > 0 ? limits.desired + limits.maxSurge : 0;
  const change = allowed - sum(active);
  // The biggest first; of equals the newest grows first, and the oldest shrinks first.
  const inOrder = (change > 0 ? active.toReversed() : active).toSorted((a, b) => b.replicas - a.replicas);
  let left = change;
  const sizes = inOrder.map((s): [string, number] => {
    const share = shareOfChange(s, limits, allowed, count);
    const own = change > 0 ? Math.max(0, Math.min(share, left)) : Math.min(0, Math.max(share, left));
    left -= own;
    return [s.name, s.replicas + own];
  });
  // What rounding leaves over is the biggest one's.
  return new Map(sizes.map(([name, size], i) => [name, i === 0 ? Math.max(0, size + left) : size]));
}

/** How much one would change if all kept their proportions, rounded half away from zero. */
function shareOfChange(s: Size, { desired }: Limits, allowed: number, count: number): number {
  if (desired === 0) return -s.replicas;
  const before = s.max || count;
  return before === 0 ? 0 : Math.round((s.replicas * allowed) / before) - s.replicas;
}

const sum = (sizes: readonly Size[]) => sizes.reduce((n, s) => n + s.replicas, 0);
