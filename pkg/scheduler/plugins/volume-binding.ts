/** A Pod goes where its volumes are, or can be. In kube-scheduler's words. */
import { classOf } from "../../api/kinds/core/volume-cells.ts";
import { makeKey, nameOf, namespaceOf } from "../../api/object.ts";
import { compareQuantities } from "../../api/quantity.ts";
import {
  capacityOf,
  claimsOf,
  findVolume,
  isBound,
  isReachable,
  type PodClaim,
  type ReadonlyClaim,
  type ReadonlyClass,
  type ReadonlyVolume,
  SELECTED_NODE,
} from "../../api/volumes.ts";
import { pass, reject, rejectPod, type SchedulerPlugin, type Verdict } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import type { PodInfo } from "../pod-info.ts";
import type { VolumePlan, Volumes } from "../volume-cache.ts";

const UNBOUND = "pod has unbound immediate PersistentVolumeClaims";
const NO_VOLUME = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";
const ELSEWHERE = "node(s) didn't match PersistentVolume's node affinity";
const NONE_FREE = "node(s) didn't find available persistent volumes to bind";
/** Its class's volumes are made by hand. */
const NO_PROVISIONER = "kubernetes.io/no-provisioner";

type State =
  | { readonly no: Verdict }
  | { readonly bound: readonly ReadonlyClaim[]; readonly open: readonly ReadonlyClaim[] };

interface Asked extends VolumePlan {
  readonly reasons: readonly string[];
}

export const volumeBinding: SchedulerPlugin<{ readonly state: State; readonly volumes: Volumes }> = {
  name: "VolumeBinding",
  wakeOn: ["NodeAdded", "NodeLabelsChanged", "VolumeChanged"],
  prepare(pod, { volumes }) {
    const claims = claimsOf(pod.pod);
    return claims.length === 0 ? "skip" : { state: sort(pod, claims, volumes), volumes };
  },
  filter(_, node, { state, volumes }) {
    if ("no" in state) return state.no;
    const reasons = [...boundReasons(state.bound, node, volumes), ...planOpen(state.open, node, volumes).reasons];
    return reasons.length > 0 ? reject(reasons, false) : pass;
  },
};

/** What is to be written for the Pod on this node; undefined: all its claims have their volumes. */
export function planVolumes(pod: PodInfo, node: NodeInfo, volumes: Volumes): VolumePlan | undefined {
  const claims = claimsOf(pod.pod);
  if (claims.length === 0) return undefined;
  const state = sort(pod, claims, volumes);
  if ("no" in state || state.open.length === 0) return undefined;
  return planOpen(state.open, node, volumes);
}

/** Those that have their volumes and those that wait for this decision; or why the Pod can go nowhere. */
function sort({ pod }: PodInfo, claims: readonly PodClaim[], volumes: Volumes): State {
  const [bound, open]: [ReadonlyClaim[], ReadonlyClaim[]] = [[], []];
  for (const { claim: name, ephemeral } of claims) {
    const claim = volumes.claim(makeKey(namespaceOf(pod), name));
    if (!claim) return { no: rejectPod(ephemeral ? notMade(name) : `persistentvolumeclaim "${name}" not found`) };
    if (claim.status?.phase === "Lost") {
      const volume = claim.spec?.volumeName ?? "";
      return { no: rejectPod(`persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${volume}"`) };
    }
    if (claim.metadata.deletionTimestamp) return { no: rejectPod(`persistentvolumeclaim "${name}" is being deleted`) };
    if (isBound(claim)) bound.push(claim);
    else if (isDelayed(claim, volumes)) open.push(claim);
    else return { no: rejectPod(UNBOUND) };
  }
  return { bound, open };
}

const notMade = (name: string) =>
  `waiting for ephemeral volume controller to create the persistentvolumeclaim "${name}"`;

/** One that names its volume is the binder's business. */
function isDelayed(claim: ReadonlyClaim, volumes: Volumes): boolean {
  return !claim.spec?.volumeName && volumes.class(classOf(claim))?.volumeBindingMode === "WaitForFirstConsumer";
}

function boundReasons(bound: readonly ReadonlyClaim[], node: NodeInfo, volumes: Volumes): readonly string[] {
  const found = bound.map((c) => volumes.volume(c.spec?.volumeName ?? ""));
  return [
    ...(found.some((v) => v && !isReachable(v, node)) ? [ELSEWHERE] : []),
    ...(found.some((v) => !v) ? [NO_VOLUME] : []),
  ];
}

/** Small claims first, so that they leave the big volumes to those that need them; each volume once. */
function planOpen(open: readonly ReadonlyClaim[], node: NodeInfo, volumes: Volumes): Asked {
  const bind: { claim: ReadonlyClaim; volume: ReadonlyVolume }[] = [];
  const provision: ReadonlyClaim[] = [];
  for (const claim of open.toSorted(bySize)) {
    const selected = claim.metadata.annotations?.[SELECTED_NODE];
    if (selected !== undefined && selected !== node.name) return { bind, provision, reasons: [NONE_FREE] };
    const fits = (v: ReadonlyVolume) => isReachable(v, node) && !bind.some((b) => nameOf(b.volume) === nameOf(v));
    const volume = selected === undefined ? findVolume(claim, volumes.all(), { fits }) : undefined;
    const storageClass = volumes.class(classOf(claim));
    if (volume) bind.push({ claim, volume });
    else if (storageClass && makesOn(storageClass, node)) provision.push(claim);
    else return { bind, provision, reasons: [NONE_FREE] };
  }
  return { bind, provision, reasons: [] };
}

function bySize(a: ReadonlyClaim, b: ReadonlyClaim): number {
  const size = (c: ReadonlyClaim) => capacityOf(c.spec?.resources?.requests);
  return compareQuantities(size(a), size(b));
}

/** Whether volumes of the class may be made for this node. */
function makesOn({ provisioner, allowedTopologies = [] }: ReadonlyClass, node: NodeInfo): boolean {
  if (provisioner === NO_PROVISIONER) return false;
  if (allowedTopologies.length === 0) return true;
  return allowedTopologies.some(({ matchLabelExpressions = [] }) =>
    matchLabelExpressions.every(({ key, values }) => values.includes(node.labels[key] ?? "")),
  );
}
