/** Who a replica of a StatefulSet is: its name, its labels, its volumes. All of it follows from the ordinal. Pure. */
import { deepClone } from "../../api/equal.ts";
import type { PersistentVolumeClaim, Pod, PodTemplateSpec, StatefulSet, Volume } from "../../api/generated/types.ts";
import { statefulSets } from "../../api/kinds/apps/statefulset.ts";
import { type ApiObject, nameOf, namespaceOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { podFromTemplate, type ReadonlyPod } from "../workload/pods.ts";

export type ReadonlySet = DeepReadonly<StatefulSet>;

export const POD_NAME = "statefulset.kubernetes.io/pod-name";
export const POD_INDEX = "apps.kubernetes.io/pod-index";
/** The name of the ControllerRevision a Pod was made of. */
export const REVISION = "controller-revision-hash";

export const nameAt = (set: string, ordinal: number) => `${set}-${ordinal}`;

/** Undefined: no replica of this set, whatever its labels say. */
export function ordinalOf(set: string, pod: DeepReadonly<ApiObject>): number | undefined {
  const ordinal = Number(/-(\d+)$/.exec(nameOf(pod))?.[1]);
  return Number.isSafeInteger(ordinal) && nameAt(set, ordinal) === nameOf(pod) ? ordinal : undefined;
}

export const revisionOf = (pod: ReadonlyPod) => pod.metadata.labels?.[REVISION] ?? "";

export function identityLabels(set: string, ordinal: number): Readonly<Record<string, string>> {
  return { [POD_NAME]: nameAt(set, ordinal), [POD_INDEX]: String(ordinal) };
}

export function podAt(
  set: ReadonlySet,
  ordinal: number,
  o: { readonly template: DeepReadonly<PodTemplateSpec>; readonly revision: string },
): Pod {
  const { metadata, spec, ...pod } = podFromTemplate(statefulSets as unknown as ResourceRef, set, o.template);
  const { generateName: _, ...meta } = metadata;
  const name = nameAt(nameOf(set), ordinal);
  const volumes = volumesAt(set, ordinal, spec?.volumes);
  return {
    ...pod,
    metadata: {
      ...meta,
      name,
      labels: { ...meta.labels, ...identityLabels(nameOf(set), ordinal), [REVISION]: o.revision },
    },
    spec: {
      ...(spec ?? { containers: [] }),
      hostname: name,
      ...(set.spec?.serviceName && { subdomain: set.spec.serviceName }),
      ...(volumes.length > 0 && { volumes }),
    },
  };
}

/** A claim takes the place of a volume of its name. */
function volumesAt(set: ReadonlySet, ordinal: number, volumes: readonly Volume[] = []): Volume[] {
  const claims = (set.spec?.volumeClaimTemplates ?? []).map((template): Volume => {
    const claimName = claimNameAt(set, template, ordinal);
    return { name: nameOf(template), persistentVolumeClaim: { claimName } };
  });
  return [...claims, ...volumes.filter((v) => !claims.some((c) => c.name === v.name))];
}

const claimNameAt = (set: ReadonlySet, template: DeepReadonly<PersistentVolumeClaim>, ordinal: number) =>
  `${nameOf(template)}-${nameAt(nameOf(set), ordinal)}`;

/** The claims of one replica: they outlive its Pods, and are found again by their names. */
export function claimsAt(set: ReadonlySet, ordinal: number): readonly PersistentVolumeClaim[] {
  return (set.spec?.volumeClaimTemplates ?? []).map((template) => {
    const { labels, annotations, finalizers } = deepClone(template.metadata);
    return {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: {
        name: claimNameAt(set, template, ordinal),
        namespace: namespaceOf(set),
        labels: { ...labels, ...set.spec?.selector.matchLabels },
        ...(annotations && { annotations }),
        ...(finalizers && { finalizers }),
      },
      spec: deepClone(template.spec ?? {}),
    };
  });
}

/** The set whose replica a claim of this name could belong to. */
export function isClaimOf(set: ReadonlySet, claim: string): boolean {
  return (set.spec?.volumeClaimTemplates ?? []).some((t) => claim.startsWith(`${nameOf(t)}-${nameOf(set)}-`));
}
