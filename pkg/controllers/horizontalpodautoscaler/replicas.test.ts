import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { groupPods, MetricError, type Resource, useOf } from "./pods.ts";
import { proposeReplicas, type Target } from "./replicas.ts";
import { defaultSettings } from "./settings.ts";
import { allMetrics, NOW, podsOf, type Shape } from "./testing.ts";

const CPU: Resource = { name: "cpu" };
const OPTIONS = { resource: "cpu", now: NOW, settings: defaultSettings };

function propose(shapes: readonly Shape[], target: Target, o: { current?: number; resource?: Resource } = {}) {
  const { current = shapes.length, resource = CPU } = o;
  return proposeReplicas(resource, target, {
    current,
    pods: podsOf(shapes),
    metrics: allMetrics(shapes),
    tolerance: { up: 0.1, down: 0.1 },
    now: NOW,
    settings: defaultSettings,
  });
}

const uses = (...milli: number[]): Shape[] => milli.map((n) => ({ uses: n }));
const starting: Shape = { uses: 900, startedAgo: 60, changedAgo: 5, measuredAgo: 0 };

test.each<[string, Shape[], Target, number]>([
  ["twice the target: twice the Pods", uses(1000, 1000), { utilization: 50 }, 4],
  ["half the target: half the Pods", uses(250, 250, 250, 250), { utilization: 50 }, 2],
  ["on target", uses(500, 500), { utilization: 50 }, 2],
  ["within the tolerance, above", uses(550, 550), { utilization: 50 }, 2],
  ["within the tolerance, below", uses(450, 450), { utilization: 50 }, 2],
  ["just beyond the tolerance", uses(560, 560), { utilization: 50 }, 3],
  ["an average value", uses(300, 300), { averageMilli: 100 }, 6],
  ["rounded up, but not by floating point", uses(...Array<number>(10).fill(330)), { averageMilli: 300 }, 10],
  ["an unmeasured Pod does nothing when it is to go up", [...uses(1000, 1000), {}], { utilization: 50 }, 4],
  ["… and if that turns the direction, nothing is done", [...uses(700), {}, {}], { utilization: 50 }, 3],
  [
    "an unmeasured Pod does all it asks for when it is to go down",
    [...uses(100, 100, 100), {}],
    { utilization: 50 },
    3,
  ],
  ["… of an average, what it should", [...uses(100, 100, 100), {}], { averageMilli: 200 }, 3],
  ["a starting Pod's CPU does not count", [...uses(250, 250), starting], { utilization: 50 }, 1],
  ["… and it does nothing when it is to go up", [...uses(1000, 1000), starting], { utilization: 50 }, 4],
  ["a Pending Pod does nothing when it is to go up", [...uses(1000), { phase: "Pending" }], { utilization: 50 }, 2],
  ["what goes does not count", [...uses(1000), { uses: 1000, deleted: true }], { utilization: 50 }, 2],
  ["nor what has failed", [...uses(1000), { uses: 1000, phase: "Failed" }], { utilization: 50 }, 2],
])("%s", (_, shapes, target, replicas) => {
  expect(propose(shapes, target).replicas).toBe(replicas);
});

test.each<[string, Shape, boolean]>([
  ["ready since before the window it was measured in", { startedAgo: 60, changedAgo: 20 }, true],
  ["ready since within that window", { startedAgo: 60, changedAgo: 5 }, false],
  ["young and not ready", { startedAgo: 60, changedAgo: 50, ready: false }, false],
  ["old, not ready, has never been", { startedAgo: 3600, changedAgo: 3590, ready: false }, false],
  ["old, not ready, has been", { startedAgo: 3600, changedAgo: 60, ready: false }, true],
  ["old and ready", { startedAgo: 3600, changedAgo: 5 }, true],
])("CPU use is believed of a Pod that is %s: %j → %s", (_, shape, believed) => {
  const busy = { ...shape, uses: 1000 };
  const groups = groupPods(podsOf([busy]), useOf(CPU, allMetrics([busy])), OPTIONS);
  expect(groups).toEqual({ ready: [], unready: [], missing: [], [believed ? "ready" : "unready"]: ["web-0"] });
});

test("memory is believed of every running Pod", () => {
  const shape = { uses: 1, startedAgo: 60, changedAgo: 50, ready: false };
  const target = { averageMilli: 32 * 2 ** 20 * 1000 };
  expect(propose([shape], target, { resource: { name: "memory" } }).replicas).toBe(2);
});

test("utilization and average are told as they are", () => {
  expect(propose(uses(300, 501), { utilization: 50 })).toEqual({ replicas: 2, utilization: 40, averageMilli: 400 });
});

test.each<[string, Shape[], Resource, string]>([
  ["no Pods", [], CPU, "unable to get metrics for resource cpu: no metrics returned from resource metrics API"],
  [
    "a container without a request",
    [{ uses: 1, request: "" }],
    CPU,
    "missing request for cpu in container app of Pod web-0",
  ],
  [
    "a container that is not there",
    uses(1),
    { name: "cpu", container: "nginx" },
    "unable to get metrics for resource cpu: failed to get container metrics: container nginx not present in metrics for pod default/web-0",
  ],
  [
    "none but Pending ones",
    [{ uses: 5, phase: "Pending" }],
    CPU,
    "did not receive metrics for targeted pods (pods might be unready)",
  ],
])("says why it cannot: %s", (_, shapes, resource, message) => {
  expect(() => propose(shapes, { utilization: 50 }, { resource })).toThrow(new MetricError(message));
});

test("measured Pods alone: load over target, rounded up; unmeasured ones only ever hold it back", () => {
  const use = fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(
      use,
      fc.integer({ min: 0, max: 10 }),
      fc.integer({ min: 50, max: 1000 }),
      (milli, unmeasured, target) => {
        const known = propose(uses(...milli), { averageMilli: target });
        const average = Math.trunc(milli.reduce((a, b) => a + b, 0) / milli.length);
        const ratio = average / target;
        const wanted = Math.abs(ratio - 1) <= 0.1 ? milli.length : Math.ceil(Number((ratio * milli.length).toFixed(9)));
        expect(known.replicas).toBe(wanted);
        const all = [...uses(...milli), ...Array<Shape>(unmeasured).fill({})];
        const careful = propose(all, { averageMilli: target }).replicas;
        const free = Math.ceil(ratio * all.length);
        const [low, high] = [Math.min(all.length, free), Math.max(all.length, free)];
        expect(careful).toBeGreaterThanOrEqual(low);
        expect(careful).toBeLessThanOrEqual(high);
      },
    ),
  );
});
