/** What a Deployment reports: its counts, whether it has enough, and how its roll-out goes. Pure. */
import type { DeploymentCondition, DeploymentStatus, ReplicaSetStatus } from "../../api/generated/types.ts";
import { nameOf } from "../../api/object.ts";
import { condition } from "../../api/pod.ts";
import { rfc3339 } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { nonZero, withoutCondition } from "../workload/conditions.ts";
import {
  desiredOf,
  type Family,
  isComplete,
  type Mode,
  type ReadonlyDeployment,
  type ReadonlyReplicaSet,
  replicasOf,
} from "./family.ts";
import { limitsOf } from "./sizes.ts";

type Status = DeepReadonly<DeploymentStatus>;
type Conditions = readonly DeepReadonly<DeploymentCondition>[];

/** What has just been done. */
export interface Done {
  readonly mode: Mode;
  /** The name of a new ReplicaSet. */
  readonly created?: string;
  /** Why there is none. */
  readonly failure?: string;
}

export interface Report {
  readonly status: DeploymentStatus;
  /** When the roll-out will have taken too long; Infinity: nothing to wait for. */
  readonly lookAgainAt: number;
}

/** No deadline at all, as Kubernetes reads this number. */
const NO_DEADLINE = 2 ** 31 - 1;

/** `family`: as it is after what was done. */
export function reportOf(d: ReadonlyDeployment, family: Family, done: Done, now: number): Report {
  const counts = countsOf(d, family);
  const noted = available(d, counts, beginning(d, family, done, now), now);
  const rollout = done.mode === "rollout" && done.failure === undefined;
  const conditions = rollout ? withFailures(progress(d, family, counts, noted, now), family, now) : noted;
  const status = { ...counts, ...(conditions.length > 0 && { conditions: [...conditions] }) };
  return { status, lookAgainAt: rollout ? deadlineOf(d, counts, conditions) : Infinity };
}

function countsOf(d: ReadonlyDeployment, { next, olds }: Family): DeploymentStatus {
  const sets = next ? [...olds, next] : olds;
  const sum = (field: CountField) => sets.reduce((n, rs) => n + (rs.status?.[field] ?? 0), 0);
  const availableReplicas = sum("availableReplicas");
  const wanted = sets.reduce((n, rs) => n + replicasOf(rs), 0);
  return {
    ...nonZero({
      observedGeneration: d.metadata.generation ?? 0,
      replicas: sum("replicas"),
      updatedReplicas: next?.status?.replicas ?? 0,
      readyReplicas: sum("readyReplicas"),
      availableReplicas,
      unavailableReplicas: Math.max(0, wanted - availableReplicas),
    }),
    terminatingReplicas: sum("terminatingReplicas"),
    ...(d.status?.collisionCount !== undefined && { collisionCount: d.status.collisionCount }),
  };
}

type CountField = Exclude<keyof ReplicaSetStatus, "conditions">;

const PROGRESSING = "Progressing";
const COMPLETE = "NewReplicaSetAvailable";
const TIMED_OUT = "ProgressDeadlineExceeded";
const PAUSED = "DeploymentPaused";
const FAILURE = "ReplicaFailure";

/** What the roll-out's clock starts from: a new ReplicaSet, a pause and its end. */
function beginning(d: ReadonlyDeployment, { next }: Family, done: Done, now: number): Conditions {
  const { mode, created, failure } = done;
  const old = d.status?.conditions ?? [];
  if (!hasDeadline(d)) return mode === "rollout" ? withoutCondition(old, PROGRESSING) : old;
  if (mode === "leaving") return old;
  const set = (list: Conditions, status: string, reason: string, message: string) =>
    withProgress(list, { type: PROGRESSING, status, reason, message }, now);
  let list = old;
  const reason = condition(old, PROGRESSING)?.reason;
  // A roll-out that has failed is not made good by a pause.
  if (mode === "paused" && reason !== TIMED_OUT) list = set(list, "Unknown", PAUSED, "Deployment is paused");
  if (mode !== "paused" && reason === PAUSED) list = set(list, "Unknown", "DeploymentResumed", "Deployment is resumed");
  if (failure !== undefined) return set(list, "False", "ReplicaSetCreateError", failure);
  if (created !== undefined) {
    return set(list, "True", "NewReplicaSetCreated", `Created new replica set "${created}"`);
  }
  if (!next || condition(list, PROGRESSING)) return list;
  return set(list, "True", "FoundNewReplicaSet", `Found new replica set "${nameOf(next)}"`);
}

