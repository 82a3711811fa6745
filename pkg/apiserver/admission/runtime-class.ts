/** RuntimeClass: what a Pod's runtime costs beside its containers, and where it is to be found. */
import { semanticEqual } from "../../api/equal.ts";
import { runtimeClasses } from "../../api/kinds/node/runtimeclass.ts";
import type { Pod, PodSpec, RuntimeClass, Toleration } from "../../api/generated/types.ts";
import { deepClone, deepEqual } from "../../api/equal.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { AdmissionPlugin, AdmissionRequest, ClusterView } from "../admission.ts";
import { createsPod, forbidden } from "./refuse.ts";

const MISMATCH = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";

export const runtimeClass: AdmissionPlugin = {
  name: "RuntimeClass",
  mutate(r, view) {
    const spec = createsPod(r) && (r.object as Pod).spec;
    if (spec && spec.runtimeClassName) return admit(r, spec, spec.runtimeClassName, view);
  },
  validate(r, view) {
    const spec = createsPod(r) && (r.object as Pod).spec;
    if (!spec || !spec.overhead) return;
    const found = spec.runtimeClassName ? view.get(runtimeClasses, "", spec.runtimeClassName) : undefined;
    if (!found?.overhead) {
      throw forbidden(r, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead");
    }
    if (!semanticEqual(found.overhead.podFixed, spec.overhead)) throw forbidden(r, MISMATCH);
  },
};

async function admit(r: AdmissionRequest, spec: PodSpec, name: string, view: ClusterView): Promise<void> {
  const found = view.get(runtimeClasses, "", name) ?? (await view.fresh(runtimeClasses, "", name))?.object;
  if (!found) throw forbidden(r, `pod rejected: RuntimeClass "${name}" not found`);
  const refusal = applyRuntimeClass(found, spec);
  if (refusal) throw forbidden(r, refusal);
}

/** Fills in what the class says; answers why the Pod contradicts it. */
export function applyRuntimeClass(runtime: DeepReadonly<RuntimeClass>, spec: PodSpec): string | undefined {
  const podFixed = runtime.overhead?.podFixed;
  if (podFixed) {
    if (Object.keys(spec.overhead ?? {}).length && !semanticEqual(podFixed, spec.overhead)) return MISMATCH;
    spec.overhead = { ...podFixed };
  }
  const { nodeSelector = {}, tolerations = [] } = runtime.scheduling ?? {};
  for (const [key, value] of Object.entries(nodeSelector)) {
    const has = spec.nodeSelector?.[key];
    if (has !== undefined && has !== value) {
      return `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${has}`;
    }
    spec.nodeSelector = { ...spec.nodeSelector, [key]: value };
  }
  const added = tolerations.filter((t) => !spec.tolerations?.some((own) => deepEqual(own, t)));
  if (added.length) spec.tolerations = [...(spec.tolerations ?? []), ...deepClone(added as readonly Toleration[])];
  return undefined;
}
