import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Pod } from "../../api/generated/types.ts";
import {
  amount,
  applyRecommendation,
  type ContainerPolicy,
  isMeant,
  type UpdateMode,
  type VerticalPodAutoscaler,
} from "../../api/verticalpodautoscaler.ts";
import { rfc3339 } from "../../util/clock.ts";
import { isNews, withRecommendation } from "./controller.ts";
import { DecayingHistogram, exponentialBuckets } from "./histogram.ts";
import { recommend } from "./recommend.ts";
import { needOf, planEvictions } from "./update.ts";
import { ContainerUsage, DAY_MS } from "./usage.ts";

const NOW = Date.UTC(2026, 0, 8);
const MIB = 2 ** 20;
const buckets = exponentialBuckets({ first: 0.01, ratio: 1.05, max: 1000 });

describe("histogram", () => {
  test("a value lies in its bucket, and buckets grow by five percent", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 900, noNaN: true }), (value) => {
        const i = buckets.find(value);
        expect(buckets.start(i)).toBeLessThanOrEqual(value + 1e-9);
        expect(buckets.start(i + 1)).toBeGreaterThanOrEqual(value - 1e-9);
      }),
    );
    const width = (i: number) => buckets.start(i + 1) - buckets.start(i);
    expect(width(8) / width(7)).toBeCloseTo(1.05);
  });

  const samples = fc.array(
    fc.record({
      value: fc.double({ min: 0, max: 100, noNaN: true }),
      weight: fc.integer({ min: 1, max: 100 }),
      at: fc.integer({ min: NOW - 30 * DAY_MS, max: NOW }),
    }),
    { minLength: 1, maxLength: 50 },
  );
  const fill = (all: readonly { value: number; weight: number; at: number }[], shift = 0) => {
    const h = new DecayingHistogram(buckets, DAY_MS);
    for (const s of all) h.add(s.value, s.weight, s.at + shift);
    return h;
  };

  test("percentiles grow with the share, cover the samples, and do not depend on when all of it was (D2)", () => {
    fc.assert(
      fc.property(samples, fc.integer({ min: 0, max: 1000 }), (all, days) => {
        const h = fill(all);
        const [half, most, whole] = [h.percentile(0.5), h.percentile(0.9), h.percentile(1)];
        expect(half).toBeLessThanOrEqual(most);
        expect(most).toBeLessThanOrEqual(whole);
        const max = Math.max(...all.map((s) => s.value));
        expect(whole).toBeLessThanOrEqual(max * 1.06 + 0.011);
        expect(fill(all, days * DAY_MS).percentile(0.9)).toBeCloseTo(most, 6);
      }),
    );
  });

  test("what is a half-life older weighs half as much (D1)", () => {
    const h = new DecayingHistogram(buckets, DAY_MS);
    h.add(1, 2, NOW - DAY_MS);
    h.add(5, 1.01, NOW);
    expect(h.percentile(0.5)).toBeGreaterThan(5);
    h.add(1, 0.02, NOW);
    expect(h.percentile(0.5)).toBeLessThan(1.1);
  });

  test("what was saved is what was learned, to a ten-thousandth", () => {
    fc.assert(
      fc.property(samples, (all) => {
        const h = fill(all);
        const again = new DecayingHistogram(buckets, DAY_MS);
        again.load(JSON.parse(JSON.stringify(h.save())) as ReturnType<typeof h.save>);
        for (const share of [0.5, 0.9]) {
          const near = [h.percentile(share - 0.01), h.percentile(share + 0.01)];
          expect(again.percentile(share)).toBeGreaterThanOrEqual((near[0] ?? 0) - 1e-9);
          expect(again.percentile(share)).toBeLessThanOrEqual((near[1] ?? 0) + 1e-9);
        }
      }),
    );
  });

  test("what is taken back leaves nothing", () => {
    const h = new DecayingHistogram(buckets, DAY_MS);
    h.add(3, 1, NOW);
    h.subtract(3, 1, NOW);
    expect(h.isEmpty).toBe(true);
    expect(h.percentile(0.9)).toBe(0);
  });
});

/** A sample a minute. */
function used(days: number, cpus: number, memoryBytes: number): ContainerUsage {
  const usage = new ContainerUsage();
  for (let at = NOW - days * DAY_MS; at <= NOW; at += 60_000)
    usage.add({ instance: "pod/app", at, cpus, memoryBytes, requestedCpus: 0.1 });
  return usage;
}

