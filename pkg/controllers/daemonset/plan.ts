/** One Pod on every node that fits: where to create, what to delete, how far a roll-out may go. Pure. */
import type { DaemonSetStatus, Node } from "../../api/generated/types.ts";
import { nameOf } from "../../api/object.ts";
import { isReady, isTerminal } from "../../api/pod.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { nonZero } from "../workload/conditions.ts";
import { availableAt, isAvailable, type ReadonlyPod } from "../workload/pods.ts";
import { shareOf } from "../workload/share.ts";
import { type Fit, fitOf, isOf, type ReadonlyDaemonSet, targetNode, templateGeneration } from "./pod.ts";

export interface Wanted {
  /** Of the present template. */
  readonly hash: string;
  readonly templateGeneration: string | undefined;
  readonly minReadySeconds: number;
  /** Old Pods are replaced without being asked. */
  readonly rolling: boolean;
  readonly maxUnavailable: number | string;
  /** Above zero: the new Pod of a node comes before the old one goes. */
  readonly maxSurge: number | string;
  readonly fit: (node: DeepReadonly<Node>) => Fit;
  readonly generation: number;
  readonly collisionCount: number;
  readonly status: DeepReadonly<DaemonSetStatus> | undefined;
}

export type Step =
  | { readonly do: "create"; readonly node: string; readonly reason: "NodeWithoutPod" | "Surge" }
  | { readonly do: "delete"; readonly node: string; readonly pod: ReadonlyPod; readonly reason: DeleteReason };

type DeleteReason =
  | "PodFailed"
  | "PodSucceeded"
  | "MoreThanOne"
  | "NodeDoesNotFit"
  | "NodeGone"
  | "OutdatedRevision"
  | "Replaced";

export interface DaemonSetPlan {
  readonly steps: readonly Step[];
  readonly status: DaemonSetStatus;
  /** When time alone makes a difference; Infinity: never. */
  readonly lookAgainAt: number;
}

export interface World {
  readonly nodes: readonly DeepReadonly<Node>[];
  /** Those the set owns. */
  readonly pods: readonly ReadonlyPod[];
  readonly now: number;
  /** Before this a failed Pod of the node is not replaced. */
  readonly retryAt: (node: string) => number;
}

export function wantedOf(
  owner: ReadonlyDaemonSet,
  h: { readonly hash: string; readonly collisionCount: number },
): Wanted {
  const { spec, status, metadata } = owner;
  const { type, rollingUpdate } = spec?.updateStrategy ?? {};
  return {
    ...h,
    templateGeneration: templateGeneration(owner),
    minReadySeconds: spec?.minReadySeconds ?? 0,
    rolling: type !== "OnDelete",
    maxUnavailable: rollingUpdate?.maxUnavailable ?? 1,
    maxSurge: type === "OnDelete" ? 0 : (rollingUpdate?.maxSurge ?? 0),
    fit: (node) => fitOf(spec?.template.spec, node),
    generation: metadata.generation ?? 0,
    status,
  };
}

/** A node, and what the set has there: bound Pods first, older ones before younger ones. */
interface Place {
  readonly node: string;
  readonly fit: Fit;
  readonly pods: readonly ReadonlyPod[];
}

/**
 *  D1  A Pod is created only on a node that fits and has none; while surging, where it has one old Pod.
 *  D2  A roll-out deletes an available Pod only while fewer than maxUnavailable nodes are without one, or when its
 *      successor is available.
 *  D3  At most maxSurge nodes whose old Pod is well have two.
 *  D4  The set is brought in order before a roll-out goes on.
 */
export function planDaemonSet(s: Wanted, world: World): DaemonSetPlan {
  const { pods, now } = world;
  const places = placesOf(s, world);
  const repairs = [...places.flatMap((p) => repair(s, p, world)), ...nodeGone(world)];
  const ends = places.filter((p) => p.pods.some(hasFailed)).map((p) => world.retryAt(p.node));
  const times = [...pods.map((p) => availableAt(p, s.minReadySeconds)), ...ends];
  return {
    steps:
      repairs.length > 0 || !s.rolling
        ? repairs
        : rollOut(
            s,
            places.filter((p) => p.fit.shouldRun),
            now,
          ),
    status: statusOf(s, places, now),
    lookAgainAt: Math.min(...times.map((at) => (at > now ? at : Infinity)), Infinity),
  };
}

function placesOf(s: Wanted, { nodes, pods }: World): readonly Place[] {
  const byNode = new Map<string | undefined, ReadonlyPod[]>();
  for (const pod of pods.filter((p) => !isGone(p))) {
    const node = targetNode(pod);
    byNode.set(node, [...(byNode.get(node) ?? []), pod]);
  }
  return nodes
    .map((node) => ({ node: nameOf(node), fit: s.fit(node), pods: (byNode.get(nameOf(node)) ?? []).toSorted(compare) }))
    .toSorted((a, b) => (a.node < b.node ? -1 : 1));
}

const isLeaving = (pod: ReadonlyPod) => pod.metadata.deletionTimestamp !== undefined;
/** It only waits for somebody to take note. */
const isGone = (pod: ReadonlyPod) => isTerminal(pod) && isLeaving(pod);
const hasFailed = (pod: ReadonlyPod) => pod.status?.phase === "Failed" && !isLeaving(pod);

