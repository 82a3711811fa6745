/** Which Pods are to be made anew, so that they ask for what they need. Pure. */
import type { Container } from "../../api/generated/types.ts";
import { condition, isReady } from "../../api/pod.ts";
import {
  amount,
  CONTROLLED,
  targetFor,
  updateMode,
  type VerticalPodAutoscaler,
} from "../../api/verticalpodautoscaler.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { isActive, type ReadonlyPod } from "../workload/pods.ts";

type Vpa = DeepReadonly<VerticalPodAutoscaler>;

/** A Pod that is only a little off is left alone for so long, and then only if it is off by so much. */
const LONG_LIFE_MS = 12 * 3_600_000;
const WORTH_IT = 0.1;
const DEFAULT_MIN_REPLICAS = 2;
const PATIENCE_MS = 5 * 60_000;
/** Of all Pods, those that may be away at once. */
const MAY_BE_AWAY = 0.5;

interface Need {
  /** A request lies outside the recommendation's bounds. */
  readonly outside: boolean;
  /** It has too little of something: more urgent than too much. */
  readonly grows: boolean;
  /** How far the requests are off, all in all, relative to what they are. */
  readonly off: number;
}

/** In the order in which they should go. One of so few that it would leave a gap is never taken. */
export function planEvictions(vpa: Vpa, pods: readonly ReadonlyPod[], now: number): readonly ReadonlyPod[] {
  const mode = updateMode(vpa);
  if (mode === "Off" || mode === "Initial") return [];
  const active = pods.filter(isActive);
  const ready = active.filter(isReady);
  const fewest = vpa.spec.updatePolicy?.minReplicas ?? DEFAULT_MIN_REPLICAS;
  if (ready.length < fewest) return [];
  const mayGo = Math.max(1, Math.floor(active.length * MAY_BE_AWAY)) - (active.length - ready.length);
  return ready
    .map((pod) => ({ pod, need: needOf(vpa, pod) }))
    .filter(
      ({ pod, need }) => need.outside || (need.off >= WORTH_IT && ageOf(pod, now) >= LONG_LIFE_MS) || isStuck(pod, now),
    )
    .toSorted((a, b) => Number(b.need.grows) - Number(a.need.grows) || b.need.off - a.need.off)
    .slice(0, Math.max(0, mayGo))
    .map(({ pod }) => pod);
}

/** It was to be resized where it runs, and its node cannot, or has had no room for so long: another node may. */
export function isStuck(pod: ReadonlyPod, now: number): boolean {
  const pending = condition(pod.status?.conditions, "PodResizePending");
  if (pending?.status !== "True") return false;
  return pending.reason === "Infeasible" || now - Date.parse(pending.lastTransitionTime ?? "") >= PATIENCE_MS;
}

export function needOf(vpa: Vpa, pod: ReadonlyPod): Need {
  const all = (pod.spec?.containers ?? []).flatMap((c) => gaps(vpa, c));
  const off = CONTROLLED.map((resource) => {
    const gs = all.filter((g) => g.resource === resource);
    const asked = gs.reduce((sum, g) => sum + g.asked, 0);
    return gs.reduce((sum, g) => sum + Math.abs(g.target - g.asked), 0) / Math.max(asked, Number.EPSILON);
  });
  return {
    outside: all.some((g) => g.asked < g.lower || g.asked > g.upper),
    grows: all.some((g) => g.asked < g.target),
    off: off.reduce((sum, o) => sum + o, 0),
  };
}

function gaps(vpa: Vpa, c: DeepReadonly<Container>) {
  const { target = {}, lowerBound = {}, upperBound = {} } = targetFor(vpa, c.name) ?? {};
  return Object.entries(target).map(([resource, wanted]) => ({
    resource,
    asked: amount(c.resources?.requests?.[resource] ?? "0"),
    target: amount(wanted),
    lower: amount(lowerBound[resource] ?? "0"),
    upper: amount(upperBound[resource] ?? wanted),
  }));
}

function ageOf(pod: ReadonlyPod, now: number): number {
  return now - (Date.parse(pod.status?.startTime ?? "") || now);
}
