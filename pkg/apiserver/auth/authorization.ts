/**
 * Whether a user may do what it asks: three authorizers, of which one must say yes. None can say no for the others.
 *
 *  1. members of system:masters may do everything;
 *  2. a node may do what a node needs for the Pods that are bound to it (node-authorizer.ts);
 *  3. everybody may do what roles and bindings say (RBAC).
 */
import { clusterRoles, roles } from "../../api/kinds/rbac/role.ts";
import { clusterRoleBindings, roleBindings } from "../../api/kinds/rbac/rolebinding.ts";
import { type Attributes, MASTERS, type User } from "../../api/rbac/attributes.ts";
import { Policy, type Verdict } from "../../api/rbac/policy.ts";
import type { Rule } from "../../api/rbac/rules.ts";
import { ApiError } from "../../api/status.ts";
import type { ClusterView } from "../admission.ts";
import { authorizeNode, nodeIdentity } from "./node-authorizer.ts";

const KINDS = [clusterRoles, clusterRoleBindings, roles, roleBindings];
const policies = new WeakMap<ClusterView, { readonly at: bigint; readonly policy: Policy }>();

/** The policy of all roles and bindings there are now; made anew only after one of them has changed. */
export function policyOf(view: ClusterView): Policy {
  let at = 0n;
  // Revisions are of all kinds together: the greatest of the four moves with each change of any.
  for (const kind of KINDS) {
    const changed = view.changedAt(kind);
    if (changed > at) at = changed;
  }
  const known = policies.get(view);
  if (known?.at === at) return known.policy;
  const policy = new Policy({
    clusterRole: (name) => view.get(clusterRoles, "", name),
    role: (namespace, name) => view.get(roles, namespace, name),
    clusterRoleBindings: view.list(clusterRoleBindings),
    roleBindings: view.list(roleBindings),
  });
  policies.set(view, { at, policy });
  return policy;
}

/** What the cache shows now. A refusal tells why, as far as there is more to say than that nothing allows it. */
export function decide(a: Attributes, view: ClusterView): Verdict {
  if (a.user.groups.includes(MASTERS)) return { allowed: true, reason: "" };
  const node = authorizeNode(a, view);
  if (node?.allowed) return node;
  const rbac = policyOf(view).authorize(a);
  if (rbac.allowed || !node?.reason) return rbac;
  return { allowed: false, reason: [node.reason, rbac.reason].filter(Boolean).join("\n") };
}

export interface UserRules {
  readonly rules: readonly Rule[];
  /** There may be more: not all authorizers can list what they allow. */
  readonly incomplete: boolean;
  readonly error: string;
}

/** All that a user may do in a namespace, as far as it can be listed. */
export function rulesFor(user: User, namespace: string, view: ClusterView): UserRules {
  const { rules, error } = policyOf(view).rulesFor(user, namespace);
  if (nodeIdentity(user) === undefined) return { rules, incomplete: false, error };
  const errors = ["node authorizer does not support user rule resolution", ...(error ? [error] : [])];
  return { rules, incomplete: true, error: errors.length > 1 ? `[${errors.join(", ")}]` : errors.join() };
}

/** 403, in the words that clients print. */
export function forbidden(a: Attributes, reason: string): ApiError {
  const { apiGroup: group, resource, name } = a;
  const why = `${question(a)}${reason && `: ${reason}`}`;
  if (a.path !== undefined) return new ApiError("Forbidden", `forbidden: ${why}`, {});
  const qualified = group ? `${resource}.${group}` : resource;
  const what = name ? `${qualified} ${JSON.stringify(name)}` : qualified;
  return new ApiError("Forbidden", `${what} is forbidden: ${why}`, {
    ...(name && { name }),
    ...(group && { group }),
    kind: resource,
  });
}

function question({ user, verb, path, resource, subresource, apiGroup, namespace }: Attributes): string {
  const who = `User ${JSON.stringify(user.name)} cannot ${verb}`;
  if (path !== undefined) return escaped(`${who} path ${JSON.stringify(path)}`);
  const what = JSON.stringify(subresource ? `${resource}/${subresource}` : resource);
  const where = namespace ? `in the namespace ${JSON.stringify(namespace)}` : "at the cluster scope";
  return escaped(`${who} resource ${what} in API group ${JSON.stringify(apiGroup)} ${where}`);
}

/** What a client sent may come back in a browser. */
function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
