/** Parts that go away and come back: nothing is lost, nothing is done twice. */
import { expect, test } from "@jest/globals";
import { condition } from "../../pkg/api/pod.ts";
import { nodes } from "../../pkg/api/kinds/core/node.ts";
import { RuntimeError } from "../../pkg/runtime/runtime.ts";
import { SimulatedCluster } from "../harness/simulated.ts";

const names = ["a", "b", "c"];

async function threePods(): Promise<SimulatedCluster> {
  const c = await SimulatedCluster.start();
  for (const name of names) await c.create(name);
  await c.untilReady(...names);
  await c.clock.advance(1_000);
  return c;
}

async function readiness(c: SimulatedCluster) {
  return condition((await c.client.resource(nodes).get("node-1")).status?.conditions, "Ready");
}

test("an agent killed and started again adopts what runs: no restart, no word", async () => {
  await using c = await threePods();
  const before = await c.pods();
  const events = await c.events();
  const { calls } = c.node().runtime;
  const started = calls.get("startContainer");
  await c.node().kill();
  await c.clock.advance(5_000);
  c.node().start();
  await c.clock.advance(120_000);
  expect(calls.get("startContainer")).toBe(started);
  expect(await c.pods()).toEqual(before);
  expect(await c.events()).toEqual(events);
});

test("what happened while no agent ran is made good by the next", async () => {
  await using c = await threePods();
  const [dies, deleted] = [await c.pod("a"), "b"];
  await c.node().kill();
  c.node().runtime.kill(dies?.metadata.uid ?? "", "c0", 1);
  await c.delete(deleted);
  await c.create("new");
  await c.clock.advance(30_000);
  expect(await c.pod("b")).toBeDefined();
  c.node().start();
  await c.until(async () => (await c.pod("b")) === undefined, 5_000);
  await c.untilReady("a", "c", "new");
  expect((await c.pod("a"))?.status?.containerStatuses?.[0]).toMatchObject({
    restartCount: 1,
    lastState: { terminated: { exitCode: 1 } },
  });
  expect(c.running()).toEqual(["a/c0", "c/c0", "new/c0"]);
});

test("a runtime that goes away and comes back: the Node is not ready meanwhile, no Pod is given up", async () => {
  await using c = await threePods();
  const { runtime } = c.node();
  const away = new RuntimeError("RuntimeUnavailable", "connection refused");
  for (const verb of ["events", "listPods", "getPod"] as const) runtime.failNext(verb, away, 6);
  runtime.failNext("createSandbox", away);
  await c.create("later");
  await c.until(async () => (await readiness(c))?.reason === "ContainerRuntimeDown");
  expect((await c.pods()).map((p) => p.status?.phase)).toEqual(["Running", "Running", "Running", "Pending"]);
  await c.untilReady("later", ...names);
  await c.until(async () => (await readiness(c))?.status === "True");
  expect(runtime.calls.get("startContainer")).toBe(4);
});

test("an API server restarted over the same store: everybody finds back, and what was missed is done", async () => {
  await using c = await threePods();
  const before = await c.pods();
  await c.stopApiServer();
  await c.clock.advance(20_000);
  expect(c.running()).toEqual(["a/c0", "b/c0", "c/c0"]);
  c.node().runtime.kill(before[0]?.metadata.uid ?? "", "c0");
  await c.clock.advance(1_000); // restarted, though there was nobody to ask
  expect(c.running()).toEqual(["a/c0", "b/c0", "c/c0"]);

  await c.startApiServer();
  expect((await c.pods()).slice(1)).toEqual(before.slice(1));
  await c.create("d");
  await c.delete("c");
  await c.untilReady("a", "b", "d");
  await c.until(async () => (await c.pod("c")) === undefined);
  expect((await c.pod("a"))?.status?.containerStatuses?.[0]?.restartCount).toBe(1);
  expect(c.running()).toEqual(["a/c0", "b/c0", "d/c0"]);
});

test("the API server gone for hours: leases, events and watches go on after", async () => {
  await using c = await threePods();
  await c.stopApiServer();
  await c.clock.advance(3 * 3_600_000);
  await c.startApiServer();
  await c.create("d");
  await c.untilReady("d");
  expect((await c.events("d")).length).toBeGreaterThan(2);
});

test("a shutdown in the middle of everything leaves no timer and no watch", async () => {
  const c = await SimulatedCluster.start({ nodes: 3 });
  await c.create("runs");
  await c.create("crashes", [{ command: ["run", "--for=1s", "--exit=1"] }]);
  await c.create("pulls", [{ image: "slow:5m" }]);
  await c.create("waits", [{}], { nodeSelector: { no: "such" } });
  await c.untilReady("runs");
  await c.clock.advance(30_000);
  await c.delete("runs");
  expect([c.clock.pending > 0, c.wire.watches > 0]).toEqual([true, true]);
  await c[Symbol.asyncDispose]();
  expect([c.clock.pending, c.wire.watches]).toEqual([0, 0]);
});
