/**
 * Writes the bootstrap policy at the start of a server: what is missing is created, what has lost rules or subjects gets
 * them back, what was added by a user stays. An object that says `autoupdate: "false"` is left alone.
 */
import { deepClone, deepEqual } from "../../api/equal.ts";
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding } from "../../api/generated/types.ts";
import { clusterRoles as clusterRoleKind, roles as roleKind } from "../../api/kinds/rbac/role.ts";
import {
  clusterRoleBindings as clusterRoleBindingKind,
  roleBindings as roleBindingKind,
} from "../../api/kinds/rbac/rolebinding.ts";
import type { ApiObject } from "../../api/object.ts";
import { nameOf, namespaceOf } from "../../api/object.ts";
import { aggregatedRules } from "../../api/rbac/aggregate.ts";
import { missingRules } from "../../api/rbac/rules.ts";
import type { ResourceRef } from "../../api/resource.ts";
import type { Client } from "../../client/client.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ClusterView } from "../admission.ts";
import { lostToAnother } from "../flow/ensure.ts";
import {
  AUTOUPDATE,
  clusterRoleBindings,
  clusterRoles,
  namespacedRoleBindings,
  namespacedRoles,
} from "./bootstrap-policy.ts";

/** What is to be done about one object; undefined: nothing. */
export type Step<T> = { readonly step: "create" | "update" | "recreate"; readonly object: T } | undefined;

/** All at once: the store takes them as one batch, and none needs another. Rejects with the first failure. */
export async function ensurePolicy(client: Client, view: ClusterView): Promise<void> {
  await Promise.all([
    ...aggregatedNow(clusterRoles).map((o) => ensure(client, view, clusterRoleKind, o, planRole)),
    ...clusterRoleBindings.map((o) => ensure(client, view, clusterRoleBindingKind, o, planBinding)),
    ...namespacedRoles.map((o) => ensure(client, view, roleKind, o, planRole)),
    ...namespacedRoleBindings.map((o) => ensure(client, view, roleBindingKind, o, planBinding)),
  ]);
}

async function ensure<T extends ApiObject>(
  client: Client,
  view: ClusterView,
  kind: ResourceRef<T>,
  wanted: T,
  plan: (existing: DeepReadonly<T> | undefined, wanted: T) => Step<T>,
): Promise<void> {
  const todo = plan(view.get(kind, namespaceOf(wanted), nameOf(wanted)), wanted);
  if (!todo) return;
  const resource = client.resource(kind, wanted.metadata.namespace);
  const object = todo.object as DeepReadonly<T>;
  try {
    if (todo.step === "recreate") await resource.delete(nameOf(wanted));
    await (todo.step === "update" ? resource.update(object) : resource.create(object));
  } catch (error) {
    lostToAnother(error);
  }
}

/** With the rules that the controller would give them a moment later. In the order in which they contain each other. */
export function aggregatedNow(all: readonly ClusterRole[]): readonly ClusterRole[] {
  const done = new Map(all.map((role) => [nameOf(role), role]));
  for (const name of ["view", "edit", "admin"]) {
    const role = done.get(name);
    const rules = role && aggregatedRules(role, [...done.values()]);
    if (rules) done.set(name, { ...role, rules: deepClone(rules) });
  }
  return [...done.values()];
}

export function planRole<T extends ClusterRole | Role>(existing: DeepReadonly<T> | undefined, wanted: T): Step<T> {
  if (!existing) return { step: "create", object: wanted };
  const next = deepClone(existing) as unknown as T & ClusterRole;
  const { aggregationRule } = wanted as ClusterRole;
  // An aggregated role's rules are others' business. Most of the others are as they were, which is quicker seen.
  if (aggregationRule) next.aggregationRule ??= aggregationRule;
  else if (!deepEqual(next.rules, wanted.rules)) {
    const rules = next.rules ?? [];
    next.rules = [...rules, ...(missingRules(rules, wanted.rules ?? []) as PolicyRule[])];
  }
  return updateOf(existing, next, wanted);
}

export function planBinding<T extends ClusterRoleBinding | RoleBinding>(
  existing: DeepReadonly<T> | undefined,
  wanted: T,
): Step<T> {
  if (!existing) return { step: "create", object: wanted };
  if (isProtected(existing)) return undefined;
  // What a binding binds cannot be changed.
  if (!deepEqual(existing.roleRef, wanted.roleRef)) return { step: "recreate", object: wanted };
  const next = deepClone(existing) as unknown as T;
  const had = next.subjects ?? [];
  const missing = (wanted.subjects ?? []).filter((s) => !had.some((h) => deepEqual(h, s)));
  if (missing.length > 0) next.subjects = [...had, ...missing];
  return updateOf(existing, next, wanted);
}

function isProtected(o: DeepReadonly<ApiObject>): boolean {
  return o.metadata.annotations?.[AUTOUPDATE] === "false";
}

/** Labels and annotations that are there already stay as they are. */
function updateOf<T extends ApiObject>(existing: DeepReadonly<ApiObject>, next: T, wanted: T): Step<T> {
  if (isProtected(existing)) return undefined;
  const { metadata } = next;
  metadata.labels = { ...wanted.metadata.labels, ...metadata.labels };
  metadata.annotations = { ...wanted.metadata.annotations, ...metadata.annotations };
  return deepEqual(next, existing) ? undefined : { step: "update", object: next };
}
