/** From what the metrics ask for to what is done: not at once, not too fast, not beyond the bounds. Pure. */
import type { V2HorizontalPodAutoscaler, V2HPAScalingRules } from "../../api/generated/types.ts";
import type { DeepReadonly } from "../../util/types.ts";

/** What the controller remembers of one autoscaler. Oldest first. */
export interface History {
  readonly recommendations: readonly { readonly at: number; readonly replicas: number }[];
  /** Replicas added, and taken away. */
  readonly ups: readonly Change[];
  readonly downs: readonly Change[];
}

interface Change {
  readonly at: number;
  readonly by: number;
}

type Rules = DeepReadonly<V2HPAScalingRules>;

export interface Bounds {
  readonly current: number;
  readonly min: number;
  readonly max: number;
  readonly behavior: DeepReadonly<V2HorizontalPodAutoscaler["spec"]["behavior"]>;
  readonly downscaleStabilizationMs: number;
}

/** As in a condition. */
export interface Said {
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
}

export interface Bounded {
  readonly replicas: number;
  readonly ableToScale: Said;
  readonly scalingLimited: Said;
}

export const noHistory: History = { recommendations: [], ups: [], downs: [] };

const LOWEST = "recent recommendations were lower than current one, applying the lowest recent recommendation";
const HIGHEST = "recent recommendations were higher than current one, applying the highest recent recommendation";

export function bound(wanted: number, b: Bounds, h: History, now: number): Bounded {
  const stable = stabilize(wanted, b, h, now);
  const held = wanted >= b.current && b.behavior ? "ScaleUpStabilized" : "ScaleDownStabilized";
  const ableToScale: Said =
    stable === wanted
      ? { status: "True", reason: "ReadyForNewScale", message: "recommended size matches current size" }
      : { status: "True", reason: held, message: held === "ScaleUpStabilized" ? LOWEST : HIGHEST };
  const { replicas, ...why } = limit(stable, b, h, now);
  return { replicas, ableToScale, scalingLimited: { status: replicas === stable ? "False" : "True", ...why } };
}

/** Up only as far as all recommendations of the window for it went, down only as far as all of the other window did. */
function stabilize(wanted: number, b: Bounds, { recommendations }: History, now: number): number {
  const since = (ms: number) => recommendations.filter((r) => r.at > now - ms).map((r) => r.replicas);
  const { upMs, downMs } = windows(b);
  const highest = Math.max(wanted, ...since(downMs));
  if (!b.behavior) return highest;
  const lowest = Math.min(wanted, ...since(upMs));
  return Math.min(Math.max(b.current, lowest), highest);
}

function windows({ behavior, downscaleStabilizationMs }: Bounds) {
  const ms = (rules: Rules | undefined, other: number) =>
    rules?.stabilizationWindowSeconds === undefined ? other : rules.stabilizationWindowSeconds * 1000;
  return { upMs: ms(behavior?.scaleUp, 0), downMs: ms(behavior?.scaleDown, downscaleStabilizationMs) };
}

/** The words for the two directions: too fast, too far. */
const REASONS = {
  up: {
    rate: ["ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate"],
    range: ["TooManyReplicas", "the desired replica count is more than the maximum replica count"],
  },
  down: {
    rate: ["ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate"],
    range: ["TooFewReplicas", "the desired replica count is less than the minimum replica count"],
  },
  none: ["DesiredWithinRange", "the desired count is within the acceptable range"],
} as const;

function limit(wanted: number, b: Bounds, h: History, now: number) {
  const said = (replicas: number, [reason, message]: readonly [string, string]) => ({ replicas, reason, message });
  if (wanted > b.current) {
    const fastest = Math.max(b.current, scaleUpLimit(b, h, now));
    const most = Math.min(b.max, fastest);
    if (wanted > most) return said(most, b.max > fastest ? REASONS.up.rate : REASONS.up.range);
  }
  if (wanted < b.current) {
    const fastest = Math.min(b.current, scaleDownLimit(b, h, now));
    const least = Math.max(b.min, fastest);
    if (wanted < least) return said(least, b.min < fastest ? REASONS.down.rate : REASONS.down.range);
  }
  return said(wanted, REASONS.none);
}

/** What a policy allows counts from the replicas at the beginning of its period. */
function atStart(periodSeconds: number, current: number, h: History, now: number): number {
  const within = (changes: readonly Change[]) =>
    changes.filter((c) => c.at > now - periodSeconds * 1000).reduce((sum, c) => sum + c.by, 0);
  return current - within(h.ups) + within(h.downs);
}

/** Without rules of its own, an autoscaler doubles at most; small ones go to four. */
function scaleUpLimit({ behavior, current }: Bounds, h: History, now: number): number {
  if (!behavior) return Math.max(2 * current, 4);
  return byPolicies(behavior.scaleUp, current, { least: Math.min, most: Math.max }, (p) => {
    const start = atStart(p.periodSeconds, current, h, now);
    return p.type === "Pods" ? start + p.value : Math.ceil((start * (100 + p.value)) / 100);
  });
}

function scaleDownLimit({ behavior, current }: Bounds, h: History, now: number): number {
  if (!behavior) return 0;
  return byPolicies(behavior.scaleDown, current, { least: Math.max, most: Math.min }, (p) => {
    const start = atStart(p.periodSeconds, current, h, now);
    return p.type === "Pods" ? start - p.value : Math.trunc((start * (100 - p.value)) / 100);
  });
}

type Policy = NonNullable<Rules["policies"]>[number];
type Pick = (...n: number[]) => number;

/** `least` gives the smallest change of several, `most` the largest. */
function byPolicies(
  rules: Rules | undefined,
  current: number,
  pick: { readonly least: Pick; readonly most: Pick },
  allows: (p: Policy) => number,
): number {
  if (rules?.selectPolicy === "Disabled") return current;
  return (rules?.selectPolicy === "Min" ? pick.least : pick.most)(...(rules?.policies ?? []).map(allows));
}

/** After a look: what was wanted before all bounds. */
export function recommended(h: History, replicas: number, b: Bounds, now: number): History {
  const { upMs, downMs } = windows(b);
  const kept = h.recommendations.filter((r) => r.at > now - Math.max(upMs, downMs));
  return { ...h, recommendations: [...kept, { at: now, replicas }] };
}

const LONGEST_PERIOD_MS = 1_800_000;

/** After a change of the scale. */
export function scaled(h: History, from: number, to: number, now: number): History {
  const add = (changes: readonly Change[], by: number) => [
    ...changes.filter((c) => c.at > now - LONGEST_PERIOD_MS),
    ...(by > 0 ? [{ at: now, by }] : []),
  ];
  return { ...h, ups: add(h.ups, to - from), downs: add(h.downs, from - to) };
}
