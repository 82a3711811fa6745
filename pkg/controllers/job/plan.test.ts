import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Job, JobSpec, JobStatus, Pod } from "../../api/generated/types.ts";
import { condition } from "../../api/pod.ts";
import { seededRandom } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { standingOf } from "./assess.ts";
import { planPods } from "./plan.ts";
import { reportOf } from "./status.ts";
import { at, job, NOW, pod } from "./testing/objects.ts";

const planOf = (o: Job, pods: readonly Pod[], now = NOW) => planPods(standingOf(o, pods, now), now);
const report = (o: Job, pods: readonly Pod[], now = NOW) => reportOf(standingOf(o, pods, now), now);
const ending = (o: Job, pods: readonly Pod[], now = NOW) => {
  const { type, reason, message } = standingOf(o, pods, now).ending ?? {};
  return type && [type, reason, message];
};
const indexed = { completionMode: "Indexed", completions: 3, parallelism: 3 };

describe("Pods wanted", () => {
  test.each<[string, Partial<JobSpec>, Pod[], number, string[]]>([
    ["one", {}, [], 1, []],
    ["as many at a time as allowed", { completions: 5, parallelism: 2 }, [pod("a")], 1, []],
    ["no more than still needed", { completions: 3, parallelism: 3 }, [pod("a", { phase: "Succeeded" })], 2, []],
    ["none while suspended", { suspend: true, completions: 2, parallelism: 2 }, [pod("a"), pod("b")], 0, ["a", "b"]],
    ["fewer, when parallelism falls", { completions: 9, parallelism: 1 }, [pod("a"), pod("b", { node: "" })], 0, ["b"]],
    ["of a work queue, as many as allowed", { parallelism: 3 }, [pod("a")], 2, []],
    ["of a work queue, none after a success", { parallelism: 3 }, [pod("a", { phase: "Succeeded" }), pod("b")], 0, []],
    ["one for one that is going", { completions: 1 }, [pod("a", { deleted: true, tracked: false })], 1, []],
    [
      "none for one that is going, where it must have ended first",
      { completions: 1, podReplacementPolicy: "Failed" },
      [pod("a", { deleted: true })],
      0,
      [],
    ],
  ])("%s", (_, spec, pods, create, gone) => {
    const plan = planOf(
      job({ ...(spec.completions === undefined && !spec.parallelism && { completions: 1 }), ...spec }),
      pods,
    );
    expect(plan.create).toHaveLength(create);
    expect(plan.delete.map((p) => p.metadata.uid)).toEqual(gone);
  });

  test("of an indexed Job: each index once, the first that are missing first", () => {
    const pods = [pod("a", { index: 1 }), pod("b", { index: 0, phase: "Succeeded" })];
    const plan = planOf(job({ ...indexed, completions: 5, parallelism: 3 }), pods);
    expect(plan.create).toEqual([{ index: 2 }, { index: 3 }]);
  });

  test("of an indexed Job: twins and strangers go before any comes", () => {
    const pods = [pod("a", { index: 0 }), pod("b", { index: 0, node: "" }), pod("c", { index: 7 }), pod("d")];
    const plan = planOf(job(indexed), pods);
    expect(new Set(plan.delete.map((p) => p.metadata.uid))).toEqual(new Set(["b", "c", "d"]));
    expect(plan).toMatchObject({ create: [], blameless: true });
  });

  test.each([
    [1, 10],
    [2, 20],
    [3, 40],
    [6, 320],
    [7, 360],
    [9, 360],
  ])("after %i failures in a row the next waits %i s", (failures, seconds) => {
    const pods = Array.from({ length: failures }, (_, i) =>
      pod(`${i}`, { phase: "Failed", endedAgo: 5 + i, tracked: i === 0 }),
    );
    const o = job({ completions: 1, backoffLimit: 100 }, { failed: failures - 1 });
    expect(planOf(o, pods)).toMatchObject({ create: [], lookAgainAt: NOW + (seconds - 5) * 1000 });
    expect(planOf(o, pods, NOW + (seconds - 5) * 1000).create).toHaveLength(1);
  });

  test("a success ends the row of failures", () => {
    const pods = [pod("a", { phase: "Failed", endedAgo: 3 }), pod("b", { phase: "Succeeded", endedAgo: 2 })];
    expect(planOf(job({ completions: 2 }), pods).create).toHaveLength(1);
  });

  test("indexes with limits of their own wait for themselves alone, and pass on how often they failed", () => {
    const o = job({ ...indexed, backoffLimitPerIndex: 5, backoffLimit: 1_000 });
    const pods = [pod("a", { phase: "Failed", index: 1, failuresBefore: 1, endedAgo: 5 })];
    const plan = planOf(o, pods);
    expect(plan.create).toEqual([
      { index: 0, failures: { counted: 0, ignored: 0 } },
      { index: 2, failures: { counted: 0, ignored: 0 } },
    ]);
    expect(plan.lookAgainAt).toBe(NOW + 15_000);
    expect(planOf(o, pods, NOW + 15_000).create[1]).toEqual({ index: 1, failures: { counted: 2, ignored: 0 } });
    // Until then the failed Pod is the only one that knows.
    expect(report(o, pods).release).toEqual([]);
  });
});

