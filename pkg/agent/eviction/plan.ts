/**
 * What a node is short of, and when somebody must go for it: thresholds over time. Pure.
 *
 *  E1  A threshold counts as crossed until its minimum reclaim is free, too.
 *  E2  A soft one asks for a Pod only when it has been crossed for its grace period without a break.
 *  E3  A pressure is shown from the first crossing on, and for the transition period after the last.
 */
import { SIGNALS, type EvictionSettings, type Pressure, type Signal, type Threshold, unitsOf } from "./thresholds.ts";

export interface Observation {
  readonly available: number;
  readonly capacity: number;
}

export type Observations = Partial<Readonly<Record<Signal, Observation>>>;

export interface PressureState {
  /** Since when a threshold has been crossed, by {@link keyOf}. */
  readonly since: ReadonlyMap<string, number>;
  /** Those that asked for a Pod at the last look. */
  readonly met: ReadonlySet<string>;
  /** When a pressure was last felt. */
  readonly felt: ReadonlyMap<Pressure, number>;
}

export const NO_PRESSURE: PressureState = { since: new Map(), met: new Set(), felt: new Map() };

export interface PressurePlan {
  readonly state: PressureState;
  readonly conditions: readonly Pressure[];
  /** What is to be won back now; memory first. */
  readonly reclaim?: Threshold;
}

export function planPressure(
  s: EvictionSettings,
  observed: Observations,
  before: PressureState,
  now: number,
): PressurePlan {
  const crossed = s.thresholds.filter((t) => isCrossed(t, observed, before.met.has(keyOf(t))));
  const since = new Map(crossed.map((t) => [keyOf(t), before.since.get(keyOf(t)) ?? now]));
  const felt = new Map(before.felt);
  for (const t of crossed) felt.set(SIGNALS[t.signal].condition, now);
  const conditions = [...felt].filter(([, at]) => at === now || now - at < s.transitionMs).map(([type]) => type);
  const due = crossed.filter((t) => now - (since.get(keyOf(t)) ?? now) >= t.graceMs);
  const reclaim = due.find((t) => t.signal === "memory.available") ?? due[0];
  const state = { since, met: new Set(due.map(keyOf)), felt };
  return { state, conditions, ...(reclaim && { reclaim }) };
}

/** What is still crossed though something was won back, minimum reclaim included. */
export function unresolved(s: EvictionSettings, observed: Observations): readonly Threshold[] {
  return s.thresholds.filter((t) => isCrossed(t, observed, true));
}

function isCrossed(t: Threshold, observed: Observations, withReclaim: boolean): boolean {
  const o = observed[t.signal];
  if (!o) return false;
  const more = withReclaim && t.minReclaim ? unitsOf(t.minReclaim, o.capacity) : 0;
  return o.available < unitsOf(t.value, o.capacity) + more;
}

const keyOf = (t: Threshold) => `${t.signal}/${t.graceMs}`;
