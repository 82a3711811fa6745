import { expect, test } from "@jest/globals";
import fc from "fast-check";
import type { ContainerStats } from "../runtime/runtime.ts";
import { FakeClock } from "../util/fake-clock.ts";
import { resourceMetrics } from "./stats-metrics.ts";
import { type Sample, summarize } from "./stats-summary.ts";
import { measureUsage, Stats } from "./stats.ts";

const START = Date.UTC(2026, 0, 1);
const memory = { memoryUsageBytes: 300, memoryWorkingSetBytes: 200, memoryRssBytes: 100 };
const idle = { cpuNanoseconds: 0, ...memory, memoryAvailableBytes: 1000 };

const container = (at: number, cpuNanoseconds: number, id = "c1"): ContainerStats => ({
  id,
  podUid: "u1",
  podName: "web",
  podNamespace: "shop",
  name: "app",
  at,
  cpuNanoseconds,
  ...memory,
});

const sample = (at: number, ...containers: ContainerStats[]): Sample => ({
  at,
  node: { ...idle, cpuNanoseconds: at - START },
  containers: new Map(containers.map((c) => [c.id, c])),
});

const rate = (earlier: Sample, now: Sample, startedAt?: number) =>
  summarize({ nodeName: "n1", startedAt: () => startedAt }, earlier, now).pods[0]?.containers[0]?.cpu;

test.each([
  ["two looks", container(START, 1e9), 0, { usageNanoCores: 5e8, windowSeconds: 10 }],
  ["one look at a young one", undefined, START + 5_000, { usageNanoCores: 12e8, windowSeconds: 5 }],
  ["one look at an old one", undefined, START - 3_600_000, {}],
  ["another attempt does not go on where the last one ended", container(START, 9e9, "c0"), undefined, {}],
])("a rate from %s", (_, earlier, startedAt, expected) => {
  const now = START + 10_000;
  const cpu = rate(sample(START, ...(earlier ? [earlier] : [])), sample(now, container(now, 6e9)), startedAt);
  expect(cpu).toEqual({ time: "2026-01-01T00:00:10Z", usageCoreNanoSeconds: 6e9, ...expected });
});

test("a rate is never negative, and is what was used over the time", () => {
  const ns = fc.integer({ min: 0, max: 1e12 });
  fc.assert(
    fc.property(ns, ns, fc.integer({ min: 1_000, max: 60_000 }), (from, to, ms) => {
      const cpu = rate(sample(START, container(START, from)), sample(START + ms, container(START + ms, to)));
      expect(cpu?.usageNanoCores).toBe(Math.round((Math.max(0, to - from) * 1000) / ms));
    }),
  );
});

class Fixture {
  readonly clock = new FakeClock(START);
  looks = 0;
  readonly stats = new Stats({
    nodeName: "n1",
    clock: this.clock,
    startedAt: () => undefined,
    machine: () => Promise.resolve(idle),
    runtime: {
      stats: () => {
        this.looks++;
        const now = this.clock.now();
        return Promise.resolve([container(now, (now - START) * 5e5)]); // half a CPU
      },
    },
  });

  async ask() {
    const answer = this.stats.summary(new AbortController().signal);
    await this.clock.advance(1_000);
    return (await answer).pods[0]?.containers[0]?.cpu;
  }
}

test("nothing is looked at unasked; the first who asks gets a rate of one second (T1, T2)", async () => {
  const f = new Fixture();
  await f.clock.advance(600_000);
  expect(f.looks).toBe(0);
  expect(await f.ask()).toMatchObject({ usageNanoCores: 5e8, windowSeconds: 1 });
  expect(f.looks).toBe(2);
  await f.clock.advance(15_000);
  expect(await f.ask()).toMatchObject({ usageNanoCores: 5e8, windowSeconds: 15 });
  expect(f.looks).toBe(3);
});

test("who asks all the time gets rates over ten seconds, and no more than a look a second (T2)", async () => {
  const f = new Fixture();
  for (let i = 0; i < 30; i++) await f.ask();
  const before = f.looks;
  const both = await Promise.all([f.ask(), f.ask()]);
  expect(both[0]).toEqual(both[1]);
  expect(both[0]?.windowSeconds).toBe(10);
  expect(f.looks - before).toBeLessThanOrEqual(2);
});

test("as Prometheus reads it", () => {
  const now = START + 10_000;
  const o = { nodeName: "n1", startedAt: () => START };
  const text = resourceMetrics(summarize(o, sample(START), sample(now, container(now, 6e9))));
  expect(text.split("\n").filter((l) => !l.startsWith("#"))).toEqual([
    `container_cpu_usage_seconds_total{container="app",namespace="shop",pod="web"} 6 ${now}`,
    `container_memory_working_set_bytes{container="app",namespace="shop",pod="web"} 200 ${now}`,
    `container_start_time_seconds{container="app",namespace="shop",pod="web"} ${START / 1000}`,
    `node_cpu_usage_seconds_total 0.00001 ${now}`,
    `node_memory_working_set_bytes 200 ${now}`,
    `pod_cpu_usage_seconds_total{namespace="shop",pod="web"} 6 ${now}`,
    `pod_memory_working_set_bytes{namespace="shop",pod="web"} 200 ${now}`,
    "resource_scrape_error 0",
    "",
  ]);
});

test("this machine can be measured", async () => {
  const usage = await measureUsage();
  expect(usage.cpuNanoseconds).toBeGreaterThan(0);
  expect(usage.memoryWorkingSetBytes).toBeGreaterThan(0);
  expect(usage.memoryAvailableBytes).toBeGreaterThan(0);
});
