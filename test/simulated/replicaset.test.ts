/** ReplicaSets on a whole simulated cluster. */
import { expect, test } from "@jest/globals";
import type { Pod, ReplicaSet } from "../../pkg/api/generated/types.ts";
import { replicaSets } from "../../pkg/api/kinds/apps/replicaset.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { isReady, SimulatedCluster } from "../harness/simulated.ts";

const labels = { app: "web" };
const template = { metadata: { labels }, spec: { containers: [{ name: "app", image: "app" }] } };
const replicaSet = (name: string, replicas: number): ReplicaSet => ({
  metadata: { name },
  spec: { replicas, selector: { matchLabels: labels }, template },
});

test("replicas are kept: created, replaced when they go, and taken away", async () => {
  await using c = await SimulatedCluster.start({ nodes: 3 });
  const api = c.client.resource<ReplicaSet>(replicaSets, "default");
  await api.create(replicaSet("web", 6));
  const ready = (count: number) => async () => (await api.get("web")).status?.readyReplicas === count;
  await c.until(ready(6));
  const before = await c.pods();
  expect(before.every(isReady)).toBe(true);
  const [victim] = before;
  await c.client.resource<Pod>(pods, "default").delete(victim?.metadata.name ?? "", { gracePeriodSeconds: 0 });
  await c.until(async () => (await c.pods()).filter(isReady).length === 6);
  expect((await c.pods()).some((p) => p.metadata.uid === victim?.metadata.uid)).toBe(false);
  await api.patch("web", "application/merge-patch+json", { spec: { replicas: 2 } });
  await c.until(async () => (await c.pods()).length === 2, 120_000);
  expect((await api.get("web")).status).toMatchObject({ replicas: 2, readyReplicas: 2 });
  await api.delete("web");
  await c.until(async () => (await c.pods()).length === 0, 120_000);
});

test("two that mean the same Pods never fight: who has a Pod keeps it, and an orphan is taken on once", async () => {
  await using c = await SimulatedCluster.start({ nodes: 1 });
  const api = c.client.resource<ReplicaSet>(replicaSets, "default");
  await c.create("stray", [{}], { labels });
  await api.create(replicaSet("one", 2));
  await api.create(replicaSet("two", 2));
  await c.until(async () => (await c.pods()).filter(isReady).length === 4);
  await c.clock.advance(60_000);
  const all = await c.pods();
  expect(all).toHaveLength(4);
  const owners = all.map((p) => p.metadata.ownerReferences?.map((r) => r.name).join());
  expect(owners.filter((o) => o === "one")).toHaveLength(2);
  expect(owners.filter((o) => o === "two")).toHaveLength(2);
});

test("a Pod whose labels change is let go and replaced", async () => {
  await using c = await SimulatedCluster.start({ nodes: 1 });
  const api = c.client.resource<ReplicaSet>(replicaSets, "default");
  await api.create(replicaSet("web", 1));
  await c.until(async () => (await c.pods()).filter(isReady).length === 1);
  const [old] = await c.pods();
  const name = old?.metadata.name ?? "";
  await c.client.resource<Pod>(pods, "default").patch(name, "application/merge-patch+json", {
    metadata: { labels: { app: "debug" } },
  });
  await c.until(async () => (await c.pods()).filter(isReady).length === 2);
  const kept = await c.client.resource<Pod>(pods, "default").get(name);
  expect(kept.metadata.ownerReferences).toBeUndefined();
});
