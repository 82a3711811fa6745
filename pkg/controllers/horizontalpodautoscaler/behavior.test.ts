import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { V2HPAScalingRules } from "../../api/generated/types.ts";
import { bound, type Bounds, type History, noHistory, recommended, scaled } from "./behavior.ts";

const NOW = Date.UTC(2026, 0, 1, 12);
const ago = (s: number) => NOW - s * 1000;

type Behavior = NonNullable<Bounds["behavior"]>;

const pods = (value: number, periodSeconds = 60) => ({ type: "Pods", value, periodSeconds });
const percent = (value: number, periodSeconds = 60) => ({ type: "Percent", value, periodSeconds });
const rules = (...policies: V2HPAScalingRules["policies"] & object): V2HPAScalingRules => ({
  selectPolicy: "Max",
  policies,
  stabilizationWindowSeconds: 0,
});
/** What the defaults make of `behavior: {}`. */
const defaults: Behavior = {
  scaleUp: rules(pods(4, 15), percent(100, 15)),
  scaleDown: { selectPolicy: "Max", policies: [percent(100, 15)] },
};
const bounds = (current: number, behavior?: Behavior, o: Partial<Bounds> = {}): Bounds => ({
  current,
  min: 1,
  max: 1000,
  behavior,
  downscaleStabilizationMs: 300_000,
  ...o,
});
const recs = (...r: [secondsAgo: number, replicas: number][]): History => ({
  ...noHistory,
  recommendations: r.map(([s, replicas]) => ({ at: ago(s), replicas })),
});

describe("rates", () => {
  test.each<[string, Bounds, Partial<History>, number, number, string]>([
    ["without rules: twice as many at most", bounds(10), {}, 50, 20, "ScaleUpLimit"],
    ["without rules: small ones go to four", bounds(1), {}, 50, 4, "ScaleUpLimit"],
    ["without rules: down at once", bounds(10), {}, 1, 1, "DesiredWithinRange"],
    ["not above the maximum", bounds(3, undefined, { max: 5 }), {}, 50, 5, "TooManyReplicas"],
    ["not below the minimum", bounds(3, undefined, { min: 2 }), {}, 0, 2, "TooFewReplicas"],
    ["defaults: four Pods, where that is more than twice as many", bounds(1, defaults), {}, 50, 5, "ScaleUpLimit"],
    ["defaults: twice as many", bounds(10, defaults), {}, 50, 20, "ScaleUpLimit"],
    ["defaults: down at once", bounds(10, defaults), {}, 1, 1, "DesiredWithinRange"],
    ["so many Pods a minute", bounds(10, { scaleUp: rules(pods(3)) }), {}, 50, 13, "ScaleUpLimit"],
    [
      "those added within the minute count",
      bounds(12, { scaleUp: rules(pods(3)) }),
      { ups: [{ at: ago(30), by: 2 }] },
      50,
      13,
      "ScaleUpLimit",
    ],
    [
      "those added before it do not",
      bounds(12, { scaleUp: rules(pods(3)) }),
      { ups: [{ at: ago(61), by: 2 }] },
      50,
      15,
      "ScaleUpLimit",
    ],
    [
      "when more were added than allowed, none is taken away",
      bounds(20, { scaleUp: rules(pods(3)) }),
      { ups: [{ at: ago(30), by: 9 }] },
      50,
      20,
      "ScaleUpLimit",
    ],
    ["percent up are rounded up", bounds(3, { scaleUp: rules(percent(10)) }), {}, 50, 4, "ScaleUpLimit"],
    ["the largest change by default", bounds(10, { scaleUp: rules(pods(1), percent(50)) }), {}, 50, 15, "ScaleUpLimit"],
    [
      "the smallest with Min",
      bounds(10, { scaleUp: { ...rules(pods(1), percent(50)), selectPolicy: "Min" } }),
      {},
      50,
      11,
      "ScaleUpLimit",
    ],
    [
      "none with Disabled",
      bounds(10, { scaleUp: { ...rules(pods(1)), selectPolicy: "Disabled" } }),
      {},
      50,
      10,
      "ScaleUpLimit",
    ],
    ["down: so many Pods a minute", bounds(10, { scaleDown: rules(pods(2)) }), {}, 1, 8, "ScaleDownLimit"],
    [
      "down: those gone within the minute count",
      bounds(9, { scaleDown: rules(pods(2)) }),
      { downs: [{ at: ago(10), by: 1 }] },
      1,
      8,
      "ScaleDownLimit",
    ],
    ["down: percent leave what is left", bounds(10, { scaleDown: rules(percent(25)) }), {}, 1, 7, "ScaleDownLimit"],
    [
      "down: the largest change by default",
      bounds(10, { scaleDown: rules(pods(1), percent(50)) }),
      {},
      1,
      5,
      "ScaleDownLimit",
    ],
    [
      "down: the smallest with Min",
      bounds(10, { scaleDown: { ...rules(pods(1), percent(50)), selectPolicy: "Min" } }),
      {},
      1,
      9,
      "ScaleDownLimit",
    ],
    [
      "down: none with Disabled",
      bounds(10, { scaleDown: { ...rules(pods(1)), selectPolicy: "Disabled" } }),
      {},
      1,
      10,
      "ScaleDownLimit",
    ],
  ])("%s", (_, b, history, wanted, replicas, reason) => {
    const result = bound(wanted, b, { ...noHistory, ...history }, NOW);
    expect(result.replicas).toBe(replicas);
    expect(result.scalingLimited).toMatchObject({ reason, status: replicas === wanted ? "False" : "True" });
  });
});

