/** Claims and volumes: who belongs to whom, and which volume a claim may have. The binder, the scheduler and agents agree here. Pure. */
import type { DeepReadonly } from "../util/types.ts";
import type { PersistentVolume, PersistentVolumeClaim, Pod, StorageClass } from "./generated/types.ts";
import { classOf } from "./kinds/core/volume-cells.ts";
import { type SelectableNode, termMatches } from "./node-selection.ts";
import { keyOf, makeKey, nameOf, namespaceOf, uidOf } from "./object.ts";
import { compareQuantities } from "./quantity.ts";
import { fromLabelSelector, matchesLabels } from "./selectors.ts";

export type ReadonlyVolume = DeepReadonly<PersistentVolume>;
export type ReadonlyClaim = DeepReadonly<PersistentVolumeClaim>;
export type ReadonlyClass = DeepReadonly<StorageClass>;

/** The claim has its volume for good. */
export const BIND_COMPLETED = "pv.kubernetes.io/bind-completed";
/** Not a user but the cluster chose the other side: so the cluster may undo it. */
export const BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller";
export const PROVISIONED_BY = "pv.kubernetes.io/provisioned-by";
/** Where the scheduler wants a volume to be made. */
export const SELECTED_NODE = "volume.kubernetes.io/selected-node";

/** Makes volumes as directories on the nodes. */
export const HOSTPATH_PROVISIONER = "mini-kube.io/hostpath";
/** Annotation of a Node: below which directory its volumes are made. */
export const VOLUMES_DIRECTORY = "mini-kube.io/volumes-directory";
/** Label of a volume that was made so: the node that has it, and that removes it. */
export const VOLUME_NODE = "mini-kube.io/node";

export interface PodClaim {
  /** The volume's name within the Pod. */
  readonly volume: string;
  readonly claim: string;
  readonly readOnly: boolean;
  /** Made for this Pod alone. */
  readonly ephemeral: boolean;
}

export function claimsOf(pod: DeepReadonly<Pod>): readonly PodClaim[] {
  return (pod.spec?.volumes ?? []).flatMap(({ name, persistentVolumeClaim: source, ephemeral }): PodClaim[] => {
    if (ephemeral) return [{ volume: name, claim: `${nameOf(pod)}-${name}`, readOnly: false, ephemeral: true }];
    if (!source) return [];
    return [{ volume: name, claim: source.claimName, readOnly: source.readOnly ?? false, ephemeral: false }];
  });
}

export function isBound(claim: ReadonlyClaim): boolean {
  return Boolean(claim.spec?.volumeName) && claim.metadata.annotations?.[BIND_COMPLETED] !== undefined;
}

/** The claim waits for its first Pod: only then is it known on which node the volume must be. */
export function waitsForConsumer(claim: ReadonlyClaim, storageClass: ReadonlyClass | undefined): boolean {
  const delayed = storageClass?.volumeBindingMode === "WaitForFirstConsumer";
  return delayed && claim.metadata.annotations?.[SELECTED_NODE] === undefined;
}

/** The volume is (or was written by hand to be) for this claim. */
export function isFor(volume: ReadonlyVolume, claim: ReadonlyClaim): boolean {
  const ref = volume.spec?.claimRef;
  if (!ref || makeKey(ref.namespace, ref.name ?? "") !== keyOf(claim)) return false;
  return !ref.uid || ref.uid === uidOf(claim);
}

export function capacityOf(list: Readonly<Record<string, string>> | undefined): string {
  return list?.["storage"] ?? "0";
}

/** Why the volume cannot be the claim's; undefined: it can. In Kubernetes' words. */
export function mismatch(volume: ReadonlyVolume, claim: ReadonlyClaim): string | undefined {
  const [have, want] = [volume.spec ?? {}, claim.spec ?? {}];
  const wanted = capacityOf(want.resources?.requests);
  if (compareQuantities(capacityOf(have.capacity), wanted) < 0) return "requested PV is too small";
  if (classOf(volume) !== classOf(claim)) return "storageClassName does not match";
  if ((have.volumeMode ?? "Filesystem") !== (want.volumeMode ?? "Filesystem")) return "incompatible volumeMode";
  const modes = have.accessModes ?? [];
  if (!(want.accessModes ?? []).every((m) => modes.includes(m))) return "incompatible accessMode";
  return undefined;
}

/** The nodes that have the volume: all, where it does not say. */
export function isReachable(volume: ReadonlyVolume, node: SelectableNode): boolean {
  const terms = volume.spec?.nodeAffinity?.required?.nodeSelectorTerms;
  return !terms || terms.some((term) => termMatches(term, node));
}

export interface FindOptions {
  /** Only one that is reserved for the claim already. */
  readonly onlyReserved?: boolean;
  /** A further condition, such as that a node reaches it. */
  readonly fits?: (volume: ReadonlyVolume) => boolean;
}

/** The volume reserved for the claim; else the smallest free one that will do, the first by name among equals. */
export function findVolume(
  claim: ReadonlyClaim,
  volumes: Iterable<ReadonlyVolume>,
  { onlyReserved, fits = () => true }: FindOptions = {},
): ReadonlyVolume | undefined {
  const selector = claim.spec?.selector ? fromLabelSelector(claim.spec.selector) : [];
  let best: ReadonlyVolume | undefined;
  for (const volume of volumes) {
    if (volume.metadata.deletionTimestamp !== undefined) continue;
    const reserved = isFor(volume, claim);
    if (volume.spec?.claimRef && !reserved) continue;
    if (reserved) {
      if (reservedFits(volume, claim)) return fits(volume) ? volume : undefined;
      continue;
    }
    const free = !onlyReserved && volume.status?.phase === "Available" && mismatch(volume, claim) === undefined;
    if (!free || !selector || !matchesLabels(selector, volume.metadata.labels) || !fits(volume)) continue;
    if (!best || bySize(volume, best) < 0) best = volume;
  }
  return best;
}

/** Who reserved it has chosen; only what could never work is refused. */
function reservedFits(volume: ReadonlyVolume, claim: ReadonlyClaim): boolean {
  const why = mismatch(volume, claim);
  return why === undefined || why === "storageClassName does not match";
}

function bySize(a: ReadonlyVolume, b: ReadonlyVolume): number {
  const order = compareQuantities(capacityOf(a.spec?.capacity), capacityOf(b.spec?.capacity));
  return order || (nameOf(a) < nameOf(b) ? -1 : 1);
}

/** The volume as the claim's; the same object when it is already. */
export function reserved(volume: ReadonlyVolume, claim: ReadonlyClaim): ReadonlyVolume {
  if (isFor(volume, claim) && volume.spec?.claimRef?.uid === uidOf(claim)) return volume;
  const chosenByUser = volume.spec?.claimRef !== undefined;
  const annotations = { ...volume.metadata.annotations, ...(!chosenByUser && { [BOUND_BY_CONTROLLER]: "yes" }) };
  const { resourceVersion } = claim.metadata;
  const claimRef = {
    kind: "PersistentVolumeClaim",
    apiVersion: "v1",
    namespace: namespaceOf(claim),
    name: nameOf(claim),
    uid: uidOf(claim),
    ...(resourceVersion !== undefined && { resourceVersion }),
  };
  return { ...volume, metadata: { ...volume.metadata, annotations }, spec: { ...volume.spec, claimRef } };
}
