/** VerticalPodAutoscaler: new Pods ask for what those before them were seen to need. */
import type { Pod } from "../../api/generated/types.ts";
import { jobs } from "../../api/kinds/batch/job.ts";
import { replicaSets } from "../../api/kinds/apps/replicaset.ts";
import { type ApiObject, nameOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import {
  applyRecommendation,
  type FindOwner,
  updateMode,
  verticalPodAutoscalers,
  vpaFor,
} from "../../api/verticalpodautoscaler.ts";
import type { AdmissionPlugin, ClusterView } from "../admission.ts";
import { createsPod } from "./refuse.ts";

const UPDATES = "vpaUpdates";
const OBSERVED = "vpaObservedContainers";

/** Kinds that are made by others: what made them is to be looked at as well. */
const between: readonly ResourceRef<ApiObject>[] = [replicaSets, jobs] as unknown as ResourceRef<ApiObject>[];

export const verticalPodAutoscaler: AdmissionPlugin = {
  name: "VerticalPodAutoscaler",
  mutate(r, view) {
    if (!createsPod(r) || !r.object) return;
    const active = [...view.list(verticalPodAutoscalers, r.namespace)].filter((vpa) => updateMode(vpa) !== "Off");
    if (active.length === 0) return;
    const pod = r.object as Pod;
    const vpa = vpaFor(active, { ...pod, metadata: { ...pod.metadata, namespace: r.namespace } }, ownerIn(view));
    const set = vpa ? applyRecommendation(vpa, pod) : [];
    if (!vpa || set.length === 0) return;
    pod.metadata.annotations = {
      ...pod.metadata.annotations,
      [UPDATES]: `Pod resources updated by ${nameOf(vpa)}: ${set.join("; ")}`,
      [OBSERVED]: (pod.spec?.containers ?? []).map((c) => c.name).join(", "),
    };
  },
};

function ownerIn(view: ClusterView): FindOwner {
  return (namespace, owner) => {
    const ref = between.find((k) => k.kind === owner.kind);
    return ref && view.get(ref, namespace, owner.name);
  };
}
