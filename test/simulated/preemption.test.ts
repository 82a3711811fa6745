/** Who must go when an important Pod fits nowhere: budgets, grace, and who gets the room. */
import { expect, test } from "@jest/globals";
import type { Pod } from "../../pkg/api/generated/types.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { podDisruptionBudgets } from "../../pkg/api/kinds/policy/poddisruptionbudget.ts";
import { priorityClasses } from "../../pkg/api/kinds/scheduling/priorityclass.ts";
import { condition } from "../../pkg/api/pod.ts";
import { seededRandom } from "../../pkg/util/clock.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { isReady, SimulatedCluster } from "../harness/simulated.ts";
import { testSeeds } from "../harness/seeds.ts";

const cpu = (n: string) => [{ resources: { requests: { cpu: n } } }];
const CLASSES = { low: 100, high: 1_000, top: 2_000 };
const GRACE = 20;
const STUBBORN = [{ ...cpu("3")[0], command: ["run", "--ignore-term"] }];

/** Nodes of four CPUs, and classes of priority. */
async function start(nodes: number): Promise<SimulatedCluster> {
  const c = await SimulatedCluster.start({ nodes });
  for (const [name, value] of Object.entries(CLASSES)) {
    await c.client.resource(priorityClasses).create({ metadata: { name }, value });
  }
  await c.client
    .resource(priorityClasses)
    .create({ metadata: { name: "patient" }, value: 1_000, preemptionPolicy: "Never" });
  return c;
}

async function nodeOf(c: SimulatedCluster, name: string): Promise<string | undefined> {
  return (await c.pod(name))?.spec?.nodeName;
}

async function budget(c: SimulatedCluster, app: string): Promise<void> {
  await c.client.resource(podDisruptionBudgets, "default").create({
    metadata: { name: app, namespace: "default" },
    spec: { minAvailable: 1, selector: { matchLabels: { app } } },
  });
  await c.clock.advance(1_000);
}

test("a victim ends with its grace and is told why; the Pod waits, nominated, and gets the room", async () => {
  await using c = await start(1);

  await c.create("batch", STUBBORN, { priorityClassName: "low", terminationGracePeriodSeconds: GRACE });
  await c.untilReady("batch");
  await c.create("urgent", cpu("3"), { priorityClassName: "high" });
  await c.clock.advance(1_000);

  const victim = await c.pod("batch");
  const preemptor = await c.pod("urgent");
  expect(victim?.metadata.deletionGracePeriodSeconds).toBe(GRACE);
  expect(condition(victim?.status?.conditions, "DisruptionTarget")).toMatchObject({
    status: "True",
    reason: "PreemptionByScheduler",
    message: "default-scheduler: preempting to accommodate a higher priority pod",
  });
  expect(await c.events("batch")).toContain(`Preempted: Preempted by pod ${preemptor?.metadata.uid} on node node-1`);
  expect(preemptor?.status?.nominatedNodeName).toBe("node-1");
  expect(condition(preemptor?.status?.conditions, "PodScheduled")?.message).toBe(
    "0/1 nodes are available: 1 Insufficient cpu.",
  );
  expect(preemptor?.spec?.nodeName).toBeUndefined();

  await c.untilReady("urgent");
  expect([await c.pod("batch"), await nodeOf(c, "urgent")]).toEqual([undefined, "node-1"]);
  expect((await c.pod("urgent"))?.status?.nominatedNodeName).toBeUndefined();
});

test("a budget sends the scheduler to the node where nobody is protected", async () => {
  await using c = await start(2);
  // As important as each other: only the budget tells the nodes apart.
  await c.create("guarded", cpu("3"), { priorityClassName: "low", labels: { app: "guarded" }, nodeName: "node-1" });
  await c.create("loose", cpu("3"), { priorityClassName: "low", labels: { app: "loose" }, nodeName: "node-2" });
  await c.untilReady("guarded", "loose");
  await budget(c, "guarded");
  await c.create("urgent", cpu("3"), { priorityClassName: "high" });
  await c.untilReady("urgent");
  expect(await nodeOf(c, "urgent")).toBe("node-2");
  expect(isReady(await c.pod("guarded"))).toBe(true);
});

test("where every victim is protected, a budget gives way: it is honoured only as far as possible", async () => {
  await using c = await start(1);
  await c.create("guarded", cpu("3"), { priorityClassName: "low", labels: { app: "guarded" } });
  await c.untilReady("guarded");
  await budget(c, "guarded");
  await c.create("urgent", cpu("3"), { priorityClassName: "high" });
  await c.untilReady("urgent");
  expect(await c.pod("guarded")).toBeUndefined();
});

test("nobody less important takes the room while the victims end", async () => {
  await using c = await start(1);

  await c.create("batch", STUBBORN, { priorityClassName: "low", terminationGracePeriodSeconds: GRACE });
  await c.untilReady("batch");
  await c.create("urgent", cpu("3"), { priorityClassName: "high" });
  await c.clock.advance(2_000);
  await c.create("sneaky", cpu("2"), { priorityClassName: "low" });
  await c.clock.advance(5_000);
  expect(await nodeOf(c, "sneaky")).toBe(undefined);
  await c.untilReady("urgent");
  await c.clock.advance(30_000);
  expect(await nodeOf(c, "sneaky")).toBe(undefined);
});

