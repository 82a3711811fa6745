/** One Pod's life, through every component. */
import { describe, expect, test } from "@jest/globals";
import type { Pod } from "../../pkg/api/generated/types.ts";
import { namespaces } from "../../pkg/api/kinds/core/namespace.ts";
import { isReason } from "../../pkg/api/status.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { isReady, SimulatedCluster } from "../harness/simulated.ts";

const uidOf = (pod: DeepReadonly<Pod> | undefined) => pod?.metadata.uid ?? "";
const restarts = (pod: DeepReadonly<Pod> | undefined) => pod?.status?.containerStatuses?.[0]?.restartCount;
const waiting = (pod: DeepReadonly<Pod> | undefined) => pod?.status?.containerStatuses?.[0]?.state?.waiting?.reason;

test("from apply to Running: every condition and every event on the way", async () => {
  await using c = await SimulatedCluster.start();
  const init = { name: "init", image: "app", imagePullPolicy: "IfNotPresent", command: ["sleep", "2"] };
  await c.create("web", [{ image: "pulled" }], { initContainers: [init] });
  await c.until(async () => (await c.pod("web"))?.status?.initContainerStatuses?.[0]?.state?.running !== undefined);
  expect((await c.pod("web"))?.status).toMatchObject({
    phase: "Pending",
    conditions: expect.arrayContaining([
      expect.objectContaining({ type: "PodScheduled", status: "True" }),
      expect.objectContaining({ type: "PodReadyToStartContainers", status: "True" }),
      expect.objectContaining({ type: "Initialized", status: "False", reason: "ContainersNotInitialized" }),
      expect.objectContaining({ type: "Ready", status: "False", reason: "ContainersNotReady" }),
    ]) as unknown,
  });
  await c.untilReady("web");
  const pod = await c.pod("web");
  expect(pod?.spec?.nodeName).toBe("node-1");
  expect(pod?.status).toMatchObject({
    phase: "Running",
    podIP: "10.0.0.2",
    hostIP: "192.168.0.0",
    qosClass: "BestEffort",
  });
  expect(pod?.status?.conditions?.map((x) => [x.type, x.status])).toEqual(
    expect.arrayContaining(
      ["PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"].map((t) => [t, "True"]),
    ),
  );
  await c.clock.advance(1_000);
  const told = await c.events("web");
  expect(told).toContain("Scheduled: Successfully assigned default/web to node-1");
  expect(told.filter((e) => !e.startsWith("Scheduled"))).toEqual([
    'Pulled: Container image "app" already present on machine',
    "Created: Created container: init",
    "Started: Started container init",
    'Pulling: Pulling image "pulled"',
    'Pulled: Successfully pulled image "pulled" in 0ms. Image size: 1000000 bytes.',
    "Created: Created container: c0",
    "Started: Started container c0",
  ]);
});

describe("a container that dies", () => {
  test("is back at once, then after 10 s, 20 s, 40 s", async () => {
    await using c = await SimulatedCluster.start();
    const uid = uidOf(await c.create("web"));
    const pauses: number[] = [];
    for (let n = 0; n < 4; n++) {
      await c.untilReady("web");
      c.node().runtime.kill(uid, "c0");
      const died = c.clock.now();
      await c.until(async () => restarts(await c.pod("web")) === n + 1, 61_000);
      pauses.push(c.clock.now() - died);
    }
    expect(pauses[0]).toBeLessThan(100);
    expect(pauses.map((ms) => Math.floor(ms / 1000))).toEqual([0, 10, 20, 40]);
  });

  test("by itself says CrashLoopBackOff meanwhile", async () => {
    await using c = await SimulatedCluster.start();
    await c.create("web", [{ command: ["run", "--for=1s", "--exit=3"] }]);
    await c.until(async () => waiting(await c.pod("web")) === "CrashLoopBackOff");
    const pod = await c.pod("web");
    expect(pod?.status?.phase).toBe("Running");
    expect(isReady(pod)).toBe(false);
    expect(pod?.status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      state: { waiting: { message: `back-off 10s restarting failed container=c0 pod=web_default(${uidOf(pod)})` } },
      lastState: { terminated: { exitCode: 3, reason: "Error" } },
    });
    await c.clock.advance(1_000);
    expect(await c.events("web")).toContain(
      `BackOff: Back-off restarting failed container c0 in pod web_default(${uidOf(pod)})`,
    );
  });
});

test("an image that cannot be pulled: the Pod says so, waits, and runs once it can", async () => {
  await using c = await SimulatedCluster.start();
  await c.create("web", [{ image: "missing:1" }]);
  await c.until(async () => waiting(await c.pod("web")) === "ErrImagePull");
  await c.until(async () => waiting(await c.pod("web")) === "ImagePullBackOff");
  expect((await c.pod("web"))?.status?.phase).toBe("Pending");
  c.node().runtime.world.images.add("missing:1");
  await c.untilReady("web");
  expect(await c.events("web")).toContain('BackOff: Back-off pulling image "missing:1"');
});

describe("a deleted Pod", () => {
  test("stays until its containers have ended by themselves, and leaves nothing", async () => {
    await using c = await SimulatedCluster.start();
    await c.create("web", [{ command: ["run", "--ignore-term"] }, {}]);
    await c.untilReady("web");
    await c.delete("web", 5);
    await c.clock.advance(4_500);
    expect((await c.pod("web"))?.metadata.deletionTimestamp).toBeDefined();
    expect(c.running()).toEqual(["web/c0"]);
    await c.until(async () => (await c.pod("web")) === undefined, 2_000);
    expect(c.leftovers).toBe(0);
  });

  test("that never found a node goes at once", async () => {
    await using c = await SimulatedCluster.start();
    await c.create("web", [{}], { nodeSelector: { no: "such" } });
    await c.clock.advance(1_000);
    await c.delete("web");
    expect(await c.pod("web")).toBeUndefined();
  });

  test("makes room for another of its name", async () => {
    await using c = await SimulatedCluster.start();
    const first = await c.create("web");
    await c.untilReady("web");
    await c.delete("web", 0);
    const second = await c.create("web");
    await c.untilReady("web");
    await c.until(() => c.leftovers === 2, 10_000);
    expect(uidOf(await c.pod("web"))).toBe(uidOf(second));
    expect(uidOf(second)).not.toBe(uidOf(first));
    expect(c.running()).toEqual(["web/c0"]);
  });
});

test("a namespace goes with its Pods", async () => {
  await using c = await SimulatedCluster.start({ nodes: 2 });
  const api = c.client.resource(namespaces);
  await api.create({ metadata: { name: "team" } });
  await c.clock.advance(100);
  for (const n of [1, 2, 3]) await c.create(`p${n}`, [{}], { namespace: "team" });
  await c.create("stays");
  await c.untilReady("stays");
  await c.until(() => c.running().length === 4);
  await api.delete("team");
  expect((await api.get("team")).status?.phase).toBe("Terminating");
  await expect(c.create("late", [{}], { namespace: "team" })).rejects.toMatchObject({ reason: "Forbidden" });
  const gone = () =>
    api.get("team").then(
      () => false,
      (error: unknown) => isReason(error, "NotFound"),
    );
  await c.until(gone, 60_000, 100);
  expect(c.running()).toEqual(["stays/c0"]);
  expect(c.leftovers).toBe(2);
});
