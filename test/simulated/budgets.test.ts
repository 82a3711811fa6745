/** What bounds others: ResourceQuotas and PodDisruptionBudgets, on a whole simulated cluster. */
import { expect, test } from "@jest/globals";
import type { PodDisruptionBudget, ReplicaSet, ResourceQuota } from "../../pkg/api/generated/types.ts";
import { replicaSets } from "../../pkg/api/kinds/apps/replicaset.ts";
import { nodes } from "../../pkg/api/kinds/core/node.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { resourceQuotas } from "../../pkg/api/kinds/core/resourcequota.ts";
import { podDisruptionBudgets } from "../../pkg/api/kinds/policy/poddisruptionbudget.ts";
import { ApiError, isReason } from "../../pkg/api/status.ts";
import { isReady, SimulatedCluster } from "../harness/simulated.ts";

const labels = { app: "web" };

async function replicas(c: SimulatedCluster, count: number): Promise<void> {
  const template = { metadata: { labels }, spec: { containers: [{ name: "app", image: "app" }] } };
  await c.client
    .resource<ReplicaSet>(replicaSets, "default")
    .create({ metadata: { name: "web" }, spec: { replicas: count, selector: { matchLabels: labels }, template } });
}
const ready = async (c: SimulatedCluster) => (await c.pods()).filter(isReady).length;

test("a quota counts what is freed, so that what was refused comes by itself", async () => {
  await using c = await SimulatedCluster.start({ nodes: 1 });
  const quotas = c.client.resource<ResourceQuota>(resourceQuotas, "default");
  await quotas.create({ metadata: { name: "team" }, spec: { hard: { pods: "3" } } });
  const used = async () => (await quotas.get("team")).status?.used?.["pods"];
  await c.until(async () => (await used()) === "0");
  await c.create("own");
  await replicas(c, 5);
  await c.until(async () => (await ready(c)) === 3 && (await used()) === "3");
  expect((await c.events("web")).join()).toContain(
    "exceeded quota: team, requested: pods=1, used: pods=3, limited: pods=3",
  );
  await c.delete("own", 0);
  const owned = async () => (await c.pods()).filter((p) => p.metadata.name !== "own" && isReady(p)).length;
  await c.until(async () => (await owned()) === 3 && (await used()) === "3", 1_200_000, 1_000);
  await quotas.patch("team", "application/merge-patch+json", { spec: { hard: { pods: "9" } } });
  await c.until(async () => (await owned()) === 5 && (await used()) === "5", 1_200_000, 1_000);
});

test("a budget lets so many Pods go at a time, and the next when the last is replaced", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2 });
  const budgets = c.client.resource<PodDisruptionBudget>(podDisruptionBudgets, "default");
  await replicas(c, 3);
  await c.until(async () => (await ready(c)) === 3);
  await budgets.create({
    metadata: { name: "web" },
    spec: { minAvailable: "60%", selector: { matchLabels: labels } },
  });
  const allowed = async () => (await budgets.get("web")).status?.disruptionsAllowed;
  await c.until(async () => (await allowed()) === 1);
  const api = c.client.resource(pods, "default");
  const evict = (name: string) =>
    api.subresource(name, "eviction", { apiVersion: "policy/v1", kind: "Eviction", metadata: { name } }).then(
      () => "evicted",
      (error: unknown) => (error instanceof ApiError ? error.message : String(error)),
    );
  const [first, second] = (await c.pods()).map((p) => p.metadata.name ?? "");
  expect(await evict(first ?? "")).toBe("evicted");
  expect(await evict(second ?? "")).toBe("Cannot evict pod as it would violate the pod's disruption budget.");
  await c.until(async () => (await ready(c)) === 3 && (await allowed()) === 1, 120_000);
  expect(await evict(second ?? "")).toBe("evicted");
  await c.until(async () => (await ready(c)) === 3 && (await allowed()) === 1, 120_000);
  expect((await budgets.get("web")).status).toMatchObject({ currentHealthy: 3, desiredHealthy: 2, expectedPods: 3 });
});

test("a node is drained as kubectl does it: cordoned, then one eviction after the other", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2 });
  const api = c.client.resource(pods, "default");
  await replicas(c, 4);
  await c.until(async () => (await ready(c)) === 4);
  await c.client.resource<PodDisruptionBudget>(podDisruptionBudgets, "default").create({
    metadata: { name: "web" },
    spec: { maxUnavailable: 1, selector: { matchLabels: labels } },
  });
  await c.client.resource(nodes).patch("node-1", "application/merge-patch+json", { spec: { unschedulable: true } });
  const here = async () => (await c.pods()).filter((p) => p.spec?.nodeName === "node-1");
  let [fewest, refused] = [4, 0];
  const step = async () => {
    fewest = Math.min(fewest, await ready(c));
    const left = await here();
    for (const { metadata } of left) {
      const { name = "" } = metadata;
      const body = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name } };
      await api.subresource(name, "eviction", body).catch((error: unknown) => {
        if (!isReason(error, "TooManyRequests")) throw error;
        refused++; // the next round
      });
    }
    return left.length === 0 && (await ready(c)) === 4;
  };
  await c.until(step, 300_000, 10);
  expect(fewest).toBeGreaterThanOrEqual(3);
  expect(refused).toBeGreaterThan(0);
  expect(new Set((await c.pods()).map((p) => p.spec?.nodeName))).toEqual(new Set(["node-2"]));
});
