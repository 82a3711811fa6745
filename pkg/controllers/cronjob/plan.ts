/** Which Jobs a CronJob starts and lets go, and what it reports. Pure. */
import type { CronJob, CronJobStatus, Job, ObjectReference } from "../../api/generated/types.ts";
import { nameOf, namespaceOf, uidOf } from "../../api/object.ts";
import { rfc3339 } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { finalConditionOf, isFinished } from "../job/finished.ts";
import type { Schedule } from "./schedule.ts";

type ReadonlyJob = DeepReadonly<Job>;

export interface CronEvent {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

export interface CronPlan {
  /** Too old to be kept, or in the way of the next. */
  readonly delete: readonly ReadonlyJob[];
  /** When the Job to be started was due. */
  readonly start: number | undefined;
  readonly events: readonly CronEvent[];
  /** Infinity: only when something changes. */
  readonly lookAgainAt: number;
}

/** Clocks differ a little: better a moment late than a moment early and then not at all. */
const AFTER_DUE_MS = 100;
const MANY_MISSED = 100;

/** `owned`: its Jobs. `schedule`: undefined where it cannot be read. */
export function planCronJob(
  o: DeepReadonly<CronJob>,
  owned: readonly ReadonlyJob[],
  schedule: Schedule | undefined,
  now: number,
): CronPlan {
  if (o.metadata.deletionTimestamp !== undefined) {
    return { delete: [], start: undefined, events: [], lookAgainAt: Infinity };
  }
  const old = outdated(o, owned);
  const idle: CronPlan = { delete: old, start: undefined, events: [], lookAgainAt: Infinity };
  if (!schedule || o.spec.suspend) return idle;
  const { due, events } = dueTime(o, schedule, now);
  const next = schedule.next(Math.max(due ?? now, now));
  const wait = { ...idle, events, lookAgainAt: next === undefined ? Infinity : next + AFTER_DUE_MS };
  if (due === undefined || owned.some((j) => nameOf(j) === jobName(o, due))) return wait;
  const active = owned.filter((j) => !isFinished(j));
  const policy = o.spec.concurrencyPolicy ?? "Allow";
  if (policy === "Forbid" && active.length > 0) return { ...wait, events: [...events, ALREADY_ACTIVE] };
  return { ...wait, delete: policy === "Replace" ? [...old, ...active] : old, start: due };
}

const ALREADY_ACTIVE: CronEvent = {
  type: "Normal",
  reason: "JobAlreadyActive",
  message: "Not starting job because prior execution is running and concurrency policy is Forbid",
};

interface Due {
  readonly due: number | undefined;
  readonly events: readonly CronEvent[];
}

/** Of all the times missed, only the last one counts; none, if that was too long ago. */
function dueTime(o: DeepReadonly<CronJob>, schedule: Schedule, now: number): Due {
  const { lastScheduleTime = o.metadata.creationTimestamp ?? "" } = o.status ?? {};
  const last = Date.parse(lastScheduleTime) || now;
  const due = schedule.latest(last, now);
  if (due === undefined) return { due, events: [] };
  const { startingDeadlineSeconds } = o.spec;
  const earliest = startingDeadlineSeconds === undefined ? -Infinity : now - startingDeadlineSeconds * 1000;
  if (due < earliest) {
    const message = `Missed scheduled time to start a job: ${rfc1123(due)}`;
    return { due: undefined, events: [{ type: "Warning", reason: "MissSchedule", message }] };
  }
  const many = misses(schedule, Math.max(last, earliest), now) > MANY_MISSED;
  return { due, events: many ? [TOO_MANY_MISSED] : [] };
}

const TOO_MANY_MISSED: CronEvent = {
  type: "Warning",
  reason: "TooManyMissedTimes",
  message: "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew",
};

/** No more are counted than it takes to see that they are many. */
function misses(schedule: Schedule, after: number, until: number): number {
  let count = 0;
  for (let at = schedule.next(after); at !== undefined && at <= until && count <= MANY_MISSED; at = schedule.next(at)) {
    count++;
  }
  return count;
}

/** Go's RFC1123Z, in UTC: `Thu, 01 Jan 2026 00:05:00 +0000`. */
function rfc1123(ms: number): string {
  return new Date(ms).toUTCString().replace("GMT", "+0000");
}

/** The same for the same time, so that none is started twice: the name is the lock. */
export function jobName(o: DeepReadonly<CronJob>, due: number): string {
  return `${nameOf(o)}-${Math.floor(due / 60_000)}`;
}

/** Beyond what is to be kept, those that began first. */
function outdated({ spec }: DeepReadonly<CronJob>, owned: readonly ReadonlyJob[]): readonly ReadonlyJob[] {
  const limits = [
    ["Complete", spec.successfulJobsHistoryLimit],
    ["Failed", spec.failedJobsHistoryLimit],
  ] as const;
  return limits.flatMap(([type, limit = Infinity]) => {
    const ended = owned.filter((j) => finalConditionOf(j)?.type === type).toSorted(byStart);
    return ended.slice(0, Math.max(ended.length - limit, 0));
  });
}

function byStart(a: ReadonlyJob, b: ReadonlyJob): number {
  const [x, y] = [a, b].map((j) => Date.parse(j.status?.startTime ?? "") || Infinity) as [number, number];
  return x === y ? (nameOf(a) < nameOf(b) ? -1 : 1) : x - y;
}

export interface CronReport {
  readonly status: CronJobStatus;
  readonly events: readonly CronEvent[];
}

/** `started`: when the Job just started was due. Its Jobs tell the rest, whatever an earlier status says. */
export function reportOf(
  o: DeepReadonly<CronJob>,
  owned: readonly ReadonlyJob[],
  started: number | undefined,
): CronReport {
  const old = o.status ?? {};
  const active = owned
    .filter((j) => !isFinished(j))
    .map(referenceTo)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const successes = owned.filter((j) => finalConditionOf(j)?.type === "Complete");
  const lastSuccess = latestOf([old.lastSuccessfulTime, ...successes.map((j) => j.status?.completionTime)]);
  const lastSchedule = latestOf([old.lastScheduleTime, started === undefined ? undefined : rfc3339(started)]);
  const status: CronJobStatus = {
    ...(active.length > 0 && { active }),
    ...(lastSchedule && { lastScheduleTime: lastSchedule }),
    ...(lastSuccess && { lastSuccessfulTime: lastSuccess }),
  };
  return { status, events: (old.active ?? []).flatMap((ref) => ended(ref, owned)) };
}

function ended(ref: DeepReadonly<ObjectReference>, owned: readonly ReadonlyJob[]): readonly CronEvent[] {
  const job = owned.find((j) => uidOf(j) === ref.uid);
  if (!job) return [{ type: "Normal", reason: "MissingJob", message: `Active job went missing: ${ref.name ?? ""}` }];
  const final = finalConditionOf(job);
  if (!final) return [];
  const message = `Saw completed job: ${nameOf(job)}, condition: ${final.type}`;
  return [{ type: "Normal", reason: "SawCompletedJob", message }];
}

/** Without a revision: it would change with every step of the Job. */
function referenceTo(job: ReadonlyJob) {
  const [name, namespace, uid] = [nameOf(job), namespaceOf(job), uidOf(job)];
  return { apiVersion: "batch/v1", kind: "Job", name, namespace, uid };
}

/** RFC 3339 in UTC sorts as text. */
function latestOf(times: readonly (string | undefined)[]): string | undefined {
  return times.reduce((last, t) => (t !== undefined && (last === undefined || t > last) ? t : last), undefined);
}
