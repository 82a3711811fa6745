/** A whole agent and what it has to give: sizes that change, devices, and what happens when it runs short. */
import { describe, expect, test } from "@jest/globals";
import type { Container, Node, Pod } from "../api/generated/types.ts";
import { RuntimeError } from "../runtime/runtime.ts";
import { parseDeviceList } from "./devices/devices.ts";
import { evictionSettings } from "./eviction/thresholds.ts";
import type { Measurement } from "./node-status.ts";
import { Harness, NODE } from "./testing/harness.ts";

const GI = 2 ** 30;
const sized = (cpu: string, memory: string, more: Partial<Container> = {}): Partial<Container> => ({
  resources: { requests: { cpu, memory }, limits: { cpu, memory } },
  ...more,
});
const resources = (pod: Pod | undefined) => pod?.status?.containerStatuses?.[0]?.resources;
const condition = (pod: Pod | undefined, type: string) => pod?.status?.conditions?.find((c) => c.type === type);

/** As the `resize` subresource leaves it. */
function resize(h: Harness, name: string, cpu: string, memory: string): void {
  const pod = h.pod(name);
  if (!pod?.spec) throw new Error(`no Pod ${name}`);
  const containers = pod.spec.containers.map((c) => ({ ...c, ...sized(cpu, memory) }));
  const resized: Pod = { ...pod, spec: { ...pod.spec, containers } };
  h.api.put("pods", resized);
}

describe("resize", () => {
  test("in place: the same container, the new size, and both told", async () => {
    await using h = new Harness();
    h.start();
    h.create("web", [sized("1", "1Gi")]);
    await h.untilRunning("web");
    resize(h, "web", "2", "2Gi");
    await h.until(() => resources(h.pod("web"))?.limits?.["memory"] === "2Gi");
    expect(h.runtime.calls.get("updateContainer")).toBe(1);
    expect(h.pod("web")?.status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 0,
      allocatedResources: { cpu: "2", memory: "2Gi" },
      resources: { requests: { cpu: "2", memory: "2Gi" }, limits: { cpu: "2", memory: "2Gi" } },
    });
    expect(h.runtime.running("web-uid", "c0").status("").resources).toEqual({
      cpuShares: 2048,
      cpuQuota: 200_000,
      memoryBytes: 2 * GI,
    });
    await h.clock.advance(1_000);
    expect(h.events("ResizeStarted")).toHaveLength(1);
    expect(condition(h.pod("web"), "PodResizeInProgress")).toBeUndefined();
  });

  test("by a new container, where the policy says so", async () => {
    await using h = new Harness();
    h.start();
    const resizePolicy = [{ resourceName: "memory", restartPolicy: "RestartContainer" }];
    h.create("web", [sized("1", "1Gi", { resizePolicy })]);
    await h.untilRunning("web");
    resize(h, "web", "1", "2Gi");
    await h.until(() => h.pod("web")?.status?.containerStatuses?.[0]?.restartCount === 1);
    await h.untilRunning("web");
    expect(h.runtime.calls.get("updateContainer")).toBeUndefined();
    expect(h.runtime.running("web-uid", "c0").config.resources.memoryBytes).toBe(2 * GI);
  });

  test("waits for room, and has it when another Pod goes", async () => {
    await using h = new Harness();
    h.start();
    h.create("web", [sized("1", "1Gi")]);
    h.create("other", [sized("2", "1Gi")], { terminationGracePeriodSeconds: 1 });
    await h.untilRunning("web");
    await h.untilRunning("other");
    resize(h, "web", "3", "1Gi");
    await h.until(() => condition(h.pod("web"), "PodResizePending") !== undefined);
    expect(condition(h.pod("web"), "PodResizePending")).toMatchObject({ status: "True", reason: "Deferred" });
    expect(resources(h.pod("web"))?.limits?.["cpu"]).toBe("1");
    h.api.deletePod("default", "other", 1);
    await h.until(() => resources(h.pod("web"))?.limits?.["cpu"] === "3");
    expect(condition(h.pod("web"), "PodResizePending")).toBeUndefined();
  });

  test("what fails is told, and tried again", async () => {
    await using h = new Harness();
    h.start();
    h.create("web", [sized("1", "1Gi")]);
    await h.untilRunning("web");
    h.runtime.failNext("updateContainer", new RuntimeError("RuntimeError", "below current usage"));
    resize(h, "web", "1", "512Mi");
    await h.until(() => condition(h.pod("web"), "PodResizeInProgress")?.reason === "Error");
    expect(condition(h.pod("web"), "PodResizeInProgress")?.message).toBe("below current usage");
    await h.until(() => resources(h.pod("web"))?.limits?.["memory"] === "512Mi");
    expect(condition(h.pod("web"), "PodResizeInProgress")).toBeUndefined();
    expect(h.events("ResizeError")).toHaveLength(1);
  });

  test("a restarted agent keeps to what was granted", async () => {
    await using h = new Harness();
    h.start();
    h.create("web", [sized("1", "1Gi")]);
    await h.untilRunning("web");
    resize(h, "web", "64", "1Gi");
    await h.until(() => condition(h.pod("web"), "PodResizePending")?.reason === "Infeasible");
    await h.stop();
    h.start();
    await h.clock.advance(60_000);
    expect(h.runtime.calls.get("updateContainer")).toBeUndefined();
    expect(resources(h.pod("web"))?.limits?.["cpu"]).toBe("1");
  });
});

