import { describe, expect, it, test } from "@jest/globals";
import fc from "fast-check";
import type { Pod } from "../../api/generated/types.ts";
import { rfc3339 } from "../../util/clock.ts";
import { planStatefulSet, type Wanted, wantedOf } from "./plan.ts";
import { NOW, podsOf, stepsText, wanted } from "./testing/shorthand.ts";

const update = { update: "b", current: "a" };
const parallel = { ordered: false };

describe("planStatefulSet", () => {
  test.each<[string, Partial<Wanted>, string, string]>([
    ["creates the first one", {}, "", "+0:a"],
    ["waits until it is ready", {}, "0:a!", ""],
    ["goes on with the next", {}, "0:a", "+1:a"],
    ["waits until it has been ready for long enough", { minReadySeconds: 9 }, "0:a~3", ""],
    ["fills a gap first", {}, "0:a 2:a", "+1:a"],
    ["begins where it is told to", { start: 5 }, "", "+5:a"],
    ["is content", {}, "0:a 1:a 2:a", ""],
    ["replaces who has ended", {}, "0:a 1:ax 2:a", "-1"],
    ["waits for a name to be free", {}, "0:a 1:a- 2:a", ""],

    ["takes away the last", { replicas: 1 }, "0:a 1:a 2:a", "-2"],
    ["waits until it is gone", { replicas: 1 }, "0:a 1:a 2:a-", ""],
    ["takes nothing away while one that stays is not ready", { replicas: 2 }, "0:a! 1:a 2:a", ""],
    ["takes away the only one that is not ready", { replicas: 1 }, "0:a 1:a 2:a!", "-2"],
    ["gives the higher of two that are not ready time", { replicas: 1 }, "0:a 1:a! 2:a!", ""],
    ["takes away what is below the start", { start: 2, replicas: 1 }, "1:a 2:a", "-1"],

    ["updates the last first", update, "0:a 1:a 2:a", "-2"],
    ["makes it of the new revision", update, "0:a 1:a", "+2:b"],
    ["waits for it", update, "0:a 1:a 2:b!", ""],
    ["updates the next", update, "0:a 1:a 2:b", "-1"],
    ["stops at the partition", { ...update, partition: 1 }, "0:a 1:b 2:b", ""],
    ["restores what is below it as it was", { ...update, partition: 1 }, "1:b 2:b", "+0:a"],
    ["without a partition keeps the first ones too", { ...update, partition: undefined }, "1:a 2:b", "+0:a"],
    ["updates as many at once as may be missing", { ...update, maxUnavailable: 2 }, "0:a 1:a 2:a", "-2 -1"],
    ["scales before it updates", { ...update, replicas: 4 }, "0:a 1:a 2:a", "+3:b"],
    ["leaves updates to others", { ...update, rolling: false }, "0:a 1:a 2:a", ""],
    ["makes of the new revision what others delete", { ...update, rolling: false }, "0:a 2:a", "+1:b"],

    ["does not touch one that never was ready of the revision that stays", update, "0:a! 1:a 2:a", ""],
    ["replaces one of a revision that was rolled back", { update: "a" }, "0:a 1:a 2:b!", "-2"],
    ["and one of a revision that another overtook", { update: "c" }, "0:a 1:a 2:b!", "-2"],
    ["but not when updates are left to others", { update: "c", rolling: false }, "0:a 1:a 2:b!", ""],

    ["in parallel creates all", { ...parallel, replicas: 4 }, "1:a!", "+0:a +2:a +3:a"],
    ["in parallel takes away all", { ...parallel, replicas: 0 }, "0:a 1:a! 2:a-", "-1 -0"],
    ["in parallel updates one", { ...parallel, ...update }, "0:a 1:a 2:a", "-2"],
    ["in parallel waits for what is being updated", { ...parallel, ...update }, "0:a 1:a 2:b!", ""],
    ["in parallel replaces first what is broken", { ...parallel, ...update }, "0:a 1:a! 2:a", "-1"],
    [
      "in parallel, as many of those as may be missing",
      { ...parallel, ...update, maxUnavailable: 2 },
      "0:a! 1:a! 2:a!",
      "-2 -1",
    ],
    ["in parallel counts what is missing", { ...parallel, ...update, maxUnavailable: 2 }, "0:a 1:a", "+2:b -1"],
  ])("%s", (_, more, pods, steps) => {
    expect(stepsText(planStatefulSet(wanted(more), podsOf(pods), NOW))).toBe(steps);
  });

  it("mends who was renamed by hand, and leaves alone who only looks like a replica", () => {
    const [mended = {} as Pod, stranger = {} as Pod] = podsOf("0:a 1:a");
    delete mended.metadata.labels?.["apps.kubernetes.io/pod-index"];
    stranger.metadata.name = "web-01";
    const plan = planStatefulSet(wanted({ replicas: 1 }), [mended, stranger], NOW);
    expect(plan.steps).toEqual([{ do: "mend", pod: mended, ordinal: 0, reason: "IdentityChanged" }]);
  });

  it("counts what is there, and looks again when a ready Pod becomes available", () => {
    const s = wanted({ ...update, replicas: 4, minReadySeconds: 10, collisionCount: 1 });
    expect(planStatefulSet(s, podsOf("0:a 1:a! 2:a- 3:b~4"), NOW)).toMatchObject({
      lookAgainAt: NOW + 6_000,
      status: {
        replicas: 4,
        readyReplicas: 3,
        availableReplicas: 2,
        currentReplicas: 2,
        updatedReplicas: 1,
        currentRevision: "a",
        updateRevision: "b",
        collisionCount: 1,
        observedGeneration: 1,
      },
    });
  });

  it("is done with an update when all are ready and new; OnDelete never says so", () => {
    const done = podsOf("0:b 1:b 2:b");
    expect(planStatefulSet(wanted(update), done, NOW).status).toMatchObject({
      currentRevision: "b",
      currentReplicas: 3,
    });
    const onDelete = planStatefulSet(wanted({ ...update, rolling: false }), done, NOW).status;
    expect(onDelete).toMatchObject({ currentRevision: "a", updatedReplicas: 3 });
    expect(onDelete.currentReplicas).toBeUndefined();
  });
});