const vpaOf = (policy: ContainerPolicy = {}, mode: UpdateMode = "Recreate"): VerticalPodAutoscaler => ({
  metadata: { name: "web", namespace: "default" },
  spec: {
    targetRef: { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web" },
    updatePolicy: { updateMode: mode },
    resourcePolicy: { containerPolicies: [{ containerName: "*", ...policy }] },
  },
});

describe("recommendation", () => {
  const week = used(7, 0.5, 400 * MIB);

  test.each<[string, ContainerPolicy, Record<string, string>]>([
    ["what is used and a margin", {}, { cpu: "587m", memory: "500000000" }],
    ["not below the minimum allowed", { minAllowed: { cpu: "2" } }, { cpu: "2", memory: "500000000" }],
    ["not above the maximum allowed", { maxAllowed: { memory: "128Mi" } }, { cpu: "587m", memory: "134217728" }],
    ["only what is controlled", { controlledResources: ["cpu"] }, { cpu: "587m" }],
  ])("%s", (_, policy, expected) => {
    const [r] = recommend(vpaOf(policy), new Map([["app", week]]));
    expect(Object.keys(r?.target ?? {})).toEqual(Object.keys(expected));
    for (const [resource, text] of Object.entries(expected)) {
      expect(Math.abs(amount(r?.target[resource] ?? "0") / amount(text) - 1)).toBeLessThan(0.05);
    }
    expect(amount(r?.uncappedTarget["cpu"] ?? "0")).toBeGreaterThanOrEqual(0.5 * 1.15);
  });

  test("a policy that is Off, and a container never seen, have none", () => {
    expect(recommend(vpaOf({ mode: "Off" }), new Map([["app", week]]))).toEqual([]);
    expect(recommend(vpaOf(), new Map([["app", new ContainerUsage()]]))).toEqual([]);
  });

  test("a Pod that does nothing gets the least there is, shared by its containers", () => {
    const idle = () => used(1, 0, 0);
    const both = recommend(
      vpaOf(),
      new Map([
        ["b", idle()],
        ["a", idle()],
      ]),
    );
    expect(both.map((r) => [r.containerName, r.target])).toEqual([
      ["a", { cpu: "13m", memory: "131072k" }],
      ["b", { cpu: "13m", memory: "131072k" }],
    ]);
  });

  test("the bounds draw nearer as the history grows", () => {
    const width = (days: number) => {
      const [r] = recommend(vpaOf(), new Map([["app", used(days, 0.5, 400 * MIB)]]));
      return amount(r?.upperBound["cpu"] ?? "0") / amount(r?.lowerBound["cpu"] ?? "0");
    };
    const widths = [0, 0.1, 1, 7].map(width);
    expect(widths.toSorted((a, b) => b - a)).toEqual(widths);
    expect(widths[3]).toBeLessThan(1.2);
  });

  test("who was killed for want of memory gets more than he had", () => {
    const usage = used(1, 0.1, 300 * MIB);
    usage.ranOutOfMemory("pod/app", 600 * MIB, NOW);
    const [r] = recommend(vpaOf(), new Map([["app", usage]]));
    expect(amount(r?.target["memory"] ?? "0")).toBeGreaterThanOrEqual(720 * MIB);
  });

  test("the same measurement counts once; a peak counts once a day, twice as much as that of the day before", () => {
    const one = new ContainerUsage();
    for (let i = 0; i < 100; i++) one.add({ instance: "a", at: NOW, cpus: 1, memoryBytes: MIB, requestedCpus: 0.1 });
    expect(one.save().totalSamplesCount).toBe(1);
    expect(week.save().memoryHistogram.totalWeight).toBeLessThan(2 ** 8);
  });

  test("a status is written when it says something new", () => {
    const learned = { usages: new Map([["app", week]]), pods: 2, now: NOW };
    const { status } = withRecommendation(vpaOf(), learned);
    expect(isNews(undefined, status)).toBe(true);
    expect(isNews(status, withRecommendation({ ...vpaOf(), ...(status && { status }) }, learned).status)).toBe(false);
    const more = { ...learned, usages: new Map([["app", used(7, 1, 400 * MIB)]]) };
    expect(isNews(status, withRecommendation(vpaOf(), more).status)).toBe(true);
    expect(withRecommendation(vpaOf(), { ...learned, usages: new Map(), pods: 0 }).status?.conditions).toMatchObject([
      { type: "RecommendationProvided", status: "False" },
      { type: "NoPodsMatched", status: "True" },
    ]);
  });
});

interface Shape {
  readonly cpu: string;
  readonly ageHours?: number;
  readonly ready?: boolean;
}

const podOf = ({ cpu, ageHours = 1, ready = true }: Shape, i: number): Pod => ({
  metadata: { name: `web-${i}`, namespace: "default" },
  spec: { containers: [{ name: "app", image: "i", resources: { requests: { cpu } } }] },
  status: {
    phase: "Running",
    startTime: rfc3339(NOW - ageHours * 3_600_000),
    conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
  },
});

const recommended = (mode: UpdateMode, o: { minReplicas?: number } = {}): VerticalPodAutoscaler => {
  const bounds = { lowerBound: { cpu: "500m" }, upperBound: { cpu: "2" }, uncappedTarget: { cpu: "1" } };
  const vpa = vpaOf({}, mode);
  return {
    ...vpa,
    spec: { ...vpa.spec, updatePolicy: { updateMode: mode, ...o } },
    status: {
      recommendation: { containerRecommendations: [{ containerName: "app", target: { cpu: "1" }, ...bounds }] },
    },
  };
};

describe("update", () => {
  const low: Shape = { cpu: "100m" };
  const high: Shape = { cpu: "4" };
  const fine: Shape = { cpu: "1" };
  const slightly: Shape = { cpu: "700m" };
  test.each<[string, UpdateMode, Shape[], string[]]>([
    ["half of them at a time", "Recreate", [low, low, low, low], ["web-0", "web-1"]],
    ["Auto is as Recreate", "Auto", [low, low], ["web-0"]],
    ["Initial leaves them alone", "Initial", [low, low], []],
    ["so does Off", "Off", [low, low], []],
    ["those within the bounds stay", "Recreate", [fine, slightly], []],
    [
      "after half a day, one that is off goes all the same",
      "Recreate",
      [fine, { ...slightly, ageHours: 13 }],
      ["web-1"],
    ],
    ["too little is more urgent than too much", "Recreate", [high, low], ["web-1"]],
    ["while one is away, no other goes", "Recreate", [low, low, { ...fine, ready: false }], []],
    ["one alone is never taken", "Recreate", [low], []],
  ])("%s", (_, mode, shapes, expected) => {
    expect(planEvictions(recommended(mode), shapes.map(podOf), NOW).map((p) => p.metadata.name)).toEqual(expected);
  });

  test("… unless its VPA says that it may", () => {
    const gone = planEvictions(recommended("Recreate", { minReplicas: 1 }), [podOf(low, 0)], NOW);
    expect(gone.map((p) => p.metadata.name)).toEqual(["web-0"]);
  });

  test("how far off a Pod is", () => {
    expect(needOf(recommended("Recreate"), podOf(slightly, 0))).toMatchObject({ outside: false, grows: true });
    expect(needOf(recommended("Recreate"), podOf({ cpu: "2" }, 0)).off).toBeCloseTo(0.5);
  });
});

describe("whom it means, and what it sets", () => {
  const owner = (kind: string, name: string) => ({ apiVersion: "apps/v1", kind, name, uid: name, controller: true });
  const pod = (kind: string, name: string): Pod => ({
    metadata: { name: "web-1", namespace: "default", ownerReferences: [owner(kind, name)] },
  });
  const vpa = vpaOf();
  test.each<[string, Pod, boolean]>([
    ["made by the target", pod("ReplicaSet", "web"), true],
    ["made by another", pod("ReplicaSet", "other"), false],
    ["made by one that the target made", pod("Rocket", "stage-1"), true],
    ["made by nobody", { metadata: { name: "alone", namespace: "default" } }, false],
    ["elsewhere", { metadata: { ...pod("ReplicaSet", "web").metadata, namespace: "other" } }, false],
  ])("a Pod %s", (_, p, meant) => {
    const find = (_namespace: string, o: { kind: string }) =>
      o.kind === "Rocket"
        ? { metadata: { name: "stage-1", ownerReferences: [owner("ReplicaSet", "web")] } }
        : undefined;
    expect(isMeant(vpa, p, find)).toBe(meant);
  });

  test.each<[string, ContainerPolicy, object]>([
    ["limits in proportion", {}, { requests: { cpu: "1" }, limits: { cpu: "2500m" } }],
    ["requests alone", { controlledValues: "RequestsOnly" }, { requests: { cpu: "1" }, limits: { cpu: "500m" } }],
    ["nothing where the policy is Off", { mode: "Off" }, { requests: { cpu: "200m" }, limits: { cpu: "500m" } }],
  ])("sets %s", (_, policy, expected) => {
    const resources = { requests: { cpu: "200m" }, limits: { cpu: "500m" } };
    const made: Pod = { metadata: {}, spec: { containers: [{ name: "app", image: "i", resources }] } };
    const set = applyRecommendation({ ...recommended("Initial"), spec: vpaOf(policy).spec }, made);
    expect(made.spec?.containers[0]?.resources).toEqual(expected);
    expect(set).toEqual(policy.mode === "Off" ? [] : ["container 0: cpu request"]);
  });
});
