/** Priority: what a PriorityClass's name means for a Pod, and that there is one default at most. */
import type { Pod, PodSpec, PriorityClass } from "../../api/generated/types.ts";
import { priorityClasses } from "../../api/kinds/scheduling/priorityclass.ts";
import { nameOf } from "../../api/object.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { AdmissionPlugin, AdmissionRequest, ClusterView } from "../admission.ts";
import { createsPod, forbidden, isResource } from "./refuse.ts";

type Class = DeepReadonly<Pick<PriorityClass, "metadata" | "value" | "preemptionPolicy">>;

const NONE: Class = { metadata: { name: "" }, value: 0, preemptionPolicy: "PreemptLowerPriority" };

const system = (name: string, value: number, description: string) => ({
  apiVersion: "scheduling.k8s.io/v1",
  kind: "PriorityClass",
  metadata: { name },
  value,
  description,
  preemptionPolicy: "PreemptLowerPriority",
});

/** Of every cluster. */
export const systemPriorityClasses: readonly PriorityClass[] = [
  system(
    "system-node-critical",
    2_000_001_000,
    "Used for system critical pods that must not be moved from their current node.",
  ),
  system(
    "system-cluster-critical",
    2_000_000_000,
    "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
  ),
];

export const priority: AdmissionPlugin = {
  name: "Priority",
  mutate(r, view) {
    if (!r.object) return;
    if (createsPod(r)) return admitPod(r, r.object as Pod, view);
    if (r.operation === "UPDATE" && r.subresource === "" && isResource(r, "", "pods")) {
      keepPriority(r.object as Pod, r.old as DeepReadonly<Pod>);
    }
  },
  validate(r, view) {
    const writes = r.operation === "CREATE" || r.operation === "UPDATE";
    if (!writes || r.subresource || !isResource(r, "scheduling.k8s.io", "priorityclasses")) return;
    const wanted = r.object as PriorityClass;
    if (!wanted.globalDefault) return;
    const other = defaultClass(view.list(priorityClasses));
    if (!other || (r.operation === "UPDATE" && nameOf(other) === nameOf(wanted))) return;
    throw forbidden(r, `PriorityClass ${nameOf(other)} is already marked as default. Only one default can exist`);
  },
};

function admitPod(r: AdmissionRequest, pod: Pod, view: ClusterView): void | Promise<void> {
  const spec = pod.spec;
  if (!spec) return;
  const name = spec.priorityClassName;
  const known = name ? view.get(priorityClasses, "", name) : (defaultClass(view.list(priorityClasses)) ?? NONE);
  if (known || !name) return prioritize(r, spec, known ?? NONE);
  return view.fresh(priorityClasses, "", name).then((stored) => {
    const found = stored?.object ?? systemPriorityClasses.find((c) => nameOf(c) === name);
    if (!found) throw forbidden(r, `no PriorityClass with name ${name} was found`);
    prioritize(r, spec, found);
  });
}

function prioritize(r: AdmissionRequest, spec: PodSpec, found: Class): void {
  const value = found.value ?? 0;
  const refuse = (what: string, given: string | number, computed: string | number) =>
    forbidden(
      r,
      `the ${what} (${given}) must not be provided in pod spec; priority admission controller computed ${computed} from the given PriorityClass name`,
    );
  if (spec.priority !== undefined && spec.priority !== value) {
    throw refuse("integer value of priority", spec.priority, value);
  }
  const policy = found.preemptionPolicy;
  if (policy && spec.preemptionPolicy && spec.preemptionPolicy !== policy) {
    throw refuse("string value of PreemptionPolicy", spec.preemptionPolicy, policy);
  }
  if (nameOf(found)) spec.priorityClassName = nameOf(found);
  spec.priority = value;
  if (policy) spec.preemptionPolicy = policy;
}

/** The lowest, should there be several by accident: the default is for those who did not care. */
export function defaultClass(classes: Iterable<DeepReadonly<PriorityClass>>): DeepReadonly<PriorityClass> | undefined {
  const defaults = [...classes].filter((c) => c.globalDefault);
  return defaults.reduce<DeepReadonly<PriorityClass> | undefined>(
    (least, c) => (least && (least.value ?? 0) <= (c.value ?? 0) ? least : c),
    undefined,
  );
}

/** Clients that know nothing of these fields leave them out of an update. */
function keepPriority(pod: Pod, old: DeepReadonly<Pod>): void {
  if (!pod.spec) return;
  if (old.spec?.priority !== undefined) pod.spec.priority ??= old.spec.priority;
  if (old.spec?.preemptionPolicy !== undefined) pod.spec.preemptionPolicy ??= old.spec.preemptionPolicy;
}
