import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { type Limits, limitsOf, rollingSizes, scaledSizes, type Size, type Sizes } from "./sizes.ts";

type Share = number | string;

describe("limitsOf", () => {
  test.each<[desired: number, maxUnavailable: Share, maxSurge: Share, lacking: number, surge: number]>([
    [10, "25%", "25%", 2, 3],
    [4, "25%", "25%", 1, 1],
    [1, "25%", "25%", 0, 1],
    [2, "1%", "0%", 1, 0],
    [1, "1%", "0%", 1, 0],
    [2, "25%", "1%", 0, 1],
    [1, "25%", "1%", 0, 1],
    [2, "0%", "1%", 0, 1],
    [10, 2, 3, 2, 3],
    [3, 5, 1, 3, 1],
    [0, "25%", "25%", 0, 0],
    [10, "0%", "200%", 0, 20],
  ])(
    "of %i with %s unavailable and %s surge, %i may be lacking and %i beyond",
    (desired, maxUnavailable, maxSurge, lacking, surge) => {
      const limits = limitsOf(desired, { type: "RollingUpdate", rollingUpdate: { maxUnavailable, maxSurge } });
      expect(limits).toEqual({ desired, maxUnavailable: lacking, maxSurge: surge });
    },
  );

  test("Recreate knows neither", () => {
    expect(limitsOf(5, { type: "Recreate" })).toEqual({ desired: 5, maxUnavailable: 0, maxSurge: 0 });
  });
});

const limits = (desired: number, maxSurge: number, maxUnavailable: number): Limits => ({
  desired,
  maxSurge,
  maxUnavailable,
});
const size = (name: string, replicas: number, available = replicas): Size => ({ name, replicas, available });

describe("rollingSizes", () => {
  test.each<[string, Limits, next: [number, number], olds: [number, number][], sizes: number[]]>([
    ["begins with the surge, and takes what may be lacking", limits(10, 3, 2), [0, 0], [[10, 10]], [3, 8]],
    ["grows into what the old ones left", limits(10, 3, 2), [3, 0], [[8, 8]], [5, 8]],
    ["does not go on while the new ones are not available", limits(10, 3, 2), [5, 0], [[8, 8]], [5, 8]],
    ["nor when an old one fails as well", limits(10, 3, 2), [5, 0], [[8, 7]], [5, 8]],
    ["goes on by as many as become available", limits(10, 3, 2), [5, 2], [[8, 8]], [5, 6]],
    ["after an undo the crashing ones go at once", limits(10, 3, 2), [8, 7], [[5, 0]], [8, 1]],
    [
      "rolls over: two old ones shrink, the newest begins",
      limits(10, 3, 2),
      [0, 0],
      [
        [8, 8],
        [5, 0],
      ],
      [0, 8, 0],
    ],
    ["one of one, with a surge", limits(1, 1, 0), [0, 0], [[1, 1]], [1, 1]],
    ["one of one, without", limits(1, 0, 1), [0, 0], [[1, 1]], [0, 0]],
    ["a new one that is too big shrinks", limits(5, 1, 1), [8, 8], [[2, 2]], [5, 0]],
    ["no Pods are wanted", limits(0, 0, 0), [3, 3], [[4, 2]], [0, 0]],
    [
      "the oldest goes first",
      limits(6, 0, 2),
      [0, 0],
      [
        [3, 3],
        [3, 3],
      ],
      [0, 1, 3],
    ],
    [
      "Pods that are not available go first, from a younger one too",
      limits(6, 0, 2),
      [0, 0],
      [
        [3, 3],
        [3, 1],
      ],
      [0, 3, 1],
    ],
  ])("%s", (_, l, [replicas, available], olds, expected) => {
    const sets = olds.map(([r, a], i) => size(`old-${i}`, r, a));
    const next = size("next", replicas, available);
    const sizes = rollingSizes(l, next, sets);
    expect([next, ...sets].map((s) => sizes.get(s.name) ?? s.replicas)).toEqual(expected);
  });
});

test("nobody shrinks on the word of one that was sized since", () => {
  const next = { ...size("next", 3), stale: true };
  expect([...rollingSizes(limits(10, 3, 2), next, [size("old", 8)])]).toEqual([["next", 5]]);
});

