import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { onResource } from "../../api/rbac/attributes.ts";
import { limitsOf, type Seated, seatsFor } from "./seats.ts";
import { widthOf } from "./width.ts";

const SEATS = 100;
const levelArb = fc.record({
  shares: fc.integer({ min: 0, max: 100 }),
  lendablePercent: fc.integer({ min: 0, max: 100 }),
  borrowingLimitPercent: fc.option(fc.integer({ min: 0, max: 400 }), { nil: undefined }),
});
const stepArb = fc.record({ level: fc.nat({ max: 7 }), width: fc.integer({ min: 1, max: 10 }), ends: fc.boolean() });

test("L1, L2, L3: whatever comes and goes, what is kept is there, all seats suffice, and nobody wide is shut out", () => {
  const runs = fc.tuple(fc.array(levelArb, { minLength: 1, maxLength: 8 }), fc.array(stepArb, { maxLength: 200 }));
  fc.assert(
    fc.property(runs, ([shares, steps]) => {
      const sum = shares.reduce((n, s) => n + s.shares, 0);
      const levels: Seated[] = shares.map((s) => ({ limits: limitsOf(s, sum, SEATS), used: 0 }));
      const kept = levels.reduce((n, l) => n + l.limits.kept, 0);
      const running: { level: Seated; seats: number }[] = [];
      for (const step of steps) {
        const level = levels[step.level % levels.length];
        if (!level) continue;
        if (step.ends) {
          const [ended] = running.splice(0, 1);
          if (ended) ended.level.used -= ended.seats;
          continue;
        }
        const seats = seatsFor(level, step.width, levels, SEATS);
        const isKept = level.used + step.width <= level.limits.kept;
        expect(isKept ? seats : step.width).toBe(step.width); // L1
        expect(level.used > 0 || seats > 0).toBe(true); // L3
        level.used += seats;
        if (seats > 0) running.push({ level, seats });
        expect(level.used).toBeLessThanOrEqual(Math.max(level.limits.most, level.limits.kept));
        const used = levels.reduce((n, l) => n + l.used, 0);
        expect(used).toBeLessThanOrEqual(Math.max(SEATS, kept)); // L2
      }
    }),
  );
});

test("what others leave can be borrowed, but for what they keep", () => {
  const row = (shares: number, lendablePercent: number) => ({
    shares,
    lendablePercent,
    borrowingLimitPercent: undefined,
  });
  const rows = [row(10, 50), row(90, 50)];
  const [small, large] = rows.map((r): Seated => ({ limits: limitsOf(r, 100, SEATS), used: 0 }));
  if (!small || !large) throw new Error("two levels");
  expect(small.limits).toEqual({ nominal: 10, kept: 5, most: 110 });
  while (seatsFor(small, 1, [small, large], SEATS) > 0) small.used += 1;
  expect(small.used).toBe(55);
  while (seatsFor(large, 1, [small, large], SEATS) > 0) large.used += 1;
  expect(large.used).toBe(45);
});

const user = { name: "u", groups: [] };
test.each<[string, Parameters<typeof onResource>[2], { stored: number; limit: number }, number]>([
  ["get", { name: "a" }, { stored: 5000, limit: 0 }, 1],
  ["create", {}, { stored: 5000, limit: 0 }, 1],
  ["list", {}, { stored: 0, limit: 0 }, 1],
  ["list", {}, { stored: 101, limit: 0 }, 2],
  ["list", {}, { stored: 5000, limit: 0 }, 10],
  ["list", {}, { stored: 5000, limit: 100 }, 1],
  ["list", { labelSelector: "a=b" }, { stored: 5000, limit: 100 }, 10],
  ["list", { name: "a" }, { stored: 5000, limit: 0 }, 1],
  ["watch", {}, { stored: 350, limit: 0 }, 4],
  ["deletecollection", {}, { stored: 350, limit: 0 }, 4],
])("%s %j of %j takes %i", (verb, what, o, width) => {
  const stored = () => o.stored;
  expect(widthOf(onResource(user, verb, { resource: "pods", ...what }), { ...o, stored })).toBe(width);
});

test.each([["get"], ["create"], ["update"], ["list", "a"]])("for %s %s nothing is counted", (verb, name = "") => {
  const stored = () => {
    throw new Error("counted");
  };
  expect(widthOf(onResource(user, verb, { resource: "pods", name }), { stored, limit: 0 })).toBe(1);
});
