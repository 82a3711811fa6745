import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { ClusterRole, ClusterRoleBinding } from "../../api/generated/types.ts";
import { clusterRoles as roleKind } from "../../api/kinds/rbac/role.ts";
import { clusterRoleBindings as bindingKind } from "../../api/kinds/rbac/rolebinding.ts";
import { nameOf } from "../../api/object.ts";
import { onResource } from "../../api/rbac/attributes.ts";
import { missingRules } from "../../api/rbac/rules.ts";
import { Client } from "../../client/client.ts";
import { MemoryStore } from "../../store/memory.ts";
import { seededRandom } from "../../util/clock.ts";
import { FakeClock } from "../../util/fake-clock.ts";
import { silent } from "../../util/log.ts";
import { ApiServer } from "../server.ts";
import { decide } from "./authorization.ts";
import { AUTOUPDATE, clusterRoleBindings, clusterRoles } from "./bootstrap-policy.ts";
import { aggregatedNow, ensurePolicy, planBinding, planRole } from "./ensure-policy.ts";

let api: ApiServer;
let client: Client;
let store: MemoryStore;

beforeEach(async () => {
  store = new MemoryStore();
  api = await ApiServer.open({ store, clock: new FakeClock(), random: seededRandom(1), log: silent });
  client = new Client(api.transport(), "test");
  await ensurePolicy(client, api.view);
  await api.cache.fresh();
});

afterEach(async () => {
  await api.close();
  await store.close();
});

test("what is written is what is wanted, and a second start writes nothing", async () => {
  const roles = await client.resource(roleKind).list();
  expect(roles.items.map(nameOf).toSorted()).toEqual(clusterRoles.map(nameOf).toSorted());
  const before = (await store.get("/x")).revision;
  await ensurePolicy(client, api.view);
  expect((await store.get("/x")).revision).toBe(before);
});

test("what was taken away comes back, what was added stays, what is protected is left alone", async () => {
  const roles = client.resource(roleKind);
  const mine = { verbs: ["get"], apiGroups: ["x"], resources: ["y"] };
  const set = (name: string, patch: object) => roles.patch(name, "application/merge-patch+json", patch);
  await set("system:basic-user", { rules: [mine], metadata: { labels: { mine: "too" } } });
  await set("system:kube-dns", { rules: [], metadata: { annotations: { [AUTOUPDATE]: "false" } } });
  await client.resource(bindingKind).delete("system:discovery");
  await api.cache.fresh();
  await ensurePolicy(client, api.view);
  const basic = await roles.get("system:basic-user");
  const wanted = clusterRoles.find((r) => nameOf(r) === "system:basic-user")?.rules ?? [];
  expect(missingRules(basic.rules ?? [], [...wanted, mine])).toEqual([]);
  expect(basic.metadata.labels).toEqual({ "kubernetes.io/bootstrapping": "rbac-defaults", mine: "too" });
  expect((await roles.get("system:kube-dns")).rules).toEqual([]);
  expect((await client.resource(bindingKind).get("system:discovery")).roleRef.name).toBe("system:discovery");
});

describe("what the policy gives", () => {
  const user = (name: string, ...groups: string[]) => ({ name, groups: [...groups, "system:authenticated"] });
  const bound = user("eve");
  /** `role verb resource[/sub]` in the namespace where eve has the role. */
  test.each([
    ["view", "list /pods", true],
    ["view", "get /pods/log", true],
    ["view", "watch apps/deployments", true],
    ["view", "list /secrets", false],
    ["view", "create /pods/exec", false],
    ["view", "list rbac.authorization.k8s.io/roles", false],
    ["edit", "list /secrets", true],
    ["edit", "create /pods/exec", true],
    ["edit", "create /serviceaccounts/token", true],
    ["edit", "patch apps/deployments/scale", true],
    ["edit", "create rbac.authorization.k8s.io/roles", false],
    ["edit", "update /resourcequotas", false],
    ["admin", "list /pods", true],
    ["admin", "delete /configmaps", true],
    ["admin", "create rbac.authorization.k8s.io/rolebindings", true],
    ["admin", "create /nodes", false],
    ["cluster-admin", "escalate rbac.authorization.k8s.io/roles", true],
  ])("%s: %s: %j", async (role, question, allowed) => {
    const transport = new Client(api.transport(), "test");
    const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role };
    const { roleBindings } = await import("../../api/kinds/rbac/rolebinding.ts");
    await transport
      .resource(roleBindings, "default")
      .create({ metadata: { name: "b" }, roleRef, subjects: [{ kind: "User", name: "eve" }] });
    await api.cache.fresh();
    const [verb = "", what = ""] = question.split(" ");
    const [apiGroup = "", resource = "", subresource = ""] = what.split("/");
    const at = (namespace: string) => onResource(bound, verb, { apiGroup, resource, subresource, namespace });
    expect(decide(at("default"), api.view).allowed).toBe(allowed);
    expect(decide(at("kube-system"), api.view).allowed).toBe(false);
  });

  test.each([
    [user("system:kube-scheduler"), "create", "pods/binding", true],
    [user("system:kube-scheduler"), "create", "pods", false],
    [user("system:kube-controller-manager"), "patch", "pods", true],
    [user("anybody"), "list", "pods", false],
    [user("boss", "system:masters"), "delete", "nodes", true],
  ])("%j may %s %s: %j", (who, verb, what, allowed) => {
    const [resource = "", subresource = ""] = what.split("/");
    expect(decide(onResource(who, verb, { resource, subresource, namespace: "default" }), api.view).allowed).toBe(
      allowed,
    );
  });
});

describe("plans", () => {
  const binding = clusterRoleBindings.find((b) => nameOf(b) === "system:public-info-viewer") as ClusterRoleBinding;
  const role = clusterRoles.find((r) => nameOf(r) === "system:auth-delegator") as ClusterRole;

  test("a role is bound for good: another one needs another binding", () => {
    const roleRef = { ...binding.roleRef, name: "other" };
    expect(planBinding({ ...binding, roleRef }, binding)).toEqual({ step: "recreate", object: binding });
  });

  test("missing subjects come after those that are there", () => {
    const [first, second] = binding.subjects ?? [];
    const eve = { kind: "User", name: "eve", apiGroup: "rbac.authorization.k8s.io" };
    const subjects = second ? [eve, second] : [eve];
    expect(planBinding({ ...binding, subjects }, binding)?.object.subjects).toEqual([...subjects, first]);
  });

  test("a rule that others cover together is not missing", () => {
    const rules = (role.rules ?? []).flatMap((r) => r.verbs.map((verb) => ({ ...r, verbs: [verb, "x"] })));
    expect(planRole({ ...role, rules }, role)).toBeUndefined();
  });

  test("aggregated roles have all rules of those below them from the first moment on", () => {
    const rulesOf = (name: string) => aggregatedNow(clusterRoles).find((r) => nameOf(r) === name)?.rules ?? [];
    const views = rulesOf("system:aggregate-to-view");
    expect(rulesOf("view")).toEqual(views);
    expect(missingRules(rulesOf("admin"), [...views, ...rulesOf("system:aggregate-to-edit")])).toEqual([]);
  });
});