function available(d: ReadonlyDeployment, counts: Status, list: Conditions, now: number): Conditions {
  const { desired, maxUnavailable } = limitsOf(desiredOf(d), d.spec?.strategy);
  const enough = (counts.availableReplicas ?? 0) >= desired - maxUnavailable;
  const next = enough
    ? { status: "True", reason: "MinimumReplicasAvailable", message: "Deployment has minimum availability." }
    : {
        status: "False",
        reason: "MinimumReplicasUnavailable",
        message: "Deployment does not have minimum availability.",
      };
  return withProgress(list, { type: "Available", ...next }, now);
}

function progress(d: ReadonlyDeployment, { next }: Family, counts: Status, list: Conditions, now: number): Conditions {
  const current = condition(list, PROGRESSING);
  const wasComplete = current?.reason === COMPLETE && (counts.replicas ?? 0) === (counts.updatedReplicas ?? 0);
  if (!hasDeadline(d) || wasComplete) return list;
  const who = next ? `ReplicaSet "${nameOf(next)}"` : `Deployment "${nameOf(d)}"`;
  const set = (status: string, reason: string, does: string, restarts = false) => {
    const changed = { type: PROGRESSING, status, reason, message: `${who} ${does}.` };
    return withProgress(list, changed, now, restarts);
  };
  if (isComplete(d, counts)) return set("True", COMPLETE, "has successfully progressed");
  if (hasProgressed(d.status ?? {}, counts)) return set("True", "ReplicaSetUpdated", "is progressing", true);
  if (isTimedOut(d, current, now)) return set("False", TIMED_OUT, "has timed out progressing");
  return list;
}

/** More new Pods, fewer old ones, more ready or available ones. */
function hasProgressed(before: Status, after: Status): boolean {
  const olds = (s: Status) => (s.replicas ?? 0) - (s.updatedReplicas ?? 0);
  const more = (field: "updatedReplicas" | "readyReplicas" | "availableReplicas") =>
    (after[field] ?? 0) > (before[field] ?? 0);
  return more("updatedReplicas") || olds(after) < olds(before) || more("readyReplicas") || more("availableReplicas");
}

type Current = DeepReadonly<DeploymentCondition> | undefined;

function isTimedOut(d: ReadonlyDeployment, current: Current, now: number): boolean {
  // After a success the clock has not yet been started again.
  if (!current || current.reason === COMPLETE) return false;
  return current.reason === TIMED_OUT || deadlineAfter(d, current) < now;
}

function deadlineOf(d: ReadonlyDeployment, counts: Status, list: Conditions): number {
  const current = condition(list, PROGRESSING);
  const over = !current || current.reason === COMPLETE || current.reason === TIMED_OUT || isComplete(d, counts);
  // Times are written in seconds: a moment later it is past for sure.
  return over || !hasDeadline(d) ? Infinity : deadlineAfter(d, current) + 1_000;
}

const deadlineAfter = (d: ReadonlyDeployment, current: NonNullable<Current>) =>
  (Date.parse(current.lastUpdateTime ?? "") || 0) + (d.spec?.progressDeadlineSeconds ?? 0) * 1_000;

function hasDeadline({ spec }: ReadonlyDeployment): boolean {
  return spec?.progressDeadlineSeconds !== undefined && spec.progressDeadlineSeconds !== NO_DEADLINE;
}

/** Why Pods cannot be made or removed is said by the ReplicaSet; that of the newest counts first. */
function withFailures(list: Conditions, { next, olds }: Family, now: number): Conditions {
  const failureOf = (rs: ReadonlyReplicaSet) => condition(rs.status?.conditions, FAILURE);
  const failure = (next && failureOf(next)) ?? olds.map(failureOf).find((c) => c !== undefined);
  if (!failure) return withoutCondition(list, FAILURE);
  const { lastTransitionTime = rfc3339(now), ...said } = failure;
  const old = condition(list, FAILURE);
  if (old?.status === said.status && old.reason === said.reason) return list;
  const times = { lastUpdateTime: lastTransitionTime, lastTransitionTime };
  return [...withoutCondition(list, FAILURE), { ...said, ...times }];
}

/**
 * The same status for the same reason stays as it is, its message included: `lastUpdateTime` is what a deadline counts
 * from. `restarts`: it is news even so.
 */
function withProgress(list: Conditions, next: DeploymentCondition, now: number, restarts = false): Conditions {
  const old = condition(list, next.type);
  if (old?.status === next.status && old.reason === next.reason && !restarts) return list;
  const lastUpdateTime = rfc3339(now);
  const lastTransitionTime = (old?.status === next.status && old.lastTransitionTime) || lastUpdateTime;
  return [...withoutCondition(list, next.type), { ...next, lastUpdateTime, lastTransitionTime }];
}
