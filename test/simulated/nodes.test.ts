/** Nodes that are lost, come back, are drained or deleted; and what becomes of their Pods. */
import { expect, test } from "@jest/globals";
import type { Node, Pod, PodDisruptionBudget, ReplicaSet } from "../../pkg/api/generated/types.ts";
import { replicaSets } from "../../pkg/api/kinds/apps/replicaset.ts";
import { nodes } from "../../pkg/api/kinds/core/node.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { podDisruptionBudgets } from "../../pkg/api/kinds/policy/poddisruptionbudget.ts";
import { nameOf } from "../../pkg/api/object.ts";
import { condition } from "../../pkg/api/pod.ts";
import { type ApiError, isReason } from "../../pkg/api/status.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { isReady, SimulatedCluster } from "../harness/simulated.ts";

/** From the death of a node until its Pods run elsewhere, by default settings. */
const REPLACED_MS = 15_000;
const labels = { app: "web" };
const alphabetically = (a = "", b = "") => (a < b ? -1 : Number(a > b));

async function replicas(c: SimulatedCluster, count: number): Promise<void> {
  const template = { metadata: { labels }, spec: { containers: [{ name: "app", image: "app" }] } };
  const set: ReplicaSet = {
    metadata: { name: "web" },
    spec: { replicas: count, selector: { matchLabels: labels }, template },
  };
  await c.client.resource<ReplicaSet>(replicaSets, "default").create(set);
  await c.until(async () => (await ready(c)).length === count);
}

const ready = async (c: SimulatedCluster) =>
  (await c.pods()).filter((p) => isReady(p) && !p.metadata.deletionTimestamp);
const on = (all: readonly DeepReadonly<Pod>[], node: string) => all.filter((p) => p.spec?.nodeName === node);
const nodeOf = (c: SimulatedCluster, name = "node-1") => c.client.resource<Node>(nodes).get(name);
const taints = async (c: SimulatedCluster, name = "node-1") =>
  ((await nodeOf(c, name)).spec?.taints ?? []).map((t) => `${t.key.replace("node.kubernetes.io/", "")}:${t.effect}`);
const cordon = (c: SimulatedCluster, name: string, unschedulable: boolean | null) =>
  c.client.resource<Node>(nodes).patch(name, "application/merge-patch+json", { spec: { unschedulable } });

/** How many containers of each Pod run: 2 would be a Pod that runs twice. */
function runs(c: SimulatedCluster): number[] {
  const counts = new Map<string, number>();
  for (const name of c.running()) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts.values()];
}

test("a node dies: its Pods are unready at once and run elsewhere within 15 s; it comes back, and nothing runs twice", async () => {
  await using c = await SimulatedCluster.start({ nodes: 3, lively: true });
  await replicas(c, 9);
  const lost = on(await c.pods(), "node-1");
  expect(lost).toHaveLength(3);
  const died = c.clock.now();
  await c.node().kill();
  await c.until(async () => on(await ready(c), "node-1").length === 0, 10_000);
  expect(c.clock.now() - died).toBeLessThan(7_000);
  expect(condition((await nodeOf(c)).status?.conditions, "Ready")).toMatchObject({
    status: "Unknown",
    reason: "NodeStatusUnknown",
    message: "Kubelet stopped posting node status.",
  });
  await c.until(async () => (await ready(c)).length === 9, REPLACED_MS - (c.clock.now() - died));
  expect((await taints(c)).toSorted(alphabetically)).toEqual(["unreachable:NoExecute", "unreachable:NoSchedule"]);
  // Nobody knows whether they run still, so they are not gone before the node says so.
  for (const pod of lost) {
    const left = await c.pod(nameOf(pod));
    expect(left?.metadata.deletionTimestamp).toBeDefined();
    expect(condition(left?.status?.conditions, "DisruptionTarget")).toMatchObject({
      status: "True",
      reason: "DeletionByTaintManager",
      message: "Taint manager: deleting due to NoExecute taint",
    });
  }
  expect(await c.events("node-1")).toContain("NodeNotReady: Node node-1 status is now: NodeNotReady");

  await c.clock.advance(60_000);
  c.node().start();
  await c.until(async () => (await c.pods()).length === 9 && (await taints(c)).length === 0);
  await c.clock.advance(60_000);
  expect(c.running()).toHaveLength(9);
  expect(runs(c)).toEqual(Array(9).fill(1));
  expect(await ready(c)).toHaveLength(9);
});

