/** So many replicas as wanted, each with its own ordinal: what to create, to delete or to mend next. Pure. */
import type { StatefulSetStatus } from "../../api/generated/types.ts";
import { nameOf } from "../../api/object.ts";
import { isReady, isTerminal } from "../../api/pod.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { nonZero } from "../workload/conditions.ts";
import { availableAt, isAvailable, type ReadonlyPod } from "../workload/pods.ts";
import { shareOf } from "../workload/share.ts";
import { identityLabels, ordinalOf, type ReadonlySet, revisionOf } from "./identity.ts";

export interface Wanted {
  readonly name: string;
  /** The first ordinal. */
  readonly start: number;
  readonly replicas: number;
  /** One after the other, each only when all before it are available. */
  readonly ordered: boolean;
  readonly minReadySeconds: number;
  /** Old Pods are replaced without being asked. */
  readonly rolling: boolean;
  /** So many of the first replicas keep the current revision; undefined: those that have it. */
  readonly partition: number | undefined;
  readonly maxUnavailable: number;
  /** Names of revisions: of what is rolled out, and of what was there before. */
  readonly update: string;
  readonly current: string;
  readonly collisionCount: number;
  readonly generation: number;
  readonly status: DeepReadonly<StatefulSetStatus> | undefined;
}

export type Step =
  | { readonly do: "create"; readonly ordinal: number; readonly revision: string; readonly reason: "ReplicaMissing" }
  | { readonly do: "delete"; readonly pod: ReadonlyPod; readonly reason: DeleteReason }
  /** Its labels no longer say who it is. */
  | { readonly do: "mend"; readonly pod: ReadonlyPod; readonly ordinal: number; readonly reason: "IdentityChanged" };

type DeleteReason = "PodEnded" | "ScaledDown" | "OutdatedRevision" | "AbandonedRevision";

export interface StatefulSetPlan {
  readonly steps: readonly Step[];
  readonly status: StatefulSetStatus;
  /** When a Pod that is ready becomes available; Infinity: nothing to wait for. */
  readonly lookAgainAt: number;
}

/** `kept`: names of the revisions there are. */
export function wantedOf(
  set: ReadonlySet,
  h: { readonly update: string; readonly kept: readonly string[]; readonly collisionCount: number },
): Wanted {
  const { spec, status } = set;
  const replicas = spec?.replicas ?? 1;
  const rolling = spec?.updateStrategy?.rollingUpdate;
  const current = status?.currentRevision ?? "";
  return {
    name: nameOf(set),
    start: spec?.ordinals?.start ?? 0,
    replicas,
    ordered: spec?.podManagementPolicy !== "Parallel",
    minReadySeconds: spec?.minReadySeconds ?? 0,
    rolling: spec?.updateStrategy?.type !== "OnDelete",
    partition: rolling && (rolling.partition ?? 0),
    maxUnavailable: Math.max(1, shareOf(rolling?.maxUnavailable ?? 1, replicas, "down")),
    update: h.update,
    current: h.kept.includes(current) ? current : h.update,
    collisionCount: h.collisionCount,
    generation: set.metadata.generation ?? 0,
    status,
  };
}

/** Its ordinal is none of those that are wanted. */
export function isScaledDown({ spec }: ReadonlySet, ordinal: number): boolean {
  const start = spec?.ordinals?.start ?? 0;
  return ordinal < start || ordinal >= start + (spec?.replicas ?? 1);
}

type State = "missing" | "terminating" | "ended" | "unavailable" | "available";

/** One ordinal, and who holds it. */
interface Slot {
  readonly ordinal: number;
  readonly pod: ReadonlyPod | undefined;
  readonly state: State;
  /** What its next Pod is made of. */
  readonly revision: string;
}

/**
 *  S1  An ordinal is created only when no Pod holds it: there are never two of one name, nor of one claim.
 *  S2  Ordered: at most one Pod is created or deleted for the number of replicas at a time; created upwards when all
 *      below are available, deleted downwards when all that stay are.
 *  S3  An update deletes available Pods downwards, and only as long as no more than maxUnavailable are unavailable.
 */
export function planStatefulSet(s: Wanted, pods: readonly ReadonlyPod[], now: number): StatefulSetPlan {
  const kept = s.start + (s.partition ?? countOf(pods, s.current));
  const held = new Map(pods.map((pod) => [ordinalOf(s.name, pod) ?? -1, pod]));
  const slot = (ordinal: number): Slot => {
    const pod = held.get(ordinal);
    const revision = s.rolling && ordinal < kept ? s.current : s.update;
    return { ordinal, pod, revision, state: stateOf(pod, s.minReadySeconds, now) };
  };
  const replicas = Array.from({ length: s.replicas }, (_, i) => slot(s.start + i));
  const isOver = (ordinal: number) => ordinal >= 0 && (ordinal < s.start || ordinal >= s.start + s.replicas);
  const condemned = [...held.keys()].filter(isOver).toSorted((a, b) => b - a);
  return {
    steps: [...replicas.flatMap((r) => mend(s, r)), ...nextSteps(s, replicas, condemned.map(slot))],
    status: statusOf(s, pods, now),
    lookAgainAt: Math.min(
      ...pods.map((p) => availableAt(p, s.minReadySeconds)).map((at) => (at > now ? at : Infinity)),
      Infinity,
    ),
  };
}