test("wantedOf reads a set", () => {
  const set = {
    metadata: { name: "db", generation: 4 },
    spec: {
      replicas: 10,
      ordinals: { start: 2 },
      selector: {},
      template: {},
      podManagementPolicy: "Parallel",
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "25%" } },
    },
    status: { replicas: 0, currentRevision: "db-1" },
  };
  const h = { update: "db-2", kept: ["db-1", "db-2"], collisionCount: 0 };
  const expected = { start: 2, ordered: false, partition: 0, maxUnavailable: 2, current: "db-1", generation: 4 };
  expect(wantedOf(set, h)).toMatchObject(expected);
  // A revision that is gone cannot be gone back to.
  expect(wantedOf(set, { ...h, kept: ["db-2"] }).current).toBe("db-2");
});

/** A cluster that does what it is told, sometimes; one letter a Pod's state as in podsOf. */
class World {
  readonly pods = new Map<number, Pod>();

  list(): Pod[] {
    return [...this.pods.values()];
  }

  apply(s: Wanted): void {
    for (const step of planStatefulSet(s, this.list(), NOW).steps) {
      if (step.do === "create") {
        if (this.pods.has(step.ordinal)) throw new Error(`there are two of ordinal ${step.ordinal}`);
        this.pods.set(step.ordinal, { ...podsOf(`${step.ordinal}:${step.revision}!`)[0] } as Pod);
      } else if (step.do === "delete") {
        (step.pod as Pod).metadata.deletionTimestamp = rfc3339(NOW);
      }
    }
  }