test("a node that is back in time keeps its Pods, and they are ready again", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2, lively: true });
  await replicas(c, 4);
  const before = (await c.pods()).map((p) => p.metadata.uid).toSorted(alphabetically);
  await c.node().kill();
  await c.until(async () => (await taints(c)).includes("unreachable:NoExecute"), 10_000);
  await c.clock.advance(3_000);
  c.node().start();
  await c.until(async () => (await ready(c)).length === 4);
  await c.clock.advance(30_000);
  expect((await c.pods()).map((p) => p.metadata.uid).toSorted(alphabetically)).toEqual(before);
  expect(await taints(c)).toEqual([]);
  const cancelled = (await c.events()).filter((e) => e.startsWith("TaintManagerEviction: Cancelling deletion of Pod"));
  expect(cancelled).toHaveLength(2);
});

test("a Pod's own tolerationSeconds counts from the taint on, to the second", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2, lively: true });
  const tolerate = (tolerationSeconds?: number) => ({
    nodeName: "node-1",
    tolerations: [
      {
        key: "node.kubernetes.io/unreachable",
        operator: "Exists",
        effect: "NoExecute",
        ...(tolerationSeconds !== undefined && { tolerationSeconds }),
      },
    ],
  });
  await c.create("brief", [{}], tolerate(0));
  await c.create("patient", [{}], tolerate(40));
  await c.create("forever", [{}], tolerate());
  await c.untilReady("brief", "patient", "forever");
  const leaves = async (name: string) => (await c.pod(name))?.metadata.deletionTimestamp !== undefined;
  await c.node().kill();
  await c.until(async () => (await taints(c)).includes("unreachable:NoExecute"), 10_000, 1);
  const tainted = c.clock.now();
  await c.until(() => leaves("brief"), 100, 1);
  await c.until(() => leaves("patient"), 60_000, 20);
  expect(Math.abs(c.clock.now() - tainted - 40_000)).toBeLessThanOrEqual(20);
  await c.clock.advance(120_000);
  expect(await leaves("forever")).toBe(false);
});

test("any NoExecute taint drives out who does not tolerate it, at once", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2, lively: true });
  await replicas(c, 4);
  const spec = { taints: [{ key: "gpu", value: "broken", effect: "NoExecute" }] };
  await c.client.resource<Node>(nodes).patch("node-1", "application/merge-patch+json", { spec });
  await c.until(async () => on(await ready(c), "node-2").length === 4, 5_000);
  await c.until(async () => (await c.pods()).length === 4);
  expect(on(await c.pods(), "node-1")).toEqual([]);
});

test("most nodes vanish at once: nobody is evicted, and nothing moves when they are back", async () => {
  await using c = await SimulatedCluster.start({ nodes: 10, lively: true });
  await replicas(c, 30);
  const before = (await c.pods()).map((p) => p.metadata.uid).toSorted(alphabetically);
  for (let n = 1; n <= 8; n++) await c.node(`node-${n}`).kill();
  await c.clock.advance(120_000);
  expect((await c.pods()).filter((p) => p.metadata.deletionTimestamp)).toEqual([]);
  expect(await taints(c)).toEqual(["unreachable:NoSchedule"]);
  for (let n = 1; n <= 8; n++) c.node(`node-${n}`).start();
  await c.until(async () => (await ready(c)).length === 30);
  expect((await c.pods()).map((p) => p.metadata.uid).toSorted(alphabetically)).toEqual(before);
});

test("a zone that is lost moves to the others, one node a second", async () => {
  await using c = await SimulatedCluster.start({ nodes: 0, lively: true });
  for (const zone of ["a", "b"]) {
    for (let n = 0; n < 4; n++) c.addNode(`${zone}${n}`, { labels: { "topology.kubernetes.io/zone": zone } });
  }
  await c.untilNodesReady();
  await replicas(c, 16);
  for (let n = 0; n < 4; n++) await c.node(`a${n}`).kill();
  const died = c.clock.now();
  const safe = async () => (await ready(c)).filter((p) => p.spec?.nodeName?.startsWith("b")).length === 16;
  await c.until(safe, REPLACED_MS + 4_000);
  const all = await Promise.all([0, 1, 2, 3].map((n) => nodeOf(c, `a${n}`)));
  const times = all.map((n) => n.spec?.taints?.find((t) => t.effect === "NoExecute")?.timeAdded ?? "");
  expect(new Set(times).size).toBe(4);
  expect(c.clock.now() - died).toBeGreaterThan(11_000);
});