describe("scaledSizes: as Kubernetes shares out, before and after", () => {
  test.each<[string, from: number, l: Limits, next: number, olds: number[], sizes: number[]]>([
    ["one ReplicaSet takes all", 10, limits(12, 0, 0), 10, [], [12]],
    ["one takes all also in mid-roll-out when the other is empty", 10, limits(4, 0, 0), 0, [10], [0, 4]],
    ["up from equal shares", 10, limits(12, 0, 0), 5, [5], [6, 6]],
    ["down from equal shares", 10, limits(4, 0, 0), 5, [5], [2, 2]],
    ["up, by thirds: the biggest takes what is left over", 10, limits(20, 0, 0), 3, [4, 3], [6, 8, 6]],
    ["up by one: equals, the newest first", 10, limits(11, 0, 0), 5, [5], [6, 5]],
    ["down by one: equals, the oldest first", 10, limits(9, 0, 0), 5, [5], [5, 4]],
    ["to nothing", 10, limits(0, 0, 0), 5, [4], [0, 0]],
    ["with the surge, from 10+3 to 15+3", 13, limits(15, 3, 2), 5, [8], [7, 11]],
    ["none is active: the newest", 0, limits(3, 0, 0), 0, [0], [3, 0]],
  ])("%s", (_, from, l, next, olds, expected) => {
    const sets = olds.map((n, i) => ({ ...size(`old-${i}`, n), max: from }));
    const newest = { ...size("next", next, 0), max: from };
    const sizes = scaledSizes(l, newest, sets, from);
    expect([newest, ...sets].map((s) => sizes.get(s.name) ?? s.replicas)).toEqual(expected);
  });

  test("a new one that has all it wants, for certain, takes over", () => {
    const next = { ...size("next", 5), desired: 5 };
    expect([...scaledSizes(limits(5, 1, 1), next, [size("adopted", 4)], 5)]).toEqual([
      ["next", 5],
      ["adopted", 0],
    ]);
  });
});

/** ReplicaSets that do as they are told: who is not available goes first. */
class World {
  sets: Size[] = [];
  limits = limits(3, 1, 0);
  /** Promises that were not kept. */
  readonly broken: string[] = [];

  apply(sizes: Sizes): void {
    this.sets = this.sets.map((s) => {
      const replicas = sizes.get(s.name) ?? s.replicas;
      return {
        ...s,
        replicas,
        available: Math.min(s.available, replicas),
        max: this.limits.desired + this.limits.maxSurge,
      };
    });
  }

  get total(): number {
    return this.sets.reduce((n, s) => n + s.replicas, 0);
  }

  get available(): number {
    return this.sets.reduce((n, s) => n + s.available, 0);
  }

  /** R1 and R2 of this one step. */
  roll(): void {
    const next = this.sets.at(-1);
    if (!next) return;
    const [total, available] = [this.total, this.available];
    this.apply(rollingSizes(this.limits, next, this.sets.slice(0, -1)));
    const { desired, maxSurge, maxUnavailable } = this.limits;
    if (this.total > Math.max(total, desired + maxSurge)) this.broken.push("R1");
    if (this.available < Math.min(available, desired - maxUnavailable)) this.broken.push("R2");
    if (this.sets.some((s) => s.replicas < 0)) this.broken.push("negative");
  }

  scale(to: Limits): void {
    const before = this.sets.map((s) => s.replicas);
    this.limits = to;
    const next = this.sets.at(-1);
    if (!next) return;
    this.apply(scaledSizes(to, next, this.sets.slice(0, -1), this.total));
    const active = before.filter((n) => n > 0).length;
    const allowed = to.desired > 0 ? to.desired + to.maxSurge : 0;
    if (active > 1 && this.total > allowed) this.broken.push("scaled beyond");
  }

  /** As many Pods of a set more (or fewer) are available. */
  turn(which: number, by: number): void {
    this.sets = this.sets.map((s, i) =>
      i === which % this.sets.length ? { ...s, available: Math.max(0, Math.min(s.replicas, s.available + by)) } : s,
    );
  }

  /** To a template that is new, or to one that was there. */
  newTemplate(which: number): void {
    const old = this.sets[which];
    this.sets = [...this.sets.filter((s) => s !== old), old ?? size(`set-${this.sets.length}-${which}`, 0)];
  }
}

const anyLimits = fc
  .record({ desired: fc.nat(20), maxSurge: fc.nat(6), maxUnavailable: fc.nat(6) })
  .map((l) => limitsOf(l.desired, { rollingUpdate: { maxSurge: l.maxSurge, maxUnavailable: l.maxUnavailable } }));

const anyStep = fc.oneof(
  { weight: 6, arbitrary: fc.constant((w: World) => w.roll()) },
  {
    weight: 5,
    arbitrary: fc.tuple(fc.nat(5), fc.integer({ min: -3, max: 6 })).map(
      ([i, by]) =>
        (w: World) =>
          w.turn(i, by),
    ),
  },
  { weight: 1, arbitrary: fc.nat(6).map((i) => (w: World) => w.newTemplate(i)) },
  { weight: 1, arbitrary: anyLimits.map((l) => (w: World) => w.scale(l)) },
);

test("R1–R3: whatever users and Pods do, never too many, never too few by its own doing, and it comes to an end", () => {
  fc.assert(
    fc.property(anyLimits, fc.array(anyStep, { maxLength: 60 }), (l, steps) => {
      const world = new World();
      world.limits = l;
      world.newTemplate(0);
      for (const step of steps) step(world);
      expect(world.broken).toEqual([]);
      for (let round = 0; round < 60; round++) {
        world.roll();
        for (let i = 0; i < world.sets.length; i++) world.turn(i, 100);
      }
      expect(world.sets.map((s) => s.replicas)).toEqual([...world.sets.slice(1).map(() => 0), world.limits.desired]);
    }),
    { numRuns: 500 },
  );
});
