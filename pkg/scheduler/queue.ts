import { deepEqual } from "../api/equal.ts";
import type { ObjectKey } from "../api/object.ts";
import { backoffMs } from "../util/backoff.ts";
import type { Clock } from "../util/clock.ts";
import type { ClusterEvent } from "./framework.ts";
import { Heap } from "./heap.ts";
import type { PodInfo } from "./pod-info.ts";

/** As kube-scheduler: one second, doubled with each attempt, at most ten. */
const BACKOFF = { initialMs: 1_000, maxMs: 10_000 };
/** Nothing waits longer for an event that may have been thought irrelevant by mistake. */
const MAX_PARKED_MS = 5 * 60_000;

type Place = "active" | "backoff" | "parked" | "gated" | "in-flight" | "gone";

/** A Pod on its way through the queue. What it holds is the queue's business; others read. */
export class QueuedPod {
  info: PodInfo;
  /** How often it was handed out. */
  attempts = 0;
  place: Place = "gone";
  readonly addedAt: number;
  /** Order of arrival, among Pods of one priority. */
  readonly sequence: number;
  /** Makes what older places still say of it void. */
  ticket = 0;
  failedAt = 0;
  /** In flight: what happened meanwhile. Parked: what it waits for. */
  events = new Set<ClusterEvent>();
  /** Parked: the plugins that refused. */
  refusers: ReadonlySet<string> = new Set();

  constructor(info: PodInfo, addedAt: number, sequence: number) {
    this.info = info;
    this.addedAt = addedAt;
    this.sequence = sequence;
  }

  get key(): ObjectKey {
    return this.info.key;
  }
}

interface Waiting {
  readonly pod: QueuedPod;
  readonly ticket: number;
  readonly due: number;
}

/**
 * Pods to be scheduled.
 *
 *  Q1  A Pod is in exactly one place: active, backing off, parked (unschedulable until something changes), gated, or in
 *      flight (handed out by `pop`, not yet answered for). It leaves by `done` or `remove` only.
 *  Q2  Active Pods leave by priority, then in the order of arrival.
 *  Q3  A parked Pod becomes active by an event that a plugin which refused it waits for, when it is changed itself, or
 *      after five minutes; never before its back-off is over, except when it is changed.
 *  Q4  An event while a Pod is in flight counts as if it had come just after the Pod was parked.
 *  Q5  A gated Pod is never handed out.
 *  Q6  `move` costs the Pods that wait for the event, not those that sleep on.
 */
export class SchedulingQueue implements Disposable {
  readonly #clock: Clock;
  readonly #wakeOn: (plugin: string) => readonly ClusterEvent[];
  readonly #pods = new Map<ObjectKey, QueuedPod>();
  readonly #active: Heap<Waiting>;
  readonly #backoff = new Heap<Waiting>((a, b) => a.due < b.due);
  readonly #inFlight = new Set<QueuedPod>();
  /** In order of parking. */
  readonly #parked = new Set<QueuedPod>();
  readonly #parkedFor = new Map<ClusterEvent, Set<QueuedPod>>();
  readonly #timers: { backoff: Disposable | undefined; parked: Disposable | undefined };
  #sequence = 0;
  #waiters: (() => void)[] = [];

