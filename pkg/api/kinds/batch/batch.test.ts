import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { CronJob, Job, JobStatus } from "../../generated/types.ts";
import { cronSchedule } from "../../validation/cron.ts";
import { countIndexes, firstCommonIndex } from "../../validation/job-indexes.ts";
import { complaints, created, headings, row, updated, writePart } from "../testing/writes.ts";
import { cronJobs } from "./cronjob.ts";
import { jobs } from "./job.ts";

const template = { spec: { restartPolicy: "Never", containers: [{ name: "pi", image: "perl" }] } };
const manifest = (spec: object = {}) => ({ metadata: { name: "pi" }, spec: { template, ...spec } });
const job = (spec: object = {}, status: JobStatus = {}): Job => ({ ...created(jobs, manifest(spec)), status });
const holds = (type: string) => ({ type, status: "True" });

const GENERATED = {
  "job-name": "pi",
  "batch.kubernetes.io/job-name": "pi",
  "controller-uid": "u-1",
  "batch.kubernetes.io/controller-uid": "u-1",
};

describe("a Job", () => {
  const startTime = "2026-01-01T00:58:00Z";

  test.each<[string, Job, string, string, string]>([
    ["new", job(), "Running", "0/1", ""],
    ["running", job({ completions: 3 }, { startTime, succeeded: 2, active: 1 }), "Running", "2/3", "2m"],
    [
      "complete",
      job({}, { startTime, completionTime: "2026-01-01T00:58:07Z", succeeded: 1, conditions: [holds("Complete")] }),
      "Complete",
      "1/1",
      "7s",
    ],
    ["failed", job({}, { startTime, conditions: [holds("FailureTarget"), holds("Failed")] }), "Failed", "0/1", "2m"],
    ["suspended", job({ suspend: true }, { conditions: [holds("Suspended")] }), "Suspended", "0/1", ""],
    ["doomed", job({}, { startTime, conditions: [holds("FailureTarget")] }), "FailureTarget", "0/1", "2m"],
    [
      "nearly done",
      job({}, { startTime, conditions: [holds("SuccessCriteriaMet")] }),
      "SuccessCriteriaMet",
      "0/1",
      "2m",
    ],
    ["a work queue", job({ parallelism: 4 }, { startTime, succeeded: 1 }), "Running", "1/1 of 4", "2m"],
  ])("that is %s", (_, o, status, completions, duration) => {
    expect(row(jobs, o)).toEqual(["pi", status, completions, duration, "60m"]);
    expect(row(jobs, o, true).slice(5)).toEqual(["pi", "perl", "batch.kubernetes.io/controller-uid=u-1"]);
  });

  test("has the columns of kubectl", () => {
    expect(headings(jobs)).toBe("Name Status Completions Duration Age (Containers) (Images) (Selector)");
    expect(jobs.selectableFields["status.successful"]?.(job({}, { succeeded: 3 }))).toBe("3");
  });

  test("is told apart by its uid", () => {
    const o = job();
    expect(complaints(jobs, o)).toEqual([]);
    expect(o.spec).toMatchObject({
      completions: 1,
      parallelism: 1,
      backoffLimit: 6,
      completionMode: "NonIndexed",
      suspend: false,
      podReplacementPolicy: "TerminatingOrFailed",
      manualSelector: false,
      selector: { matchLabels: { "batch.kubernetes.io/controller-uid": "u-1" } },
      template: { metadata: { labels: GENERATED } },
    });
    expect(o.metadata.labels).toEqual(GENERATED);
  });

  test("may select by itself", () => {
    const labels = { app: "pi" };
    const o = job({
      manualSelector: true,
      selector: { matchLabels: labels },
      template: { ...template, metadata: { labels } },
    });
    expect(complaints(jobs, o)).toEqual([]);
    expect(o.spec?.template.metadata?.labels).toEqual(labels);
    expect(o.metadata.labels).toEqual(labels);
  });

  test("with a limit per index needs none for all", () => {
    const o = job({ completionMode: "Indexed", completions: 2, backoffLimitPerIndex: 1 });
    expect(o.spec?.backoffLimit).toBe(2 ** 31 - 1);
    expect(complaints(jobs, o)).toEqual([]);
  });
});

