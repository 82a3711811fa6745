/**
 * Nobody gives rights that he does not have: who writes a role needs all that it allows, or the right to `escalate` it;
 * who binds one needs all that it allows, or the right to `bind` it.
 */
import { deepEqual } from "../../api/equal.ts";
import type { ClusterRole, PolicyRule, Role, RoleBinding } from "../../api/generated/types.ts";
import type { ApiObject } from "../../api/object.ts";
import { MASTERS, onResource } from "../../api/rbac/attributes.ts";
import { type Rule, compactRules, describeRule, missingRules, quoted } from "../../api/rbac/rules.ts";
import { ApiError } from "../../api/status.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { AdmissionPlugin, AdmissionRequest, ClusterView } from "../admission.ts";
import { decide, policyOf } from "../auth/authorization.ts";
import { forbidden } from "./refuse.ts";

const GROUP = "rbac.authorization.k8s.io";
const EVERYTHING: readonly PolicyRule[] = [
  { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
  { verbs: ["*"], nonResourceURLs: ["*"] },
];

export const rbacEscalation: AdmissionPlugin = {
  name: "RBACEscalation",
  validate(r, view) {
    if (r.def.group !== GROUP || (r.operation !== "CREATE" && r.operation !== "UPDATE")) return;
    if (r.user.groups.includes(MASTERS) || (r.old && onlyLetsGo(r.old, r.object))) return;
    if (r.def.plural.endsWith("bindings")) checkBinding(r, view);
    else checkRole(r, view);
  },
};

/** Nothing but what the garbage collector needs to change before an object can go. */
function onlyLetsGo(old: DeepReadonly<ApiObject>, next: ApiObject | undefined): boolean {
  const rest = (o: DeepReadonly<ApiObject>) => {
    const { ownerReferences: _, finalizers: __, managedFields: ___, resourceVersion: ____, ...metadata } = o.metadata;
    return { ...o, metadata };
  };
  return next !== undefined && deepEqual(rest(old), rest(next));
}

function checkRole(r: AdmissionRequest, view: ClusterView): void {
  const { def, namespace } = r;
  // As in the address: what is created is not named there.
  const name = r.operation === "CREATE" ? "" : r.name;
  const escalate = onResource(r.user, "escalate", { apiGroup: GROUP, resource: def.plural, namespace, name });
  if (decide(escalate, view).allowed) return;
  const role = r.object as Role & ClusterRole;
  refuseMissing(r, role.rules ?? [], view);
  const aggregates = [role, r.old as ClusterRole | undefined].some(
    (o) => o?.aggregationRule?.clusterRoleSelectors?.length,
  );
  // It can gather anything, now or later.
  if (aggregates && missing(r, EVERYTHING, view).length > 0) {
    throw forbidden(r, "must have cluster-admin privileges to use the aggregationRule");
  }
}

function checkBinding(r: AdmissionRequest, view: ClusterView): void {
  const { roleRef } = r.object as RoleBinding;
  const { namespace } = r;
  const resource = roleRef.kind === "Role" ? "roles" : "clusterroles";
  const bind = onResource(r.user, "bind", { apiGroup: GROUP, resource, namespace, name: roleRef.name });
  if (decide(bind, view).allowed) return;
  const rules = policyOf(view).rulesOf(roleRef, namespace);
  if (typeof rules === "string")
    throw new ApiError("NotFound", rules, { name: roleRef.name, group: GROUP, kind: resource });
  refuseMissing(r, rules, view);
}

function missing(r: AdmissionRequest, wanted: readonly Rule[], view: ClusterView): readonly Rule[] {
  return missingRules(policyOf(view).rulesFor(r.user, r.namespace).rules, wanted);
}

function refuseMissing(r: AdmissionRequest, wanted: readonly Rule[], view: ClusterView): void {
  const lacking = missing(r, wanted, view);
  if (lacking.length === 0) return;
  const { name, groups } = r.user;
  const lines = [...new Set(compactRules(lacking).map(describeRule))].toSorted();
  const { error } = policyOf(view).rulesFor(r.user, r.namespace);
  const who = `user ${JSON.stringify(name)} (groups=${quoted(groups)})`;
  const why = `${who} is attempting to grant RBAC permissions not currently held:\n${lines.join("\n")}`;
  throw forbidden(r, error ? `${why}; resolution errors: ${error}` : why);
}
