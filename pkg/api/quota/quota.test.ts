import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Pod, ResourceQuota } from "../generated/types.ts";
import type { ApiObject } from "../object.ts";
import { parseList, writeList } from "../resource-list.ts";
import { type Charge, chargeOf, usedOf } from "./charge.ts";
import { inScopes } from "./scopes.ts";
import { countedKinds, evaluatorOf } from "./usage.ts";

const NOW = Date.UTC(2026, 0, 1);
const pods = { group: "", plural: "pods" };
const deployments = { group: "apps", plural: "deployments" };
const quota = (hard: Record<string, string>, spec: object = {}): ResourceQuota => ({
  metadata: { name: "q" },
  spec: { hard, ...spec },
});
const pod = (spec: object = {}, rest: object = {}): Pod => ({
  metadata: { name: "p" },
  spec: { containers: [{ name: "c" }], ...spec },
  ...rest,
});
const sized = (requests: Record<string, string>, limits: Record<string, string> = {}) =>
  pod({ containers: [{ name: "c", resources: { requests, limits } }] });
const usage = (kind: { group: string; plural: string }, o: ApiObject) => writeList(evaluatorOf(kind).usage(o, NOW));

describe("usage", () => {
  test.each<[string, { group: string; plural: string }, object, Record<string, string>]>([
    [
      "of a Pod, under every name",
      pods,
      sized({ cpu: "500m", memory: "1Gi", "nvidia.com/gpu": "1", "hugepages-2Mi": "4Mi" }, { cpu: "1" }),
      {
        "count/pods": "1",
        pods: "1",
        cpu: "500m",
        "requests.cpu": "500m",
        "limits.cpu": "1",
        memory: "1Gi",
        "requests.memory": "1Gi",
        "requests.nvidia.com/gpu": "1",
        "hugepages-2Mi": "4Mi",
        "requests.hugepages-2Mi": "4Mi",
      },
    ],
    [
      "of overhead: limits only where there are some",
      pods,
      {
        ...pod({
          overhead: { cpu: "100m", memory: "10Mi" },
          containers: [{ name: "c", resources: { limits: { cpu: "1" } } }],
        }),
      },
      {
        "count/pods": "1",
        pods: "1",
        cpu: "100m",
        "requests.cpu": "100m",
        memory: "10Mi",
        "requests.memory": "10Mi",
        "limits.cpu": "1100m",
      },
    ],
    ["of a Pod that has ended", pods, pod({}, { status: { phase: "Succeeded" } }), { "count/pods": "1" }],
    [
      "of a Service with node ports",
      { group: "", plural: "services" },
      { metadata: {}, spec: { type: "LoadBalancer", ports: [{ port: 1 }, { port: 2 }] } },
      { "count/services": "1", services: "1", "services.nodeports": "2", "services.loadbalancers": "1" },
    ],
    [
      "of a claim of a class",
      { group: "", plural: "persistentvolumeclaims" },
      { metadata: {}, spec: { storageClassName: "fast", resources: { requests: { storage: "5Gi" } } } },
      {
        "count/persistentvolumeclaims": "1",
        persistentvolumeclaims: "1",
        "requests.storage": "5Gi",
        "fast.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
        "fast.storageclass.storage.k8s.io/requests.storage": "5Gi",
      },
    ],
    [
      "of a ConfigMap, under both names",
      { group: "", plural: "configmaps" },
      { metadata: {} },
      { "count/configmaps": "1", configmaps: "1" },
    ],
    ["of any other kind", deployments, { metadata: {} }, { "count/deployments.apps": "1" }],
  ])("%s", (_, kind, o, expected) => {
    expect(usage(kind, o as ApiObject)).toEqual(expected);
  });

  test("the names of a quota say what it counts", () => {
    const hard = {
      "count/deployments.apps": "1",
      secrets: "1",
      "requests.cpu": "1",
      "requests.storage": "1",
      "gold.storageclass.storage.k8s.io/requests.storage": "1",
    };
    expect(countedKinds(hard).map((k) => `${k.group}/${k.plural}`)).toEqual([
      "apps/deployments",
      "/secrets",
      "/pods",
      "/persistentvolumeclaims",
    ]);
  });
});

