/** How a Job stands: what has ended, what counts, and whether its end has come. Pure. */
import type { Job, JobSpec, JobStatus } from "../../api/generated/types.ts";
import { condition, isTerminal } from "../../api/pod.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { isActive, type ReadonlyPod } from "../workload/pods.ts";
import { countIn, hasIndex, type Indexes, NO_INDEXES, parseIndexes, withIndexes } from "./indexes.ts";
import { failuresBefore, indexOf, isTracked } from "./job-pods.ts";
import { judgeFailure, matchSuccess } from "./policies.ts";

/** Why a Job ends: said before its last Pods are gone, so that whoever waits for it knows early. */
export interface Ending {
  readonly type: "SuccessCriteriaMet" | "FailureTarget";
  readonly reason: string;
  readonly message: string;
}

export interface Standing {
  readonly job: DeepReadonly<Job>;
  readonly spec: DeepReadonly<JobSpec>;
  readonly status: DeepReadonly<JobStatus>;
  /** All Pods it owns. */
  readonly pods: readonly ReadonlyPod[];
  readonly active: readonly ReadonlyPod[];
  readonly terminating: readonly ReadonlyPod[];
  readonly indexed: boolean;
  readonly suspended: boolean;
  /** Every success, counted in the status or about to be. */
  readonly succeeded: number;
  readonly completed: Indexes;
  /** Undefined: indexes have no limit of their own. */
  readonly failedIndexes: Indexes | undefined;
  readonly ending: Ending | undefined;
}

export function standingOf(job: DeepReadonly<Job>, pods: readonly ReadonlyPod[], now: number): Standing {
  const spec: DeepReadonly<JobSpec> = job.spec ?? { template: {} };
  const status = job.status ?? {};
  const indexed = spec.completionMode === "Indexed";
  const succeededPods = uncountedYet(job, pods).filter((p) => p.status?.phase === "Succeeded");
  const known = parseIndexes(status.completedIndexes, spec.completions ?? Infinity);
  const completed = indexed ? withIndexes(known, indexesOf(succeededPods)) : NO_INDEXES;
  const counted = (status.succeeded ?? 0) + (status.uncountedTerminatedPods?.succeeded?.length ?? 0);
  const s: Omit<Standing, "ending"> = {
    job,
    spec,
    status,
    pods,
    active: pods.filter(isActive),
    terminating: pods.filter((p) => p.metadata.deletionTimestamp !== undefined && !isTerminal(p)),
    indexed,
    suspended: spec.suspend === true,
    succeeded: indexed ? countIn(completed) : counted + succeededPods.length,
    completed,
    failedIndexes: spec.backoffLimitPerIndex === undefined ? undefined : failedIndexes(job, pods),
  };
  return { ...s, ending: said(s) ?? failure(s, now) ?? success(s) };
}

/**
 * Whether the Pod counts as a failure. One that is only asked to end does too, for it may never say how it ended; unless
 * it must be known how, before another takes its place. Then only one that never had a node counts: it will not tell.
 */
export function hasFailed(job: DeepReadonly<Job>, pod: ReadonlyPod): boolean {
  if (isTerminal(pod)) return pod.status?.phase === "Failed";
  return pod.metadata.deletionTimestamp !== undefined && !(replacesOnlyEnded(job.spec) && pod.spec?.nodeName);
}

export function replacesOnlyEnded(spec: DeepReadonly<JobSpec> | undefined): boolean {
  return spec?.podReplacementPolicy === "Failed" || spec?.podFailurePolicy !== undefined;
}

/** Of an indexed Job, a Pod without a place in it counts for nothing. */
export function hasPlace({ spec }: DeepReadonly<Job>, pod: ReadonlyPod): boolean {
  return spec?.completionMode !== "Indexed" || (indexOf(pod) ?? Infinity) < (spec.completions ?? 0);
}

/** Still to be looked at: not yet in the status, neither by count nor by name. */
function uncountedYet(job: DeepReadonly<Job>, pods: readonly ReadonlyPod[]): readonly ReadonlyPod[] {
  const { succeeded = [], failed = [] } = job.status?.uncountedTerminatedPods ?? {};
  const named = new Set([...succeeded, ...failed]);
  return pods.filter((p) => isTracked(p) && !named.has(p.metadata.uid ?? "") && hasPlace(job, p));
}

export function indexesOf(pods: readonly ReadonlyPod[]): readonly number[] {
  return pods.flatMap((p) => indexOf(p) ?? []);
}

function failedIndexes(job: DeepReadonly<Job>, pods: readonly ReadonlyPod[]): Indexes {
  const { backoffLimitPerIndex = 0, podFailurePolicy, completions = 0 } = job.spec ?? {};
  const newly = pods.filter((p) => {
    if (!isTracked(p) || !hasPlace(job, p) || !hasFailed(job, p)) return false;
    const { action } = judgeFailure(podFailurePolicy, p);
    return action === "FailIndex" || (action !== "Ignore" && failuresBefore(p).counted >= backoffLimitPerIndex);
  });
  return withIndexes(parseIndexes(job.status?.failedIndexes, completions), indexesOf(newly));
}