function compare(a: ReadonlyPod, b: ReadonlyPod): number {
  const bound = (p: ReadonlyPod) => (p.spec?.nodeName ? 0 : 1);
  const created = (p: ReadonlyPod) => Date.parse(p.metadata.creationTimestamp ?? "") || 0;
  return bound(a) - bound(b) || created(a) - created(b) || (nameOf(a) < nameOf(b) ? -1 : 1);
}

/** One Pod where one should be, none where none may be. */
function repair(s: Wanted, place: Place, { now, retryAt }: World): readonly Step[] {
  const { node, fit, pods } = place;
  if (pods.length === 0) return fit.shouldRun ? [{ do: "create", node, reason: "NodeWithoutPod" }] : [];
  const present = pods.filter((p) => !isLeaving(p));
  const remove =
    (reason: DeleteReason) =>
    (pod: ReadonlyPod): Step => ({ do: "delete", node, pod, reason });
  if (!fit.mayStay) return present.map(remove("NodeDoesNotFit"));
  const failed = retryAt(node) <= now ? present.filter((p) => p.status?.phase === "Failed") : [];
  const succeeded = present.filter((p) => p.status?.phase === "Succeeded");
  const running = present.filter((p) => !isTerminal(p));
  return [
    ...failed.map(remove("PodFailed")),
    ...succeeded.map(remove("PodSucceeded")),
    ...(surges(s)
      ? handOver(s, running, now)
      : running.slice(1).map((pod) => ({ pod, reason: "MoreThanOne" as const }))
    ).map(({ pod, reason }) => remove(reason)(pod)),
  ];
}

/** One old and one new Pod, until the new one is available or the old one is of no use. */
function handOver(s: Wanted, running: readonly ReadonlyPod[], now: number) {
  const isNew = isUpdated(s);
  const [next, ...moreNew] = running.filter(isNew);
  const [old, ...moreOld] = running.filter((p) => !isNew(p));
  const over = next && old && (!isReady(old) || isAvailable(next, s.minReadySeconds, now)) ? [old] : [];
  return [
    ...[...moreNew, ...moreOld].map((pod) => ({ pod, reason: "MoreThanOne" as const })),
    ...over.map((pod) => ({ pod, reason: "Replaced" as const })),
  ];
}

const isUpdated = (s: Wanted) => (pod: ReadonlyPod) => isOf(pod, s.hash, s.templateGeneration);
/** Even of a single node. */
const surges = (s: Wanted) => shareOf(s.maxSurge, 1, "up") > 0;

/** Pods that wait for a node that is no more; those bound to it are left to the garbage collection of Pods. */
function nodeGone({ nodes, pods }: World): readonly Step[] {
  const known = new Set(nodes.map(nameOf));
  return pods.flatMap((pod): Step[] => {
    const node = targetNode(pod);
    const lost = node !== undefined && !pod.spec?.nodeName && !known.has(node) && !isLeaving(pod);
    return lost ? [{ do: "delete", node, pod, reason: "NodeGone" }] : [];
  });
}

/** To replace what is unavailable anyway costs nothing; of the rest, as many as may be missed, or doubled. */
function rollOut(s: Wanted, places: readonly Place[], now: number): readonly Step[] {
  const well = (pod: ReadonlyPod) => isAvailable(pod, s.minReadySeconds, now);
  const isNew = isUpdated(s);
  const present = places.map(({ node, pods }) => ({ node, pods: pods.filter((p) => !isLeaving(p)) }));
  const outdated = present.filter(({ pods }) => pods.length > 0 && !pods.some(isNew));
  const broken = outdated.filter(({ pods }) => !pods.some(well));
  const fine = outdated.filter(({ pods }) => pods.some(well));
  if (surges(s)) {
    const doubled = present.filter(({ pods }) => pods.some(isNew) && pods.some((p) => !isNew(p))).length;
    const more = Math.max(0, shareOf(s.maxSurge, places.length, "up") - doubled);
    return [...broken, ...fine.slice(0, more)].map(({ node }) => ({ do: "create", node, reason: "Surge" }));
  }
  const unavailable = present.filter(({ pods }) => !pods.some(well)).length;
  const more = Math.max(0, Math.max(1, shareOf(s.maxUnavailable, places.length, "up")) - unavailable);
  return [...broken, ...fine.slice(0, more)].flatMap(({ node, pods }) =>
    pods.map((pod): Step => ({ do: "delete", node, pod, reason: "OutdatedRevision" })),
  );
}

function statusOf(s: Wanted, places: readonly Place[], now: number): DaemonSetStatus {
  const desired = places.filter((p) => p.fit.shouldRun);
  const first = desired.flatMap((p) => p.pods.slice(0, 1));
  const available = first.filter((p) => isAvailable(p, s.minReadySeconds, now)).length;
  const { conditions } = s.status ?? {};
  return {
    desiredNumberScheduled: desired.length,
    currentNumberScheduled: first.length,
    numberMisscheduled: places.filter((p) => !p.fit.shouldRun && p.pods.length > 0).length,
    numberReady: first.filter(isReady).length,
    ...nonZero({
      numberAvailable: available,
      numberUnavailable: desired.length - available,
      updatedNumberScheduled: first.filter(isUpdated(s)).length,
      observedGeneration: s.generation,
      collisionCount: s.collisionCount,
    }),
    ...(conditions && { conditions: conditions.map((c) => ({ ...c })) }),
  };
}
