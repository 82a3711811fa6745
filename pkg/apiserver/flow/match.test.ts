import { describe, expect, test } from "@jest/globals";
import type { FlowSchema } from "../../api/generated/types.ts";
import { nameOf } from "../../api/object.ts";
import {
  type Attributes,
  onPath,
  onResource,
  serviceAccountGroups,
  serviceAccountUser,
} from "../../api/rbac/attributes.ts";
import { defaultSchemas, MANDATORY, priorityLevels } from "./defaults.ts";
import { byPrecedence, flowOf, isFor, matchesSchema } from "./match.ts";

const AUTHENTICATED = "system:authenticated";
const users = {
  admin: { name: "kubernetes-admin", groups: ["system:masters", AUTHENTICATED] },
  node: { name: "system:node:n1", groups: ["system:nodes", AUTHENTICATED] },
  controllers: { name: "system:kube-controller-manager", groups: [AUTHENTICATED] },
  scheduler: { name: "system:kube-scheduler", groups: [AUTHENTICATED] },
  system: {
    name: serviceAccountUser("kube-system", "dns"),
    groups: [...serviceAccountGroups("kube-system"), AUTHENTICATED],
  },
  account: { name: serviceAccountUser("shop", "bot"), groups: [...serviceAccountGroups("shop"), AUTHENTICATED] },
  jane: { name: "jane", groups: ["developers", AUTHENTICATED] },
  nobody: { name: "system:anonymous", groups: ["system:unauthenticated"] },
};

/** `verb group/resource[/sub] [namespace]`, or `verb /path`. */
function ask(who: keyof typeof users, question: string): Attributes {
  const [verb = "", what = "", namespace = ""] = question.split(" ");
  if (what.startsWith("/")) return onPath(users[who], verb, what);
  const [apiGroup = "", resource = "", subresource = ""] = what.split("/");
  return onResource(users[who], verb, {
    apiGroup: apiGroup === "core" ? "" : apiGroup,
    resource,
    subresource,
    namespace,
  });
}

const inOrder = defaultSchemas.toSorted(byPrecedence);
const schemaFor = (a: Attributes) => inOrder.find((s) => isFor(s, a.user) && matchesSchema(s, a));

test.each<[keyof typeof users, string, string, string]>([
  ["admin", "list core/pods", "exempt", ""],
  ["admin", "get /metrics", "exempt", ""],
  ["nobody", "get /readyz", "probes", ""],
  ["jane", "get /livez", "probes", ""],
  [
    "controllers",
    "update coordination.k8s.io/leases kube-system",
    "system-leader-election",
    "system:kube-controller-manager",
  ],
  ["scheduler", "get coordination.k8s.io/leases kube-system", "system-leader-election", "system:kube-scheduler"],
  ["controllers", "update core/endpoints shop", "endpoint-controller", "system:kube-controller-manager"],
  ["controllers", "create core/pods shop", "kube-controller-manager", "shop"],
  ["controllers", "list core/pods", "kube-controller-manager", ""],
  ["scheduler", "create core/pods/binding shop", "kube-scheduler", "shop"],
  ["node", "update coordination.k8s.io/leases kube-node-lease", "system-node-high", "system:node:n1"],
  ["node", "patch core/nodes/status", "system-node-high", "system:node:n1"],
  ["node", "get core/secrets shop", "system-nodes", "system:node:n1"],
  ["node", "create core/events shop", "events", "system:node:n1"],
  ["jane", "patch events.k8s.io/events shop", "events", "jane"],
  ["jane", "list core/events shop", "global-default", "jane"],
  ["system", "get core/configmaps kube-system", "workload-leader-election", users.system.name],
  ["system", "list core/services", "kube-system-service-accounts", ""],
  ["account", "list core/pods shop", "service-accounts", users.account.name],
  ["jane", "list core/pods shop", "global-default", "jane"],
  ["nobody", "get /version", "global-default", "system:anonymous"],
])("%s may %s by the schema %s, in the flow %j", (who, question, name, flow) => {
  const a = ask(who, question);
  const schema = schemaFor(a);
  expect([schema && nameOf(schema), schema && flowOf(schema, a)]).toEqual([name, flow]);
});

test("every default schema has its level; the mandatory ones are the first and the last", () => {
  const levels = priorityLevels.map(nameOf);
  expect(
    defaultSchemas.map((s) => s.spec?.priorityLevelConfiguration.name).filter((n) => !levels.includes(n ?? "")),
  ).toEqual([]);
  expect([inOrder[0], inOrder.at(-1)].map((s) => s && nameOf(s))).toEqual([...MANDATORY]);
});

describe("rules", () => {
  const schema = (rule: object): FlowSchema => ({
    metadata: { name: "x" },
    spec: {
      priorityLevelConfiguration: { name: "l" },
      rules: [{ subjects: [{ kind: "User", user: { name: "*" } }], ...rule }],
    },
  });
  const resources = (r: object) =>
    schema({ resourceRules: [{ verbs: ["get"], apiGroups: ["*"], resources: ["pods"], ...r }] });
  const paths = (...nonResourceURLs: string[]) => schema({ nonResourceRules: [{ verbs: ["get"], nonResourceURLs }] });

  test.each<[string, FlowSchema, string, boolean]>([
    ["a namespace named", resources({ namespaces: ["a"] }), "get core/pods a", true],
    ["another namespace", resources({ namespaces: ["a"] }), "get core/pods b", false],
    ["all namespaces at once", resources({ namespaces: ["*"] }), "get core/pods", false],
    ["the cluster's scope", resources({ clusterScope: true }), "get core/pods", true],
    ["another verb", resources({ namespaces: ["*"] }), "list core/pods a", false],
    ["a subresource not named", resources({ namespaces: ["*"] }), "get core/pods/status a", false],
    [
      "a subresource named",
      resources({ namespaces: ["*"], resources: ["pods/status"] }),
      "get core/pods/status a",
      true,
    ],
    ["a path", paths("/metrics"), "get /metrics", true],
    ["a path below", paths("/debug/*"), "get /debug/flags", true],
    ["a path beside", paths("/debug/*"), "get /debugger", false],
    ["a resource for a path", resources({ namespaces: ["*"] }), "get /metrics", false],
  ])("%s", (_, s, question, matches) => {
    expect(matchesSchema(s, ask("jane", question))).toBe(matches);
  });
});
