/** A Deployment and its ReplicaSets, and what is asked of them over and over. Pure. */
import type { Deployment, DeploymentStatus, ReplicaSet } from "../../api/generated/types.ts";
import { nameOf } from "../../api/object.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { canonicalTemplate } from "../workload/template.ts";

export type ReadonlyDeployment = DeepReadonly<Deployment>;
export type ReadonlyReplicaSet = DeepReadonly<ReplicaSet>;

/** The ReplicaSets of a Deployment, the oldest first. */
export interface Family {
  /** The one of its template. */
  readonly next: ReadonlyReplicaSet | undefined;
  readonly olds: readonly ReadonlyReplicaSet[];
}

export function familyOf(d: ReadonlyDeployment, owned: readonly ReadonlyReplicaSet[]): Family {
  const sets = owned.toSorted(byAge);
  const wanted = canonicalTemplate(d.spec?.template);
  // Should there be two, the oldest: so everybody picks the same.
  const next = sets.find((rs) => canonicalTemplate(rs.spec?.template) === wanted);
  return { next, olds: sets.filter((rs) => rs !== next) };
}

function byAge(a: ReadonlyReplicaSet, b: ReadonlyReplicaSet): number {
  const [x, y] = [a, b].map((rs) => `${rs.metadata.creationTimestamp ?? ""} ${nameOf(rs)}`);
  return (x ?? "") < (y ?? "") ? -1 : 1;
}

/**
 * Why the ReplicaSets are as big as they are. `leaving`: the Deployment is being deleted; `paused`, `scaled`: each keeps
 * its share; `rollout`: all goes to the newest. Progress is judged in a roll-out alone.
 */
export type Mode = "leaving" | "paused" | "scaled" | "rollout";

export const isRecreate = (d: ReadonlyDeployment) => d.spec?.strategy?.type === "Recreate";
export const desiredOf = (d: ReadonlyDeployment) => d.spec?.replicas ?? 1;
export const replicasOf = (rs: ReadonlyReplicaSet) => rs.spec?.replicas ?? 1;

/** Its status is not older than its spec. */
export function isObserved(o: ReadonlyDeployment | ReadonlyReplicaSet, status = o.status): boolean {
  return (status?.observedGeneration ?? 0) >= (o.metadata.generation ?? 0);
}

/** All Pods wanted are of the newest template and available, and there are no others. */
export function isComplete(d: ReadonlyDeployment, status: DeepReadonly<DeploymentStatus> | undefined): boolean {
  const counts = [status?.updatedReplicas, status?.replicas, status?.availableReplicas];
  return counts.every((n) => (n ?? 0) === desiredOf(d)) && isObserved(d, status);
}
