import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { Pod } from "../../api/generated/types.ts";
import { configMaps } from "../../api/kinds/core/configmap.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { resourceQuotas } from "../../api/kinds/core/resourcequota.ts";
import { podDisruptionBudgets } from "../../api/kinds/policy/poddisruptionbudget.ts";
import { startControlPlane } from "../testing/control-plane.ts";
import { isCounted, planQuota } from "./plan.ts";

const NOW = Date.UTC(2026, 0, 1);

describe("the plan", () => {
  const quota = { metadata: { name: "q" }, spec: { hard: { pods: "10", "count/configmaps": "5" } } };
  const objects = [
    { kind: { group: "", plural: "pods" }, items: [{ metadata: {} }, { metadata: {}, status: { phase: "Failed" } }] },
    { kind: { group: "", plural: "configmaps" }, items: [{ metadata: {} }] },
  ];

  test("counts everything under the quota's names", () => {
    const status = planQuota(quota, objects, NOW);
    expect(status).toEqual({ hard: quota.spec.hard, used: { pods: "1", "count/configmaps": "1" } });
    expect(planQuota({ ...quota, ...(status && { status }) }, objects, NOW)).toBeUndefined();
  });

  test.each<[string, object, boolean]>([
    ["nothing", {}, false],
    [
      "another limit",
      { hard: { pods: "9", "count/configmaps": "5" }, used: { pods: "0", "count/configmaps": "0" } },
      false,
    ],
    ["less than it should", { hard: quota.spec.hard, used: { pods: "0" } }, false],
    ["all", { hard: quota.spec.hard, used: { pods: "0", "count/configmaps": "0" } }, true],
  ])("a status that says %s", (_, status, counted) => {
    expect(isCounted({ ...quota, status })).toBe(counted);
  });
});

describe("in a cluster", () => {
  let c: Awaited<ReturnType<typeof start>>;
  beforeEach(async () => {
    c = await start();
  });
  afterEach(() => c.end());

  async function start() {
    const plane = await startControlPlane();
    const { client } = plane;
    return {
      ...plane,
      pods: client.resource(pods, "default"),
      maps: client.resource(configMaps, "default"),
      quotas: client.resource(resourceQuotas, "default"),
      budgets: client.resource(podDisruptionBudgets, "default"),
    };
  }

  const pod = (name: string): Pod => ({
    metadata: { name, labels: { app: "web" } },
    spec: { containers: [{ name: "c", image: "i" }] },
  });
  const used = async () => (await c.quotas.get("q")).status?.used;

  test("a quota is counted when it is made, when it changes, and when something goes", async () => {
    await c.pods.create(pod("a"));
    await c.quotas.create({ metadata: { name: "q" }, spec: { hard: { pods: "2" } } });
    await c.clock.advance(1_000);
    expect(await used()).toEqual({ pods: "1" });
    await c.pods.create(pod("b"));
    expect(await used()).toEqual({ pods: "2" });
    await c.pods.delete("a");
    await c.pods.delete("b");
    await c.clock.advance(1_000);
    expect(await used()).toEqual({ pods: "0" });
    const quota = await c.quotas.get("q");
    await c.maps.create({ metadata: { name: "m" } });
    await c.quotas.update({ ...quota, spec: { hard: { pods: "2", "count/configmaps": "5" } } });
    await c.clock.advance(1_000);
    // The CA that every namespace has is one of them.
    expect(await used()).toEqual({ pods: "0", "count/configmaps": "2" });
    await c.maps.delete("m");
    await c.clock.advance(1_000);
    expect(await used()).toEqual({ pods: "0", "count/configmaps": "1" });
  });

  test("a Pod that has ended frees what it used", async () => {
    await c.quotas.create({ metadata: { name: "q" }, spec: { hard: { pods: "1", "count/pods": "9" } } });
    const { metadata, ...made } = await c.pods.create(pod("a"));
    await c.pods.updateStatus({ ...made, metadata, status: { ...made.status, phase: "Succeeded" } });
    await c.clock.advance(1_000);
    expect(await used()).toEqual({ pods: "0", "count/pods": "1" });
    await c.pods.create(pod("b"));
    expect(await used()).toEqual({ pods: "1", "count/pods": "2" });
  });

  test("a disruption budget follows its Pods, and an eviction is confirmed", async () => {
    const selector = { matchLabels: { app: "web" } };
    await c.budgets.create({ metadata: { name: "b" }, spec: { selector, minAvailable: 1 } });
    for (const name of ["a", "b"]) {
      const { metadata, ...made } = await c.pods.create(pod(name));
      const conditions = [{ type: "Ready", status: "True" }];
      await c.pods.updateStatus({ ...made, metadata, status: { ...made.status, phase: "Running", conditions } });
    }
    await c.clock.advance(1_000);
    const status = async () => (await c.budgets.get("b")).status;
    expect(await status()).toMatchObject({ currentHealthy: 2, expectedPods: 2, disruptionsAllowed: 1 });
    await c.pods.subresource("a", "eviction", { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: "a" } });
    await c.clock.advance(1_000);
    expect(await status()).toMatchObject({ currentHealthy: 1, expectedPods: 1, disruptionsAllowed: 0 });
    expect((await status())?.disruptedPods).toBeUndefined();
  });
});
