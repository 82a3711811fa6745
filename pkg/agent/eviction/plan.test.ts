import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { NO_PRESSURE, type Observations, planPressure, type PressureState, unresolved } from "./plan.ts";
import { DEFAULT_HARD, evictionSettings, type Pressure, ThresholdError, unitsOf } from "./thresholds.ts";

const MI = 2 ** 20;
const memory = (available: number): Observations => ({ "memory.available": { available, capacity: 8192 * MI } });
const disk = (available: number): Observations => ({ "nodefs.available": { available, capacity: 1000 } });

test.each([
  ["memory.available<100Mi,nodefs.available<10%", [100 * MI, 819]],
  ["pid.available<5", [5]],
  ["", []],
] as const)("thresholds as a flag: %s", (hard, expected) => {
  const { thresholds } = evictionSettings({ hard });
  expect(thresholds.map((t) => unitsOf(t.value, "fraction" in t.value ? 8192 : Infinity))).toEqual(expected);
  expect(thresholds.every((t) => t.graceMs === 0)).toBe(true);
});

test("without a flag the kubelet's own", () => {
  expect(evictionSettings().thresholds.map((t) => t.signal)).toEqual(
    DEFAULT_HARD.split(",").map((t) => t.split("<")[0]),
  );
});

test.each([
  [{ hard: "memory<100Mi" }, 'unknown signal "memory"'],
  [{ hard: "memory.available<lots" }, '"lots" is no value'],
  [{ hard: "memory.available<120%" }, '"120%" is no value'],
  [{ soft: "memory.available<200Mi" }, "grace period must be specified"],
  [{ soft: "memory.available<200Mi", softGracePeriod: "memory.available=soon" }, '"soon" is no value'],
])("flags that make no sense are refused: %j", (flags, message) => {
  expect(() => evictionSettings(flags)).toThrow(ThresholdError);
  expect(() => evictionSettings(flags)).toThrow(message);
});

/** What each look says, in turn. */
function follow(flags: Parameters<typeof evictionSettings>[0], looks: readonly (readonly [number, Observations])[]) {
  let state: PressureState = NO_PRESSURE;
  return looks.map(([second, observed]) => {
    const plan = planPressure(evictionSettings(flags), observed, state, second * 1000);
    state = plan.state;
    return [plan.reclaim?.signal, ...plan.conditions];
  });
}

describe("over time", () => {
  test("a hard threshold asks at once; the pressure is shown for the transition period after it (E3)", () => {
    const flags = { hard: "memory.available<100Mi", pressureTransitionPeriod: 60 };
    expect(
      follow(flags, [
        [0, memory(100 * MI)],
        [10, memory(99 * MI)],
        [20, memory(200 * MI)],
        [69, memory(200 * MI)],
        [70, memory(200 * MI)],
      ]),
    ).toEqual([
      [undefined],
      ["memory.available", "MemoryPressure"],
      [undefined, "MemoryPressure"],
      [undefined, "MemoryPressure"],
      [undefined],
    ]);
  });

  test("a soft one asks after its grace period without a break (E2)", () => {
    const flags = {
      hard: "",
      soft: "nodefs.available<20%",
      softGracePeriod: "nodefs.available=30s",
      pressureTransitionPeriod: 0,
    };
    expect(
      follow(flags, [
        [0, disk(199)],
        [20, disk(250)],
        [30, disk(150)],
        [59, disk(150)],
        [60, disk(150)],
      ]),
    ).toEqual([
      [undefined, "DiskPressure"],
      [undefined],
      [undefined, "DiskPressure"],
      [undefined, "DiskPressure"],
      ["nodefs.available", "DiskPressure"],
    ]);
  });

  test("what was crossed stays so until the minimum reclaim is free, too (E1)", () => {
    const flags = { hard: "nodefs.available<10%", minimumReclaim: "nodefs.available=50", pressureTransitionPeriod: 0 };
    expect(
      follow(flags, [
        [0, disk(149)],
        [10, disk(99)],
        [20, disk(149)],
        [30, disk(150)],
      ]).map(([signal]) => signal),
    ).toEqual([undefined, "nodefs.available", "nodefs.available", undefined]);
    expect(unresolved(evictionSettings(flags), disk(149))).toHaveLength(1);
    expect(unresolved(evictionSettings(flags), disk(150))).toEqual([]);
  });

  test("memory goes before the disk", () => {
    const flags = { hard: "nodefs.available<10%,memory.available<100Mi" };
    expect(follow(flags, [[0, { ...disk(0), ...memory(0) }]])).toEqual([
      ["memory.available", "DiskPressure", "MemoryPressure"],
    ]);
  });
});

test("enough of everything is no pressure, ever; too little of anything always is", () => {
  const settings = evictionSettings();
  const looks = fc.array(fc.record({ mi: fc.integer({ min: 0, max: 400 }), disk: fc.integer({ min: 0, max: 300 }) }), {
    minLength: 1,
    maxLength: 20,
  });
  fc.assert(
    fc.property(looks, (list) => {
      let state: PressureState = NO_PRESSURE;
      const ever = new Set<Pressure>();
      list.forEach(({ mi, disk: free }, n) => {
        const plan = planPressure(settings, { ...memory(mi * MI), ...disk(free) }, state, n * 10_000);
        state = plan.state;
        if (mi < 100) ever.add("MemoryPressure");
        if (free < 100) ever.add("DiskPressure");
        // All looks lie within one transition period.
        expect(new Set(plan.conditions)).toEqual(ever);
        expect(plan.reclaim !== undefined).toBe(mi < 100 || free < 100);
      });
    }),
  );
});