test("a node that is deleted takes its Pods with it, if it does not come back", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2, lively: true });
  await replicas(c, 4);
  await c.node().kill();
  await c.client.resource<Node>(nodes).delete("node-1");
  const deleted = c.clock.now();
  await c.until(async () => on(await ready(c), "node-2").length === 4, REPLACED_MS);
  expect(c.clock.now() - deleted).toBeGreaterThan(5_000);
  expect(await c.pods()).toHaveLength(4);
  // Its machine was there all the time.
  c.node().start();
  await c.untilNodesReady();
  await c.clock.advance(60_000);
  expect(runs(c)).toEqual([1, 1, 1, 1]);
});

test("a node whose agent lives registers again at once, and keeps its Pods", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2, lively: true });
  await replicas(c, 4);
  const before = (await c.pods()).map((p) => p.metadata.uid).toSorted(alphabetically);
  await c.client.resource<Node>(nodes).delete("node-1");
  await c.untilNodesReady();
  await c.clock.advance(30_000);
  expect((await c.pods()).map((p) => p.metadata.uid).toSorted(alphabetically)).toEqual(before);
});

test("out of service: who is not coming back lets go of its Pods", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2, lively: true });
  await c.create("db", [{}], { nodeName: "node-1" });
  await c.untilReady("db");
  await c.node().kill();
  await c.until(async () => (await c.pod("db"))?.metadata.deletionTimestamp !== undefined);
  await c.clock.advance(120_000);
  expect(await c.pod("db")).toBeDefined();
  const taint = { key: "node.kubernetes.io/out-of-service", value: "nodeshutdown", effect: "NoExecute" };
  const spec = { taints: [...((await nodeOf(c)).spec?.taints ?? []), taint] };
  await c.client.resource<Node>(nodes).patch("node-1", "application/merge-patch+json", { spec });
  await c.until(async () => (await c.pod("db")) === undefined);
});

test("drain: what a PodDisruptionBudget holds waits, the rest goes; uncordoned, the node takes Pods again", async () => {
  await using c = await SimulatedCluster.start({ nodes: 3, lively: true });
  await replicas(c, 6);
  await c.client.resource<PodDisruptionBudget>(podDisruptionBudgets, "default").create({
    metadata: { name: "web" },
    spec: { minAvailable: 5, selector: { matchLabels: labels } },
  });
  await cordon(c, "node-1", true);
  await c.until(async () => (await taints(c)).includes("unschedulable:NoSchedule"));
  await c.until(async () => {
    const budget = await c.client.resource<PodDisruptionBudget>(podDisruptionBudgets, "default").get("web");
    return budget.status?.disruptionsAllowed === 1;
  });
  const refused: ApiError[] = [];
  let fewest = 6;
  // As `kubectl drain` does: all of them, again and again, until none is left.
  const drained = async () => {
    fewest = Math.min(fewest, (await ready(c)).length);
    const left = on(await c.pods(), "node-1");
    for (const pod of left.filter((p) => !p.metadata.deletionTimestamp)) {
      const eviction = {
        apiVersion: "policy/v1",
        kind: "Eviction",
        metadata: { name: nameOf(pod), namespace: "default" },
      };
      await c.client
        .resource<Pod>(pods, "default")
        .subresource(nameOf(pod), "eviction", eviction)
        .catch((error: unknown) => {
          if (!isReason(error, "TooManyRequests")) throw error;
          refused.push(error as ApiError);
        });
    }
    return left.length === 0;
  };
  await c.until(drained, 120_000, 500);
  expect(refused.length).toBeGreaterThan(0);
  expect(fewest).toBeGreaterThanOrEqual(5);
  await c.until(async () => (await ready(c)).length === 6);
  await cordon(c, "node-1", null);
  await c.until(async () => (await taints(c)).length === 0);
  await c.client
    .resource<ReplicaSet>(replicaSets, "default")
    .patch("web", "application/merge-patch+json", { spec: { replicas: 9 } });
  await c.until(async () => on(await ready(c), "node-1").length > 0);
});

test("an API server that is away for long costs no node its Pods", async () => {
  await using c = await SimulatedCluster.start({ nodes: 3, lively: true });
  await replicas(c, 6);
  const before = (await c.pods()).map((p) => p.metadata.uid).toSorted(alphabetically);
  await c.stopApiServer();
  await c.clock.advance(120_000);
  await c.startApiServer();
  await c.clock.advance(60_000);
  expect((await c.pods()).map((p) => p.metadata.uid).toSorted(alphabetically)).toEqual(before);
  expect(await ready(c)).toHaveLength(6);
});