test("a more important Pod takes over the room, and the first one looks elsewhere", async () => {
  await using c = await start(1);

  await c.create("batch", STUBBORN, { priorityClassName: "low", terminationGracePeriodSeconds: GRACE });
  await c.untilReady("batch");
  await c.create("urgent", cpu("3"), { priorityClassName: "high" });
  await c.clock.advance(2_000);
  await c.create("first", cpu("3"), { priorityClassName: "top" });
  await c.untilReady("first");
  expect((await c.pod("urgent"))?.status?.nominatedNodeName ?? "").toBe("");
  expect(await nodeOf(c, "urgent")).toBeUndefined();
  c.addNode("node-2");
  await c.untilReady("urgent");
  expect(await nodeOf(c, "urgent")).toBe("node-2");
});

test("preemptionPolicy Never waits for room that others leave", async () => {
  await using c = await start(1);
  await c.create("batch", cpu("3"), { priorityClassName: "low" });
  await c.untilReady("batch");
  await c.create("patient", cpu("3"), { priorityClassName: "patient" });
  await c.clock.advance(30_000);
  expect(isReady(await c.pod("batch"))).toBe(true);
  expect(condition((await c.pod("patient"))?.status?.conditions, "PodScheduled")?.message).toBe(
    "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never.",
  );
  await c.delete("batch");
  await c.untilReady("patient");
});

test("equals are left alone, and nobody ends where that would not help", async () => {
  await using c = await start(1);
  await c.create("peer", cpu("3"), { priorityClassName: "high" });
  await c.create("small", cpu("500m"), { priorityClassName: "low" });
  await c.untilReady("peer", "small");
  await c.create("urgent", cpu("3"), { priorityClassName: "high" });
  await c.clock.advance(30_000);
  expect([isReady(await c.pod("peer")), isReady(await c.pod("small"))]).toEqual([true, true]);
  expect(condition((await c.pod("urgent"))?.status?.conditions, "PodScheduled")?.message).toBe(
    "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Insufficient cpu.",
  );
});

test("an end that the API refuses is tried again", async () => {
  await using c = await start(1);
  await c.create("batch", cpu("3"), { priorityClassName: "low" });
  await c.untilReady("batch");
  let refused = 0;
  c.wire.fault = (call) => {
    if (call.verb === "delete" && call.resource === pods.plural && call.name === "batch" && refused++ < 2) {
      throw new Error("connection lost");
    }
  };
  await c.create("urgent", cpu("3"), { priorityClassName: "high" });
  await c.untilReady("urgent");
  expect(refused).toBeGreaterThanOrEqual(2);
});

testSeeds("whatever comes and goes, no node is over-committed and nobody important waits in vain", 4, async (seed) => {
  await using c = await start(3);
  const random = seededRandom(seed);
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
  const names = Object.keys(CLASSES) as (keyof typeof CLASSES)[];
  const alive = new Set<string>();
  for (let step = 0; step < 40; step++) {
    if (random() < 0.75) {
      const name = `p${step}`;
      const command = random() < 0.3 ? { command: ["run", "--ignore-term"] } : {};
      await c.create(name, [{ ...cpu(pick(["1", "2", "3"]))[0], ...command }], {
        priorityClassName: pick(names),
        terminationGracePeriodSeconds: 5,
      });
      alive.add(name);
    } else if (alive.size > 0) {
      const name = pick([...alive]);
      alive.delete(name);
      if (await c.pod(name)) await c.delete(name);
    }
    await c.clock.advance(Math.floor(random() * 3_000));
    expect(Math.max(...(await loads(c)).values())).toBeLessThanOrEqual(ALLOCATABLE);
  }
  await c.clock.advance(120_000);
  expect(await inVain(c)).toEqual([]);
});

const ALLOCATABLE = 4;
const cpusOf = (p: DeepReadonly<Pod>) => Number(p.spec?.containers[0]?.resources?.requests?.["cpu"]);

/** CPUs promised on each node, to Pods that end as well. */
async function loads(c: SimulatedCluster): Promise<Map<string, number>> {
  const used = new Map([...c.nodes.keys()].map((name) => [name, 0]));
  for (const p of await c.pods()) {
    const { nodeName } = p.spec ?? {};
    if (nodeName) used.set(nodeName, (used.get(nodeName) ?? 0) + cpusOf(p));
  }
  return used;
}

/** Pods that wait, though a node would have room for them beside Pods that are at least as important. */
async function inVain(c: SimulatedCluster): Promise<string[]> {
  const all = await c.pods();
  const priority = (p: DeepReadonly<Pod>) => p.spec?.priority ?? 0;
  return all
    .filter((p) => !p.spec?.nodeName)
    .filter((p) =>
      [...c.nodes.keys()].some((node) => {
        const stays = all.filter((q) => q.spec?.nodeName === node && priority(q) >= priority(p));
        return stays.reduce((sum, q) => sum + cpusOf(q), cpusOf(p)) <= ALLOCATABLE;
      }),
    )
    .map((p) => p.metadata.name ?? "");
}
