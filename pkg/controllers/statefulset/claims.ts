/** Who owns the claims of a StatefulSet's replicas, so that they go with the set, with the replica, or never. Pure. */
import type { PersistentVolumeClaim } from "../../api/generated/types.ts";
import { statefulSets } from "../../api/kinds/apps/statefulset.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { type OwnerReference, uidOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { ownerReference, type ReadonlyPod } from "../workload/pods.ts";
import { nameAt, type ReadonlySet } from "./identity.ts";

type Claim = DeepReadonly<PersistentVolumeClaim>;

/**
 * What the claim's references to set and Pod are to be by persistentVolumeClaimRetentionPolicy; undefined: they are so
 * already, or something else manages the claim. Only a replica that is scaled away owns its claim: a Pod that is
 * replaced leaves it to its successor.
 */
export function claimOwners(
  set: ReadonlySet,
  claim: Claim,
  pod: { readonly object: ReadonlyPod; readonly scaledDown: boolean } | undefined,
): OwnerReference[] | undefined {
  const { whenDeleted, whenScaled } = set.spec?.persistentVolumeClaimRetentionPolicy ?? {};
  const byPod = pod !== undefined && whenScaled === "Delete" && pod.scaledDown;
  const bySet = whenDeleted === "Delete" && !byPod;
  const ours = [uidOf(set), ...(pod ? [uidOf(pod.object)] : [])];
  const owners = claim.metadata.ownerReferences ?? [];
  const others = owners.filter((r) => !ours.includes(r.uid));
  if (others.some((r) => r.controller === true)) return undefined;
  const wanted = [
    ...(bySet ? [ownerReference(statefulSets as unknown as ResourceRef, set)] : []),
    ...(byPod ? [ownerReference(pods as unknown as ResourceRef, pod.object)] : []),
  ];
  const same =
    owners.length === others.length + wanted.length &&
    wanted.every((w) => owners.some((r) => r.uid === w.uid && r.controller === true));
  return same ? undefined : [...others.map((r) => ({ ...r })), ...wanted];
}

/** It is about to go with a Pod that held this ordinal before. */
export function isStale(set: string, ordinal: number, claim: Claim): boolean {
  return (claim.metadata.ownerReferences ?? []).some((r) => r.kind === "Pod" && r.name === nameAt(set, ordinal));
}
