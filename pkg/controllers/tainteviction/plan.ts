/** Until when a Pod may stay on a tainted node. Pure. */
import type { Taint } from "../../api/generated/types.ts";
import { condition } from "../../api/pod.ts";
import { tolerates } from "../../api/tolerations.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { withCondition } from "../workload/conditions.ts";
import type { ReadonlyPod } from "../workload/pods.ts";

export type ReadonlyTaint = DeepReadonly<Taint>;

export function drivingOut(taints: readonly ReadonlyTaint[] | undefined): readonly ReadonlyTaint[] {
  return (taints ?? []).filter((t) => t.effect === "NoExecute");
}

/**
 * When the Pod must go, in milliseconds since the epoch: as soon as the first taint is tolerated no longer, which is at
 * once (-Infinity) for one that is not tolerated at all. Infinity: it may stay. `since`: from when on a taint counts.
 */
export function mustGoAt(
  pod: ReadonlyPod,
  taints: readonly ReadonlyTaint[],
  since: (t: ReadonlyTaint) => number,
): number {
  if (pod.metadata.deletionTimestamp !== undefined) return Infinity;
  const ends = drivingOut(taints).map((taint) => {
    const toleration = pod.spec?.tolerations?.find((t) => tolerates(t, taint));
    if (!toleration) return -Infinity;
    const { tolerationSeconds: seconds } = toleration;
    if (seconds === undefined) return Infinity;
    return seconds <= 0 ? -Infinity : since(taint) + seconds * 1000;
  });
  return Math.min(...ends, Infinity);
}

/** A taint's own time has whole seconds only: nobody shall go before their time. */
const SECOND = 1_000;

/**
 * From when on a taint counts for a Pod: from when both were first seen together. Who sees them first only now (it has
 * just been started) goes by the taint's time, if the Pod was there already.
 */
export function tolerationStart(pod: ReadonlyPod, taint: ReadonlyTaint, seen: number): number {
  const added = Date.parse(taint.timeAdded ?? "");
  const created = Date.parse(pod.metadata.creationTimestamp ?? "");
  return created <= added ? Math.min(seen, added + SECOND) : seen;
}

/** What is said in the Pod about why it goes. */
export function disruptedStatus(pod: ReadonlyPod, now: number): ReadonlyPod["status"] | undefined {
  if (condition(pod.status?.conditions, "DisruptionTarget")?.status === "True") return undefined;
  const why = {
    type: "DisruptionTarget",
    status: "True",
    reason: "DeletionByTaintManager",
    message: "Taint manager: deleting due to NoExecute taint",
  };
  return { ...pod.status, conditions: withCondition(pod.status?.conditions, why, now) };
}
