import type { Toleration } from "../../api/generated/types.ts";
import { toleratesAny } from "../../api/tolerations.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { pass, reject, type SchedulerPlugin } from "../framework.ts";

/** Taints keep Pods away (NoSchedule, NoExecute), or make a node less liked (PreferNoSchedule). */
export const taintToleration: SchedulerPlugin<readonly DeepReadonly<Toleration>[]> = {
  name: "TaintToleration",
  local: true,
  wakeOn: ["NodeAdded", "NodeTaintsChanged"],
  prepare: ({ pod }, { tainted }) => (tainted === 0 ? "skip" : (pod.spec?.tolerations ?? [])),
  filter(_, { node }, tolerations) {
    for (const taint of node.spec?.taints ?? []) {
      if (taint.effect === "PreferNoSchedule" || toleratesAny(tolerations, taint)) continue;
      return reject(`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ""}}`, false);
    }
    return pass;
  },
  /** Counts the taints that are only put up with. */
  score(_, { node }, tolerations) {
    let count = 0;
    for (const t of node.spec?.taints ?? []) {
      if (t.effect === "PreferNoSchedule" && !toleratesAny(tolerations, t)) count++;
    }
    return count;
  },
  normalize: "reverse-max",
};
