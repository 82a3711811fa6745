/** How many Pods of a PodDisruptionBudget may go at this moment. */
import { setDisruptionCondition, SYNC_FAILED, withDisruptionCondition } from "../../api/disruption.ts";
import type { Pod, PodDisruptionBudget, PodDisruptionBudgetStatus } from "../../api/generated/types.ts";
import { controllerOf, nameOf, type OwnerReference } from "../../api/object.ts";
import { isReady } from "../../api/pod.ts";
import type { DeepReadonly } from "../../util/types.ts";

type Budget = DeepReadonly<PodDisruptionBudget>;
type ReadonlyPod = DeepReadonly<Pod>;

/** An evicted Pod that is still there after so long has been forgotten by whoever was to delete it. */
const DELETION_TIMEOUT_MS = 2 * 60_000;

/** Who decides how many Pods there should be: the controller of the Pod's controller, where that has one. */
export interface Scaled {
  readonly uid: string;
  readonly replicas: number;
}

/** Undefined: there is no such controller. Throws an Error for one that has no scale. */
export type FindScale = (owner: DeepReadonly<OwnerReference>, namespace: string) => Scaled | undefined;

export interface BudgetPlan {
  readonly status: PodDisruptionBudgetStatus;
  /** When an evicted Pod will have been gone for too long. */
  readonly againAfterMs: number | undefined;
  /** Events, as kubectl describe shows them. */
  readonly events: readonly {
    readonly type: "Normal" | "Warning";
    readonly reason: string;
    readonly message: string;
  }[];
}

export function planBudget(budget: Budget, pods: readonly ReadonlyPod[], scale: FindScale, now: number): BudgetPlan {
  try {
    return count(budget, pods, scale, now);
  } catch (error) {
    const message = (error as Error).message;
    const events = [
      {
        type: "Warning" as const,
        reason: "CalculateExpectedPodCountFailed",
        message: `Failed to calculate the number of expected pods: ${message}`,
      },
    ];
    return { status: failed(budget, message, now), againAfterMs: undefined, events };
  }
}

function count(budget: Budget, pods: readonly ReadonlyPod[], scale: FindScale, now: number): BudgetPlan {
  const { expected, desired, unmanaged } = expectation(budget, pods, scale);
  const disrupted = disruptedPods(budget, pods, now);
  const healthy = pods.filter(
    (p) => p.metadata.deletionTimestamp === undefined && !(nameOf(p) in disrupted) && isReady(p),
  ).length;
  const allowed = expected <= 0 ? 0 : Math.max(0, healthy - desired);
  const { generation } = budget.metadata;
  const status: PodDisruptionBudgetStatus = {
    currentHealthy: healthy,
    desiredHealthy: desired,
    expectedPods: expected,
    disruptionsAllowed: allowed,
    ...(Object.keys(disrupted).length > 0 && { disruptedPods: disrupted }),
    ...(generation !== undefined && { observedGeneration: generation }),
  };
  const deadlines = Object.values(disrupted).map((at) => Date.parse(at) + DELETION_TIMEOUT_MS - now);
  return {
    status: withDisruptionCondition(budget, status, now),
    againAfterMs: deadlines.length ? Math.max(1, Math.min(...deadlines)) : undefined,
    events: [
      ...(pods.length === 0 ? [{ type: "Normal" as const, reason: "NoPods", message: "No matching pods found" }] : []),
      ...(unmanaged ? [{ type: "Warning" as const, reason: "UnmanagedPods", message: UNMANAGED }] : []),
    ],
  };
}

const UNMANAGED =
  "Pods selected by this PodDisruptionBudget were found to be unmanaged. As a result, the status of the PDB cannot be " +
  "calculated correctly, which may result in undefined behavior. To account for these pods please set " +
  '".spec.minAvailable" field of the PDB to an integer value.';

interface Expectation {
  readonly expected: number;
  readonly desired: number;
  readonly unmanaged: boolean;
}

/** A share is one of what the Pods' controllers want, not of what is there just now. */
function expectation({ spec }: Budget, pods: readonly ReadonlyPod[], scale: FindScale): Expectation {
  const { maxUnavailable, minAvailable } = spec ?? {};
  if (maxUnavailable === undefined && typeof minAvailable === "number") {
    return { expected: pods.length, desired: minAvailable, unmanaged: false };
  }
  if (maxUnavailable === undefined && minAvailable === undefined) return { expected: 0, desired: 0, unmanaged: false };
  const { expected, unmanaged } = expectedScale(pods, scale);
  const desired =
    maxUnavailable !== undefined
      ? Math.max(0, expected - shareOf(maxUnavailable, expected))
      : shareOf(minAvailable ?? 0, expected);
  return { expected, desired, unmanaged };
}

/** Rounded up, as upstream rounds both bounds. */
function shareOf(value: number | string, whole: number): number {
  if (typeof value === "number") return value;
  const percent = /^(\d+)%$/.exec(value)?.[1];
  if (percent === undefined) throw new Error(`invalid value for IntOrString: invalid type: string is not a percentage`);
  return Math.ceil((Number(percent) * whole) / 100);
}

function expectedScale(pods: readonly ReadonlyPod[], scale: FindScale): { expected: number; unmanaged: boolean } {
  const scales = new Map<string, number>();
  let unmanaged = false;
  for (const pod of pods) {
    const owner = controllerOf(pod);
    if (!owner) {
      unmanaged = true;
      continue;
    }
    const found = scale(owner, pod.metadata.namespace ?? "");
    if (!found) throw new Error(`found no controllers for pod "${nameOf(pod)}"`);
    scales.set(found.uid, found.replicas);
  }
  return { expected: [...scales.values()].reduce((sum, n) => sum + n, 0), unmanaged };
}

/** Those whose eviction is still to be expected. */
function disruptedPods({ status }: Budget, pods: readonly ReadonlyPod[], now: number): Record<string, string> {
  const present = new Set(pods.filter((p) => p.metadata.deletionTimestamp === undefined).map(nameOf));
  return Object.fromEntries(
    Object.entries(status?.disruptedPods ?? {}).filter(
      ([name, at]) => present.has(name) && Date.parse(at) + DELETION_TIMEOUT_MS >= now,
    ),
  );
}

/** Nothing may be evicted on numbers that nobody could make sure of. */
function failed(budget: Budget, message: string, now: number): PodDisruptionBudgetStatus {
  const { conditions: _, ...status } = budget.status ?? {};
  const next = { ...status, disruptedPods: { ...status.disruptedPods }, disruptionsAllowed: 0 };
  return setDisruptionCondition(budget, next, { status: "False", reason: SYNC_FAILED, message }, now);
}
