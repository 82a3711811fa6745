/** Where Pods go, and why they wait. */
import { expect, test } from "@jest/globals";
import { condition } from "../../pkg/api/pod.ts";
import { nodes } from "../../pkg/api/kinds/core/node.ts";
import { SimulatedCluster } from "../harness/simulated.ts";

const gpu = (n: string) => [{ resources: { limits: { "nvidia.com/gpu": n } } }];
const cpu = (n: string) => [{ resources: { requests: { cpu: n } } }];

async function nodeOf(c: SimulatedCluster, name: string): Promise<string | undefined> {
  return (await c.pod(name))?.spec?.nodeName;
}

test("a Pod for which there is no GPU says so, and runs as soon as a node with one joins", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2 });
  c.addNode("cordoned", { taints: [{ key: "team", value: "a", effect: "NoSchedule" }] });
  await c.untilNodesReady();
  await c.create("train", gpu("1"));
  await c.clock.advance(1_000);
  const sentence =
    "0/3 nodes are available: 1 node(s) had untolerated taint {team: a}, 2 Insufficient nvidia.com/gpu. " +
    "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.";
  const pod = await c.pod("train");
  expect(condition(pod?.status?.conditions, "PodScheduled")).toMatchObject({
    status: "False",
    reason: "Unschedulable",
    message: sentence,
  });
  expect(pod?.status?.phase).toBe("Pending");
  expect(await c.events("train")).toEqual([`FailedScheduling: ${sentence}`]);

  await c.clock.advance(60_000);
  const joined = c.clock.now();
  c.addNode("gpu", { extendedResources: { "nvidia.com/gpu": "1" } });
  await c.untilReady("train");
  expect(await nodeOf(c, "train")).toBe("gpu");
  expect(c.clock.now() - joined).toBeLessThan(1_000);
});

test("one GPU, two Pods: the second runs when the first has gone", async () => {
  await using c = await SimulatedCluster.start();
  c.addNode("gpu", { extendedResources: { "nvidia.com/gpu": "1" } });
  await c.untilNodesReady();
  await c.create("first", gpu("1"));
  await c.untilReady("first");
  await c.create("second", gpu("1"));
  await c.clock.advance(30_000);
  expect(await nodeOf(c, "second")).toBeUndefined();
  await c.delete("first");
  await c.untilReady("second");
  expect([await nodeOf(c, "second"), await c.pod("first")]).toEqual(["gpu", undefined]);
});

test("a Pod that has ended gives its GPU back", async () => {
  await using c = await SimulatedCluster.start({ nodes: 0 });
  c.addNode("gpu", { extendedResources: { "nvidia.com/gpu": "1" } });
  await c.untilNodesReady();
  const job = gpu("1").map((x) => ({ ...x, command: ["sleep", "20"] }));
  await c.create("job", job, { restartPolicy: "Never" });
  await c.untilReady("job");
  await c.create("next", gpu("1"));
  await c.untilReady("next");
  expect((await c.pod("job"))?.status?.phase).toBe("Succeeded");
});

test("equal Pods spread over the nodes", async () => {
  await using c = await SimulatedCluster.start({ nodes: 4 });
  const names = Array.from({ length: 12 }, (_, n) => `web-${n}`);
  for (const name of names) await c.create(name, cpu("100m"), { labels: { app: "web" } });
  await c.untilReady(...names);
  const counts = new Map<string | undefined, number>();
  for (const name of names) {
    const node = await nodeOf(c, name);
    counts.set(node, (counts.get(node) ?? 0) + 1);
  }
  expect([...counts.values()]).toEqual([3, 3, 3, 3]);
});

test("taints keep Pods off, tolerations let them on, selectors draw them", async () => {
  await using c = await SimulatedCluster.start({ nodes: 1 });
  const taint = { key: "team", value: "a", effect: "NoSchedule" };
  c.addNode("tainted", { taints: [taint], labels: { disk: "ssd" } });
  await c.untilNodesReady();
  const toleration = { key: "team", operator: "Equal", value: "a", effect: "NoSchedule" };
  await c.create("plain");
  await c.create("tolerant", [{}], { tolerations: [toleration], nodeSelector: { disk: "ssd" } });
  await c.untilReady("plain", "tolerant");
  expect([await nodeOf(c, "plain"), await nodeOf(c, "tolerant")]).toEqual(["node-1", "tainted"]);
});

test("a label set by hand lets a waiting Pod on", async () => {
  await using c = await SimulatedCluster.start();
  await c.create("web", [{}], { nodeSelector: { zone: "north" } });
  await c.clock.advance(5_000);
  expect((await c.pod("web"))?.spec?.nodeName).toBeUndefined();
  const labels = { metadata: { labels: { zone: "north" } } };
  await c.client.resource(nodes).patch("node-1", "application/merge-patch+json", labels);
  await c.untilReady("web");
  expect(await nodeOf(c, "web")).toBe("node-1");
});

test("a cordoned node gets nothing new and keeps what it has", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2 });
  await c.create("old", [{}], { nodeName: "node-1" });
  await c.untilReady("old");
  const cordon = { spec: { unschedulable: true } };
  await c.client.resource(nodes).patch("node-1", "application/merge-patch+json", cordon);
  await c.clock.advance(100);
  for (const name of ["a", "b", "c"]) await c.create(name);
  await c.untilReady("a", "b", "c", "old");
  expect([await nodeOf(c, "a"), await nodeOf(c, "b"), await nodeOf(c, "c")]).toEqual(["node-2", "node-2", "node-2"]);
});
