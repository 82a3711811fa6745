/** What the eviction of Pods and the disruption controller say of a PodDisruptionBudget alike. */
import { rfc3339 } from "../util/clock.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { Condition, PodDisruptionBudget, PodDisruptionBudgetStatus } from "./generated/types.ts";
import { condition } from "./pod.ts";

export const DISRUPTION_ALLOWED = "DisruptionAllowed";
export const SYNC_FAILED = "SyncFailed";

/** The status with its condition as its numbers say; the transition time moves only with the condition's status. */
export function withDisruptionCondition(
  budget: DeepReadonly<PodDisruptionBudget>,
  status: PodDisruptionBudgetStatus,
  now: number,
): PodDisruptionBudgetStatus {
  const allowed = (status.disruptionsAllowed ?? 0) > 0;
  const reason = allowed ? "SufficientPods" : "InsufficientPods";
  return setDisruptionCondition(budget, status, { status: allowed ? "True" : "False", reason, message: "" }, now);
}

export function setDisruptionCondition(
  budget: DeepReadonly<PodDisruptionBudget>,
  status: PodDisruptionBudgetStatus,
  said: Pick<Condition, "status" | "reason" | "message">,
  now: number,
): PodDisruptionBudgetStatus {
  const old = condition(budget.status?.conditions, DISRUPTION_ALLOWED);
  const others = (budget.status?.conditions ?? []).filter((c) => c.type !== DISRUPTION_ALLOWED).map((c) => ({ ...c }));
  const observedGeneration = status.observedGeneration;
  const entry: Condition = {
    type: DISRUPTION_ALLOWED,
    ...said,
    ...(observedGeneration !== undefined && { observedGeneration }),
    lastTransitionTime: old?.status === said.status ? old.lastTransitionTime : rfc3339(now),
  };
  return { ...status, conditions: [...others, entry] };
}