  constructor(o: { clock: Clock; wakeOn: (plugin: string) => readonly ClusterEvent[] }) {
    this.#clock = o.clock;
    this.#wakeOn = o.wakeOn;
    this.#timers = { backoff: undefined, parked: undefined };
    this.#active = new Heap((a, b) => {
      const byPriority = b.pod.info.priority - a.pod.info.priority;
      return byPriority === 0 ? a.pod.sequence < b.pod.sequence : byPriority < 0;
    });
  }

  get size(): number {
    return this.#pods.size;
  }

  /** How many Pods are where: for logs and metrics. */
  counts(): Readonly<Record<Exclude<Place, "gone">, number>> {
    const counts = { active: 0, backoff: 0, parked: 0, gated: 0, "in-flight": 0 };
    for (const { place } of this.#pods.values()) if (place !== "gone") counts[place]++;
    return counts;
  }

  /** Adds a Pod, or brings the one there up to date. */
  put(info: PodInfo): void {
    const known = this.#pods.get(info.key);
    if (known?.info.uid === info.uid) return this.#update(known, info);
    if (known) this.remove(info.key);
    const pod = new QueuedPod(info, this.#clock.now(), this.#sequence++);
    this.#pods.set(info.key, pod);
    if (isGated(info)) this.#to(pod, "gated");
    else this.#activate(pod);
  }

  remove(key: ObjectKey): void {
    const pod = this.#pods.get(key);
    if (!pod) return;
    this.#pods.delete(key);
    this.#to(pod, "gone");
  }

  /** The next Pod, now in flight: answer for it with `done`, `park` or `retry`. */
  pop(): QueuedPod | undefined {
    for (let next = this.#active.pop(); next; next = this.#active.pop()) {
      if (next.ticket !== next.pod.ticket) continue;
      this.#to(next.pod, "in-flight");
      next.pod.attempts++;
      return next.pod;
    }
    return undefined;
  }

  /** Resolves when `pop` has something to give, or the signal aborts. */
  ready(signal: AbortSignal): Promise<void> {
    this.#dropStale(this.#active);
    if (signal.aborted || this.#active.size > 0) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        signal.removeEventListener("abort", wake);
        resolve();
      };
      signal.addEventListener("abort", wake, { once: true });
      this.#waiters.push(wake);
    });
  }

  /** It is bound. */
  done(pod: QueuedPod): void {
    if (this.#holds(pod)) this.remove(pod.key);
  }

  /** No node would do; `plugins` refused. */
  park(pod: QueuedPod, plugins: Iterable<string>): void {
    if (!this.#holds(pod)) return;
    pod.failedAt = this.#clock.now();
    const missed = pod.events;
    // A node nobody has refused yet may suit any Pod; with no node at all, no plugin has refused.
    const refusers = new Set(plugins);
    const waitsFor = new Set<ClusterEvent>(["NodeAdded", ...[...refusers].flatMap((p) => this.#wakeOn(p))]);
    if (isGated(pod.info)) return this.#to(pod, "gated");
    if ([...missed].some((e) => waitsFor.has(e))) return this.#resume(pod);
    this.#to(pod, "parked");
    pod.events = waitsFor;
    pod.refusers = refusers;
    this.#parked.add(pod);
    for (const event of waitsFor) {
      const sleepers = this.#parkedFor.get(event) ?? new Set();
      this.#parkedFor.set(event, sleepers.add(pod));
    }
    this.#timers.parked ??= this.#clock.after(MAX_PARKED_MS, () => this.#flushParked());
  }

  /** Something went wrong that had nothing to do with the cluster's state: again after the back-off. */
  retry(pod: QueuedPod): void {
    if (!this.#holds(pod)) return;
    pod.failedAt = this.#clock.now();
    this.#resume(pod);
  }

  /** Something was done for this Pod. */
  wake(key: ObjectKey): void {
    const pod = this.#pods.get(key);
    if (pod?.place === "parked") this.#resume(pod);
  }

  /** `helps`: whether it can turn that plugin's refusal around. Default: yes. */
  move(event: ClusterEvent, helps: (pod: PodInfo, plugin: string) => boolean = () => true): void {
    for (const pod of this.#inFlight) pod.events.add(event);
    for (const pod of this.#parkedFor.get(event) ?? []) {
      const { info, refusers } = pod;
      if (refusers.size === 0 || [...refusers].some((plugin) => helps(info, plugin))) this.#resume(pod);
    }
  }

  [Symbol.dispose](): void {
    for (const key of this.#pods.keys()) this.remove(key);
    this.#timers.backoff?.[Symbol.dispose]();
    this.#timers.parked?.[Symbol.dispose]();
    for (const wake of this.#waiters.splice(0)) wake();
  }

  #holds(pod: QueuedPod): boolean {
    return this.#pods.get(pod.key) === pod && pod.place === "in-flight";
  }

  #update(pod: QueuedPod, info: PodInfo): void {
    const { info: before, place } = pod;
    pod.info = info;
    if (place === "gated" && !isGated(info)) this.#activate(pod);
    else if (place === "parked" && changed(before, info)) this.#activate(pod);
    else if (place === "active" && before.priority !== info.priority) this.#activate(pod);
  }

  /** To active when its back-off is over, else to wait for that. */
  #resume(pod: QueuedPod): void {
    const due = pod.failedAt + backoffMs(pod.attempts, BACKOFF);
    if (due <= this.#clock.now()) return this.#activate(pod);
    this.#to(pod, "backoff");
    this.#backoff.push({ pod, ticket: pod.ticket, due });
    this.#armBackoff();
  }

  #activate(pod: QueuedPod): void {
    this.#to(pod, "active");
    this.#active.push({ pod, ticket: pod.ticket, due: 0 });
    for (const wake of this.#waiters.splice(0)) wake();
  }

  #to(pod: QueuedPod, place: Place): void {
    if (pod.place === "parked") {
      this.#parked.delete(pod);
      for (const event of pod.events) this.#parkedFor.get(event)?.delete(pod);
    }
    this.#inFlight.delete(pod);
    if (place === "in-flight") this.#inFlight.add(pod);
    pod.events = new Set();
    pod.place = place;
    pod.ticket++;
  }

  #armBackoff(): void {
    this.#timers.backoff?.[Symbol.dispose]();
    this.#timers.backoff = undefined;
    this.#dropStale(this.#backoff);
    const first = this.#backoff.peek();
    if (!first) return;
    this.#timers.backoff = this.#clock.after(first.due - this.#clock.now(), () => {
      const now = this.#clock.now();
      for (let next = this.#backoff.peek(); next && next.due <= now; next = this.#backoff.peek()) {
        this.#backoff.pop();
        if (next.ticket === next.pod.ticket) this.#activate(next.pod);
      }
      this.#armBackoff();
    });
  }

  #dropStale(heap: Heap<Waiting>): void {
    for (let next = heap.peek(); next && next.ticket !== next.pod.ticket; next = heap.peek()) heap.pop();
  }

  #flushParked(): void {
    this.#timers.parked = undefined;
    for (const pod of this.#parked) {
      const wait = pod.failedAt + MAX_PARKED_MS - this.#clock.now();
      if (wait > 0) {
        this.#timers.parked = this.#clock.after(wait, () => this.#flushParked());
        return;
      }
      this.#resume(pod);
    }
  }
}

function isGated({ pod }: PodInfo): boolean {
  return (pod.spec?.schedulingGates?.length ?? 0) > 0;
}

/** Its status does not count: the scheduler's own report would wake it. */
function changed(before: PodInfo, now: PodInfo): boolean {
  return !deepEqual(before.pod.spec, now.pod.spec) || !deepEqual(before.pod.metadata.labels, now.pod.metadata.labels);
}
