import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Container, PodSpec } from "../api/generated/types.ts";
import { resourcesBody } from "../runtime/docker/resources.ts";
import { containerResources, quotaOf, refuseHugePages, sharesOf, unsummedLimits } from "./resources.ts";
import { podOf } from "./testing/harness.ts";

const GI = 2 ** 30;
const MACHINE = { nodeMemory: 8 * GI };

function of(c: Partial<Container>, spec: Partial<PodSpec> = {}, n = 0) {
  const pod = podOf("web", [c], spec);
  const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const container = all[n];
  if (!container) throw new Error("no such container");
  return containerResources(pod, container, MACHINE);
}
const asks = (requests: Record<string, string>, limits: Record<string, string> = {}) => ({
  resources: { requests, limits },
});

test.each([
  ["nothing", {}, {}, { cpuShares: 2, oomScoreAdj: 1000 }],
  ["a request", asks({ cpu: "250m" }), {}, { cpuShares: 256, oomScoreAdj: 999 }],
  [
    "a limit alone",
    { resources: { limits: { cpu: "2" } } },
    {},
    { cpuShares: 2048, cpuQuota: 200_000, oomScoreAdj: 999 },
  ],
  [
    "less than the kernel counts",
    { resources: { limits: { cpu: "1m" } } },
    {},
    { cpuShares: 2, cpuQuota: 1000, oomScoreAdj: 999 },
  ],
  ["memory", asks({ memory: "1Gi" }, { memory: "2Gi" }), {}, { cpuShares: 2, memoryBytes: 2 * GI, oomScoreAdj: 875 }],
  [
    "the Pod's own limit",
    {},
    { resources: { limits: { cpu: "1", memory: "1Gi" } } },
    { cpuShares: 1024, cpuQuota: 100_000, memoryBytes: GI, oomScoreAdj: -997 },
  ],
  ["all that the node has", asks({ memory: "8Gi" }), {}, { cpuShares: 2, oomScoreAdj: 3 }],
  [
    "a guarantee",
    asks({ cpu: "1", memory: "1Gi" }, { cpu: "1", memory: "1Gi" }),
    {},
    { cpuShares: 1024, cpuQuota: 100_000, memoryBytes: GI, oomScoreAdj: -997 },
  ],
  ["the node's own", {}, { priority: 2_000_001_000 }, { cpuShares: 2, oomScoreAdj: -997 }],
] as const)("%s", (_, c, spec, expected) => {
  expect(of(c, spec)).toEqual(expected);
});

describe("what Docker cannot do is said", () => {
  test("huge pages have no limit there: the container is not started", () => {
    const asks = { name: "c", resources: { limits: { "hugepages-2Mi": "4Mi" } } };
    expect(() => refuseHugePages(asks)).toThrow(
      "hugepages-2Mi cannot be limited by Docker: container c is not started",
    );
    expect(() => refuseHugePages({ name: "c", resources: { limits: { memory: "4Mi" } } })).not.toThrow();
  });

  test("a Pod's own limit bounds its containers one by one", () => {
    const spec = { resources: { limits: { memory: "1Gi" } } };
    expect(unsummedLimits(podOf("web", [{}, {}], spec))).toMatch(/^spec\.resources\.limits \(memory\)/);
    expect(unsummedLimits(podOf("web", [{}], spec))).toBeUndefined();
    expect(unsummedLimits(podOf("web", [{}, {}]))).toBeUndefined();
  });
});

describe("who dies first", () => {
  const side: Container = { name: "side", image: "app", restartPolicy: "Always", ...asks({ memory: "1Mi" }) };

  test("a sidecar not before those it serves", () => {
    expect(of(asks({ memory: "4Gi" }), { initContainers: [side] }, 1).oomScoreAdj).toBe(500);
  });

  test("what the Pod asks for beyond its containers is shared out", () => {
    expect(of({}, { resources: { requests: { memory: "4Gi" } } }).oomScoreAdj).toBe(500);
  });
});

test("shares and quotas grow with the millis, within the kernel's bounds", () => {
  const milli = fc.integer({ min: 0, max: 400_000 });
  fc.assert(
    fc.property(milli, milli, (a, b) => {
      const [less, more] = a < b ? [a, b] : [b, a];
      expect(sharesOf(less)).toBeLessThanOrEqual(sharesOf(more));
      expect(quotaOf(less)).toBeLessThanOrEqual(quotaOf(more));
      expect(sharesOf(less)).toBeGreaterThanOrEqual(2);
      expect(sharesOf(more)).toBeLessThanOrEqual(262_144);
      expect(quotaOf(less)).toBeGreaterThanOrEqual(1000);
    }),
  );
});

test("as Docker is told: no swap beside the memory, and nothing where there is no limit", () => {
  expect(resourcesBody({ memoryBytes: GI, cpuQuota: 50_000, pids: 100 })).toEqual({
    Memory: GI,
    MemorySwap: GI,
    CpuPeriod: 100_000,
    CpuQuota: 50_000,
    PidsLimit: 100,
  });
  expect(resourcesBody({})).toEqual({});
});
