import { deepEqual } from "../../equal.ts";
import type { ClusterRoleBinding, RbacV1Subject, RoleBinding } from "../../generated/types.ts";
import { dnsSubdomain } from "../../names.ts";
import type { Column, ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { pathSegment } from "../../validation/domain.ts";
import {
  checked,
  checkedRequired,
  each,
  type FieldErrors,
  invalidValue,
  notSupported,
  required,
} from "../../validation/field.ts";
import { AGE, NAME } from "../columns.ts";

const GROUP = "rbac.authorization.k8s.io";

type AnyBinding = RoleBinding | ClusterRoleBinding;

/** Both kinds of bindings are alike but for what they may bind, and where. */
const shared = {
  group: GROUP,
  version: "v1",
  shortNames: [],
  categories: [],
  validateName: pathSegment,
  setDefaults,
  subresources: {},
  selectableFields: {},
  columns: [
    NAME,
    { name: "Role", type: "string", cell: (o) => `${o.roleRef.kind}/${o.roleRef.name}` },
    AGE,
    { name: "Users", type: "string", description: "Users in the binding", wide: true, cell: named("User") },
    { name: "Groups", type: "string", description: "Groups in the binding", wide: true, cell: named("Group") },
    {
      name: "ServiceAccounts",
      type: "string",
      description: "ServiceAccounts in the binding",
      wide: true,
      cell: named("ServiceAccount"),
    },
  ] satisfies Column<AnyBinding>[],
} as const satisfies Partial<ResourceDef<AnyBinding>>;

export const roleBindings: ResourceDef<RoleBinding> = {
  ...shared,
  kind: "RoleBinding",
  plural: "rolebindings",
  singular: "rolebinding",
  namespaced: true,
  schema: "RoleBinding",
  validate: (next, old) => validateBinding({ next, old, kinds: ["Role", "ClusterRole"], namespaced: true }),
};

export const clusterRoleBindings: ResourceDef<ClusterRoleBinding> = {
  ...shared,
  kind: "ClusterRoleBinding",
  plural: "clusterrolebindings",
  singular: "clusterrolebinding",
  namespaced: false,
  schema: "ClusterRoleBinding",
  validate: (next, old) => validateBinding({ next, old, kinds: ["ClusterRole"], namespaced: false }),
};

function setDefaults(o: AnyBinding): void {
  // A struct in Go: it is there, if empty, for validation to complain of.
  o.roleRef ??= { kind: "", name: "" };
  o.roleRef.apiGroup ||= GROUP;
  for (const s of o.subjects ?? []) if (s.kind === "User" || s.kind === "Group") s.apiGroup ||= GROUP;
}

function named(kind: string): (o: DeepReadonly<AnyBinding>) => string {
  const text = (s: DeepReadonly<RbacV1Subject>) => (s.namespace ? `${s.namespace}/${s.name}` : s.name);
  return (o) => (o.subjects ?? []).flatMap((s) => (s.kind === kind ? [text(s)] : [])).join(", ");
}

function validateBinding(o: {
  readonly next: DeepReadonly<AnyBinding>;
  readonly old: DeepReadonly<AnyBinding> | undefined;
  readonly kinds: readonly string[];
  readonly namespaced: boolean;
}): FieldErrors {
  const ref = o.next.roleRef;
  return [
    ...(ref.apiGroup === GROUP ? [] : [notSupported("roleRef.apiGroup", ref.apiGroup, [GROUP])]),
    ...(o.kinds.includes(ref.kind) ? [] : [notSupported("roleRef.kind", ref.kind, o.kinds)]),
    ...checkedRequired("roleRef.name", ref.name, pathSegment),
    ...each("subjects", o.next.subjects, (s, at) => validateSubject(s, at, o.namespaced)),
    // Who could swap the role could give away what he may not grant.
    ...(o.old && !deepEqual(o.old.roleRef, ref) ? [invalidValue("roleRef", ref, "cannot change roleRef")] : []),
  ];
}

function validateSubject(s: DeepReadonly<RbacV1Subject>, at: string, namespaced: boolean): FieldErrors {
  const group = (supported: string) =>
    (s.apiGroup ?? "") === supported ? [] : [notSupported(`${at}.apiGroup`, s.apiGroup ?? "", [supported])];
  const missing = s.name ? [] : [required(`${at}.name`)];
  switch (s.kind) {
    case "ServiceAccount":
      return [
        ...missing,
        ...(s.name ? checked(`${at}.name`, s.name, dnsSubdomain) : []),
        ...group(""),
        ...(namespaced || s.namespace ? [] : [required(`${at}.namespace`)]),
      ];
    case "User":
    case "Group": {
      const why = `${s.kind.toLowerCase()} name cannot be empty`;
      return [...missing, ...(s.name ? [] : [invalidValue(`${at}.name`, "", why)]), ...group(GROUP)];
    }
    default:
      return [...missing, notSupported(`${at}.kind`, s.kind, ["Group", "ServiceAccount", "User"])];
  }
}
