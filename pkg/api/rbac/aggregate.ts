/** ClusterRoles made of the rules of others. Pure. */
import type { DeepReadonly } from "../../util/types.ts";
import { deepEqual } from "../equal.ts";
import type { ClusterRole } from "../generated/types.ts";
import { nameOf } from "../object.ts";
import { fromLabelSelector, matchesLabels } from "../selectors.ts";
import type { Rule } from "./rules.ts";

/** The rules of all roles that its selectors choose, each once; undefined: it has rules of its own. */
export function aggregatedRules(
  role: DeepReadonly<ClusterRole>,
  all: readonly DeepReadonly<ClusterRole>[],
): readonly Rule[] | undefined {
  if (!role.aggregationRule) return undefined;
  const selectors = (role.aggregationRule.clusterRoleSelectors ?? []).map((s) => fromLabelSelector(s) ?? []);
  const chosen = selectors.flatMap((selector) => all.filter((r) => matchesLabels(selector, r.metadata.labels)));
  const rules: Rule[] = [];
  for (const other of chosen) {
    if (nameOf(other) === nameOf(role)) continue;
    for (const rule of other.rules ?? []) if (!rules.some((r) => deepEqual(r, rule))) rules.push(rule);
  }
  return rules;
}
