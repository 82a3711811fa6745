import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Container, Pod as ApiPod, PodStatus } from "../../api/generated/types.ts";
import type { LiveResources } from "../../runtime/resources.ts";
import type { RuntimeContainer, RuntimePod } from "../../runtime/runtime.ts";
import { admitPod } from "../admit.ts";
import type { Pod } from "../facts.ts";
import { podOf } from "../testing/harness.ts";
import { allocatedPod, allocationFromStatus, allocationOf } from "./allocation.ts";
import { Allocations } from "./allocations.ts";
import { liveResourcesOf, planResize } from "./plan.ts";
import { resizeEnd, resizeEvent, withResources } from "./status.ts";

const MI = 2 ** 20;
const sized = (cpu: string, memory: string, more: Partial<Container> = {}): Partial<Container> => ({
  resources: { requests: { cpu, memory }, limits: { cpu, memory } },
  ...more,
});
const first = (pod: Pod) => {
  const c = pod.spec?.containers[0];
  if (!c) throw new Error("no container");
  return c;
};
const running = (resources: LiveResources | undefined): RuntimeContainer => ({
  id: "c-1",
  name: "c0",
  attempt: 0,
  state: "running",
  image: "app",
  imageId: "sha256:1",
  createdAt: 1,
  startedAt: 2,
  specHash: "h",
  ...(resources && { resources }),
});
const actualOf = (c: RuntimeContainer): RuntimePod => ({
  uid: "web-uid",
  name: "web",
  namespace: "default",
  containers: [c],
});

describe("how a container comes to its size", () => {
  const has = liveResourcesOf(podOf("web", [sized("1", "64Mi")]), first(podOf("web", [sized("1", "64Mi")])));
  const restart = (resourceName: string) => ({ resizePolicy: [{ resourceName, restartPolicy: "RestartContainer" }] });

  test.each<[string, Partial<Container>, LiveResources | undefined, unknown]>([
    ["it has it", sized("1", "64Mi"), has, undefined],
    ["nobody has looked", sized("2", "64Mi"), undefined, undefined],
    ["more cpu", sized("2", "64Mi"), has, { type: "update", resources: { cpuShares: 2048, cpuQuota: 200_000 } }],
    ["more memory", sized("1", "128Mi"), has, { type: "update", resources: { memoryBytes: 128 * MI } }],
    [
      "both",
      sized("500m", "32Mi"),
      has,
      { type: "update", resources: { cpuShares: 512, cpuQuota: 50_000, memoryBytes: 32 * MI } },
    ],
    ["its policy for what changes", sized("1", "128Mi", restart("memory")), has, { type: "restart" }],
    [
      "its policy for something else",
      sized("1", "128Mi", restart("cpu")),
      has,
      { type: "update", resources: { memoryBytes: 128 * MI } },
    ],
  ])("%s", (_, c, resources, expected) => {
    const pod = podOf("web", [c]);
    expect(planResize(pod, first(pod), running(resources))).toEqual(expected);
  });

  test("after the update there is nothing left to do, whatever the sizes", () => {
    const milli = fc.integer({ min: 1, max: 64_000 });
    const mi = fc.integer({ min: 6, max: 65_536 });
    fc.assert(
      fc.property(milli, mi, milli, mi, (cpu1, mem1, cpu2, mem2) => {
        const [before, after] = [
          podOf("web", [sized(`${cpu1}m`, `${mem1}Mi`)]),
          podOf("web", [sized(`${cpu2}m`, `${mem2}Mi`)]),
        ];
        const had = liveResourcesOf(before, first(before));
        const plan = planResize(after, first(after), running(had));
        const now = { ...had, ...(plan?.type === "update" && plan.resources) };
        expect(planResize(after, first(after), running(now))).toBeUndefined();
      }),
    );
  });
});