describe("an update of a Job", () => {
  const indexed = { completionMode: "Indexed", completions: 2, parallelism: 2 };
  // What a client sends back: the selector and the labels that were generated for it.
  const again = (old: Job, spec: object) =>
    updated(jobs, { metadata: { name: "pi" }, spec: { ...old.spec, ...spec } }, old);

  test.each<[string, Job, object, string[]]>([
    ["of its parallelism", job(), { parallelism: 5 }, []],
    ["of completions", job(), { completions: 5 }, ["spec.completions: Invalid value: 5: field is immutable"]],
    ["of an elastic one", job(indexed), { completions: 3, parallelism: 3 }, []],
    [
      "of half an elastic one",
      job(indexed),
      { completions: 3 },
      ["spec.completions: Invalid value: 3: can only be modified in tandem with spec.parallelism"],
    ],
    [
      "to a limit of 0 failures per index",
      job(indexed),
      { backoffLimitPerIndex: 0 },
      ["spec.backoffLimitPerIndex: Invalid value: 0: field is immutable"],
    ],
  ])("%s", (_, old, change, expected) => {
    expect(complaints(jobs, again(old, change), old)).toEqual(expected);
  });

  const withNode = (old: Job, image = "perl") => {
    const containers = [{ name: "pi", image, resources: { requests: { cpu: "1" } } }];
    const spec = { ...old.spec?.template.spec, nodeSelector: { a: "b" }, containers };
    return { template: { ...old.spec?.template, spec } };
  };
  const template = expect.stringMatching(/^spec\.template: Invalid value: \{.*\}: field is immutable$/);
  const spec = expect.stringMatching(/^spec\.template\.spec: Invalid value: \{.*\}: field is immutable$/);

  test.each<[string, Job, string, unknown[]]>([
    ["of the template of one that runs", job({}, { active: 1 }), "perl", [template]],
    ["of the template of one about to be suspended", job({ suspend: true }), "perl", [template]],
    ["of where a suspended one will run", job({ suspend: true }, { conditions: [holds("Suspended")] }), "perl", []],
    ["of what a suspended one will run", job({ suspend: true }, { conditions: [holds("Suspended")] }), "ruby", [spec]],
  ])("%s", (_, old, image, expected) => {
    expect(complaints(jobs, again(old, withNode(old, image)), old)).toEqual(expected);
  });
});

