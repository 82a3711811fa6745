/** Which nodes a Pod asks for by their labels and names. Pure. */
import { own } from "../util/keys.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { NodeSelectorRequirement, NodeSelectorTerm, Pod } from "./generated/types.ts";
import { matchesRequirement, type SelectorOperator } from "./selectors.ts";

export interface SelectableNode {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

const OPERATORS: ReadonlySet<string> = new Set(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]);

function holds(r: DeepReadonly<NodeSelectorRequirement>, labels: Readonly<Record<string, string>>): boolean {
  if (!OPERATORS.has(r.operator)) return false;
  return matchesRequirement({ key: r.key, operator: r.operator as SelectorOperator, values: r.values ?? [] }, labels);
}

/** Expressions and fields must all hold; a term without any matches nothing. `metadata.name` is the only field. */
export function termMatches(term: DeepReadonly<NodeSelectorTerm>, node: SelectableNode): boolean {
  const { matchExpressions = [], matchFields = [] } = term;
  if (matchExpressions.length + matchFields.length === 0) return false;
  return (
    matchExpressions.every((r) => holds(r, node.labels)) &&
    matchFields.every((r) => holds(r, { "metadata.name": node.name }))
  );
}

/** `nodeSelector` and required node affinity together: also who is eligible for topology spreading. */
export function matchesNode(pod: DeepReadonly<Pick<Pod, "spec">>, node: SelectableNode): boolean {
  for (const [key, value] of Object.entries(pod.spec?.nodeSelector ?? {})) {
    if (own(node.labels, key) !== value) return false;
  }
  const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return !required || required.nodeSelectorTerms.some((term) => termMatches(term, node));
}