const exit42 = { action: "FailJob", onExitCodes: { operator: "In", values: [42] } };
const evicted = { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] };
const disruption = [{ type: "DisruptionTarget", status: "True" }];

describe("the end", () => {
  test.each<[string, Job, Pod[], (string | undefined)[] | undefined]>([
    ["not yet", job({ completions: 2 }), [pod("a", { phase: "Succeeded" })], undefined],
    [
      "all have succeeded",
      job({ completions: 1 }),
      [pod("a", { phase: "Succeeded" })],
      ["SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods"],
    ],
    ["a success of a work queue, others still at it", job({}), [pod("a", { phase: "Succeeded" }), pod("b")], undefined],
    [
      "one failure too many",
      job({ backoffLimit: 1 }, { failed: 1 }),
      [pod("a", { phase: "Failed" })],
      ["FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit"],
    ],
    [
      "a failure already named in the status is no second one",
      job({ backoffLimit: 1 }, { uncountedTerminatedPods: { failed: ["a"] } }),
      [pod("a", { phase: "Failed" })],
      undefined,
    ],
    [
      "too many restarts",
      job({ backoffLimit: 2, template: { spec: { containers: [], restartPolicy: "OnFailure" } } }),
      [pod("a", { restarts: 2 })],
      ["FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit"],
    ],
    [
      "its time is over",
      job({ activeDeadlineSeconds: 3_600 }),
      [pod("a")],
      ["FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline"],
    ],
    ["its time stands still", job({ activeDeadlineSeconds: 3_600, suspend: true }), [], undefined],
    [
      "a failure that must not be",
      job({ podFailurePolicy: { rules: [evicted, exit42] } }),
      [pod("a", { phase: "Failed", exitCode: 42 })],
      [
        "FailureTarget",
        "PodFailurePolicy",
        "Container c for pod default/pod-a failed with exit code 42 matching FailJob rule at index 1",
      ],
    ],
    [
      "a failure that does not count",
      job({ backoffLimit: 0, podFailurePolicy: { rules: [evicted] } }),
      [pod("a", { phase: "Failed", conditions: disruption })],
      undefined,
    ],
    [
      "an index is lost, the others are done",
      job({ ...indexed, backoffLimitPerIndex: 0 }, { completedIndexes: "0,2" }),
      [pod("a", { phase: "Failed", index: 1 })],
      ["FailureTarget", "FailedIndexes", "Job has failed indexes"],
    ],
    [
      "more indexes are lost than may be",
      job({ ...indexed, backoffLimitPerIndex: 0, maxFailedIndexes: 0 }),
      [pod("a", { phase: "Failed", index: 1 })],
      ["FailureTarget", "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"],
    ],
    [
      "an index is given up at once by its rule",
      job({
        ...indexed,
        completions: 1,
        backoffLimitPerIndex: 9,
        podFailurePolicy: { rules: [{ ...exit42, action: "FailIndex" }] },
      }),
      [pod("a", { phase: "Failed", index: 0, exitCode: 42 })],
      ["FailureTarget", "FailedIndexes", "Job has failed indexes"],
    ],
    [
      "enough by the author's own rule",
      job({
        ...indexed,
        successPolicy: { rules: [{ succeededIndexes: "2" }, { succeededIndexes: "0-1", succeededCount: 1 }] },
      }),
      [pod("a", { phase: "Succeeded", index: 1 }), pod("b", { index: 0 })],
      ["SuccessCriteriaMet", "SuccessPolicy", "Matched rules at index 1"],
    ],
  ])("%s", (_, o, pods, expected) => {
    expect(ending(o, pods)).toEqual(expected);
  });

  test("is said first, and final only when nothing is left: then, Pods that a failure ended count", () => {
    const failing = job({ backoffLimit: 0, completions: 2, parallelism: 2 });
    const first = report(failing, [pod("a", { phase: "Failed" }), pod("b", { deleted: true })]);
    expect(first.status.conditions?.map((c) => c.type)).toEqual(["FailureTarget"]);
    expect(first.status).toMatchObject({ uncountedTerminatedPods: { failed: ["a", "b"] }, terminating: 1 });
    expect(first.events).toEqual([]);
    const waiting = report({ ...failing, status: first.status }, [pod("b", { deleted: true, tracked: false })]);
    expect(waiting.status).toMatchObject({ failed: 2, terminating: 1, uncountedTerminatedPods: {} });
    expect(waiting.status.conditions).toHaveLength(1);
    const final = report({ ...failing, status: waiting.status }, []);
    expect(condition(final.status.conditions, "Failed")).toMatchObject({
      status: "True",
      reason: "BackoffLimitExceeded",
    });
    expect(final.events.map((e) => [e.type, e.reason])).toEqual([["Warning", "BackoffLimitExceeded"]]);
  });

  test("Pods that a success made superfluous have not failed", () => {
    const o = job({ ...indexed, successPolicy: { rules: [{ succeededCount: 1 }] } });
    const { status, release } = report(o, [
      pod("a", { phase: "Succeeded", index: 0 }),
      pod("b", { index: 1, deleted: true }),
    ]);
    expect(status).toMatchObject({ succeeded: 1, completedIndexes: "0", uncountedTerminatedPods: {} });
    expect(release).toHaveLength(2);
  });

  test("a pause and its end are told once, and the clock begins anew", () => {
    const paused = report(job({ suspend: true }), []);
    expect(paused.status.conditions).toMatchObject([{ type: "Suspended", status: "True", reason: "JobSuspended" }]);
    expect(paused.events).toMatchObject([{ reason: "Suspended", message: "Job suspended" }]);
    expect(report({ ...job({ suspend: true }), status: paused.status }, []).events).toEqual([]);
    const resumed = report({ ...job({}), status: paused.status }, []);
    expect(resumed.status).toMatchObject({ startTime: at(0) });
    expect(resumed.events).toMatchObject([{ reason: "Resumed", message: "Job resumed" }]);
  });
});

