import type { Pod } from "../../api/generated/types.ts";
import { matchesNode, termMatches } from "../../api/node-selection.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { pass, reject, type SchedulerPlugin } from "../framework.ts";

const VERDICT = reject("node(s) didn't match Pod's node affinity/selector", false);

/** The labels (and name) a node must or should have. */
export const nodeAffinity: SchedulerPlugin<DeepReadonly<Pod>> = {
  name: "NodeAffinity",
  local: true,
  wakeOn: ["NodeAdded", "NodeLabelsChanged"],
  prepare: ({ pod }) => (pod.spec?.nodeSelector || pod.spec?.affinity?.nodeAffinity ? pod : "skip"),
  filter: (_, node, pod) => (matchesNode(pod, node) ? pass : VERDICT),
  score(_, node, pod) {
    let sum = 0;
    for (const p of pod.spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []) {
      const { matchExpressions = [], matchFields = [] } = p.preference;
      // Unlike a required term, an empty preference matches every node.
      if (matchExpressions.length + matchFields.length === 0 || termMatches(p.preference, node)) sum += p.weight;
    }
    return sum;
  },
  normalize: "max",
};