describe("stabilization", () => {
  const slowUp: Behavior = {
    scaleUp: { ...rules(pods(100)), stabilizationWindowSeconds: 60 },
    scaleDown: rules(pods(100)),
  };
  test.each<[string, Bounds, History, number, number, string]>([
    [
      "down only as far as the last five minutes went",
      bounds(10),
      recs([200, 7], [100, 5]),
      2,
      7,
      "ScaleDownStabilized",
    ],
    ["what is older is forgotten", bounds(10), recs([301, 9], [100, 5]), 2, 5, "ScaleDownStabilized"],
    ["up at once", bounds(3), recs([10, 1]), 5, 5, "ReadyForNewScale"],
    [
      "its own window",
      bounds(10, { scaleDown: { ...rules(pods(100)), stabilizationWindowSeconds: 10 } }),
      recs([11, 9]),
      2,
      2,
      "ReadyForNewScale",
    ],
    ["no window", bounds(10, { scaleDown: rules(pods(100)) }), recs([1, 9]), 2, 2, "ReadyForNewScale"],
    ["up only as far as all of its window went", bounds(3, slowUp), recs([50, 4], [20, 9]), 9, 4, "ScaleUpStabilized"],
    ["a short peak does nothing", bounds(3, slowUp), recs([50, 3], [20, 3]), 9, 3, "ScaleUpStabilized"],
  ])("%s", (_, b, history, wanted, replicas, reason) => {
    const result = bound(wanted, b, history, NOW);
    expect(result.replicas).toBe(replicas);
    expect(result.ableToScale).toMatchObject({ status: "True", reason });
  });
});

test("history: what no window and no period looks at any more is forgotten", () => {
  const h = recommended(recs([400, 1], [200, 2]), 3, bounds(1), NOW);
  expect(h.recommendations).toEqual([
    { at: ago(200), replicas: 2 },
    { at: NOW, replicas: 3 },
  ]);
  const up = scaled({ ...noHistory, ups: [{ at: ago(1801), by: 1 }] }, 2, 5, NOW);
  expect(up).toEqual({ ...noHistory, ups: [{ at: NOW, by: 3 }] });
  expect(scaled(noHistory, 5, 2, NOW)).toEqual({ ...noHistory, downs: [{ at: NOW, by: 3 }] });
});

test("whatever was and is wanted: within the bounds, and never away from where it should go", () => {
  const policy = fc.record({
    type: fc.constantFrom("Pods", "Percent"),
    value: fc.integer({ min: 1, max: 200 }),
    periodSeconds: fc.integer({ min: 1, max: 1800 }),
  });
  const rule = fc.record({
    selectPolicy: fc.constantFrom("Max", "Min", "Disabled"),
    policies: fc.array(policy, { minLength: 1, maxLength: 3 }),
    stabilizationWindowSeconds: fc.integer({ min: 0, max: 3600 }),
  });
  const change = fc.record({ at: fc.integer({ min: ago(2000), max: NOW }), by: fc.integer({ min: 1, max: 20 }) });
  const history = fc.record({
    recommendations: fc.array(
      fc.record({ at: fc.integer({ min: ago(4000), max: NOW }), replicas: fc.integer({ min: 0, max: 60 }) }),
    ),
    ups: fc.array(change),
    downs: fc.array(change),
  });
  const behavior = fc.option(fc.record({ scaleUp: rule, scaleDown: rule }), { nil: undefined });
  const size = fc.integer({ min: 0, max: 60 });
  fc.assert(
    fc.property(behavior, history, size, size, size, size, (rulesOf, h, wanted, a, b, c) => {
      const [min = 0, current = 0, max = 0] = [a, b, c].toSorted((x, y) => x - y);
      const { replicas } = bound(wanted, bounds(current, rulesOf, { min, max }), h, NOW);
      expect(replicas).toBeGreaterThanOrEqual(min);
      expect(replicas).toBeLessThanOrEqual(max);
      // Without rules of its own, an old recommendation may even raise it.
      const sofar = rulesOf ? Math.sign(replicas - current) * Math.sign(wanted - current) : 0;
      expect(sofar).toBeGreaterThanOrEqual(0);
    }),
    { numRuns: 500 },
  );
});
