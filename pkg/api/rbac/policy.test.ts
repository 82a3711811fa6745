import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  RbacV1Subject,
  Role,
  RoleBinding,
} from "../generated/types.ts";
import { type User, onPath, onResource } from "./attributes.ts";
import { Policy } from "./policy.ts";
import { type Rule, compactRules, describeRule, missingRules, ruleAllows } from "./rules.ts";

const user = (name: string, ...groups: string[]): User => ({ name, groups });
const rule = (verbs: string, apiGroups: string, resources: string, names = ""): PolicyRule => ({
  verbs: verbs.split(" "),
  apiGroups: apiGroups.split(" "),
  resources: resources.split(" "),
  ...(names && { resourceNames: names.split(" ") }),
});
const urls = (verbs: string, nonResourceURLs: string): PolicyRule => ({
  verbs: verbs.split(" "),
  nonResourceURLs: nonResourceURLs.split(" "),
});

describe("ruleAllows", () => {
  const pods = { apiGroup: "", resource: "pods", namespace: "ns", name: "web" };
  const log = { ...pods, subresource: "log" };
  const scale = { apiGroup: "apps", resource: "deployments", subresource: "scale" };
  const nobody = user("nobody");
  test.each<[string, PolicyRule, Parameters<typeof onResource>[2], string, boolean]>([
    ["verb and resource", rule("get", "", "pods"), pods, "get", true],
    ["another verb", rule("get", "", "pods"), pods, "list", false],
    ["any verb", rule("*", "", "pods"), pods, "deletecollection", true],
    ["another group", rule("get", "apps", "pods"), pods, "get", false],
    ["any group", rule("get", "*", "pods"), pods, "get", true],
    ["the resource is not its subresource", rule("get", "", "pods"), log, "get", false],
    ["a subresource", rule("get", "", "pods/log"), log, "get", true],
    ["the subresource is not the resource", rule("get", "", "pods/log"), pods, "get", false],
    ["any resource is any subresource", rule("get", "", "*"), log, "get", true],
    ["a subresource of any resource", rule("get", "*", "*/scale"), scale, "get", true],
    ["another subresource of any resource", rule("get", "*", "*/status"), scale, "get", false],
    ["a resource and all below is no pattern", rule("get", "", "pods/*"), log, "get", false],
    ["its name", rule("get", "", "pods", "web db"), pods, "get", true],
    ["another name", rule("get", "", "pods", "db"), pods, "get", false],
    ["no name where one is needed", rule("list", "", "pods", "db"), { resource: "pods" }, "list", false],
    ["a path rule gives no resource", urls("*", "*"), pods, "get", false],
  ])("%s", (_, r, what, verb, allowed) => {
    expect(ruleAllows(r, onResource(nobody, verb, what))).toBe(allowed);
  });

  test.each<[PolicyRule, string, boolean]>([
    [urls("get", "/version"), "/version", true],
    [urls("get", "/version"), "/version/x", false],
    [urls("get", "/apis/*"), "/apis/apps", true],
    [urls("get", "/apis/*"), "/apis", false],
    [urls("get", "*"), "/anything", true],
    [urls("post", "*"), "/anything", false],
    [rule("*", "*", "*"), "/version", false],
  ])("%j at %s: %j", (r, path, allowed) => {
    expect(ruleAllows(r, onPath(nobody, "get", path))).toBe(allowed);
  });
});

