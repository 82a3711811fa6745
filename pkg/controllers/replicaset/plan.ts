/** So many Pods as wanted: what to create or delete for it, and what to report. Pure. */
import type { ReplicaSetStatus } from "../../api/generated/types.ts";
import { condition, isReady } from "../../api/pod.ts";
import { matchesLabels, type Selector } from "../../api/selectors.ts";
import { nameOf } from "../../api/object.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { type Condition, nonZero, withCondition, withoutCondition } from "../workload/conditions.ts";
import { availableAt, isActive, isAvailable, type ReadonlyPod, readySince } from "../workload/pods.ts";

/** What ReplicaSet and ReplicationController have in common. */
export interface Replicated {
  readonly replicas: number;
  readonly minReadySeconds: number;
  /** The labels of its template: Pods may have fewer, if they were adopted. */
  readonly templateLabels: Selector;
  readonly generation: number | undefined;
  readonly deleted: boolean;
  readonly status: DeepReadonly<ReplicaSetStatus> | undefined;
}

export interface ReplicaPlan {
  readonly create: number;
  readonly delete: readonly ReadonlyPod[];
  readonly status: ReplicaSetStatus;
  /** When a Pod that is ready becomes available; Infinity: nothing to wait for. */
  readonly lookAgainAt: number;
}

/** More than this at once would hold up all else for too long; the next reconcile goes on. */
const BURST = 500;

/**
 * `pods`: those it owns. `crowd`: how many Pods of this and related owners there are on a node. `failure`: why the last
 * writes failed.
 */
export function planReplicas(
  o: Replicated,
  pods: readonly ReadonlyPod[],
  crowd: (node: string) => number,
  now: number,
  failure?: { readonly reason: "FailedCreate" | "FailedDelete"; readonly message: string },
): ReplicaPlan {
  const active = pods.filter(isActive);
  const surplus = active.length - o.replicas;
  const act = !o.deleted;
  return {
    create: act ? Math.min(Math.max(-surplus, 0), BURST) : 0,
    delete: act && surplus > 0 ? victims(active, Math.min(surplus, BURST), crowd, now) : [],
    status: statusOf(o, pods, active, now, failure),
    lookAgainAt: Math.min(
      ...active.map((p) => availableAt(p, o.minReadySeconds)).map((at) => (at > now ? at : Infinity)),
      Infinity,
    ),
  };
}

/** Those whose loss is felt least, in Kubernetes' order of preference. */
function victims(
  active: readonly ReadonlyPod[],
  count: number,
  crowd: (node: string) => number,
  now: number,
): readonly ReadonlyPod[] {
  const ranked = active.map((pod) => ({ pod, rank: rankOf(pod, crowd, now) }));
  return ranked
    .toSorted((a, b) => compareRanks(a.rank, b.rank) || (nameOf(a.pod) < nameOf(b.pod) ? -1 : 1))
    .slice(0, count)
    .map(({ pod }) => pod);
}

const PHASES = ["Pending", "Unknown", "Running"];
export const DELETION_COST = "controller.kubernetes.io/pod-deletion-cost";

/** The lower, the sooner it goes; compared from the first number on. */
function rankOf(pod: ReadonlyPod, crowd: (node: string) => number, now: number): readonly number[] {
  const node = pod.spec?.nodeName ?? "";
  const restarts = Math.max(0, ...(pod.status?.containerStatuses ?? []).map((s) => s.restartCount));
  const created = Date.parse(pod.metadata.creationTimestamp ?? "") || now;
  return [
    node === "" ? 0 : 1,
    PHASES.indexOf(pod.status?.phase ?? "Pending"),
    isReady(pod) ? 1 : 0,
    Number(pod.metadata.annotations?.[DELETION_COST] ?? 0) || 0,
    -crowd(node),
    ageClass(now - (readySince(pod) ?? now)),
    -restarts,
    ageClass(now - created),
  ];
}

/** Ages of the same order of magnitude are alike: so it is not always the very newest that goes, as in Kubernetes. */
function ageClass(ms: number): number {
  return ms <= 0 ? 0 : Math.floor(Math.log2(ms));
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function statusOf(
  o: Replicated,
  pods: readonly ReadonlyPod[],
  active: readonly ReadonlyPod[],
  now: number,
  failure: { readonly reason: string; readonly message: string } | undefined,
): ReplicaSetStatus {
  const count = (holds: (p: ReadonlyPod) => boolean) => active.filter(holds).length;
  const terminating = pods.filter((p) => p.metadata.deletionTimestamp !== undefined).length;
  const conditions = conditionsOf(o.status?.conditions, failure, now);
  return {
    replicas: active.length,
    ...nonZero({
      fullyLabeledReplicas: count((p) => matchesLabels(o.templateLabels, p.metadata.labels)),
      readyReplicas: count(isReady),
      availableReplicas: count((p) => isAvailable(p, o.minReadySeconds, now)),
      terminatingReplicas: terminating,
      observedGeneration: o.generation ?? 0,
    }),
    ...(conditions.length > 0 && { conditions: [...conditions] }),
  };
}

function conditionsOf(
  old: readonly DeepReadonly<Condition>[] | undefined,
  failure: { readonly reason: string; readonly message: string } | undefined,
  now: number,
): readonly Condition[] {
  if (!failure) return withoutCondition(old, FAILURE);
  // What stands stays: its message may be the first of many.
  if (condition(old, FAILURE)) return old ?? [];
  return withCondition(old, { type: FAILURE, status: "True", ...failure }, now);
}

const FAILURE = "ReplicaFailure";