  /** What was deleted goes, what was created becomes ready. */
  settle(which: (ordinal: number) => boolean): void {
    for (const [ordinal, pod] of this.pods) {
      if (!which(ordinal)) continue;
      const ready = pod.status?.conditions?.[0];
      if (pod.metadata.deletionTimestamp) this.pods.delete(ordinal);
      else if (ready) ready.status = "True";
    }
  }

  unavailable(s: Wanted): number {
    const ordinals = Array.from({ length: s.replicas }, (_, i) => s.start + i);
    const well = (pod: Pod | undefined) =>
      pod !== undefined && !pod.metadata.deletionTimestamp && pod.status?.conditions?.[0]?.status === "True";
    return ordinals.filter((o) => !well(this.pods.get(o))).length;
  }
}

const shape = fc.record({
  replicas: fc.nat(6),
  start: fc.nat(2),
  ordered: fc.boolean(),
  partition: fc.option(fc.nat(3), { nil: undefined }),
  maxUnavailable: fc.integer({ min: 1, max: 3 }),
});
const luck = fc.array(fc.nat(255), { minLength: 5, maxLength: 30 });

test("S1–S3: whatever comes first, ordinals are single, order is kept, and no more are missed than may be", () => {
  fc.assert(
    fc.property(shape, shape, luck, (before, after, draws) => {
      const world = new World();
      const first = wanted(before);
      for (let n = 0; n < 40; n++) {
        world.apply(first);
        world.settle(() => true);
      }
      expect([...world.pods.keys()].toSorted((a, b) => a - b)).toEqual(
        Array.from({ length: before.replicas }, (_, i) => before.start + i),
      );
      const next = wanted({ ...after, start: before.start, replicas: before.replicas, ...update });
      for (const draw of draws) {
        const [ready, missing] = [new Set(wellOf(world)), world.unavailable(next)];
        world.apply(next);
        const lost = [...ready].filter((o) => !wellOf(world).includes(o)).length;
        expect(lost === 0 || missing + lost <= next.maxUnavailable).toBe(true);
        const unready = [...world.pods.keys()].filter((o) => !wellOf(world).includes(o));
        expect(!next.ordered || unready.length <= next.maxUnavailable).toBe(true);
        world.settle((ordinal) => ((draw >> (ordinal % 8)) & 1) === 1);
      }
      for (let n = 0; n < 60; n++) {
        world.apply(next);
        world.settle(() => true);
      }
      const kept = next.start + (next.partition ?? 0);
      for (const [ordinal, pod] of world.pods) {
        expect(pod.metadata.labels?.["controller-revision-hash"]).toBe(ordinal < kept ? "a" : "b");
      }
      expect(world.pods.size).toBe(next.replicas);
    }),
    { numRuns: 60 },
  );
});

test("S2: one step at a time upwards when all below are well, downwards when all that stay are", () => {
  const mark = fc.constantFrom("", "!", "-", "x", undefined);
  fc.assert(
    fc.property(fc.array(mark, { maxLength: 8 }), fc.nat(8), (marks, replicas) => {
      const pods = podsOf(marks.map((m, ordinal) => (m === undefined ? "" : `${ordinal}:a${m}`)).join(" "));
      const { steps } = planStatefulSet(wanted({ replicas }), pods, NOW);
      const well = (upTo: number) => Array.from({ length: upTo }, (_, i) => marks[i]).every((m) => m === "");
      expect(steps.length).toBeLessThanOrEqual(1);
      for (const step of steps) {
        const ordinal = step.do === "create" ? step.ordinal : Number(step.pod.metadata.name?.replace("web-", ""));
        const scaledDown = ordinal >= replicas;
        expect(well(scaledDown ? replicas : ordinal)).toBe(true);
        expect(scaledDown && ordinal !== marks.findLastIndex((m) => m !== undefined)).toBe(false);
      }
    }),
  );
});

function wellOf(world: World): number[] {
  return [...world.pods].flatMap(([ordinal, pod]) =>
    !pod.metadata.deletionTimestamp && pod.status?.conditions?.[0]?.status === "True" ? [ordinal] : [],
  );
}
