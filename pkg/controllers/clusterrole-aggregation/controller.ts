/** Keeps ClusterRoles that are made of others (`admin` of all that says it belongs to it) equal to those others' rules. */
import { deepEqual } from "../../api/equal.ts";
import { clusterRoles } from "../../api/kinds/rbac/role.ts";
import { nameOf } from "../../api/object.ts";
import { aggregatedRules } from "../../api/rbac/aggregate.ts";
import { runController, type Reconcile } from "../../reconcile/controller.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { ControllerParts } from "../parts.ts";

const NAME = "clusterrole-aggregation-controller";

/** Runs until the signal aborts. Keys are names of aggregated roles. */
export async function runClusterRoleAggregation(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const all = o.informers.of(clusterRoles);
  const queue = new WorkQueue(o);
  // Which roles a changed one belongs to is quicker asked by looking at the few that are made of others.
  all.onChange(() => {
    for (const role of all.list()) if (role.aggregationRule) queue.add(nameOf(role));
  });

  const reconcile: Reconcile = async (name, _, { reconcileId }) => {
    const role = all.get(name);
    const others = all.list().toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
    const rules = role && aggregatedRules(role, others);
    if (!role || !rules || deepEqual(rules, role.rules ?? [])) return "done";
    const cause = { component: NAME, reconcileId, reason: "RulesChanged", object: `clusterroles/${name}` };
    await o.client.resource(clusterRoles).update({ ...role, rules }, { cause });
    return "done";
  };

  await runController({ ...o, name: NAME, queue, reconcile, workers: 1, after: [all] }, signal);
}