describe("what the node grants", () => {
  const ALLOCATABLE = { cpu: "4", memory: "1Gi", pods: "10" };
  const node = (others: readonly Pod[] = []) =>
    new Allocations({
      allocatable: () => ALLOCATABLE,
      admit: (pod) => admitPod({ pod, others, labels: {}, allocatable: ALLOCATABLE }),
    });
  const before = podOf("web", [sized("1", "64Mi")]);

  test("what fits; then that is what it has", () => {
    const allocations = node();
    allocations.admitted(before);
    const asked = podOf("web", [sized("2", "64Mi")]);
    expect(allocations.offer(asked)).toEqual({ pod: asked, decided: "ResizeStarted" });
    expect(allocations.offer(asked)).toEqual({ pod: asked });
  });

  test("not what the node has not got at all: Infeasible, and the old size stays", () => {
    const allocations = node();
    allocations.admitted(before);
    const asked = podOf("web", [sized("9", "64Mi")]);
    const offer = allocations.offer(asked);
    expect(offer.pending).toEqual({
      reason: "Infeasible",
      message: "Node didn't have enough capacity: cpu, requested: 9000, capacity: 4000",
    });
    expect(offer.decided).toBe("ResizeInfeasible");
    expect(offer.pod.spec).toEqual(before.spec);
    expect(allocations.offer(asked).decided).toBeUndefined();
  });

  test("not what others have: Deferred, until they go", () => {
    const others = [podOf("other", [sized("3", "64Mi")])];
    const allocations = node(others);
    allocations.admitted(before);
    const asked = podOf("web", [sized("2", "64Mi")]);
    expect(allocations.offer(asked).pending).toEqual({
      reason: "Deferred",
      message: "Node didn't have enough resource: cpu, requested: 2000, used: 3000, capacity: 4000",
    });
    expect(allocations.isPending("web-uid")).toBe(true);
    others.pop();
    expect(allocations.offer(asked)).toEqual({ pod: asked, decided: "ResizeStarted" });
    expect(allocations.isPending("web-uid")).toBe(false);
  });

  test("a restarted agent goes on with what was granted, not with what is asked for (Z2)", () => {
    const granted = podOf("web", [sized("1", "64Mi")]);
    const shown = withResources(
      { conditions: [], containerStatuses: [{ name: "c0", image: "app", imageID: "", ready: true, restartCount: 0 }] },
      { pod: granted, actual: undefined, pending: undefined, errors: new Map(), now: 0 },
    );
    const asked: ApiPod = {
      ...podOf("web", [sized("9", "64Mi")]),
      status: { ...shown, startTime: "2026-01-01T00:00:00Z" },
    };
    expect(allocatedPod(asked, allocationFromStatus(asked)).spec).toEqual(granted.spec);
    expect(node().offer(asked).pending?.reason).toBe("Infeasible");
  });

  test("a Pod that was granted what it asks for is the same object", () => {
    expect(allocatedPod(before, allocationOf(before))).toBe(before);
  });
});

describe("the status", () => {
  const pod = podOf("web", [sized("1500m", "128Mi")]);
  const status: PodStatus = {
    phase: "Running",
    conditions: [{ type: "Ready", status: "True" }],
    containerStatuses: [{ name: "c0", image: "app", imageID: "", ready: true, restartCount: 0 }],
  };
  const shown = (resources: LiveResources | undefined, more: object = {}) =>
    withResources(status, {
      pod,
      actual: actualOf(running(resources)),
      pending: undefined,
      errors: new Map(),
      now: 0,
      ...more,
    });

  test("tells what was granted and what there is", () => {
    const { containerStatuses, conditions } = shown(liveResourcesOf(pod, first(pod)));
    expect(containerStatuses?.[0]).toMatchObject({
      allocatedResources: { cpu: "1500m", memory: "128Mi" },
      resources: { requests: { cpu: "1500m", memory: "128Mi" }, limits: { cpu: "1500m", memory: "128Mi" } },
    });
    expect(conditions?.map((c) => c.type)).toEqual(["Ready"]);
  });

  test("while it changes: the old size, and PodResizeInProgress", () => {
    const { containerStatuses, conditions } = shown({ cpuShares: 512, cpuQuota: 50_000, memoryBytes: 64 * MI });
    expect(containerStatuses?.[0]?.resources).toEqual({
      requests: { cpu: "500m", memory: "128Mi" },
      limits: { cpu: "500m", memory: "64Mi" },
    });
    expect(conditions?.find((c) => c.type === "PodResizeInProgress")).toMatchObject({ status: "True" });
  });

  test("what failed, and what waits", () => {
    const error = { reason: "ResizeError", message: "busy", at: 0, failures: 1, retryAt: 10 };
    const pending = { reason: "Deferred", message: "no room" };
    const { conditions } = shown(liveResourcesOf(pod, first(pod)), { errors: new Map([["c-1", error]]), pending });
    expect(conditions?.find((c) => c.type === "PodResizeInProgress")).toMatchObject({
      reason: "Error",
      message: "busy",
    });
    expect(conditions?.find((c) => c.type === "PodResizePending")).toMatchObject({ status: "True", ...pending });
  });

  test("its events", () => {
    const summary = '"containers":[{"name":"c0","resources":';
    expect(resizeEvent("ResizeStarted", pod, undefined)).toMatchObject({
      type: "Normal",
      message: expect.stringContaining(summary) as unknown,
    });
    const changing = { ...pod, status: shown({ cpuShares: 512, cpuQuota: 50_000, memoryBytes: 64 * MI }) };
    expect(resizeEnd(changing, shown(liveResourcesOf(pod, first(pod))))).toMatchObject([{ reason: "ResizeCompleted" }]);
    expect(resizeEnd(changing, changing.status)).toEqual([]);
  });
});