/** Kubernetes' own cases (policy_comparator_test.go), as rules. */
describe("missingRules", () => {
  const text = (rules: readonly Rule[]) => rules.map(describeRule);
  test.each<[string, PolicyRule[], PolicyRule[], string[]]>([
    ["nothing wanted", [], [], []],
    ["the same", [rule("delete", "v1", "builds")], [rule("delete", "v1", "builds")], []],
    ["from two rules", [rule("create", "v1", "b"), rule("delete", "v1", "b")], [rule("delete create", "v1", "b")], []],
    [
      "one resource missing",
      [rule("delete", "", "deployments")],
      [rule("delete", "", "deployments builds")],
      ['{APIGroups:[""], Resources:["builds"], Verbs:["delete"]}'],
    ],
    ["any verb", [rule("*", "", "pods")], [rule("get list", "", "pods")], []],
    [
      "all verbs known today are not any verb",
      [rule("get list", "", "pods")],
      [rule("*", "", "pods")],
      ['{APIGroups:[""], Resources:["pods"], Verbs:["*"]}'],
    ],
    [
      "any resource gives subresources",
      [rule("get", "*", "*")],
      [rule("get", "apps", "deployments/scale */status")],
      [],
    ],
    [
      "one subresource of all",
      [rule("get", "*", "*/scale")],
      [rule("get", "apps", "a/scale b/status")],
      ['{APIGroups:["apps"], Resources:["b/status"], Verbs:["get"]}'],
    ],
    ["all names give one", [rule("get", "", "pods")], [rule("get", "", "pods", "web")], []],
    [
      "one name does not give all",
      [rule("get", "", "pods", "web")],
      [rule("get", "", "pods")],
      ['{APIGroups:[""], Resources:["pods"], Verbs:["get"]}'],
    ],
    ["paths", [urls("get", "/a/*")], [urls("get", "/a/b /a/* /b")], ['{NonResourceURLs:["/b"], Verbs:["get"]}']],
  ])("%s", (_, owned, wanted, missing) => {
    expect(text(missingRules(owned, wanted))).toEqual(missing);
  });

  const words = (...all: string[]) => fc.uniqueArray(fc.constantFrom(...all), { minLength: 1, maxLength: 3 });
  const anyRule: fc.Arbitrary<PolicyRule> = fc.record(
    {
      verbs: words("get", "list", "create", "*"),
      apiGroups: words("", "apps", "*"),
      resources: words("pods", "pods/log", "*/scale", "deployments", "*"),
      resourceNames: words("a", "b"),
    },
    { requiredKeys: ["verbs", "apiGroups", "resources"] },
  );
  const request = fc.record({
    apiGroup: fc.constantFrom("", "apps", "batch"),
    resource: fc.constantFrom("pods", "deployments", "jobs"),
    subresource: fc.constantFrom("", "log", "scale"),
    name: fc.constantFrom("", "a", "b", "c"),
  });

  const rules = fc.array(anyRule, { maxLength: 4 });

  test("own rules and the missing ones together allow whatever the wanted ones do", () => {
    fc.assert(
      fc.property(rules, rules, request, fc.constantFrom("get", "watch"), (own, want, r, verb) => {
        const may = (all: readonly Rule[]) => all.some((x) => ruleAllows(x, onResource(user("u"), verb, r)));
        expect(may(want) && !may([...own, ...missingRules(own, want)])).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  test("with the missing rules, compacted or not, nothing is missing any more", () => {
    fc.assert(
      fc.property(rules, rules, (own, want) => {
        const missing = missingRules(own, want);
        expect(missingRules([...own, ...compactRules(missing)], want)).toEqual([]);
      }),
    );
  });
});

describe("Policy", () => {
  const roleRef = (kind: string, name: string) => ({ apiGroup: "rbac.authorization.k8s.io", kind, name });
  const clusterRoles: ClusterRole[] = [
    { metadata: { name: "view" }, rules: [rule("get list", "", "pods")] },
    { metadata: { name: "empty" } },
    { metadata: { name: "admin" }, rules: [rule("*", "*", "*"), urls("*", "*")] },
  ];
  const roles: Role[] = [{ metadata: { name: "edit", namespace: "a" }, rules: [rule("create", "", "pods")] }];
  const bind = (name: string, kind: string, role: string, ...subjects: RbacV1Subject[]) => ({
    metadata: { name },
    roleRef: roleRef(kind, role),
    subjects,
  });
  const inside = (namespace: string, b: ClusterRoleBinding): RoleBinding => ({
    ...b,
    metadata: { ...b.metadata, namespace },
  });
  const policy = new Policy({
    clusterRole: (name) => clusterRoles.find((r) => r.metadata.name === name),
    role: (namespace, name) => roles.find((r) => r.metadata.name === name && r.metadata.namespace === namespace),
    clusterRoleBindings: [
      bind("admins", "ClusterRole", "admin", { kind: "Group", name: "admins" }),
      bind("gone", "ClusterRole", "gone", { kind: "User", name: "eve" }),
      bind("nothing", "ClusterRole", "empty", { kind: "User", name: "eve" }),
      bind("homeless", "ClusterRole", "admin", { kind: "ServiceAccount", name: "bot" }),
    ],
    roleBindings: [
      inside(
        "a",
        bind("viewers", "ClusterRole", "view", { kind: "User", name: "eve" }, { kind: "Group", name: "all" }),
      ),
      inside("a", bind("bots", "Role", "edit", { kind: "ServiceAccount", name: "bot" })),
      inside("a", bind("lost", "Role", "lost", { kind: "User", name: "eve" })),
      inside("b", bind("foreign", "ClusterRole", "view", { kind: "ServiceAccount", name: "bot", namespace: "a" })),
      inside("b", bind("elsewhere", "Role", "edit", { kind: "User", name: "eve" })),
    ],
  });
  const eve = user("eve", "all");
  const bot = user("system:serviceaccount:a:bot");
  const gone = 'clusterrole.rbac.authorization.k8s.io "gone" not found';
  const lost = 'role.rbac.authorization.k8s.io "lost" not found';

  test.each<[User, string, string, boolean, string]>([
    [eve, "list", "a", true, 'RBAC: allowed by RoleBinding "viewers/a" of ClusterRole "view" to User "eve"'],
    [
      user("x", "all"),
      "list",
      "a",
      true,
      'RBAC: allowed by RoleBinding "viewers/a" of ClusterRole "view" to Group "all"',
    ],
    [eve, "list", "b", false, `RBAC: [${gone}, role.rbac.authorization.k8s.io "edit" not found]`],
    [eve, "list", "", false, `RBAC: ${gone}`],
    [eve, "delete", "a", false, `RBAC: [${gone}, ${lost}]`],
    [bot, "create", "a", true, 'RBAC: allowed by RoleBinding "bots/a" of Role "edit" to ServiceAccount "bot/a"'],
    [bot, "get", "b", true, 'RBAC: allowed by RoleBinding "foreign/b" of ClusterRole "view" to ServiceAccount "bot/a"'],
    [bot, "get", "", false, ""],
    [user("bot"), "create", "a", false, ""],
    [
      user("x", "admins"),
      "get",
      "z",
      true,
      'RBAC: allowed by ClusterRoleBinding "admins" of ClusterRole "admin" to Group "admins"',
    ],
  ])("%j %s in %j", (who, verb, namespace, allowed, reason) => {
    // Twice: the second answer comes from what the first one left.
    for (let i = 0; i < 2; i++) {
      expect(policy.authorize(onResource(who, verb, { resource: "pods", namespace }))).toEqual({ allowed, reason });
    }
  });

  test("names that look like other users' names and groups are nobody else's", () => {
    const what = { resource: "pods", namespace: "a" };
    expect(policy.authorize(onResource(user("eve"), "list", what)).allowed).toBe(true);
    expect(policy.authorize(onResource(user('eve","all'), "list", what)).allowed).toBe(false);
    expect(policy.authorize(onResource(user("x\0all"), "list", what)).allowed).toBe(false);
    expect(policy.authorize(onResource(user("x", "all\0y"), "list", what)).allowed).toBe(false);
  });

  test("the rules of a user are those of all bindings that apply, with what is wrong beside them", () => {
    expect(policy.rulesFor(eve, "a")).toEqual({
      rules: [rule("get list", "", "pods")],
      error: `[${gone}, ${lost}]`,
    });
    expect(policy.rulesFor(bot, "c")).toEqual({ rules: [], error: "" });
  });
});
