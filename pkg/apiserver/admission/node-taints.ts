/** TaintNodesByCondition: no Pod goes to a new node before it has said that it is ready. */
import type { Node } from "../../api/generated/types.ts";
import { condition } from "../../api/pod.ts";
import type { AdmissionPlugin } from "../admission.ts";
import { isResource } from "./refuse.ts";

const TAINT = { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" };

/** The node controller takes the taint away. One that comes with a status that says it is ready need not wait for that. */
export const taintNodesByCondition: AdmissionPlugin = {
  name: "TaintNodesByCondition",
  mutate(r) {
    if (r.operation !== "CREATE" || r.subresource !== "" || !isResource(r, "", "nodes")) return;
    const node = r.object as Node;
    if (condition(node.status?.conditions, "Ready")?.status === "True") return;
    const taints = node.spec?.taints ?? [];
    if (taints.some((t) => t.key === TAINT.key && t.effect === TAINT.effect)) return;
    node.spec = { ...node.spec, taints: [...taints, { ...TAINT }] };
  },
};
