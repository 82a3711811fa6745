/** DaemonSets in a whole cluster: nodes that come, go, and change; roll-outs; Pods that fail. */
import { expect, test } from "@jest/globals";
import type { DaemonSet, DaemonSetSpec, Node, Pod } from "../../pkg/api/generated/types.ts";
import { controllerRevisions } from "../../pkg/api/kinds/apps/controllerrevision.ts";
import { daemonSets } from "../../pkg/api/kinds/apps/daemonset.ts";
import { nodes } from "../../pkg/api/kinds/core/node.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { nameOf } from "../../pkg/api/object.ts";
import { ApiError, conflict } from "../../pkg/api/status.ts";
import { seededRandom } from "../../pkg/util/clock.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { isReady, SimulatedCluster } from "../harness/simulated.ts";
import { testSeeds } from "../harness/seeds.ts";

const labels = { app: "log" };
const template = (env: string, image = "app") => ({
  metadata: { labels },
  spec: {
    containers: [{ name: "app", image, imagePullPolicy: "IfNotPresent", env: [{ name: "V", value: env }] }],
    terminationGracePeriodSeconds: 1,
  },
});
const daemonSet = (more: Partial<DaemonSetSpec> = {}): DaemonSet => ({
  metadata: { name: "log" },
  spec: { selector: { matchLabels: labels }, template: template("1"), ...more },
});

const setsOf = (c: SimulatedCluster) => c.client.resource<DaemonSet>(daemonSets, "default");
const nodesOf = (c: SimulatedCluster) => c.client.resource<Node>(nodes);
const version = (pod: DeepReadonly<Pod>) => pod.spec?.containers[0]?.env?.[0]?.value ?? "";
const patch = (c: SimulatedCluster, spec: object) => setsOf(c).patch("log", "application/merge-patch+json", { spec });
/** `node-1:1 node-2:1`: where one is ready, and of which version. */
const shown = async (c: SimulatedCluster) =>
  (await c.pods())
    .filter(isReady)
    .map((p) => `${p.spec?.nodeName ?? ""}:${version(p)}`)
    .toSorted()
    .join(" ");
const until = (c: SimulatedCluster, expected: string) =>
  c.until(async () => (await shown(c)) === expected, 300_000, 50);

test("every node has one, also one that comes later; taints keep new ones away or drive all out", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2 });
  await setsOf(c).create(daemonSet());
  await until(c, "node-1:1 node-2:1");
  expect((await c.pods())[0]?.metadata.name).toMatch(/^log-\w{5}$/);
  c.addNode("node-3");
  await until(c, "node-1:1 node-2:1 node-3:1");
  await c.until(async () => (await setsOf(c).get("log")).status?.numberAvailable === 3);
  expect((await setsOf(c).get("log")).status).toEqual({
    desiredNumberScheduled: 3,
    currentNumberScheduled: 3,
    numberMisscheduled: 0,
    numberReady: 3,
    numberAvailable: 3,
    updatedNumberScheduled: 3,
    observedGeneration: 1,
  });

  const taint = (effect: string) =>
    nodesOf(c).patch("node-2", "application/merge-patch+json", { spec: { taints: [{ key: "busy", effect }] } });
  await taint("NoSchedule");
  await c.until(async () => (await setsOf(c).get("log")).status?.numberMisscheduled === 1);
  expect(await shown(c)).toBe("node-1:1 node-2:1 node-3:1");
  await taint("NoExecute");
  await until(c, "node-1:1 node-3:1");
  await patch(c, { template: { spec: { tolerations: [{ key: "busy", operator: "Exists" }] } } });
  await until(c, "node-1:1 node-2:1 node-3:1");

  await c.node("node-3").kill();
  await nodesOf(c).delete("node-3");
  await c.until(async () => (await setsOf(c).get("log")).status?.desiredNumberScheduled === 2);
});

test("a node's labels decide", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2 });
  await setsOf(c).create(
    daemonSet({ template: { ...template("1"), spec: { ...template("1").spec, nodeSelector: { disk: "ssd" } } } }),
  );
  await c.clock.advance(10_000);
  expect(await c.pods()).toEqual([]);
  const label = (disk: string | null) =>
    nodesOf(c).patch("node-2", "application/merge-patch+json", { metadata: { labels: { disk } } });
  await label("ssd");
  await until(c, "node-2:1");
  await label(null);
  await c.until(async () => (await c.pods()).length === 0, 120_000);
});

