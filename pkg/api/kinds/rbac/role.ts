import type { ClusterRole, PolicyRule, Role } from "../../generated/types.ts";
import type { ApiObject } from "../../object.ts";
import type { Column, ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { pathSegment } from "../../validation/domain.ts";
import { each, type FieldErrors, invalidValue, required } from "../../validation/field.ts";
import { validateLabelSelector } from "../../validation/selector.ts";
import { NAME } from "../columns.ts";

/** What kinds without columns of their own show. */
const CREATED_AT: Column<ApiObject> = {
  name: "Created At",
  type: "date",
  cell: (o) => o.metadata.creationTimestamp ?? "",
};

export const roles: ResourceDef<Role> = {
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "Role",
  plural: "roles",
  singular: "role",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: "Role",
  validateName: pathSegment,
  validate: (next) => each("rules", next.rules, (rule, at) => validateRule(rule, at, true)),
  subresources: {},
  selectableFields: {},
  columns: [NAME, CREATED_AT],
};

export const clusterRoles: ResourceDef<ClusterRole> = {
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "ClusterRole",
  plural: "clusterroles",
  singular: "clusterrole",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: "ClusterRole",
  validateName: pathSegment,
  validate: (next) => [
    ...each("rules", next.rules, (rule, at) => validateRule(rule, at, false)),
    ...validateAggregation(next),
  ],
  subresources: {},
  selectableFields: {},
  columns: [NAME, CREATED_AT],
};

function validateAggregation({ aggregationRule: rule }: DeepReadonly<ClusterRole>): FieldErrors {
  if (!rule) return [];
  const field = "aggregationRule.clusterRoleSelectors";
  if (!rule.clusterRoleSelectors?.length) {
    return [required(field, "at least one clusterRoleSelector required if aggregationRule is non-nil")];
  }
  return each(field, rule.clusterRoleSelectors, validateLabelSelector);
}

function validateRule(r: DeepReadonly<PolicyRule>, at: string, namespaced: boolean): FieldErrors {
  const needs = (field: keyof PolicyRule, why: string) => (r[field]?.length ? [] : [required(`${at}.${field}`, why)]);
  const verbs = needs("verbs", "verbs must contain at least one value");
  if (r.nonResourceURLs?.length) return [...verbs, ...validateUrls(r, `${at}.nonResourceURLs`, namespaced)];
  return [
    ...verbs,
    ...needs("apiGroups", "resource rules must supply at least one api group"),
    ...needs("resources", "resource rules must supply at least one resource"),
  ];
}

function validateUrls(r: DeepReadonly<PolicyRule>, field: string, namespaced: boolean): FieldErrors {
  const mixed = [r.apiGroups, r.resources, r.resourceNames].some((list) => list?.length);
  const wrong = (why: string) => invalidValue(field, r.nonResourceURLs, why);
  return [
    ...(namespaced ? [wrong("namespaced rules cannot apply to non-resource URLs")] : []),
    ...(mixed ? [wrong("rules cannot apply to both regular resources and non-resource URLs")] : []),
  ];
}
