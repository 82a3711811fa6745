/** The chain in an API server, from the client's side. */
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { Pod, ResourceQuota } from "../../api/generated/types.ts";
import {
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
} from "../../api/kinds/admissionregistration/admissionpolicy.ts";
import { limitRanges } from "../../api/kinds/core/limitrange.ts";
import { namespaces } from "../../api/kinds/core/namespace.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { resourceQuotas } from "../../api/kinds/core/resourcequota.ts";
import { podDisruptionBudgets } from "../../api/kinds/policy/poddisruptionbudget.ts";
import { priorityClasses } from "../../api/kinds/scheduling/priorityclass.ts";
import { ApiError } from "../../api/status.ts";
import { Client } from "../../client/client.ts";
import { MemoryStore } from "../../store/memory.ts";
import { seededRandom } from "../../util/clock.ts";
import { FakeClock } from "../../util/fake-clock.ts";
import { silent } from "../../util/log.ts";
import type { ResourceDef } from "../../api/resource.ts";
import { ApiServer } from "../server.ts";
import { connectOptions } from "./connect-options.ts";

let store: MemoryStore;
let servers: ApiServer[];
let client: Client;
let clock: FakeClock;

const open = () => ApiServer.open({ store, clock, random: seededRandom(servers.length + 1), log: silent });

beforeEach(async () => {
  store = new MemoryStore();
  clock = new FakeClock();
  servers = [];
  servers.push(await open());
  client = new Client((servers[0] as ApiServer).transport(), "test");
});

afterEach(async () => {
  for (const server of servers) await server.close();
  await store.close();
  if (clock.pending > 0) throw new Error(`${clock.pending} timers were left behind`);
});

const pod = (name: string, o: { requests?: Record<string, string>; labels?: Record<string, string> } = {}): Pod => ({
  metadata: { name, ...(o.labels && { labels: o.labels }) },
  spec: { containers: [{ name: "c", image: "i", ...(o.requests && { resources: { requests: o.requests } }) }] },
});
const podsOf = (c = client) => c.resource(pods, "default");
const quotas = () => client.resource(resourceQuotas, "default");
const quota = (hard: Record<string, string>): ResourceQuota => ({ metadata: { name: "q" }, spec: { hard } });

async function failure(promise: Promise<unknown>): Promise<{ code: number; message: string; error: ApiError }> {
  const error: unknown = await promise.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (!(error instanceof ApiError)) throw new Error(`expected an ApiError, got ${String(error)}`);
  return { code: error.code, message: error.message, error };
}

test("a Pod gets its account, priority and tolerations", async () => {
  expect((await podsOf().create(pod("web"))).spec).toMatchObject({
    serviceAccountName: "default",
    priority: 0,
    preemptionPolicy: "PreemptLowerPriority",
    tolerations: [{ key: "node.kubernetes.io/not-ready" }, { key: "node.kubernetes.io/unreachable" }],
  });
});

test("the system's priority classes are there from the start", async () => {
  const names = (await client.resource(priorityClasses).list()).items.map((c) => c.metadata.name);
  expect(names).toEqual(["system-cluster-critical", "system-node-critical"]);
});

test("a LimitRange's defaults decide the quality of a Pod", async () => {
  const limits = [{ type: "Container", default: { cpu: "1", memory: "1Gi" } }];
  await client.resource(limitRanges, "default").create({ metadata: { name: "r" }, spec: { limits } });
  const made = await podsOf().create(pod("web"));
  expect(made.status?.qosClass).toBe("Guaranteed");
  expect(made.metadata.annotations?.["kubernetes.io/limit-ranger"]).toContain("LimitRanger plugin set");
});

test("namespaces that everything stands on stay", async () => {
  expect(await failure(client.resource(namespaces).delete("kube-system"))).toMatchObject({
    code: 403,
    message: 'namespaces "kube-system" is forbidden: this namespace may not be deleted',
  });
});