/** One Pod's life as the store has it. */
interface World {
  status: JobStatus;
  pods: DeepReadonly<Pod>[];
}

describe("J1", () => {
  test("every Pod counts once, whichever write is the last before a crash", () => {
    const ends = fc.array(fc.constantFrom("Succeeded", "Failed"), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(ends, fc.boolean(), fc.integer(), (phases, isIndexed, seed) => {
        const random = seededRandom(seed);
        const spec = {
          parallelism: 3,
          completions: 99,
          backoffLimit: 1_000,
          ...(isIndexed && { completionMode: "Indexed" }),
        };
        const world: World = {
          status: { startTime: at(60) },
          pods: phases.map((phase, i) => pod(`${i}`, { phase, ...(isIndexed && { index: i }) })),
        };
        for (let n = 0; n < 100; n++) reconcileAndMaybeDie(world, spec, random);
        expect(world.pods.filter((p) => p.metadata.finalizers?.length)).toEqual([]);
        const count = (phase: string) => phases.filter((p) => p === phase).length;
        expect(world.status.succeeded ?? 0).toBe(count("Succeeded"));
        expect(world.status.failed ?? 0).toBe(count("Failed"));
        expect(world.status.uncountedTerminatedPods).toEqual({});
      }),
    );
  });

  function reconcileAndMaybeDie(world: World, spec: Partial<JobSpec>, random: () => number): void {
    const survives = () => random() < 0.6;
    // Somebody else may delete what has no finalizer any more, at any time.
    world.pods = world.pods.filter((p) => p.metadata.finalizers?.length || random() < 0.5);
    const o: Job = { ...job(spec), status: world.status };
    const { status, release } = reportOf(standingOf(o, world.pods, NOW), NOW);
    if (!survives()) return;
    world.status = status;
    for (const { metadata } of release) {
      if (!survives()) return;
      world.pods = world.pods.map((p) => {
        if (p.metadata.uid !== metadata.uid) return p;
        const { finalizers: _, ...rest } = p.metadata;
        return { ...p, metadata: rest };
      });
    }
  }
});
