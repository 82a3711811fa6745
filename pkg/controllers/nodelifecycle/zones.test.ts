import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { NODE_LIFECYCLE } from "./settings.ts";
import { evictionRates, type ZoneCounts, Zones, zoneState } from "./zones.ts";

test.each<[number, number, string]>([
  [0, 0, "Normal"],
  [1, 0, "Normal"],
  [0, 1, "FullDisruption"],
  [1, 2, "Normal"],
  [2, 3, "PartialDisruption"],
  [3, 3, "Normal"],
  [9, 11, "PartialDisruption"],
  [10, 11, "Normal"],
  [0, 90, "FullDisruption"],
])("%i ready and %i not: %s", (ready, unready, expected) => {
  expect(zoneState({ ready, unready }, 0.55)).toBe(expected);
});

describe("nodes per second that may begin to be emptied", () => {
  const counts = (ready: number, unready: number): ZoneCounts => ({ ready, unready });
  test.each<[string, Record<string, ZoneCounts>, Record<string, number>]>([
    ["all is well", { a: counts(3, 1) }, { a: 1 }],
    ["a small zone lost for the most part", { a: counts(4, 6) }, { a: 0 }],
    ["a large one", { a: counts(40, 60) }, { a: 0.1 }],
    ["a zone is gone, another is there", { a: counts(0, 9), b: counts(9, 0) }, { a: 1, b: 1 }],
    ["all are gone", { a: counts(0, 9), b: counts(0, 3) }, { a: 0, b: 0 }],
    ["the only node is", { a: counts(0, 1) }, { a: 0 }],
  ])("%s", (_, zones, expected) => {
    expect(Object.fromEntries(evictionRates(new Map(Object.entries(zones)), NODE_LIFECYCLE))).toEqual(expected);
  });

  test("whatever asks whenever, no zone gives more turns than its rate", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3_000), { maxLength: 60 }), (steps) => {
        const zones = new Zones(NODE_LIFECYCLE);
        zones.changed("n1", { zone: "a", ready: true });
        zones.changed("n2", { zone: "a", ready: false });
        let [now, turns] = [0, 0];
        for (const step of steps) {
          now += step;
          if (zones.takeTurn("a", now) === 0) turns++;
        }
        expect(turns).toBeLessThanOrEqual(1 + (now / 1000) * NODE_LIFECYCLE.evictionRate);
      }),
    );
  });

  test("says when rates change, and only then", () => {
    const zones = new Zones(NODE_LIFECYCLE);
    expect(zones.changed("n1", { zone: "a", ready: true })).toBe(true);
    expect(zones.changed("n2", { zone: "a", ready: true })).toBe(false);
    expect(zones.changed("n1", { zone: "a", ready: false })).toBe(false);
    expect(zones.changed("n2", { zone: "a", ready: false })).toBe(true);
    expect(zones.takeTurn("a", 0)).toBe(Infinity);
    expect(zones.changed("n2", undefined)).toBe(false);
  });
});
