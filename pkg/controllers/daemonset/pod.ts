/** The Pod of a DaemonSet for one node, and which nodes there should be one for. Pure. */
import type {
  Affinity,
  DaemonSet,
  Node,
  Pod,
  PodSpec,
  PodTemplateSpec,
  Toleration,
} from "../../api/generated/types.ts";
import { daemonSets } from "../../api/kinds/apps/daemonset.ts";
import { nameOf } from "../../api/object.ts";
import { matchesNode } from "../../api/node-selection.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { toleratesAny } from "../../api/tolerations.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { podFromTemplate, type ReadonlyPod } from "../workload/pods.ts";

export type ReadonlyDaemonSet = DeepReadonly<DaemonSet>;

/** The hash of the template a Pod was made of. */
export const REVISION = "controller-revision-hash";
const TEMPLATE_GENERATION = "pod-template-generation";

const tolerated = (key: string, effect: string): Toleration => ({
  key: `node.kubernetes.io/${key}`,
  operator: "Exists",
  effect,
});

/** A daemon serves its node in bad days too. */
const TOLERATIONS: readonly Toleration[] = [
  tolerated("not-ready", "NoExecute"),
  tolerated("unreachable", "NoExecute"),
  tolerated("disk-pressure", "NoSchedule"),
  tolerated("memory-pressure", "NoSchedule"),
  tolerated("pid-pressure", "NoSchedule"),
  tolerated("unschedulable", "NoSchedule"),
];
const HOST_NETWORK_TOLERATION = tolerated("network-unavailable", "NoSchedule");

/** What the template asks for, and what every daemon may ask for. */
export function daemonTolerations(spec: DeepReadonly<PodSpec> | undefined): Toleration[] {
  const own = (spec?.tolerations ?? []).map((t) => ({ ...t }));
  const standard = spec?.hostNetwork ? [...TOLERATIONS, HOST_NETWORK_TOLERATION] : TOLERATIONS;
  const same = (a: Toleration, b: Toleration) =>
    a.key === b.key && a.effect === b.effect && a.operator === b.operator && (a.value ?? "") === (b.value ?? "");
  // One for a limited time gives way to one for ever.
  return [...own.filter((t) => !standard.some((s) => same(t, s))), ...standard.map((t) => ({ ...t }))];
}

/** The scheduler binds it, as all Pods; there is but one node it can choose. */
function onlyOn(node: string, affinity: DeepReadonly<Affinity> | undefined): Affinity {
  const matchFields = [{ key: "metadata.name", operator: "In", values: [node] }];
  const requiredDuringSchedulingIgnoredDuringExecution = { nodeSelectorTerms: [{ matchFields }] };
  return {
    ...(affinity as Affinity),
    nodeAffinity: { ...(affinity?.nodeAffinity as object), requiredDuringSchedulingIgnoredDuringExecution },
  };
}

export function podFor(
  owner: ReadonlyDaemonSet,
  o: { readonly node: string; readonly template: DeepReadonly<PodTemplateSpec>; readonly hash: string },
): Pod {
  const { metadata, spec, ...pod } = podFromTemplate(daemonSets as unknown as ResourceRef, owner, o.template);
  const generation = templateGeneration(owner);
  return {
    ...pod,
    metadata: {
      ...metadata,
      labels: {
        ...metadata.labels,
        [REVISION]: o.hash,
        ...(generation !== undefined && { [TEMPLATE_GENERATION]: generation }),
      },
    },
    spec: {
      ...(spec ?? { containers: [] }),
      tolerations: daemonTolerations(spec),
      affinity: onlyOn(o.node, spec?.affinity),
    },
  };
}

export function templateGeneration(owner: ReadonlyDaemonSet): string | undefined {
  return owner.metadata.annotations?.["deprecated.daemonset.template.generation"];
}

/** By its hash; Pods of a controller long gone have only a generation. */
export function isOf(pod: ReadonlyPod, hash: string, generation: string | undefined): boolean {
  const labels = pod.metadata.labels ?? {};
  return labels[REVISION] === hash || (generation !== undefined && labels[TEMPLATE_GENERATION] === generation);
}

/** The node it runs on, or is made for; undefined: it is no daemon's Pod. */
export function targetNode({ spec }: ReadonlyPod): string | undefined {
  if (spec?.nodeName) return spec.nodeName;
  const terms = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  const fields = terms.flatMap((t) => t.matchFields ?? []);
  return fields.find((f) => f.key === "metadata.name" && f.operator === "In")?.values?.[0];
}

export interface Fit {
  readonly shouldRun: boolean;
  /** A taint that came later keeps new Pods away, and drives those that are there out only if it says so. */
  readonly mayStay: boolean;
}

const UNFIT: Fit = { shouldRun: false, mayStay: false };

/** Whether a Pod of the template is to be on the node. Resources play no part: the scheduler has its say on those. */
export function fitOf(spec: DeepReadonly<PodSpec> | undefined, node: DeepReadonly<Node>): Fit {
  if (spec?.nodeName && spec.nodeName !== nameOf(node)) return UNFIT;
  const place = { name: nameOf(node), labels: node.metadata.labels ?? {} };
  if (!matchesNode(spec ? { spec } : {}, place)) return UNFIT;
  const tolerations = daemonTolerations(spec);
  const minded = (node.spec?.taints ?? []).filter((t) => !toleratesAny(tolerations, t));
  const has = (effect: string) => minded.some((t) => t.effect === effect);
  return { shouldRun: !has("NoSchedule") && !has("NoExecute"), mayStay: !has("NoExecute") };
}
