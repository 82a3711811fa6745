/**
 * What a Job reports, and which Pods it is done with. Pure.
 *
 *  J1  Every Pod that ends counts exactly once, whenever the controller dies. First its uid is written into
 *      `uncountedTerminatedPods`; then its finalizer goes; then the uid becomes a count. Who comes after a crash sees by
 *      uid and finalizer which of the three is next. (An index that is complete needs no uid: it cannot count twice.)
 *  J2  What decides a Job's end is written before any finalizer goes: the proof may go with the Pod.
 *  J3  A Job has ended only when no Pod of it is left running, terminating or uncounted.
 */
import type { JobCondition, JobStatus } from "../../api/generated/types.ts";
import { condition, isReady } from "../../api/pod.ts";
import { rfc3339 } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ReadonlyPod } from "../workload/pods.ts";
import { type Ending, hasFailed, hasPlace, lastFailures, type Standing } from "./assess.ts";
import { formatIndexes } from "./indexes.ts";
import { isTracked } from "./job-pods.ts";
import { judgeFailure } from "./policies.ts";

export interface JobEvent {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

export interface Report {
  readonly status: JobStatus;
  /** To lose their finalizer once the status is written. */
  readonly release: readonly ReadonlyPod[];
  /** To be told once the status is written. */
  readonly events: readonly JobEvent[];
}

/** Keeps the uids in a status below some 20 KB. */
const MAX_UNCOUNTED = 500;

export function reportOf(s: Standing, now: number): Report {
  const { counts, waiting, release } = countPods(s);
  const pause = s.ending || s.job.metadata.deletionTimestamp !== undefined ? undefined : pauseOf(s, now);
  const final = finalCondition(s, waiting, release, now);
  const added = [...(newEnding(s, now) ?? []), ...(final ? [final] : [])];
  const conditions = [...(pause?.conditions ?? s.status.conditions ?? []), ...added];
  const startTime = pause?.startTime ?? s.status.startTime ?? (s.suspended ? undefined : rfc3339(now));
  // Absent fields are absent, not zero or empty: what is left of the old status is replaced whole.
  const status: JobStatus = {
    ...(s.active.length > 0 && { active: s.active.length }),
    ...(s.indexed && s.completed.length > 0 && { completedIndexes: formatIndexes(s.completed) }),
    ...(final?.type === "Complete" && { completionTime: rfc3339(now) }),
    ...(conditions.length > 0 && { conditions: conditions.map((c) => ({ ...c })) }),
    ...(counts.failed > 0 && { failed: counts.failed }),
    ...(s.failedIndexes && { failedIndexes: formatIndexes(s.failedIndexes) }),
    ready: s.active.filter(isReady).length,
    ...(startTime !== undefined && { startTime }),
    ...(counts.succeeded > 0 && { succeeded: counts.succeeded }),
    terminating: s.terminating.length,
    uncountedTerminatedPods: waiting,
  };
  return { status, release, events: [...(pause?.events ?? []), ...eventsOf(s, final, counts.succeeded)] };
}

type Uncounted = NonNullable<JobStatus["uncountedTerminatedPods"]>;

interface Counted {
  readonly counts: { readonly succeeded: number; readonly failed: number };
  readonly waiting: Uncounted;
  readonly release: readonly ReadonlyPod[];
}

/** See J1. */
function countPods(s: Standing): Counted {
  const tracked = s.pods.filter(isTracked);
  const held = new Set(tracked.map((p) => p.metadata.uid));
  const { succeeded = [], failed = [] } = s.status.uncountedTerminatedPods ?? {};
  const still = { succeeded: succeeded.filter((uid) => held.has(uid)), failed: failed.filter((uid) => held.has(uid)) };
  const counts = {
    succeeded: s.indexed ? s.succeeded : (s.status.succeeded ?? 0) + succeeded.length - still.succeeded.length,
    failed: (s.status.failed ?? 0) + failed.length - still.failed.length,
  };
  const known = new Set([...still.succeeded, ...still.failed]);
  const release: ReadonlyPod[] = [];
  const kept = new Set(lastFailures(s).values());
  for (const pod of tracked) {
    if (known.size >= MAX_UNCOUNTED || release.length >= MAX_UNCOUNTED) break;
    if (!mayGo(s, pod, kept)) continue;
    release.push(pod);
    const [uid = "", list] = [pod.metadata.uid, listFor(s, pod)];
    if (!list || known.has(uid)) continue;
    known.add(uid);
    still[list].push(uid);
  }
  const waiting: Uncounted = {
    ...(still.failed.length > 0 && { failed: still.failed }),
    ...(still.succeeded.length > 0 && { succeeded: still.succeeded }),
  };
  return { counts, waiting, release };
}

/** Whether the Pod is done with, so far as the Job is concerned. */
function mayGo(s: Standing, pod: ReadonlyPod, kept: ReadonlySet<ReadonlyPod>): boolean {
  if (s.ending || s.job.metadata.deletionTimestamp !== undefined || pod.status?.phase === "Succeeded") return true;
  return hasFailed(s.job, pod) && !kept.has(pod);
}

/** As what the Pod is to be counted; undefined: as nothing. */
function listFor(s: Standing, pod: ReadonlyPod): "succeeded" | "failed" | undefined {
  if (!hasPlace(s.job, pod)) return undefined;
  if (pod.status?.phase === "Succeeded") return s.indexed ? undefined : "succeeded";
  // Those that a success made superfluous have not failed; those that a failure ended have.
  const success = s.ending?.type === "SuccessCriteriaMet";
  const counts = success ? pod.status?.phase === "Failed" : s.ending !== undefined || hasFailed(s.job, pod);
  const ignored = judgeFailure(s.spec.podFailurePolicy, pod).action === "Ignore";
  return counts && !ignored ? "failed" : undefined;
}

function conditionNow(
  type: string,
  status: string,
  { reason, message }: { reason: string; message: string },
  now: number,
): JobCondition {
  return { type, status, reason, message, lastProbeTime: rfc3339(now), lastTransitionTime: rfc3339(now) };
}

/** See J2. */
function newEnding({ ending, status }: Standing, now: number): readonly JobCondition[] | undefined {
  if (!ending || condition(status.conditions, ending.type)) return undefined;
  return [conditionNow(ending.type, "True", ending, now)];
}

/** See J3; and only after its ending has been written. */
function finalCondition(
  { ending, status, active, terminating }: Standing,
  waiting: Uncounted,
  release: readonly ReadonlyPod[],
  now: number,
): JobCondition | undefined {
  if (!ending || !condition(status.conditions, ending.type)) return undefined;
  const left = active.length + terminating.length + release.length + Object.keys(waiting).length;
  return left > 0 ? undefined : conditionNow(FINAL[ending.type], "True", ending, now);
}

const FINAL: Readonly<Record<Ending["type"], string>> = { SuccessCriteriaMet: "Complete", FailureTarget: "Failed" };

interface Pause {
  readonly conditions: readonly DeepReadonly<JobCondition>[];
  readonly startTime?: string;
  readonly events: readonly JobEvent[];
}

/** Undefined: what the status says of it is still so. */
function pauseOf({ status, suspended }: Standing, now: number): Pause | undefined {
  const old = condition(status.conditions, "Suspended");
  if (suspended === (old?.status === "True")) return undefined;
  const [reason, message] = suspended ? ["JobSuspended", "Job suspended"] : ["JobResumed", "Job resumed"];
  const next = conditionNow("Suspended", suspended ? "True" : "False", { reason, message }, now);
  const others = (status.conditions ?? []).map((c) => (c === old ? next : c));
  return {
    conditions: old ? others : [...others, next],
    // Its time begins anew: a deadline is about being active without a break.
    ...(!suspended && { startTime: rfc3339(now) }),
    events: [{ type: "Normal", reason: suspended ? "Suspended" : "Resumed", message }],
  };
}

function eventsOf(s: Standing, final: JobCondition | undefined, succeeded: number): readonly JobEvent[] {
  if (!final) return [];
  if (final.type === "Failed") return [{ type: "Warning", reason: final.reason ?? "", message: final.message ?? "" }];
  const tooMany: JobEvent = {
    type: "Warning",
    reason: "TooManySucceededPods",
    message: "Too many succeeded pods running after completion count reached",
  };
  const completed: JobEvent = { type: "Normal", reason: "Completed", message: "Job completed" };
  return succeeded > (s.spec.completions ?? Infinity) ? [tooMany, completed] : [completed];
}
