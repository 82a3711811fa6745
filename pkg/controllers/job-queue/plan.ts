/**
 * Which of the waiting Jobs start, and what the others wait for. Pure.
 *
 *  U1  All or nothing: a Job starts when its quotas allow all its Pods and nodes have room for all of them, at once.
 *  U2  The order of all queues together is priority, then age. Everyone that fits starts: who waits holds up nobody that
 *      does not need what it waits for.
 *  U3  No queue's first is overtaken for ever: room for it is booked, whether free or in use, on the nodes that are nearest
 *      to having it. Nobody behind it starts whose Pods could end up there and take some of that, wherever the scheduler
 *      puts them. What is in use by Jobs comes free when they end, and then it is kept.
 *  U4  Who wants more than there is at all, or than its quota allows, books nothing.
 */
import type { Job, Node, Pod, ResourceQuota } from "../../api/generated/types.ts";
import { gangSize, type Place, queueOf } from "../../api/job-queue.ts";
import { keyOf, namespaceOf, uidOf } from "../../api/object.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { isActive, type ReadonlyPod } from "../workload/pods.ts";
import { type Allowance, allowanceOf, chargeFor, exceeds, lackIn, takeFrom } from "./allowances.ts";
import { needsOf, showAmount, withRequests } from "./amounts.ts";
import { book, countFitting, fitting, freeFor, mayTakeBooked, type Room, roomsOf, take } from "./rooms.ts";

type ReadonlyJob = DeepReadonly<Job>;

export interface World {
  readonly nodes: readonly DeepReadonly<Node>[];
  readonly pods: readonly ReadonlyPod[];
  readonly quotas: readonly DeepReadonly<ResourceQuota>[];
  /** Of queues, and started: they have their Pods, or will. */
  readonly started: readonly ReadonlyJob[];
  readonly priorityOf: (job: ReadonlyJob) => number;
  readonly now: number;
}

export type WaitReason = "WaitsForQuota" | "WaitsForResources" | "WaitsForOthers" | "TooLarge";

export type Verdict =
  | { readonly job: ReadonlyJob; readonly start: true }
  | {
      readonly job: ReadonlyJob;
      readonly start: false;
      readonly reason: WaitReason;
      readonly why: string;
      readonly place: Place;
    };

/** A Job as its Pods will be. */
interface Gang {
  readonly job: ReadonlyJob;
  readonly queue: string;
  readonly pod: DeepReadonly<Pod> & { readonly spec: NonNullable<DeepReadonly<Pod>["spec"]> };
  readonly size: number;
}

interface Ledger {
  readonly rooms: readonly Room[];
  /** As they were before anything was booked: to tell who is in whose way. */
  readonly unbooked: readonly Room[];
  readonly allowances: ReadonlyMap<string, readonly Allowance[]>;
  readonly now: number;
}

export function planQueues(waiting: readonly ReadonlyJob[], w: World): readonly Verdict[] {
  const ledger = open(w, waiting);
  const order = inOrder(waiting, w).map(gangOf);
  const first = new Map<string, ReadonlyJob>();
  const verdicts: Verdict[] = [];
  const places = new Map<string, number>();
  for (const gang of order) {
    const hold = whyNot(gang, ledger, first);
    if (!hold) {
      start(gang, gang.size, ledger);
      verdicts.push({ job: gang.job, start: true });
      continue;
    }
    const place = (places.get(gang.queue) ?? 0) + 1;
    places.set(gang.queue, place);
    verdicts.push({ job: gang.job, start: false, ...hold, place: { place, of: 0, queue: gang.queue } });
    if (hold.reason === "TooLarge" || first.has(gang.queue)) continue;
    first.set(gang.queue, gang.job);
    reserve(gang, hold.reason, ledger);
  }
  return verdicts.map((v) =>
    v.start ? v : { ...v, place: { ...v.place, of: places.get(v.place.queue) ?? v.place.place } },
  );
}

function inOrder(waiting: readonly ReadonlyJob[], { priorityOf }: World): readonly ReadonlyJob[] {
  const ranked = waiting.map((job) => ({ job, priority: priorityOf(job), born: job.metadata.creationTimestamp ?? "" }));
  return ranked
    .toSorted(
      (a, b) =>
        b.priority - a.priority ||
        (a.born === b.born ? (keyOf(a.job) < keyOf(b.job) ? -1 : 1) : a.born < b.born ? -1 : 1),
    )
    .map(({ job }) => job);
}

function gangOf(job: ReadonlyJob): Gang {
  const { spec = { containers: [] }, metadata = {} } = job.spec?.template ?? {};
  const pod = { metadata: { ...metadata, namespace: namespaceOf(job) }, spec: withRequests(spec) };
  return { job, queue: queueOf(job) ?? "", pod, size: gangSize(job) };
}

