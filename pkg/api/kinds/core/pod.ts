import type { DeepReadonly } from "../../../util/types.ts";
import { rfc3339 } from "../../../util/clock.ts";
import { keep } from "../../equal.ts";
import type { Binding, Pod, PodCondition } from "../../generated/types.ts";
import { nameOf } from "../../object.ts";
import { isTerminal, qosClass } from "../../pod.ts";
import type { RequestContext, ResourceDef } from "../../resource.ts";
import { conflict, invalid } from "../../status.ts";
import { type FieldErrors, forbidden, notSupported, required } from "../../validation/field.ts";
import { validateEphemeralUpdate } from "../../validation/pod-ephemeral.ts";
import { keepAllButResources, validateResize } from "../../validation/pod-resize.ts";
import { validatePodUpdate } from "../../validation/pod-update.ts";
import { validatePodStatus } from "../../validation/pod-status.ts";
import { validatePod } from "../../validation/pod.ts";
import { podColumns } from "./pod-columns.ts";
import { setPodDefaults } from "./pod-defaults.ts";

export const pods: ResourceDef<Pod> = {
  group: "",
  version: "v1",
  kind: "Pod",
  plural: "pods",
  singular: "pod",
  shortNames: ["po"],
  categories: ["all"],
  namespaced: true,
  schema: "Pod",
  setDefaults: setPodDefaults,
  prepareForCreate(o, c) {
    o.status = { phase: "Pending", qosClass: quality(o) };
    if (o.spec?.schedulingGates?.length) setCondition(o, GATED, c.now);
  },
  prepareForUpdate(next, old) {
    keep(next, old, "status");
  },
  validate: (next, old) => [...validatePod(next), ...(old ? validatePodUpdate(next, old) : validateNew(next))],
  gracePeriodSeconds: gracePeriod,
  subresources: {
    status: {
      type: "part",
      prepareForUpdate(next, old) {
        keep(next, old, "spec");
        keep(next.metadata, old.metadata, "deletionTimestamp");
        keep(next.metadata, old.metadata, "ownerReferences");
        // What the spec says of quality holds, whatever a reporter leaves out.
        if (old.status?.qosClass && next.status) next.status.qosClass ??= old.status.qosClass;
      },
      validate: validatePodStatus,
    },
    binding: {
      type: "action",
      verb: "create",
      input: { group: "", version: "v1", kind: "Binding", schema: "Binding" },
      apply: (pod, input, c) => bind(pod, input as Binding, c),
      answer: "status",
    },
    ephemeralcontainers: {
      type: "part",
      prepareForUpdate(next, old) {
        const wanted = next.spec?.ephemeralContainers;
        keepAllButSpec(next, old);
        keep(next, old, "spec");
        if (next.spec && wanted) next.spec.ephemeralContainers = wanted;
        else delete next.spec?.ephemeralContainers;
      },
      validate: validateEphemeralUpdate,
    },
    resize: {
      type: "part",
      prepareForUpdate(next, old) {
        keepAllButSpec(next, old);
        keepAllButResources(next, old);
      },
      validate: validateResize,
    },
    eviction: {
      type: "call",
      input: { group: "policy", version: "v1", kind: "Eviction", schema: "Eviction" },
    },
    log: { type: "connect", verbs: ["get"] },
    exec: { type: "connect", verbs: ["get", "create"] },
    attach: { type: "connect", verbs: ["get", "create"] },
    portforward: { type: "connect", verbs: ["get", "create"] },
    proxy: { type: "connect", verbs: ["get", "create", "update", "patch", "delete"] },
  },
  selectableFields: {
    "spec.nodeName": (o) => o.spec?.nodeName ?? "",
    "spec.restartPolicy": (o) => o.spec?.restartPolicy ?? "",
    "spec.schedulerName": (o) => o.spec?.schedulerName ?? "",
    "spec.serviceAccountName": (o) => o.spec?.serviceAccountName ?? "",
    "spec.hostNetwork": (o) => String(o.spec?.hostNetwork ?? false),
    "status.phase": (o) => o.status?.phase ?? "",
    "status.podIP": (o) => o.status?.podIPs?.[0]?.ip ?? o.status?.podIP ?? "",
    "status.nominatedNodeName": (o) => o.status?.nominatedNodeName ?? "",
  },
  columns: podColumns,
};

