/** DefaultTolerationSeconds: a node that is away may come back, so Pods stay on it for five minutes. */
import type { Pod, PodSpec, Toleration } from "../../api/generated/types.ts";
import type { AdmissionPlugin } from "../admission.ts";
import { isResource } from "./refuse.ts";

const SECONDS = 300;
const TAINTS = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

export const defaultTolerationSeconds: AdmissionPlugin = {
  name: "DefaultTolerationSeconds",
  mutate(r) {
    const writes = r.operation === "CREATE" || r.operation === "UPDATE";
    const spec = (r.object as Pod | undefined)?.spec;
    if (writes && spec && r.subresource === "" && isResource(r, "", "pods")) tolerateBriefly(spec);
  },
};

export function tolerateBriefly(spec: PodSpec): void {
  for (const key of TAINTS) {
    const covers = (t: Toleration) => (!t.key || t.key === key) && (!t.effect || t.effect === "NoExecute");
    if (spec.tolerations?.some(covers)) continue;
    const added = { key, operator: "Exists", effect: "NoExecute", tolerationSeconds: SECONDS };
    spec.tolerations = [...(spec.tolerations ?? []), added];
  }
}