describe("a report on a Job", () => {
  const startTime = "2026-01-01T00:00:00Z";
  const complete = {
    startTime,
    completionTime: "2026-01-01T00:00:05Z",
    conditions: [holds("SuccessCriteriaMet"), holds("Complete")],
  };
  const indexed = { completionMode: "Indexed", completions: 5, backoffLimitPerIndex: 1, maxFailedIndexes: 5 };

  test.each<[string, Job, JobStatus, string[]]>([
    ["that it runs", job(), { startTime, active: 1, ready: 1 }, []],
    ["that it is complete", job({}, { startTime }), complete, []],
    [
      "that it failed",
      job({}, { startTime }),
      { startTime, failed: 7, conditions: [holds("FailureTarget"), holds("Failed")] },
      [],
    ],
    [
      "with counts below zero",
      job(),
      { active: -1 },
      ["status.active: Invalid value: -1: must be greater than or equal to 0"],
    ],
    [
      "of both ends",
      job({}, complete),
      { ...complete, conditions: [...complete.conditions, holds("Failed")] },
      [
        "status.conditions: Invalid value: cannot set Complete=True and Failed=true conditions",
        "status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition",
        "status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and Failed=true conditions",
      ],
    ],
    [
      "of an end without its time",
      job({}, { startTime }),
      { startTime, conditions: complete.conditions },
      ["status.completionTime: Required value: completionTime is required for Complete jobs"],
    ],
    [
      "of a time without an end",
      job({}, { startTime }),
      { startTime, completionTime: startTime },
      [
        `status.completionTime: Invalid value: "${startTime}": cannot set completionTime when there is no Complete=True condition`,
      ],
    ],
    [
      "of an end before the start",
      job({}, { startTime }),
      { ...complete, completionTime: "2025-12-31T00:00:00Z" },
      ['status.completionTime: Invalid value: "2025-12-31T00:00:00Z": must be equal to or after `startTime`'],
    ],
    [
      "of another time",
      job({}, complete),
      { ...complete, completionTime: "2026-01-01T00:00:06Z" },
      ['status.completionTime: Invalid value: "2026-01-01T00:00:06Z": field is immutable'],
    ],
    [
      "that it is not complete after all",
      job({}, complete),
      { startTime },
      [
        "status.conditions: Invalid value: cannot disable the terminal Complete=True condition",
        "status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition",
      ],
    ],
    [
      "of Pods left over",
      job({}, { startTime }),
      { ...complete, active: 1, terminating: 1, uncountedTerminatedPods: { failed: ["a"] } },
      [
        "status.active: Invalid value: 1: active>0 is invalid for finished job",
        "status.terminating: Invalid value: 1: terminating>0 is invalid for finished job",
        'status.uncountedTerminatedPods: Invalid value: {"failed":["a"]}: must be empty for finished job',
      ],
    ],
    [
      "of more ready than there are",
      job(),
      { startTime, ready: 2, active: 1 },
      ["status.ready: Invalid value: 2: cannot set more ready pods than active"],
    ],
    [
      "of fewer failures",
      job({}, { failed: 3 }),
      { failed: 2 },
      ["status.failed: Invalid value: 2: cannot decrease the failed counter"],
    ],
    [
      "of a later start",
      job({}, { startTime }),
      { startTime: "2026-01-01T00:01:00Z" },
      ['status.startTime: Invalid value: "2026-01-01T00:01:00Z": field is immutable for unsuspended job once set'],
    ],
    ["of a start anew", job({ suspend: true }, { startTime }), {}, []],
    [
      "of a Pod counted twice",
      job(),
      { uncountedTerminatedPods: { succeeded: ["a"], failed: ["a", ""] } },
      [
        'status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"',
        'status.uncountedTerminatedPods.failed[1]: Invalid value: "": must not be empty',
      ],
    ],
    [
      "of indexes it has not",
      job(),
      { completedIndexes: "0" },
      [
        'status.completedIndexes: Invalid value: "0": cannot set non-empty completedIndexes when non-indexed completion mode',
      ],
    ],
    [
      "of indexes beyond the end",
      job(indexed),
      { completedIndexes: "1-5" },
      ['status.completedIndexes: Invalid value: "1-5": error parsing completedIndexes: too large index: "5"'],
    ],
    [
      "of indexes both done and failed",
      job(indexed),
      { completedIndexes: "0-2", failedIndexes: "2" },
      ['status.failedIndexes: Invalid value: "2": failedIndexes and completedIndexes overlap at index: 2'],
    ],
  ])("%s", (_, old, status, expected) => {
    const { errors, next } = writePart(jobs, "status", old, (o) => {
      o.status = status;
    });
    expect(errors).toEqual(expected);
    expect(next.spec).toEqual(old.spec);
  });
});