/** What is taken: by Pods, and by those Pods of started Jobs that are not there yet. */
function open(w: World, waiting: readonly ReadonlyJob[]): Ledger {
  const namespaces = new Set([...waiting, ...w.started].map(namespaceOf));
  const byNamespace = (name: string) => w.pods.filter((p) => namespaceOf(p) === name);
  const allowances = new Map(
    [...namespaces].map((name) => {
      const pods = byNamespace(name);
      const quotas = w.quotas.filter((q) => namespaceOf(q) === name);
      return [name, quotas.map((q) => allowanceOf(q, pods, w.now))];
    }),
  );
  const rooms = roomsOf(w.nodes, w.pods);
  const ledger: Ledger = { rooms, unbooked: rooms.map((r) => ({ ...r })), allowances, now: w.now };
  const running = new Map<string, number>();
  for (const pod of w.pods.filter(isActive)) {
    const owner = pod.metadata.ownerReferences?.find((r) => r.controller)?.uid ?? "";
    running.set(owner, (running.get(owner) ?? 0) + 1);
  }
  for (const job of w.started) {
    const gang = gangOf(job);
    start(gang, Math.max(gang.size - (running.get(uidOf(job)) ?? 0), 0), ledger);
  }
  return ledger;
}

function start({ job, pod }: Gang, count: number, l: Ledger): void {
  take(l.rooms, pod.spec, count);
  take(l.unbooked, pod.spec, count);
  for (const a of l.allowances.get(namespaceOf(job)) ?? []) takeFrom(a, chargeFor(a, pod, count, l.now));
}

/** See U3. Room on nodes is booked only for who has its quota: else that would wait for the one while holding the other. */
function reserve({ job, pod, size }: Gang, reason: WaitReason, l: Ledger): void {
  for (const a of l.allowances.get(namespaceOf(job)) ?? []) takeFrom(a, chargeFor(a, pod, size, l.now));
  const comesFree = countFitting(l.rooms, pod.spec, "lasting") >= size;
  if (reason !== "WaitsForQuota" && comesFree) book(l.rooms, pod.spec, size);
}

interface Hold {
  readonly reason: WaitReason;
  readonly why: string;
}

function whyNot(gang: Gang, l: Ledger, first: ReadonlyMap<string, ReadonlyJob>): Hold | undefined {
  return quotaHold(gang, l) ?? roomHold(gang, l, first);
}

function quotaHold({ job, pod, size }: Gang, l: Ledger): Hold | undefined {
  const charges = (l.allowances.get(namespaceOf(job)) ?? []).map((a) => ({ a, c: chargeFor(a, pod, size, l.now) }));
  for (const { a, c } of charges) {
    const why = exceeds(a, c);
    if (why !== undefined) return { reason: "TooLarge", why };
  }
  for (const { a, c } of charges) {
    const lack = lackIn(a, c);
    if (lack !== undefined) return { reason: "WaitsForQuota", why: `waits for ${lack}` };
  }
  return undefined;
}

function roomHold({ pod, size }: Gang, l: Ledger, first: ReadonlyMap<string, ReadonlyJob>): Hold | undefined {
  const free = countFitting(l.unbooked, pod.spec, "free");
  if (free >= size && !mayTakeBooked(l.rooms, l.unbooked, pod.spec, size)) return undefined;
  if (fitting(l.rooms, pod.spec).length === 0) {
    return { reason: "TooLarge", why: "wants nodes that match its selector, affinity and tolerations; there are none" };
  }
  if (countFitting(l.rooms, pod.spec, "size") < size) return { reason: "TooLarge", why: tooLarge(pod.spec, size, l) };
  if (free >= size) {
    const names = [...first.values()].map(keyOf).join(", ");
    return { reason: "WaitsForOthers", why: `waits behind ${names}: what is free is kept for those before it` };
  }
  return { reason: "WaitsForResources", why: lacking(pod.spec, size, l, free) };
}

function lacking(spec: Gang["pod"]["spec"], size: number, l: Ledger, fit: number): string {
  const free = freeFor(l.unbooked, spec, "free");
  const lacks = Object.entries(needsOf(spec)).flatMap(([name, n]) => {
    const [wanted, has] = [n * BigInt(size), free[name] ?? 0n];
    if (wanted <= has) return [];
    return [
      `${showAmount(name, wanted - has)} ${name}: ${showAmount(name, wanted)} wanted, ${showAmount(name, has)} free`,
    ];
  });
  // Enough in all, but nowhere enough in one place.
  if (lacks.length === 0) return `waits for room on nodes: ${fit} of its ${size} Pods would fit`;
  return `waits for ${lacks.join(", ")}`;
}

function tooLarge(spec: Gang["pod"]["spec"], size: number, { rooms }: Ledger): string {
  const all = freeFor(rooms, spec, "size");
  const needs = Object.entries(needsOf(spec));
  const over = needs.find(([name, n]) => n * BigInt(size) > (all[name] ?? 0n));
  if (!over) return `wants room for ${size} Pods, of which nodes could hold ${countFitting(rooms, spec, "size")}`;
  const [name, n] = over;
  return `wants ${showAmount(name, n * BigInt(size))} ${name}, more than the ${showAmount(name, all[name] ?? 0n)} there are`;
}
