import type { NodeSelectorRequirement, NodeSelectorTerm, Pod } from "../../api/generated/types.ts";
import { matchesRequirement, type SelectorOperator } from "../../api/selectors.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { pass, reject, type SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";

const VERDICT = reject("node(s) didn't match Pod's node affinity/selector", false);
const OPERATORS: ReadonlySet<string> = new Set(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]);

function holds(r: DeepReadonly<NodeSelectorRequirement>, labels: Readonly<Record<string, string>>): boolean {
  if (!OPERATORS.has(r.operator)) return false;
  return matchesRequirement({ key: r.key, operator: r.operator as SelectorOperator, values: r.values ?? [] }, labels);
}

/** Expressions and fields must all hold; a term without any matches nothing. `metadata.name` is the only field. */
export function termMatches(term: DeepReadonly<NodeSelectorTerm>, node: NodeInfo): boolean {
  const { matchExpressions = [], matchFields = [] } = term;
  if (matchExpressions.length + matchFields.length === 0) return false;
  return (
    matchExpressions.every((r) => holds(r, node.labels)) &&
    matchFields.every((r) => holds(r, { "metadata.name": node.name }))
  );
}

/** `nodeSelector` and required node affinity together: also who is eligible for topology spreading. */
export function matchesNode(pod: DeepReadonly<Pod>, node: NodeInfo): boolean {
  for (const [key, value] of Object.entries(pod.spec?.nodeSelector ?? {})) {
    if (node.labels[key] !== value) return false;
  }
  const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return !required || required.nodeSelectorTerms.some((term) => termMatches(term, node));
}

/** The labels (and name) a node must or should have. */
export const nodeAffinity: SchedulerPlugin<DeepReadonly<Pod>> = {
  name: "NodeAffinity",
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