/** For parts whose writers have no say in metadata or status. */
function keepAllButSpec(next: Pod, old: DeepReadonly<Pod>): void {
  keep(next, old, "status");
  for (const field of ["labels", "annotations", "ownerReferences", "finalizers"] as const) {
    keep(next.metadata, old.metadata, field);
  }
}

function validateNew(o: DeepReadonly<Pod>): FieldErrors {
  return o.spec?.ephemeralContainers?.length ? [forbidden("spec.ephemeralContainers", "cannot be set on create")] : [];
}

const GATED = {
  type: "PodScheduled",
  status: "False",
  reason: "SchedulingGated",
  message: "Scheduling is blocked due to non-empty scheduling gates",
} as const;

/** Only a Pod whose quantities can be read has a quality; validation refuses the others a moment later. */
function quality(o: Pod): string {
  try {
    return qosClass(o);
  } catch {
    return "BestEffort";
  }
}

function gracePeriod(o: DeepReadonly<Pod>, requested: number | undefined): number {
  // Nobody runs it (any more), so nobody needs to be waited for.
  if (!o.spec?.nodeName || isTerminal(o)) return 0;
  const period = requested ?? o.spec.terminationGracePeriodSeconds ?? 0;
  return period < 0 ? 1 : period;
}

/** Once only: a Pod never moves. */
function bind(pod: Pod, binding: Binding, c: RequestContext): void {
  const name = nameOf(pod);
  const { target } = binding;
  const errors = [
    ...(target.kind && target.kind !== "Node" ? [notSupported("target.kind", target.kind, ["Node", "<empty>"])] : []),
    ...(target.name ? [] : [required("target.name")]),
  ];
  if (errors.length) throw invalid({ group: "", kind: "Binding" }, name, errors);
  const refuse = (why: string) => conflict({ group: "", resource: "pods/binding" }, name, why);
  if (binding.metadata.uid && binding.metadata.uid !== pod.metadata.uid) {
    throw refuse(
      `Precondition failed: UID in precondition: ${binding.metadata.uid}, UID in object meta: ${pod.metadata.uid ?? ""}`,
    );
  }
  if (pod.metadata.deletionTimestamp) throw refuse(`pod ${name} is being deleted, cannot be assigned to a host`);
  if (pod.spec?.nodeName) throw refuse(`pod ${name} is already assigned to node "${pod.spec.nodeName}"`);
  if (pod.spec?.schedulingGates?.length) throw refuse(`pod ${name} has non-empty .spec.schedulingGates`);
  pod.spec = { ...pod.spec, containers: pod.spec?.containers ?? [], nodeName: target.name ?? "" };
  for (const map of ["annotations", "labels"] as const) {
    if (binding.metadata[map]) pod.metadata[map] = { ...pod.metadata[map], ...binding.metadata[map] };
  }
  // It has its node: what was promised to it is over.
  if (pod.status) delete pod.status.nominatedNodeName;
  setCondition(pod, { type: "PodScheduled", status: "True" }, c.now);
}

/** Replaces the condition of that type; the transition time moves only with the status. */
function setCondition(pod: Pod, next: PodCondition, now: number): void {
  const conditions = pod.status?.conditions ?? [];
  const at = conditions.findIndex((c) => c.type === next.type);
  const old = conditions[at];
  const lastTransitionTime = old?.status === next.status ? (old.lastTransitionTime ?? rfc3339(now)) : rfc3339(now);
  const entry = { ...next, lastTransitionTime };
  pod.status = { ...pod.status, conditions: old ? conditions.with(at, entry) : [...conditions, entry] };
}