describe("indexes", () => {
  const intervals = fc
    .uniqueArray(fc.integer({ min: 0, max: 40 }), { minLength: 1 })
    .map((all) => all.toSorted((a, b) => a - b));

  /** `[0, 1, 2, 5]` → `0-2,5` */
  function write(sorted: readonly number[]): string {
    const runs: number[][] = [];
    for (const n of sorted) {
      const last = runs.at(-1);
      if (last && last.at(-1) === n - 1) last.push(n);
      else runs.push([n]);
    }
    return runs.map((r) => (r.length === 1 ? `${r[0]}` : `${r[0]}-${r.at(-1)}`)).join(",");
  }

  test("are counted, and compared, whatever the intervals", () => {
    fc.assert(
      fc.property(intervals, intervals, (a, b) => {
        expect(countIndexes(write(a), 41)).toBe(a.length);
        expect(firstCommonIndex(write(a), write(b), 41)).toBe(a.find((n) => b.includes(n)));
      }),
    );
  });

  test.each([
    ["a", 'cannot convert string to integer for index: "a"'],
    [
      "1-2-3",
      `the fragment "1-2-3" violates the requirement that an index interval can have at most two parts separated by '-'`,
    ],
    ["3-2", "non-increasing order, previous: 3, current: 2"],
    ["1,1", "non-increasing order, previous: 1, current: 1"],
    ["9", 'too large index: "9"'],
  ])("%s is none", (text, why) => {
    expect(countIndexes(text, 5)).toBe(why);
  });
});

describe("a CronJob", () => {
  const cronJob = (spec: object = {}): CronJob =>
    created(cronJobs, {
      metadata: { name: "tick" },
      spec: { schedule: "*/5 * * * *", jobTemplate: { spec: { template } }, ...spec },
    });

  test("shows its schedule and what runs", () => {
    const o = cronJob({ timeZone: "Europe/Berlin" });
    expect(complaints(cronJobs, o)).toEqual([]);
    expect(headings(cronJobs)).toBe(
      "Name Schedule Timezone Suspend Active Last Schedule Age (Containers) (Images) (Selector)",
    );
    expect(row(cronJobs, o)).toEqual(["tick", "*/5 * * * *", "Europe/Berlin", "False", 0, "<none>", "60m"]);
    o.status = { active: [{ name: "tick-1" }], lastScheduleTime: "2026-01-01T00:55:00Z" };
    expect(row(cronJobs, o, true).slice(3)).toEqual(["False", 1, "5m", "60m", "pi", "perl", "<none>"]);
    expect(row(cronJobs, cronJob({ suspend: true }))[3]).toBe("True");
  });

  test("keeps three successes and one failure", () => {
    expect(cronJob().spec).toMatchObject({
      concurrencyPolicy: "Allow",
      suspend: false,
      successfulJobsHistoryLimit: 3,
      failedJobsHistoryLimit: 1,
    });
    expect(cronJob().spec.jobTemplate.spec).not.toHaveProperty("backoffLimit");
  });

  test.each([
    "* * * * *",
    "0 0 1 1 *",
    "0,30 9-17/2 ? jan-JUN mon-fri",
    "5/10 * * * SUN",
    "@daily",
    "@every 1h30m",
    "CRON_TZ=UTC 0 * * * *",
  ])("may run at %s", (schedule) => {
    expect(cronSchedule(schedule)).toEqual([]);
  });

  test.each([
    ["* * * *", "expected exactly 5 fields, found 4: [* * * *]"],
    ["0 0 0 * * *", "expected exactly 5 fields, found 6: [0 0 0 * * *]"],
    ["60 * * * *", "end of range (60) above maximum (59): 60"],
    ["* * 0 * *", "beginning of range (0) below minimum (1): 0"],
    ["* * * * 7", "end of range (7) above maximum (6): 7"],
    ["5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"],
    ["1-2-3 * * * *", "too many hyphens: 1-2-3"],
    ["*/2/3 * * * *", "too many slashes: */2/3"],
    ["*/0 * * * *", "step of range should be a positive number: */0"],
    ["x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'],
    ["@noon", "unrecognized descriptor: @noon"],
    ["@every day", 'failed to parse duration @every day: time: invalid duration "day"'],
  ])("may not run at %s", (schedule, why) => {
    expect(cronSchedule(schedule)).toEqual([why]);
  });
});