function stateOf(pod: ReadonlyPod | undefined, minReadySeconds: number, now: number): State {
  if (!pod) return "missing";
  if (pod.metadata.deletionTimestamp !== undefined) return "terminating";
  if (isTerminal(pod)) return "ended";
  return pod.status?.phase === "Running" && isAvailable(pod, minReadySeconds, now) ? "available" : "unavailable";
}

function nextSteps(s: Wanted, replicas: readonly Slot[], condemned: readonly Slot[]): readonly Step[] {
  if (!s.ordered) {
    const all = condemned.filter((c) => c.state !== "terminating");
    return [
      ...replicas.flatMap((r) => fill(r)),
      ...all.flatMap((c) => remove(c, "ScaledDown")),
      ...rollOut(s, replicas),
    ];
  }
  const first = replicas.find((r) => r.state !== "available");
  if (first) return isAbandoned(s, first) ? remove(first, "AbandonedRevision") : fill(first);
  return condemned.length > 0 ? removeLast(condemned) : rollOut(s, replicas);
}

/** Whoever has ended does not come back by itself; the next Pod comes when its name is free. */
function fill({ ordinal, pod, state, revision }: Slot): readonly Step[] {
  if (state === "ended" && pod) return [{ do: "delete", pod, reason: "PodEnded" }];
  if (state !== "missing") return [];
  return [{ do: "create", ordinal, revision, reason: "ReplicaMissing" }];
}

/**
 * It was made of a revision that is neither there to stay nor on its way in, and is not available: nobody will ever
 * repair it, and in an ordered set it would hold up the very roll-back that replaces it.
 */
function isAbandoned(s: Wanted, { pod, state }: Slot): boolean {
  return s.rolling && state === "unavailable" && pod !== undefined && ![s.current, s.update].includes(revisionOf(pod));
}

/** From the highest on. Of several that are unavailable only the lowest may go out of turn: the others may yet recover. */
function removeLast(condemned: readonly Slot[]): readonly Step[] {
  const [last] = condemned;
  if (!last || last.state === "terminating") return [];
  const lowest = condemned.findLast((c) => c.state !== "available");
  return last.state === "available" || last === lowest ? remove(last, "ScaledDown") : [];
}

/** To replace what is unavailable anyway costs nothing; of the rest, as many as may be missed. */
function rollOut(s: Wanted, replicas: readonly Slot[]): readonly Step[] {
  if (!s.rolling) return [];
  const unavailable = replicas.filter((r) => r.state !== "available").length;
  const outdated = replicas.slice(s.partition ?? 0).filter((r) => r.pod && revisionOf(r.pod) !== s.update);
  const broken = outdated.filter((r) => r.state === "unavailable").toReversed();
  const well = outdated.filter((r) => r.state === "available").toReversed();
  const free = (taken: number) => Math.max(0, s.maxUnavailable - taken);
  const next = [...broken.slice(0, free(unavailable - broken.length)), ...well.slice(0, free(unavailable))];
  return next.flatMap((r) => remove(r, "OutdatedRevision"));
}

function remove({ pod }: Slot, reason: DeleteReason): readonly Step[] {
  return pod ? [{ do: "delete", pod, reason }] : [];
}

function mend(s: Wanted, { pod, state, ordinal }: Slot): readonly Step[] {
  if (!pod || state === "terminating" || state === "ended") return [];
  const labels = Object.entries(identityLabels(s.name, ordinal));
  if (labels.every(([key, value]) => pod.metadata.labels?.[key] === value)) return [];
  return [{ do: "mend", pod, ordinal, reason: "IdentityChanged" }];
}

/** Those that stay, of one revision. */
function countOf(pods: readonly ReadonlyPod[], revision: string): number {
  return pods.filter((p) => p.metadata.deletionTimestamp === undefined && revisionOf(p) === revision).length;
}

function statusOf(s: Wanted, pods: readonly ReadonlyPod[], now: number): StatefulSetStatus {
  const count = (holds: (p: ReadonlyPod) => boolean) => pods.filter(holds).length;
  const running = (p: ReadonlyPod) => p.status?.phase === "Running" && isReady(p);
  const [ready, updated] = [count(running), countOf(pods, s.update)];
  const complete = s.rolling && [pods.length, ready, updated].every((n) => n === s.replicas);
  const { conditions } = s.status ?? {};
  return {
    replicas: pods.length,
    availableReplicas: count((p) => running(p) && isAvailable(p, s.minReadySeconds, now)),
    ...nonZero({
      readyReplicas: ready,
      currentReplicas: complete ? updated : countOf(pods, s.current),
      updatedReplicas: updated,
      observedGeneration: s.generation,
    }),
    currentRevision: complete ? s.update : s.current,
    updateRevision: s.update,
    collisionCount: s.collisionCount,
    ...(conditions && { conditions: conditions.map((c) => ({ ...c })) }),
  };
}
