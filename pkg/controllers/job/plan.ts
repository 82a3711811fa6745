/** Which Pods a Job gets and loses. Pure; what it reports is in status.ts. */
import { backoffMs } from "../../util/backoff.ts";
import { isActive, type ReadonlyPod } from "../workload/pods.ts";
import {
  deadlineOf,
  hasFailed,
  hasPlace,
  indexesOf,
  lastFailures,
  replacesOnlyEnded,
  type Standing,
} from "./assess.ts";
import { firstFree, type Indexes, NO_INDEXES, unionOf, withIndexes } from "./indexes.ts";
import { byProgress, failuresBefore, finishedAt, indexOf, isTracked, type PodSlot } from "./job-pods.ts";
import { judgeFailure } from "./policies.ts";

export interface PodPlan {
  readonly create: readonly PodSlot[];
  readonly delete: readonly ReadonlyPod[];
  /** Those deleted are nobody's fault: they lose the finalizer first, so that none counts as a failure. */
  readonly blameless: boolean;
  /** When a Pod may follow on a failed one, or the Job's time is over; Infinity: nothing to wait for. */
  readonly lookAgainAt: number;
}

/** More than this at once would hold up all else for too long; the next reconcile goes on. */
const BURST = 500;
/** Of the n-th failure in a row: 10 s, 20 s … as documented for Jobs. */
const BACKOFF = { initialMs: 10_000, maxMs: 360_000 };

export function planPods(s: Standing, now: number): PodPlan {
  const nothing: PodPlan = { create: [], delete: [], blameless: false, lookAgainAt: deadlineOf(s.job) };
  if (s.ending) return { ...nothing, delete: s.active, lookAgainAt: Infinity };
  if (s.job.metadata.deletionTimestamp !== undefined) return { ...nothing, lookAgainAt: Infinity };
  const wanted = s.suspended ? 0 : wantedActive(s);
  const surplus = surplusPods(s, wanted).slice(0, BURST);
  if (surplus.length > 0) return { ...nothing, delete: surplus, blameless: true };
  const leaving = replacesOnlyEnded(s.spec) ? s.terminating.length : 0;
  const missing = Math.min(wanted - leaving - s.active.length, BURST);
  if (missing <= 0) return nothing;
  const { create, lookAgainAt } = s.indexed ? indexedSlots(s, missing, now) : plainSlots(s, missing, now);
  return { ...nothing, create, lookAgainAt: Math.min(lookAgainAt, nothing.lookAgainAt) };
}

function wantedActive({ spec, succeeded, active }: Standing): number {
  const { parallelism = 1, completions } = spec;
  // Without a number of completions a success ends the work: what runs may end, nothing new begins.
  if (completions === undefined) return succeeded > 0 ? Math.min(active.length, parallelism) : parallelism;
  return Math.min(Math.max(completions - succeeded, 0), parallelism);
}

/** Beside those too many: Pods without a place, and all but the one furthest on of several with the same. */
function surplusPods(s: Standing, wanted: number): readonly ReadonlyPod[] {
  const sorted = s.active.toSorted(byProgress);
  const misplaced = s.indexed ? misplacedPods(s, sorted) : new Set<ReadonlyPod>();
  const rest = sorted.filter((p) => !misplaced.has(p));
  return [...misplaced, ...rest.slice(0, Math.max(rest.length - wanted, 0))];
}

function misplacedPods(s: Standing, sorted: readonly ReadonlyPod[]): ReadonlySet<ReadonlyPod> {
  const furthest = new Map(sorted.map((p) => [indexOf(p), p]));
  return new Set(sorted.filter((p) => !hasPlace(s.job, p) || furthest.get(indexOf(p)) !== p));
}

type Slots = Pick<PodPlan, "create" | "lookAgainAt">;

function plainSlots(s: Standing, count: number, now: number): Slots {
  const at = nextTryAt(s);
  if (at > now) return { create: [], lookAgainAt: at };
  return { create: Array.from({ length: count }, () => ({})), lookAgainAt: Infinity };
}

function indexedSlots(s: Standing, count: number, now: number): Slots {
  const indexes = firstFree(takenIndexes(s), count, s.spec.completions ?? 0);
  if (!s.failedIndexes) {
    const { create, lookAgainAt } = plainSlots(s, indexes.length, now);
    return { create: create.map((_, i) => ({ index: indexes[i] ?? 0 })), lookAgainAt };
  }
  const last = lastFailures(s);
  const slots = indexes.map((index) => {
    const before = last.get(index);
    return { index, failures: failuresAfter(s, before), at: before ? retryAt(before) : 0 };
  });
  return {
    create: slots.filter(({ at }) => at <= now).map(({ index, failures }) => ({ index, failures })),
    lookAgainAt: Math.min(...slots.map(({ at }) => (at > now ? at : Infinity)), Infinity),
  };
}

function takenIndexes(s: Standing): Indexes {
  const alive = replacesOnlyEnded(s.spec) ? [...s.active, ...s.terminating] : s.active;
  return withIndexes(unionOf(s.completed, s.failedIndexes ?? NO_INDEXES), indexesOf(alive));
}

function failuresAfter(s: Standing, before: ReadonlyPod | undefined): NonNullable<PodSlot["failures"]> {
  if (!before) return { counted: 0, ignored: 0 };
  const { counted, ignored } = failuresBefore(before);
  const ignore = judgeFailure(s.spec.podFailurePolicy, before).action === "Ignore";
  return ignore ? { counted, ignored: ignored + 1 } : { counted: counted + 1, ignored };
}

function retryAt(failed: ReadonlyPod): number {
  const { counted, ignored } = failuresBefore(failed);
  return finishedAt(failed) + backoffMs(counted + ignored + 1, BACKOFF);
}

/**
 * When the next Pod may start: later with every failure since the last success. Read from the Pods themselves, so a
 * controller that starts anew waits as the one before it would have.
 */
function nextTryAt({ job, pods }: Standing): number {
  // Of those deleted, the ones without a finalizer were taken away by this controller itself.
  const ended = pods.filter((p) => !isActive(p) && (isTracked(p) || p.metadata.deletionTimestamp === undefined));
  const lastSuccess = Math.max(...ended.filter((p) => p.status?.phase === "Succeeded").map(finishedAt), 0);
  const failures = ended.filter((p) => hasFailed(job, p)).map(finishedAt);
  const row = failures.filter((at) => at > lastSuccess);
  return row.length === 0 ? 0 : Math.max(...row) + backoffMs(row.length, BACKOFF);
}