/** What was said stays said. */
function said({ status }: Pick<Standing, "status">): Ending | undefined {
  for (const type of ["SuccessCriteriaMet", "FailureTarget"] as const) {
    const found = condition(status.conditions, type);
    if (found?.status === "True") return { type, reason: found.reason ?? "", message: found.message ?? "" };
  }
  return undefined;
}

function failure(s: Omit<Standing, "ending">, now: number): Ending | undefined {
  const [reason, message] = failureReason(s, now) ?? [];
  return reason && message ? { type: "FailureTarget", reason, message } : undefined;
}

function failureReason(s: Omit<Standing, "ending">, now: number): readonly [string, string] | undefined {
  const { spec, job, failedIndexes: lost } = s;
  const forbidden = failJobMessage(s);
  if (forbidden !== undefined) return ["PodFailurePolicy", forbidden];
  if (failures(s) > (spec.backoffLimit ?? 6) || restartsTooOften(s)) {
    return ["BackoffLimitExceeded", "Job has reached the specified backoff limit"];
  }
  if (deadlineOf(job) <= now) return ["DeadlineExceeded", "Job was active longer than specified deadline"];
  if (!lost || lost.length === 0) return undefined;
  if (countIn(lost) > (spec.maxFailedIndexes ?? Infinity)) {
    return ["MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"];
  }
  const ended = countIn(lost) + countIn(s.completed);
  return ended >= (spec.completions ?? Infinity) ? ["FailedIndexes", "Job has failed indexes"] : undefined;
}

function failJobMessage({ job, spec, pods }: Omit<Standing, "ending">): string | undefined {
  if (!spec.podFailurePolicy) return undefined;
  for (const pod of pods) {
    const message = hasFailed(job, pod) ? judgeFailure(spec.podFailurePolicy, pod).message : undefined;
    if (message !== undefined) return message;
  }
  return undefined;
}

/** All that count against the limit, counted in the status or about to be. */
function failures({ job, spec, status, pods }: Omit<Standing, "ending">): number {
  const newly = uncountedYet(job, pods).filter(
    (p) => hasFailed(job, p) && judgeFailure(spec.podFailurePolicy, p).action !== "Ignore",
  );
  return (status.failed ?? 0) + (status.uncountedTerminatedPods?.failed?.length ?? 0) + newly.length;
}

/** Where containers are restarted in their Pods, restarts are the failures. */
function restartsTooOften({ spec, pods }: Omit<Standing, "ending">): boolean {
  if (spec.template.spec?.restartPolicy !== "OnFailure") return false;
  const alive = pods.filter((p) => !isTerminal(p));
  const statuses = alive.flatMap((p) => [
    ...(p.status?.initContainerStatuses ?? []),
    ...(p.status?.containerStatuses ?? []),
  ]);
  const restarts = statuses.reduce((sum, c) => sum + c.restartCount, 0);
  return restarts > 0 && restarts >= (spec.backoffLimit ?? 6);
}

/** In milliseconds; Infinity: none, or its clock stands still. */
export function deadlineOf({ spec, status }: DeepReadonly<Job>): number {
  const { activeDeadlineSeconds } = spec ?? {};
  if (activeDeadlineSeconds === undefined || status?.startTime === undefined || spec?.suspend) return Infinity;
  return Date.parse(status.startTime) + activeDeadlineSeconds * 1000;
}

function success(s: Omit<Standing, "ending">): Ending | undefined {
  const { completions } = s.spec;
  const type = "SuccessCriteriaMet";
  const matched = s.indexed ? matchSuccess(s.spec.successPolicy, s.completed, completions ?? 0) : undefined;
  if (matched !== undefined) return { type, reason: "SuccessPolicy", message: matched };
  // Without a number, one success says that the work is done; those that still run may finish.
  const enough = completions === undefined ? s.succeeded > 0 : s.succeeded >= completions;
  if (!enough || s.active.length > 0) return undefined;
  return { type, reason: "CompletionsReached", message: "Reached expected number of succeeded pods" };
}

/** Of an index whose last Pod has failed, that Pod: it is kept until its successor has taken over how often that was. */
export function lastFailures(s: Standing): ReadonlyMap<number, ReadonlyPod> {
  const last = new Map<number, ReadonlyPod>();
  if (!s.failedIndexes) return last;
  const running = new Set(indexesOf(s.active));
  const total = (p: ReadonlyPod) => failuresBefore(p).counted + failuresBefore(p).ignored;
  for (const pod of s.pods) {
    const index = indexOf(pod);
    if (index === undefined || !isTracked(pod) || !hasPlace(s.job, pod) || !hasFailed(s.job, pod)) continue;
    if (running.has(index) || hasIndex(s.completed, index) || hasIndex(s.failedIndexes, index)) continue;
    const other = last.get(index);
    if (!other || total(other) <= total(pod)) last.set(index, pod);
  }
  return last;
}
