import { describe, expect, test } from "@jest/globals";
import type { ClusterRole, PolicyRule, RbacV1Subject } from "../../api/generated/types.ts";
import { clusterRoleBindings, roleBindings } from "../../api/kinds/rbac/rolebinding.ts";
import { clusterRoles, roles } from "../../api/kinds/rbac/role.ts";
import { rbacEscalation } from "./rbac-escalation.ts";
import { type Placed, admit, request, viewOf } from "./testing/requests.ts";

const group = "rbac.authorization.k8s.io";
const rule = (verbs: string, apiGroup: string, resources: string, names = ""): PolicyRule => ({
  verbs: verbs.split(" "),
  apiGroups: [apiGroup],
  resources: resources.split(" "),
  ...(names && { resourceNames: names.split(" ") }),
});
const role = (name: string, ...rules: PolicyRule[]): ClusterRole => ({ metadata: { name }, rules });
const ref = (kind: string, name: string) => ({ apiGroup: group, kind, name });
const bound = (name: string, to: string): Placed => [
  clusterRoleBindings,
  {
    metadata: { name: `${name}-${to}` },
    roleRef: ref("ClusterRole", name),
    subjects: [{ kind: "User", name: to }],
  } as {
    metadata: { name: string };
    subjects: RbacV1Subject[];
  },
];

const cluster = viewOf(
  [clusterRoles, role("reader", rule("get list", "", "pods"))],
  [clusterRoles, role("all", rule("*", "*", "*"), { verbs: ["*"], nonResourceURLs: ["*"] })],
  [clusterRoles, role("escalator", rule("escalate", group, "clusterroles"))],
  [clusterRoles, role("one", rule("escalate", group, "clusterroles", "mine"))],
  [clusterRoles, role("binder", rule("bind", group, "clusterroles", "all"))],
  bound("reader", "eve"),
  bound("all", "root"),
  bound("escalator", "escalator"),
  bound("one", "one"),
  bound("binder", "binder"),
  bound("gone", "eve"),
);
const user = (name: string, ...groups: string[]) => ({ name, groups: [...groups, "system:authenticated"] });
const LACKS = (who: string, missing: string) =>
  `user "${who}" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n${missing}`;
const GONE = '; resolution errors: clusterrole.rbac.authorization.k8s.io "gone" not found';

describe("who writes a role", () => {
  const write = (who: string, object: ClusterRole, old?: ClusterRole) =>
    admit(
      rbacEscalation,
      request({
        group,
        plural: "clusterroles",
        namespaced: false,
        user: user(who),
        object,
        ...(old && { old, operation: "UPDATE" as const }),
      }),
      cluster,
    );
  const forbidden = (why: string) => `clusterroles.rbac.authorization.k8s.io "mine" is forbidden: ${why}`;

  test.each<[string, string, PolicyRule[], string | undefined]>([
    ["has all of it", "eve", [rule("get", "", "pods")], undefined],
    [
      "lacks verbs and resources, told by resource",
      "eve",
      [rule("get delete watch", "", "pods"), rule("get", "", "secrets")],
      forbidden(
        LACKS(
          "eve",
          '{APIGroups:[""], Resources:["pods"], Verbs:["delete" "watch"]}\n{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}',
        ) + GONE,
      ),
    ],
    [
      "lacks names and paths",
      "root2",
      [rule("get", "", "pods", "web"), { verbs: ["get"], nonResourceURLs: ["/x"] }],
      forbidden(
        LACKS(
          "root2",
          '{APIGroups:[""], Resources:["pods"], ResourceNames:["web"], Verbs:["get"]}\n{NonResourceURLs:["/x"], Verbs:["get"]}',
        ),
      ),
    ],
    ["may do everything", "root", [rule("*", "*", "*")], undefined],
    ["may escalate", "escalator", [rule("*", "*", "*")], undefined],
  ])("%s", async (_, who, rules, refusal) => {
    expect(await write(who, role("mine", ...rules))).toBe(refusal);
  });

  test("may escalate one role: not a new one, which has no name yet in its address", async () => {
    const wanted = role("mine", rule("get", "", "secrets"));
    expect(await write("one", wanted)).toContain("permissions not currently held");
    expect(await write("one", wanted, role("mine"))).toBeUndefined();
    expect(await write("one", { ...wanted, metadata: { name: "other" } }, role("other"))).toContain(
      "not currently held",
    );
  });

  test("aggregation needs everything", async () => {
    const aggregationRule = { clusterRoleSelectors: [{ matchLabels: { a: "b" } }] };
    const why = forbidden("must have cluster-admin privileges to use the aggregationRule");
    expect(await write("eve", { ...role("mine"), aggregationRule })).toBe(why);
    expect(await write("eve", role("mine"), { ...role("mine"), aggregationRule })).toBe(why);
    expect(await write("root", { ...role("mine"), aggregationRule })).toBeUndefined();
  });

  test("a change that only lets the object go is nobody's grant", async () => {
    const old = role("mine", rule("*", "*", "*"));
    expect(await write("eve", { ...old, metadata: { name: "mine", finalizers: ["x"] } }, old)).toBeUndefined();
    expect(await write("eve", { ...old, metadata: { name: "mine", labels: { a: "b" } } }, old)).toContain(
      "not currently",
    );
  });

  test("masters may", async () => {
    const asked = { group, plural: "roles", user: user("m", "system:masters"), object: role("x", rule("*", "*", "*")) };
    expect(await admit(rbacEscalation, request(asked), viewOf())).toBeUndefined();
  });
});

describe("who binds a role", () => {
  const bind = (who: string, kind: string, name: string, namespaced = true) =>
    admit(
      rbacEscalation,
      request({
        group,
        plural: namespaced ? "rolebindings" : "clusterrolebindings",
        namespaced,
        user: user(who),
        object: { metadata: { name: "b" }, roleRef: ref(kind, name) } as never,
      }),
      viewOf(
        [roles, { metadata: { name: "local", namespace: "default" }, rules: [rule("get", "", "pods")] } as never],
        [clusterRoles, role("reader", rule("get list", "", "pods"))],
        [clusterRoles, role("all", rule("*", "*", "*"))],
        [clusterRoles, role("binder", rule("bind", group, "clusterroles", "all"))],
        bound("binder", "binder"),
        [
          roleBindings,
          {
            metadata: { name: "r", namespace: "default" },
            roleRef: ref("ClusterRole", "reader"),
            subjects: [{ kind: "User", name: "eve" }],
          } as never,
        ],
      ),
    );
  const lacks = LACKS("eve", '{APIGroups:["*"], Resources:["*"], Verbs:["*"]}');

  test.each<[string, string, string, string, boolean, string | undefined]>([
    ["has all of it there", "eve", "ClusterRole", "reader", true, undefined],
    ["has all of a local role", "eve", "Role", "local", true, undefined],
    [
      "has it there only",
      "eve",
      "ClusterRole",
      "reader",
      false,
      `clusterrolebindings.rbac.authorization.k8s.io "b" is forbidden: ${LACKS("eve", '{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}')}`,
    ],
    [
      "lacks it",
      "eve",
      "ClusterRole",
      "all",
      true,
      `rolebindings.rbac.authorization.k8s.io "b" is forbidden: ${lacks}`,
    ],
    ["may bind it", "binder", "ClusterRole", "all", false, undefined],
    ["of none", "eve", "Role", "none", true, 'role.rbac.authorization.k8s.io "none" not found'],
  ])("%s", async (_, who, kind, name, namespaced, refusal) => {
    expect(await bind(who, kind, name, namespaced)).toBe(refusal);
  });
});