describe("quota", () => {
  test("is charged with the object, and refuses what is too much (Q2)", async () => {
    await quotas().create(quota({ pods: "2", "requests.cpu": "1" }));
    await podsOf().create(pod("a", { requests: { cpu: "600m" } }));
    expect((await quotas().get("q")).status).toEqual({
      hard: { pods: "2", "requests.cpu": "1" },
      used: { pods: "1", "requests.cpu": "600m" },
    });
    expect(await failure(podsOf().create(pod("b", { requests: { cpu: "500m" } })))).toMatchObject({
      code: 403,
      message:
        'pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=500m, used: requests.cpu=600m, limited: requests.cpu=1',
    });
    expect(await failure(podsOf().create(pod("b")))).toMatchObject({
      message: 'pods "b" is forbidden: failed quota: q: must specify requests.cpu for: c',
    });
  });

  test("a dry run charges nothing (Q2)", async () => {
    await quotas().create(quota({ pods: "1" }));
    await podsOf().create(pod("a"), { dryRun: true });
    expect((await quotas().get("q")).status).toEqual({});
  });

  test("what was there before the quota counts", async () => {
    await podsOf().create(pod("a"));
    await quotas().create(quota({ pods: "1" }));
    expect((await failure(podsOf().create(pod("b")))).message).toContain(
      "exceeded quota: q, requested: pods=1, used: pods=1",
    );
  });

  test("is never exceeded by many creating at once, through two servers (Q1)", async () => {
    servers.push(await open());
    await quotas().create(quota({ pods: "20" }));
    await servers[1]?.cache.fresh();
    const clients = servers.map((s) => new Client(s.transport(), "test"));
    const attempts = Array.from({ length: 100 }, (_, i) => podsOf(clients[i % 2]).create(pod(`p${i}`)));
    const outcomes = await Promise.allSettled(attempts);
    expect(outcomes.filter((o) => o.status === "fulfilled")).toHaveLength(20);
    const refusals = outcomes.flatMap((o) => (o.status === "rejected" ? [String(o.reason)] : []));
    expect(
      refusals.every((text) => text.includes("exceeded quota: q, requested: pods=1, used: pods=20, limited: pods=20")),
    ).toBe(true);
    expect((await podsOf().list()).items).toHaveLength(20);
    expect((await quotas().get("q")).status?.used).toEqual({ pods: "20" });
  });
});

describe("eviction", () => {
  const budgets = () => client.resource(podDisruptionBudgets, "default");
  const evict = (name: string, rest: object = {}) =>
    podsOf().subresource(name, "eviction", { apiVersion: "policy/v1", kind: "Eviction", metadata: { name }, ...rest });

  async function running(name: string, ready = true): Promise<void> {
    const made = await podsOf().create(pod(name, { labels: { app: "web" } }));
    await podsOf().subresource(name, "binding", {
      apiVersion: "v1",
      kind: "Binding",
      metadata: { name },
      target: { kind: "Node", name: "n" },
    });
    const { resourceVersion: _, ...metadata } = (await podsOf().get(name)).metadata;
    const conditions = [{ type: "Ready", status: ready ? "True" : "False" }];
    const bound = await podsOf().get(name);
    await podsOf().updateStatus({ ...bound, metadata, status: { ...made.status, phase: "Running", conditions } });
  }

  async function budget(status: object, spec: object = { minAvailable: 1 }): Promise<void> {
    const selector = { matchLabels: { app: "web" } };
    const made = await budgets().create({ metadata: { name: "b" }, spec: { selector, ...spec } });
    const observedGeneration = made.metadata.generation ?? 0;
    const zero = { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 };
    await budgets().updateStatus({ ...made, status: { ...zero, observedGeneration, ...status } });
  }

  test("without a budget is a delete that says why", async () => {
    await running("a");
    expect(await evict("a")).toMatchObject({ kind: "Status", status: "Success" });
    expect(await podsOf().get("a")).toMatchObject({
      metadata: { deletionTimestamp: expect.any(String) },
      status: { conditions: [{ type: "Ready" }, { type: "DisruptionTarget", reason: "EvictionByEvictionAPI" }] },
    });
  });

  test("takes one from the budget", async () => {
    await running("a");
    await budget({ disruptionsAllowed: 1, currentHealthy: 2, desiredHealthy: 1, expectedPods: 2 });
    await evict("a");
    expect((await budgets().get("b")).status).toMatchObject({
      disruptionsAllowed: 0,
      disruptedPods: { a: "2026-01-01T00:00:00Z" },
      conditions: [{ type: "DisruptionAllowed", status: "False", reason: "InsufficientPods" }],
    });
  });

  test("is refused when the budget is spent", async () => {
    await running("a");
    await budget({ currentHealthy: 1, desiredHealthy: 1, expectedPods: 1 });
    const { code, message, error } = await failure(evict("a"));
    expect({ code, message, details: error.details }).toEqual({
      code: 429,
      message: "Cannot evict pod as it would violate the pod's disruption budget.",
      details: {
        causes: [
          { reason: "DisruptionBudget", message: "The disruption budget b needs 1 healthy pods and has 1 currently" },
        ],
      },
    });
  });

  test("waits for a budget that nobody has looked at yet", async () => {
    await running("a");
    await budget({ observedGeneration: 0, disruptionsAllowed: 1 });
    expect((await failure(evict("a"))).error.details).toEqual({
      retryAfterSeconds: 10,
      causes: [
        { reason: "DisruptionBudget", message: "The disruption budget b is still being processed by the server." },
      ],
    });
  });

  test("of many at once no more succeed than the budget allows", async () => {
    const names = Array.from({ length: 12 }, (_, i) => `p${i}`);
    await Promise.all(names.map((n) => running(n)));
    await budget({ disruptionsAllowed: 3, currentHealthy: 12, desiredHealthy: 9, expectedPods: 12 });
    const outcomes = await Promise.allSettled(names.map((n) => evict(n)));
    expect(outcomes.filter((o) => o.status === "fulfilled")).toHaveLength(3);
    expect((await podsOf().list()).items.filter((p) => p.metadata.deletionTimestamp)).toHaveLength(3);
  });

  test.each<[string, object, object, number | undefined]>([
    ["stays when too few are healthy", { currentHealthy: 0, desiredHealthy: 1 }, {}, 429],
    ["goes when enough others are healthy", { currentHealthy: 2, desiredHealthy: 1 }, {}, undefined],
    ["goes by AlwaysAllow", { desiredHealthy: 1 }, { unhealthyPodEvictionPolicy: "AlwaysAllow" }, undefined],
  ])("a Pod that is not ready %s", async (_, status, spec, code) => {
    await running("a", false);
    await budget(status, { minAvailable: 1, ...spec });
    const outcome = await evict("a").then(
      () => undefined,
      (e: ApiError) => e.code,
    );
    expect(outcome).toBe(code);
  });

  test("a dry run changes nothing", async () => {
    await running("a");
    await budget({ disruptionsAllowed: 1, currentHealthy: 2, desiredHealthy: 1 });
    await evict("a", { deleteOptions: { dryRun: ["All"] } });
    expect((await podsOf().get("a")).metadata.deletionTimestamp).toBeUndefined();
    expect((await budgets().get("b")).status?.disruptionsAllowed).toBe(1);
  });

  test("two budgets over one Pod are none it can serve", async () => {
    await running("a");
    await budget({});
    const selector = { matchLabels: { app: "web" } };
    await budgets().create({ metadata: { name: "c" }, spec: { selector, minAvailable: 1 } });
    expect(await failure(evict("a"))).toMatchObject({
      code: 500,
      message: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
    });
  });
});

