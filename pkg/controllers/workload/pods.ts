/** What controllers of Pods ask of a Pod, and how they make one. Pure. */
import { deepClone } from "../../api/equal.ts";
import type { Pod, PodTemplateSpec } from "../../api/generated/types.ts";
import type { ApiObject, OwnerReference } from "../../api/object.ts";
import { apiVersionOf, nameOf, namespaceOf, uidOf } from "../../api/object.ts";
import { condition, isReady, isTerminal } from "../../api/pod.ts";
import type { ResourceRef } from "../../api/resource.ts";
import type { DeepReadonly } from "../../util/types.ts";

export type ReadonlyPod = DeepReadonly<Pod>;

/** Neither ended nor asked to end: it counts as a replica. */
export function isActive(pod: ReadonlyPod): boolean {
  return !isTerminal(pod) && pod.metadata.deletionTimestamp === undefined;
}

/** When it became ready, in milliseconds; undefined when it is not. */
export function readySince(pod: ReadonlyPod): number | undefined {
  if (!isReady(pod)) return undefined;
  return Date.parse(condition(pod.status?.conditions, "Ready")?.lastTransitionTime ?? "") || 0;
}

/** Ready, and for long enough. */
export function isAvailable(pod: ReadonlyPod, minReadySeconds: number, now: number): boolean {
  return availableAt(pod, minReadySeconds) <= now;
}

/** When it will be available if it stays ready; Infinity when it is not ready. */
export function availableAt(pod: ReadonlyPod, minReadySeconds: number): number {
  const since = readySince(pod);
  return since === undefined ? Infinity : since + minReadySeconds * 1000;
}

export function ownerReference(ref: ResourceRef, owner: DeepReadonly<ApiObject>): OwnerReference {
  return {
    apiVersion: apiVersionOf(ref),
    kind: ref.kind,
    name: nameOf(owner),
    uid: uidOf(owner),
    controller: true,
    blockOwnerDeletion: true,
  };
}

const MAX_PREFIX = 57;

/** A Pod of the owner's template, still without a name of its own. */
export function podFromTemplate(
  ref: ResourceRef,
  owner: DeepReadonly<ApiObject>,
  template: DeepReadonly<PodTemplateSpec>,
): Pod {
  const { labels, annotations, finalizers } = deepClone(template.metadata ?? {});
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      generateName: `${nameOf(owner).slice(0, MAX_PREFIX)}-`,
      namespace: namespaceOf(owner),
      ...(labels && { labels }),
      ...(annotations && { annotations }),
      ...(finalizers && { finalizers }),
      ownerReferences: [ownerReference(ref, owner)],
    },
    spec: deepClone(template.spec ?? { containers: [] }),
  };
}
