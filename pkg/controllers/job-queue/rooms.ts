/** Where Pods can be: nodes and what is free on them. What is taken is subtracted; nothing here is undone. */
import type { Node, PodSpec } from "../../api/generated/types.ts";
import { matchesNode } from "../../api/node-selection.ts";
import { controllerOf, nameOf } from "../../api/object.ts";
import { isTerminal, resourceTotals } from "../../api/pod.ts";
import { toleratesAny } from "../../api/tolerations.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ReadonlyPod } from "../workload/pods.ts";
import { type Amounts, minus, needsOf, timesIn } from "./amounts.ts";

type ReadonlySpec = DeepReadonly<PodSpec>;

export interface Room {
  readonly node: DeepReadonly<Node>;
  readonly size: Amounts;
  /** Below zero where it is booked before it is free. */
  free: Amounts;
  /** What would be free if all Jobs had ended: a Deployment's Pods do not end. */
  lasting: Amounts;
}

/** `pods`: all of the cluster. Those that have no node yet will take room too, in the order in which they are given. */
export function roomsOf(nodes: Iterable<DeepReadonly<Node>>, pods: readonly ReadonlyPod[]): readonly Room[] {
  const rooms = new Map<string, Room>();
  for (const node of nodes) {
    const size = resourceTotals(node.status?.allocatable ?? node.status?.capacity);
    rooms.set(nameOf(node), { node, size, free: size, lasting: size });
  }
  const alive = pods.filter((p) => !isTerminal(p) && p.spec);
  for (const pod of alive) {
    const room = rooms.get(pod.spec?.nodeName ?? "");
    if (!room || !pod.spec) continue;
    room.free = minus(room.free, needsOf(pod.spec));
    if (controllerOf(pod)?.kind !== "Job") room.lasting = minus(room.lasting, needsOf(pod.spec));
  }
  const all = [...rooms.values()];
  for (const pod of alive)
    if (pod.spec && !pod.spec.nodeName && !pod.metadata.deletionTimestamp) take(all, pod.spec, 1);
  return all;
}

export function fitting(rooms: readonly Room[], spec: ReadonlySpec): readonly Room[] {
  return rooms.filter(({ node }) => {
    if (node.spec?.unschedulable || node.metadata.deletionTimestamp) return false;
    const hard = (node.spec?.taints ?? []).filter((t) => t.effect !== "PreferNoSchedule");
    if (!hard.every((t) => toleratesAny(spec.tolerations, t))) return false;
    return matchesNode({ spec }, { name: nameOf(node), labels: node.metadata.labels ?? {} });
  });
}

/** How many such Pods there is room for: now, or `of` another measure. */
export function countFitting(rooms: readonly Room[], spec: ReadonlySpec, of: "free" | "lasting" | "size"): number {
  const needs = needsOf(spec);
  return fitting(rooms, spec).reduce((sum, room) => sum + timesIn(room[of], needs), 0);
}

/** Takes up to `count` times what such a Pod needs of what is free. */
export function take(rooms: readonly Room[], spec: ReadonlySpec, count: number): void {
  const needs = needsOf(spec);
  let left = count;
  for (const room of fitting(rooms, spec)) {
    const times = Math.min(timesIn(room.free, needs), left);
    room.free = minus(room.free, needs, BigInt(times));
    left -= times;
  }
}

/**
 * Keeps room for such Pods where it will be free first, as far as one can see: on the nodes with most of it free now.
 * What nobody else gets there can only grow; so they will have it, however many smaller ones come.
 */
export function book(rooms: readonly Room[], spec: ReadonlySpec, count: number): void {
  const needs = needsOf(spec);
  let left = count;
  const nearest = fitting(rooms, spec).toSorted(
    (a, b) => share(b.free, needs) - share(a.free, needs) || (nameOf(a.node) < nameOf(b.node) ? -1 : 1),
  );
  for (const room of nearest) {
    const times = Math.min(timesIn(room.lasting, needs), left);
    room.free = minus(room.free, needs, BigInt(times));
    room.lasting = minus(room.lasting, needs, BigInt(times));
    left -= times;
  }
}

/**
 * Whether some of `count` such Pods, were they to start now, could end up where they would take what is booked. `rooms`
 * and `unbooked` are the same nodes, with what is booked taken off and without.
 */
export function mayTakeBooked(
  rooms: readonly Room[],
  unbooked: readonly Room[],
  spec: ReadonlySpec,
  count: number,
): boolean {
  const needs = needsOf(spec);
  const actual = new Map(unbooked.map((room) => [room.node, room]));
  return fitting(rooms, spec).some((room) => {
    const free = actual.get(room.node)?.free ?? {};
    const here = minus(room.free, needs, BigInt(Math.min(timesIn(free, needs), count)));
    return Object.keys(needs).some((name) => (room.free[name] ?? 0n) < (free[name] ?? 0n) && (here[name] ?? 0n) < 0n);
  });
}

/** How much of `needs` is free, of what is scarcest. */
function share(free: Amounts, needs: Amounts): number {
  return Math.min(...Object.entries(needs).map(([name, n]) => Number(free[name] ?? 0n) / Number(n)));
}

/** The sum of what is free on the nodes such a Pod may be on, where anything is. */
export function freeFor(rooms: readonly Room[], spec: ReadonlySpec, of: "free" | "size"): Amounts {
  const sum: Record<string, bigint> = {};
  for (const room of fitting(rooms, spec)) {
    for (const [name, n] of Object.entries(room[of])) if (n > 0n) sum[name] = (sum[name] ?? 0n) + n;
  }
  return sum;
}