test("a device is one Pod's, also for the next agent; then the next one's", async () => {
  const devices = parseDeviceList(JSON.stringify({ "example.com/gpu": [{ id: "a", env: { IDS: "a" } }] }));
  await using h = new Harness({ agent: { devices } });
  const wants = { resources: { limits: { "example.com/gpu": "1" } } };
  h.start();
  h.create("first", [{ ...wants, command: ["run", "--for=100s"] }], { restartPolicy: "Never" });
  await h.untilRunning("first");
  expect(h.api.get<Node>("nodes", undefined, NODE)?.status?.allocatable?.["example.com/gpu"]).toBe("1");
  expect(h.runtime.running("first-uid", "c0").config).toMatchObject({
    devices: { allocated: { "example.com/gpu": ["a"] } },
    env: expect.arrayContaining([{ name: "IDS", value: "a" }]) as unknown,
  });
  await h.stop();
  h.start();
  h.create("second", [wants]);
  await h.until(() => h.pod("second")?.status?.phase === "Failed");
  expect(h.pod("second")?.status?.reason).toBe("UnexpectedAdmissionError");
  await h.until(() => h.pod("first")?.status?.phase === "Succeeded", 120_000);
  h.create("third", [wants]);
  await h.untilRunning("third");
});

describe("a node that runs short", () => {
  const MACHINE: Measurement = {
    diskTotal: 1e11,
    diskAvailable: 5e10,
    memoryAvailable: 4 * GI,
    memoryTotal: 8 * GI,
    machineId: "m",
    bootId: "b",
  };

  test("of memory: the largest consumer above its request goes, then the node is well again", async () => {
    let machine = MACHINE;
    const eviction = evictionSettings({ pressureTransitionPeriod: 30 });
    await using h = new Harness({ agent: { measure: () => Promise.resolve(machine), eviction } });
    h.start();
    const uses = (mebibytes: number) => ({ command: ["run", `--memory=${mebibytes}`] });
    h.create("small", [uses(50)]);
    h.create("large", [uses(900)]);
    h.create("asked", [{ ...uses(2000), resources: { requests: { memory: "3Gi" } } }]);
    for (const name of ["small", "large", "asked"]) await h.untilRunning(name);
    machine = { ...MACHINE, memoryAvailable: 50 * 2 ** 20 };
    const pressure = () =>
      h.api.get<Node>("nodes", undefined, NODE)?.status?.conditions?.find((c) => c.type === "MemoryPressure")?.status;
    await h.until(() => h.pod("large")?.status?.phase === "Failed");
    machine = MACHINE;
    expect(h.pod("large")?.status).toMatchObject({
      reason: "Evicted",
      message:
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. " +
        "Container c0 was using 900Mi, request is 0, has larger consumption of memory. ",
    });
    expect(condition(h.pod("large"), "DisruptionTarget")).toMatchObject({
      status: "True",
      reason: "TerminationByKubelet",
    });
    expect(pressure()).toBe("True");
    h.create("late", [{}]);
    await h.until(() => h.pod("late")?.status?.phase === "Failed");
    expect(h.pod("late")?.status?.message).toContain("The node had condition: [MemoryPressure]");
    await h.until(() => pressure() === "False");
    await h.clock.advance(60_000);
    expect(["small", "asked"].map((name) => h.pod(name)?.status?.phase)).toEqual(["Running", "Running"]);
    expect(h.events("EvictionThresholdMet")).toContain("Attempting to reclaim memory");
  });

  test("one Pod after the other, as long as it is short; the critical ones stay", async () => {
    let machine = MACHINE;
    await using h = new Harness({ agent: { measure: () => Promise.resolve(machine) } });
    h.start();
    h.create("a", [{ command: ["run", "--memory=200"] }]);
    h.create("b", [{ command: ["run", "--memory=100"] }]);
    h.create("critical", [{ command: ["run", "--memory=900"] }], { priority: 2_000_001_000 });
    for (const name of ["a", "b", "critical"]) await h.untilRunning(name);
    machine = { ...MACHINE, memoryAvailable: 0 };
    await h.until(() => h.pod("a")?.status?.phase === "Failed");
    expect(h.pod("b")?.status?.phase).toBe("Running");
    await h.until(() => h.pod("b")?.status?.phase === "Failed");
    await h.clock.advance(120_000);
    expect(h.pod("critical")?.status?.phase).toBe("Running");
  });

  test("a Pod over its own limit of the disk goes; others are not even measured", async () => {
    await using h = new Harness();
    h.start();
    h.create("free", [{ command: ["run", "--disk=9000"] }]);
    await h.untilRunning("free");
    await h.clock.advance(60_000);
    expect(h.runtime.calls.get("writableSize")).toBeUndefined();
    h.create("bound", [{ command: ["run", "--disk=20"], resources: { limits: { "ephemeral-storage": "10Mi" } } }]);
    await h.until(() => h.pod("bound")?.status?.phase === "Failed");
    expect(h.pod("bound")?.status?.message).toBe(
      "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ",
    );
    expect(condition(h.pod("bound"), "DisruptionTarget")).toBeUndefined();
    expect(h.pod("free")?.status?.phase).toBe("Running");
  });
});

test("what is reserved is capacity, and not for Pods", async () => {
  await using h = new Harness({ agent: { reserved: { cpu: "500m", memory: "1Gi" } } });
  h.start();
  await h.until(() => h.api.get("nodes", undefined, NODE) !== undefined);
  const { capacity, allocatable } = h.api.get<Node>("nodes", undefined, NODE)?.status ?? {};
  expect(capacity).toMatchObject({ cpu: "4", memory: "8Gi" });
  expect(allocatable).toMatchObject({ cpu: "3500m", memory: `${7 * 1024 - 100}Mi` });
  h.create("whole", [sized("4", "1Gi")]);
  await h.until(() => h.pod("whole")?.status?.phase === "Failed");
  expect(h.pod("whole")?.status?.reason).toBe("OutOfcpu");
});