/** Tells after every change which Pods there are that nobody has asked to go; once all three are seen. */
async function watchPods(c: SimulatedCluster, signal: AbortSignal, tell: (pods: DeepReadonly<Pod>[]) => void) {
  const seen = new Map<string, DeepReadonly<Pod>>();
  try {
    for await (const { type, object } of c.client.resource<Pod>(pods, "default").watch({}, signal)) {
      const pod = object as DeepReadonly<Pod>;
      const stays = type !== "DELETED" && pod.metadata.deletionTimestamp === undefined;
      if (stays) seen.set(pod.metadata.uid ?? "", pod);
      else seen.delete(pod.metadata.uid ?? "");
      if (type !== "ADDED" || seen.size >= 3) tell([...seen.values()]);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

test.each([
  ["maxUnavailable 1", { maxUnavailable: 1 }, 2, 3],
  ["maxUnavailable 2", { maxUnavailable: 2 }, 1, 3],
  ["maxSurge 1", { maxUnavailable: 0, maxSurge: 1 }, 3, 4],
])("a roll-out with %s goes node by node", async (_, rollingUpdate, atLeastReady, atMost) => {
  await using c = await SimulatedCluster.start({ nodes: 3 });
  await setsOf(c).create(daemonSet({ updateStrategy: { type: "RollingUpdate", rollingUpdate } }));
  await until(c, "node-1:1 node-2:1 node-3:1");
  const stop = new AbortController();
  const [ready, present] = [[] as number[], [] as number[]];
  const watched = watchPods(c, stop.signal, (all) => {
    ready.push(all.filter(isReady).length);
    present.push(all.length);
  });
  await patch(c, { template: template("2") });
  await until(c, "node-1:2 node-2:2 node-3:2");
  stop.abort();
  await watched;
  expect(Math.min(...ready)).toBe(atLeastReady);
  expect(Math.max(...present)).toBe(atMost);
});

test("one goes back to what was before, and keeps no more history than asked for", async () => {
  await using c = await SimulatedCluster.start({ nodes: 1 });
  await setsOf(c).create(daemonSet({ revisionHistoryLimit: 1 }));
  const revisions = async () => (await c.client.resource(controllerRevisions, "default").list()).items;
  await until(c, "node-1:1");
  const [first] = await revisions();
  await patch(c, { template: template("2", "missing:1") });
  await c.until(async () => (await c.pods()).some((p) => version(p) === "2"));
  await setsOf(c).patch("log", "application/strategic-merge-patch+json", first?.data);
  await until(c, "node-1:1");
  expect((await revisions()).map((r) => r.revision).toSorted((a, b) => a - b)).toEqual([2, 3]);
  expect((await revisions()).find((r) => nameOf(r) === nameOf(first ?? { metadata: {} }))?.revision).toBe(3);
  await patch(c, { template: template("3") });
  await until(c, "node-1:3");
  await c.until(async () => (await revisions()).length === 2);
});

function fails(): never {
  throw new ApiError("ServiceUnavailable", "away");
}

test("what fails is replaced, sooner at first than later", async () => {
  await using c = await SimulatedCluster.start({ nodes: 1 });
  await setsOf(c).create(daemonSet());
  await until(c, "node-1:1");
  // The agent sees it run, and would say so.
  c.wire.fault = (call) => {
    if (call.resource === "pods" && call.subresource === "status") fails();
  };
  const present = async () => (await c.pods()).filter((p) => p.metadata.deletionTimestamp === undefined);
  const replaced: number[] = [];
  for (let n = 0; n < 5; n++) {
    await c.until(async () => (await present()).length === 1);
    const [pod] = await present();
    const started = c.clock.now();
    const failed = { status: { phase: "Failed" } };
    const api = c.client.resource<Pod>(pods, "default");
    await api.patch(pod?.metadata.name ?? "", "application/merge-patch+json", failed, { subresource: "status" });
    await c.until(async () => (await present()).every((p) => p.metadata.uid !== pod?.metadata.uid), 60_000);
    replaced.push(c.clock.now() - started);
  }
  expect(replaced.at(-1)).toBeGreaterThan(4_000);
  expect(replaced[0]).toBeLessThan(3_000);
  expect(await c.events("log")).toContainEqual(
    expect.stringMatching(
      /^FailedDaemonPod: Found failed daemon pod default\/log-\w{5} on node node-1, will try to kill it$/,
    ),
  );
});

async function restart(c: SimulatedCluster, node: string): Promise<void> {
  await c.node(node).kill();
  await c.clock.advance(3_000);
  c.node(node).start();
}

testSeeds("whatever fails, every node has its one, in the end", 5, async (seed) => {
  await using c = await SimulatedCluster.start({ nodes: 3, seed });
  const random = seededRandom(seed);
  c.wire.fault = (call) => {
    if (random() > (call.verb === "watch" ? 0.02 : 0.1)) return;
    if (random() < 0.3) return fails;
    if (random() < 0.3 && call.verb === "update")
      throw conflict({ group: call.group, resource: call.resource }, call.name ?? "");
    fails();
  };
  const rollingUpdate = random() < 0.5 ? { maxUnavailable: 0, maxSurge: 1 } : { maxUnavailable: "50%", maxSurge: 0 };
  await setsOf(c).create(daemonSet({ updateStrategy: { type: "RollingUpdate", rollingUpdate } }));
  for (let round = 0; round < 12; round++) {
    const all = await c.pods();
    const victim = all[Math.floor(random() * all.length)];
    const chance = random();
    if (victim && chance < 0.4) await c.delete(nameOf(victim), 0);
    else if (chance < 0.5) await restart(c, `node-${1 + Math.floor(random() * 3)}`);
    else await patch(c, { template: template(String(Math.floor(random() * 3))) });
    await c.clock.advance(random() * 20_000);
  }
  c.wire.fault = () => {};
  await patch(c, { template: template("last") });
  await until(c, "node-1:last node-2:last node-3:last");
  await c.until(async () => (await setsOf(c).get("log")).status?.updatedNumberScheduled === 3);
  await c.until(async () => (await c.pods()).length === 3, 120_000);
  expect((await setsOf(c).get("log")).status).toMatchObject({ desiredNumberScheduled: 3, numberAvailable: 3 });
});
