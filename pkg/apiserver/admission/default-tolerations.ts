/**
 * DefaultTolerationSeconds: a node that is away may come back, so Pods that say nothing else stay on it for a while.
 * Kubernetes gives it five minutes; here a node is missed sooner, and its Pods run elsewhere within 15 seconds.
 */
import type { Pod, PodSpec, Toleration } from "../../api/generated/types.ts";
import type { AdmissionPlugin } from "../admission.ts";
import { isResource } from "./refuse.ts";

export const TOLERATION_SECONDS = 5;
const TAINTS = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

export function defaultTolerationSeconds(seconds: number): AdmissionPlugin {
  return {
    name: "DefaultTolerationSeconds",
    mutate(r) {
      const writes = r.operation === "CREATE" || r.operation === "UPDATE";
      const spec = (r.object as Pod | undefined)?.spec;
      if (writes && spec && r.subresource === "" && isResource(r, "", "pods")) tolerateBriefly(spec, seconds);
    },
  };
}

function tolerateBriefly(spec: PodSpec, seconds: number): void {
  for (const key of TAINTS) {
    const covers = (t: Toleration) => (!t.key || t.key === key) && (!t.effect || t.effect === "NoExecute");
    if (spec.tolerations?.some(covers)) continue;
    const added = { key, operator: "Exists", effect: "NoExecute", tolerationSeconds: seconds };
    spec.tolerations = [...(spec.tolerations ?? []), added];
  }
}