describe("scopes", () => {
  const best = pod();
  const ending = { ...sized({ cpu: "1" }) };
  ending.spec = {
    ...ending.spec,
    containers: ending.spec?.containers ?? [],
    activeDeadlineSeconds: 5,
    priorityClassName: "high",
  };
  const abroad = pod({
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: "k", namespaceSelector: {} }],
      },
    },
  });
  const select = (operator: string, values?: string[]) => ({
    scopeSelector: { matchExpressions: [{ scopeName: "PriorityClass", operator, ...(values && { values }) }] },
  });

  test.each<[string, object, boolean[]]>([
    ["BestEffort", { scopes: ["BestEffort"] }, [true, false, true]],
    ["NotBestEffort", { scopes: ["NotBestEffort"] }, [false, true, false]],
    ["Terminating", { scopes: ["Terminating"] }, [false, true, false]],
    ["NotTerminating and BestEffort", { scopes: ["NotTerminating", "BestEffort"] }, [true, false, true]],
    ["any PriorityClass", { scopes: ["PriorityClass"] }, [false, true, false]],
    ["PriorityClass In", select("In", ["high"]), [false, true, false]],
    ["PriorityClass NotIn", select("NotIn", ["high"]), [true, false, true]],
    ["PriorityClass DoesNotExist", select("DoesNotExist"), [true, false, true]],
    ["CrossNamespacePodAffinity", { scopes: ["CrossNamespacePodAffinity"] }, [false, false, true]],
  ])("%s", (_, spec, expected) => {
    expect([best, ending, abroad].map((p) => inScopes(quota({}, spec), pods, p))).toEqual(expected);
  });

  test("are about nothing but Pods and claims", () => {
    expect(inScopes(quota({}, { scopes: ["NotTerminating"] }), deployments, { metadata: {} })).toBe(false);
  });
});

describe("a charge", () => {
  const charge = (q: ResourceQuota, used: Record<string, string>, next: ApiObject, old?: ApiObject): Charge =>
    chargeOf(q, parseList(used), { kind: pods, next, old, now: NOW });

  test.each<[string, Charge, Charge]>([
    [
      "of what the quota names only",
      charge(
        quota({ pods: "2", "requests.cpu": "2" }),
        { pods: "1", "requests.cpu": "1" },
        sized({ cpu: "500m", memory: "1Gi" }),
      ),
      { verdict: "charge", used: { pods: "2", "requests.cpu": "1500m" } },
    ],
    [
      "too much",
      charge(quota({ pods: "2", memory: "1Gi" }), { pods: "2", memory: "0" }, sized({ memory: "2Gi" })),
      {
        verdict: "refuse",
        why: "exceeded quota: q, requested: memory=2Gi,pods=1, used: memory=0,pods=2, limited: memory=1Gi,pods=2",
      },
    ],
    [
      "nothing said where something must be",
      charge(quota({ "limits.cpu": "2", memory: "1Gi" }), {}, pod({ containers: [{ name: "b" }, { name: "a" }] })),
      { verdict: "refuse", why: "failed quota: q: must specify limits.cpu for: a,b; memory for: a,b" },
    ],
    ["of a quota about something else", charge(quota({ secrets: "1" }), { secrets: "1" }, pod()), { verdict: "free" }],
    [
      "of the difference, for a change",
      charge(quota({ "requests.cpu": "2" }), { "requests.cpu": "1" }, sized({ cpu: "1500m" }), sized({ cpu: "1" })),
      { verdict: "charge", used: { "requests.cpu": "1500m" } },
    ],
    [
      "of less than before",
      charge(quota({ cpu: "2" }), { cpu: "2" }, sized({ cpu: "1" }), sized({ cpu: "2" })),
      { verdict: "free" },
    ],
  ])("%s", (_, outcome, expected) => {
    expect(outcome).toEqual(expected);
  });

  test("one by one or counted at once: the same", () => {
    const q = quota({ pods: "1000", "requests.cpu": "1000", "requests.memory": "1Ti" });
    const sizes = fc.record({ cpu: fc.integer({ min: 1, max: 4000 }), memory: fc.integer({ min: 1, max: 1 << 30 }) });
    fc.assert(
      fc.property(fc.array(sizes, { maxLength: 20 }), (all) => {
        const made = all.map(({ cpu, memory }) => sized({ cpu: `${cpu}m`, memory: `${memory}` }));
        const counted = usedOf(
          q,
          made.map((p) => [pods, p] as const),
          NOW,
        );
        const charged = made.reduce(
          (used, p) => {
            const outcome = charge(q, used, p);
            return outcome.verdict === "charge" ? outcome.used : used;
          },
          { pods: "0", "requests.cpu": "0", "requests.memory": "0" } as Record<string, string>,
        );
        expect(charged).toEqual(writeList(counted));
      }),
    );
  });
});
