import { describe, expect, test } from "@jest/globals";
import { complaints, created, headings, row, updated } from "../testing/writes.ts";
import { clusterRoles, roles } from "./role.ts";
import { clusterRoleBindings, roleBindings } from "./rolebinding.ts";

const named = (rest: object) => ({ metadata: { name: "system:x" }, ...rest });
const rule = { apiGroups: [""], resources: ["pods"], verbs: ["get"] };
const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" };
const subjects = [
  { kind: "User", name: "ann" },
  { kind: "Group", name: "ops" },
  { kind: "User", name: "bob" },
  { kind: "ServiceAccount", name: "ci", namespace: "dev" },
];

test("kubectl get shows since when roles are, and whom bindings bind to what", () => {
  expect(headings(roles)).toBe("Name Created At");
  expect(row(clusterRoles, created(clusterRoles, named({ rules: [rule] })))).toEqual([
    "system:x",
    "2026-01-01T00:00:00Z",
  ]);
  for (const def of [roleBindings, clusterRoleBindings]) {
    const o = created(def, named({ roleRef, subjects }));
    expect(complaints(def, o)).toEqual([]);
    expect(headings(def)).toBe("Name Role Age (Users) (Groups) (ServiceAccounts)");
    expect(row(def, o, true)).toEqual(["system:x", "ClusterRole/view", "60m", "ann, bob", "ops", "dev/ci"]);
  }
});

test("users and groups, and the role, are of RBAC's group", () => {
  const o = created(roleBindings, named({ roleRef: { kind: "Role", name: "r" }, subjects }));
  expect(o.roleRef.apiGroup).toBe("rbac.authorization.k8s.io");
  expect(o.subjects?.map((s) => s.apiGroup)).toEqual([
    "rbac.authorization.k8s.io",
    "rbac.authorization.k8s.io",
    "rbac.authorization.k8s.io",
    undefined,
  ]);
});

describe("rules are refused", () => {
  const urls = { nonResourceURLs: ["/healthz"], verbs: ["get"] };
  test.each<[string, object, string]>([
    ["roles", { ...rule, verbs: [] }, "rules[0].verbs: Required value: verbs must contain at least one value"],
    [
      "roles",
      { ...rule, apiGroups: [] },
      "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
    ],
    [
      "roles",
      { ...rule, resources: [] },
      "rules[0].resources: Required value: resource rules must supply at least one resource",
    ],
    [
      "roles",
      urls,
      'rules[0].nonResourceURLs: Invalid value: ["/healthz"]: namespaced rules cannot apply to non-resource URLs',
    ],
    [
      "clusterroles",
      { ...urls, ...rule },
      'rules[0].nonResourceURLs: Invalid value: ["/healthz"]: rules cannot apply to both regular resources and non-resource URLs',
    ],
  ])("in %s: %j", (plural, bad, message) => {
    const said =
      plural === "roles"
        ? complaints(roles, created(roles, named({ rules: [bad] })))
        : complaints(clusterRoles, created(clusterRoles, named({ rules: [bad] })));
    expect(said).toContain(message);
  });

  test("cluster roles may have them, and may gather those of others", () => {
    expect(complaints(clusterRoles, created(clusterRoles, named({ rules: [urls] })))).toEqual([]);
    expect(complaints(clusterRoles, created(clusterRoles, named({ aggregationRule: {} })))).toEqual([
      "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil",
    ]);
  });
});

describe("bindings are refused", () => {
  test.each<[object, string]>([
    [{}, "roleRef.name: Required value"],
    [
      { roleRef: { kind: "Role", name: "r" } },
      'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
    ],
    [{ roleRef: { ...roleRef, apiGroup: "x" } }, 'roleRef.apiGroup: Unsupported value: "x": supported values'],
    [{ roleRef: { ...roleRef, name: "a/b" } }, "roleRef.name: Invalid value: \"a/b\": may not contain '/'"],
    [
      { roleRef, subjects: [{ kind: "Robot", name: "r" }] },
      'subjects[0].kind: Unsupported value: "Robot": supported values: "Group", "ServiceAccount", "User"',
    ],
    [{ roleRef, subjects: [{ kind: "ServiceAccount", name: "s" }] }, "subjects[0].namespace: Required value"],
    [{ roleRef, subjects: [{ kind: "User", name: "" }] }, "subjects[0].name: Required value"],
    [
      { roleRef, subjects: [{ kind: "User", name: "u", apiGroup: "x" }] },
      'subjects[0].apiGroup: Unsupported value: "x"',
    ],
    [
      { roleRef, subjects: [{ kind: "ServiceAccount", name: "S", namespace: "n" }] },
      'subjects[0].name: Invalid value: "S"',
    ],
  ])("%j: %s", (rest, message) => {
    expect(complaints(clusterRoleBindings, created(clusterRoleBindings, named(rest))).join("\n")).toContain(message);
  });

  test("for another role", () => {
    const old = created(roleBindings, named({ roleRef, subjects }));
    const next = updated(roleBindings, named({ roleRef: { ...roleRef, name: "edit" }, subjects }), old);
    expect(complaints(roleBindings, next, old)).toEqual([
      `roleRef: Invalid value: ${JSON.stringify({ ...roleRef, name: "edit" })}: cannot change roleRef`,
    ]);
  });
});