describe("what writes no object of its own is asked about too", () => {
  const deny = async (operation: string, resource: string, expression: string) => {
    const rule = { operations: [operation], apiGroups: [""], apiVersions: ["v1"], resources: [resource] };
    const spec = { matchConstraints: { resourceRules: [rule] }, validations: [{ expression, message: "no" }] };
    await client.resource(validatingAdmissionPolicies).create({ metadata: { name: "p" }, spec });
    const bound = { policyName: "p", validationActions: ["Deny"] };
    await client.resource(validatingAdmissionPolicyBindings).create({ metadata: { name: "p" }, spec: bound });
  };
  const REFUSED = "ValidatingAdmissionPolicy 'p' with binding 'p' denied request: no";

  test("a binding, as a Binding", async () => {
    await deny("CREATE", "pods/binding", "object.kind != 'Binding' || object.target.name != 'bad'");
    await podsOf().create(pod("a"));
    const bind = (name: string) =>
      podsOf().subresource("a", "binding", {
        apiVersion: "v1",
        kind: "Binding",
        metadata: { name: "a" },
        target: { kind: "Node", name },
      });
    expect((await failure(bind("bad"))).message).toContain(REFUSED);
    expect(await bind("good")).toMatchObject({ status: "Success" });
  });

  test("an eviction, as an Eviction", async () => {
    await deny("CREATE", "pods/eviction", "request.kind.kind != 'Eviction' || request.kind.group != 'policy'");
    await podsOf().create(pod("a"));
    const body = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: "a" } };
    expect((await failure(podsOf().subresource("a", "eviction", body))).message).toContain(REFUSED);
    expect((await podsOf().get("a")).metadata.deletionTimestamp).toBeUndefined();
  });

  test("a connection, by its options", async () => {
    await deny("CONNECT", "pods/exec", "!(object.command.exists(c, c == 'sh')) || !object.tty");
    const exec = (query: string) => {
      const options = connectOptions(pods as unknown as ResourceDef, "exec", { query: new URLSearchParams(query) });
      if (!options) throw new Error("exec has options");
      const call = {
        verb: "create",
        group: "",
        version: "v1",
        resource: "pods",
        namespace: "default",
        name: "a",
      } as const;
      const caller = { user: { name: "alice", groups: [] }, warn: () => {} };
      return (servers[0] as ApiServer).admitConnect({ ...call, subresource: "exec" }, options, caller);
    };
    expect(await failure(exec("command=sh&tty=true"))).toMatchObject({
      code: 422,
      message: `pods "a" is forbidden: ${REFUSED}`,
    });
    await expect(exec("command=ls&command=-l&tty=true")).resolves.toBeUndefined();
  });
});

test.each<[string, string, object | undefined]>([
  ["exec", "command=ls&command=-l&stdout=1&tty=false", { kind: "PodExecOptions", command: ["ls", "-l"], stdout: true }],
  ["attach", "container=c&stdin=true", { kind: "PodAttachOptions", container: "c", stdin: true }],
  ["portforward", "ports=80&ports=443", { kind: "PodPortForwardOptions", ports: [80, 443] }],
  ["proxy", "", { kind: "PodProxyOptions", path: "/x" }],
  ["log", "follow=true", undefined],
])("options of %s", (subresource, query, expected) => {
  const asked = { query: new URLSearchParams(query), path: "/x" };
  const options = connectOptions(pods as unknown as ResourceDef, subresource, asked);
  expect(options).toEqual(expected && { apiVersion: "v1", metadata: {}, ...expected });
});
