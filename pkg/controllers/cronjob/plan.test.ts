import { describe, expect, test } from "@jest/globals";
import type { CronJob, CronJobSpec, CronJobStatus, Job } from "../../api/generated/types.ts";
import { rfc3339 } from "../../util/clock.ts";
import { planCronJob, reportOf } from "./plan.ts";
import { parseSchedule } from "./schedule.ts";

/** Thirty seconds past the hour. */
const NOW = Date.UTC(2026, 0, 1, 12, 0, 30);
const HOUR = 3_600_000;
const DUE = NOW - 30_000;
const nameAt = (ms: number) => `cj-${ms / 60_000}`;

function cronJob(spec: Partial<CronJobSpec> = {}, status: CronJobStatus = {}, metadata: object = {}): CronJob {
  return {
    metadata: { name: "cj", namespace: "default", creationTimestamp: rfc3339(NOW - HOUR / 2), ...metadata },
    spec: { schedule: "0 * * * *", jobTemplate: { spec: { template: {} } }, concurrencyPolicy: "Allow", ...spec },
    status,
  };
}

/** Started that many hours ago; `ended`: how. */
function job(hoursAgo: number, ended?: "Complete" | "Failed"): Job {
  const at = DUE - hoursAgo * HOUR;
  const done = rfc3339(at + 60_000);
  return {
    metadata: { name: nameAt(at), namespace: "default", uid: `u${hoursAgo}` },
    status: {
      startTime: rfc3339(at),
      ...(ended && { conditions: [{ type: ended, status: "True" }] }),
      ...(ended === "Complete" && { completionTime: done }),
    },
  };
}

describe("a CronJob's plan", () => {
  test.each<[string, CronJob, Job[], { start?: number; gone?: string[]; events?: string[] }]>([
    ["what is due starts", cronJob(), [], { start: DUE }],
    ["what has started does not start again", cronJob({}, { lastScheduleTime: rfc3339(DUE) }), [], {}],
    ["nor when only its Job tells that it has", cronJob(), [job(0)], {}],
    ["nothing is due before it was created", cronJob({}, {}, { creationTimestamp: rfc3339(DUE + 1_000) }), [], {}],
    ["nothing while suspended", cronJob({ suspend: true }), [], {}],
    ["nothing when it goes", cronJob({}, {}, { deletionTimestamp: rfc3339(NOW) }), [job(5, "Failed")], {}],
    ["beside one that runs", cronJob(), [job(1)], { start: DUE }],
    ["not beside one that runs", cronJob({ concurrencyPolicy: "Forbid" }), [job(1)], { events: ["JobAlreadyActive"] }],
    ["after one that ran", cronJob({ concurrencyPolicy: "Forbid" }), [job(1, "Failed")], { start: DUE }],
    [
      "in the place of one that runs",
      cronJob({ concurrencyPolicy: "Replace" }),
      [job(1)],
      { start: DUE, gone: ["u1"] },
    ],
    ["too late", cronJob({ startingDeadlineSeconds: 20 }), [], { events: ["MissSchedule"] }],
    ["just in time", cronJob({ startingDeadlineSeconds: 30 }), [], { start: DUE }],
    [
      "of many missed the last one, with a warning",
      cronJob({}, { lastScheduleTime: rfc3339(DUE - 200 * HOUR) }),
      [],
      { start: DUE, events: ["TooManyMissedTimes"] },
    ],
    ["of some missed the last one", cronJob({}, { lastScheduleTime: rfc3339(DUE - 90 * HOUR) }), [], { start: DUE }],
    [
      "of those that have ended the oldest go",
      cronJob({ suspend: true, successfulJobsHistoryLimit: 1, failedJobsHistoryLimit: 0 }),
      [job(1, "Complete"), job(3, "Complete"), job(2, "Complete"), job(4, "Failed"), job(5)],
      { gone: ["u3", "u2", "u4"] },
    ],
  ])("%s", (_, o, owned, { start, gone = [], events = [] }) => {
    const plan = planCronJob(o, owned, parseSchedule(o.spec.schedule), NOW);
    expect(plan.start).toBe(start);
    expect(plan.delete.map((j) => j.metadata.uid)).toEqual(gone);
    expect(plan.events.map((e) => e.reason)).toEqual(events);
    const idle = o.spec.suspend === true || o.metadata.deletionTimestamp !== undefined;
    expect(plan.lookAgainAt).toBe(idle ? Infinity : DUE + HOUR + 100);
  });

  test("reports what runs, and what it has seen end or vanish", () => {
    const active = ["u1", "u2", "u9"].map((uid) => ({ uid, name: `cj-${uid}` }));
    const o = cronJob(
      {},
      { active, lastSuccessfulTime: rfc3339(DUE - 9 * HOUR), lastScheduleTime: rfc3339(DUE - HOUR) },
    );
    const { status, events } = reportOf(o, [job(0), job(1), job(2, "Complete")], DUE);
    expect(status.active?.map((r) => r.uid)).toEqual(["u1", "u0"]);
    expect(status.lastScheduleTime).toBe(rfc3339(DUE));
    expect(status.lastSuccessfulTime).toBe(rfc3339(DUE - 2 * HOUR + 60_000));
    expect(events.map((e) => e.message)).toEqual([
      `Saw completed job: ${nameAt(DUE - 2 * HOUR)}, condition: Complete`,
      "Active job went missing: cj-u9",
    ]);
  });
});
