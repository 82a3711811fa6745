/** Gives each Pod that has no node one: queue → snapshot → filter → score → pick → assume → bind. */
import type { Namespace, Node, Pod } from "../api/generated/types.ts";
import { namespaces } from "../api/kinds/core/namespace.ts";
import { nodes } from "../api/kinds/core/node.ts";
import { pods } from "../api/kinds/core/pod.ts";
import { nameOf, splitKey, type ObjectKey } from "../api/object.ts";
import { condition, isTerminal } from "../api/pod.ts";
import { isReason } from "../api/status.ts";
import type { Client } from "../client/client.ts";
import type { Cause } from "../client/transport.ts";
import { Informer } from "../informer/informer.ts";
import { EventRecorder, subjectOf } from "../reconcile/events.ts";
import { together } from "../reconcile/scope.ts";
import { rfc3339, type Clock, type Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import type { DeepReadonly } from "../util/types.ts";
import { SchedulerCache } from "./cache.ts";
import { nodeEvents, podEvents, standing } from "./cluster-events.ts";
import { explain, refusers, type Unschedulable } from "./explain.ts";
import { findNode } from "./find-node.ts";
import type { ProfilePlugin } from "./framework.ts";
import { podInfo } from "./pod-info.ts";
import { planVolumes } from "./plugins/volume-binding.ts";
import { defaultProfile } from "./profile.ts";
import { SchedulingQueue, type QueuedPod } from "./queue.ts";
import { VolumeBinder } from "./volume-binder.ts";
import type { VolumePlan } from "./volume-cache.ts";

export interface SchedulerOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: Random;
  /** Serves the Pods whose spec.schedulerName is this. */
  readonly name?: string;
  readonly profile?: readonly ProfilePlugin[];
}

const DEFAULT_NAME = "default-scheduler";
/** Bindings under way at a time: enough to hide a store's latency, few enough not to flood it. */
const MAX_BINDINGS = 64;
/** Others in this process get their turn after the loop has had this long. */
const SLICE_MS = 8;

/**
 * Runs until the signal aborts.
 *
 *  D1  A Pod is bound at most once, by a decision that every earlier decision was known to: they count from the moment
 *      they are taken (`assume`), not from when the API shows them.
 *  D2  One Pod's binding never holds up the decision about the next.
 *  D3  A Pod that cannot be placed says why: an event per attempt, and a condition that is written when it changes.
 *  D4  No error ends the loop; a Pod that meets one is tried again after its back-off.
 */
export async function runScheduler(o: SchedulerOptions, signal: AbortSignal): Promise<void> {
  using scheduler = new Scheduler(o);
  await scheduler.run(signal);
}

class Scheduler implements Disposable {
  readonly #o: SchedulerOptions;
  readonly #name: string;
  readonly #profile: readonly ProfilePlugin[];
  readonly #cache = new SchedulerCache();
  readonly #queue: SchedulingQueue;
  readonly #recorder: EventRecorder;
  readonly #volumes: VolumeBinder;
  #signal = AbortSignal.abort();
  /** Writes under way. */
  readonly #writes = new Set<Promise<void>>();
  /** Bindings that wait for volumes: others make those, and nobody must wait for others. */
  readonly #waits = new Set<Promise<void>>();
  /** Where the search for nodes begins next, so that all nodes get their share of it. */
  #start = 0;

  constructor(o: SchedulerOptions) {
    this.#o = o;
    this.#name = o.name ?? DEFAULT_NAME;
    this.#profile = o.profile ?? defaultProfile;
    const wakeOn = new Map(this.#profile.map((p) => [p.name, p.wakeOn]));
    this.#queue = new SchedulingQueue({ clock: o.clock, wakeOn: (plugin) => wakeOn.get(plugin) ?? [] });
    this.#recorder = new EventRecorder({ ...o, component: this.#name });
    this.#volumes = new VolumeBinder(this.#cache.volumes, { ...o, changed: () => this.#queue.move("VolumeChanged") });
  }

  async run(signal: AbortSignal): Promise<void> {
    const { client } = this.#o;
    const informers = {
      nodes: new Informer<Node>({ ...this.#o, resource: client.resource(nodes) }),
      namespaces: new Informer<Namespace>({ ...this.#o, resource: client.resource(namespaces) }),
      pods: new Informer<Pod>({ ...this.#o, resource: client.resource(pods) }),
    };
    informers.nodes.onChange((key, now, old) => this.#onNode(key, now, old));
    informers.namespaces.onChange((key, now) => this.#onNamespace(key, now));
    informers.pods.onChange((key, now, old) => this.#onPod(key, now, old));
    const all = [...Object.values(informers), ...this.#volumes.informers];
    await together(signal, ...all.map((i) => (s: AbortSignal) => i.run(s)), async (s) => {
      this.#signal = s;
      await Promise.all(all.map((i) => i.whenSynced(s)));
      await this.#loop(s);
    });
  }

  [Symbol.dispose](): void {
    this.#queue[Symbol.dispose]();
    this.#recorder[Symbol.dispose]();
  }

  async #loop(signal: AbortSignal): Promise<void> {
    const { clock } = this.#o;
    this.#o.log.info({ scheduler: this.#name, nodes: this.#cache.nodes.length }, "scheduler ready");
    let sliceStart = clock.now();
    while (!signal.aborted) {
      const pod = this.#queue.pop();
      if (pod) this.#scheduleOne(pod);
      else await this.#queue.ready(signal);
      if (this.#writes.size >= MAX_BINDINGS) await Promise.race(this.#writes);
      if (clock.now() - sliceStart >= SLICE_MS) {
        if (pod) await clock.sleep(0, signal);
        sliceStart = clock.now();
      }
    }
    await Promise.all([...this.#writes, ...this.#waits]);
  }

  /** Without a single await: nothing changes between looking and deciding. */
  #scheduleOne(pod: QueuedPod): void {
    const { info } = pod;
    try {
      const decision = findNode(this.#profile, info, this.#cache, { random: this.#o.random, start: this.#start });
      if (!decision.node) {
        this.#queue.park(pod, refusers(decision.why));
        return this.#reportUnschedulable(pod, decision.why);
      }
      this.#start = (this.#start + decision.evaluated) % this.#cache.nodes.length;
      const volumes = planVolumes(info, decision.node, this.#cache.volumes);
      this.#cache.assume(info, decision.node.name);
      if (volumes) this.#cache.volumes.give(volumes);
      this.#track(this.#bind(pod, decision.node.name, volumes), volumes && this.#waits);
    } catch (error) {
      this.#o.log.error({ err: error, pod: pod.key }, "scheduling failed");
      this.#queue.retry(pod);
    }
  }

  async #bind(pod: QueuedPod, node: string, volumes: VolumePlan | undefined): Promise<void> {
    const { info } = pod;
    const { namespace, name } = splitKey(info.key);
    const binding = {
      apiVersion: "v1",
      kind: "Binding",
      metadata: { namespace, name, uid: info.uid },
      target: { apiVersion: "v1", kind: "Node", name: node },
    };
    const cause = { component: this.#name, reason: "Scheduled", object: this.#objectOf(info.pod) };
    try {
      if (volumes) await this.#bindVolumes(volumes, node, cause);
      await this.#o.client.resource(pods, namespace).subresource(name, "binding", binding, "create", cause);
      this.#queue.done(pod);
      const waitedMs = this.#o.clock.now() - pod.addedAt;
      this.#o.log.info({ pod: info.key, node, attempts: pod.attempts, waitedMs }, "pod assigned");
      const subject = subjectOf(pods, info.pod);
      this.#recorder.event(subject, "Normal", "Scheduled", `Successfully assigned ${info.key} to ${node}`);
    } catch (error) {
      this.#cache.forget(info);
      this.#queue.retry(pod);
      this.#queue.move("PodGone"); // the room it was to have is free
      if (isReason(error, "Conflict", "NotFound")) {
        this.#o.log.debug({ err: error, pod: info.key, node }, "binding refused: the pod has moved on");
        return;
      }
      this.#o.log.warn({ err: error, pod: info.key, node }, "binding failed, will retry");
      const message = `binding rejected: ${error instanceof Error ? error.message : String(error)}`;
      this.#recorder.event(subjectOf(pods, info.pod), "Warning", "FailedScheduling", message);
    }
  }

  async #bindVolumes(volumes: VolumePlan, node: string, cause: Cause): Promise<void> {
    try {
      await this.#volumes.bind(volumes, node, { ...cause, reason: "VolumeBinding" }, this.#signal);
    } finally {
      this.#cache.volumes.settle(volumes);
    }
  }

  #reportUnschedulable({ info, attempts }: QueuedPod, why: Unschedulable): void {
    const message = explain(why);
    this.#o.log.debug({ pod: info.key, attempts, why: message }, "pod unschedulable");
    this.#recorder.event(subjectOf(pods, info.pod), "Warning", "FailedScheduling", message);
    const old = condition(info.pod.status?.conditions, "PodScheduled");
    const same = old?.status === "False" && old.reason === "Unschedulable" && old.message === message;
    if (same) return;
    const next = {
      type: "PodScheduled",
      status: "False",
      reason: "Unschedulable",
      message,
      ...(old?.status !== "False" && { lastTransitionTime: rfc3339(this.#o.clock.now()) }),
    };
    this.#track(this.#patchCondition(info.pod, next));
  }

  async #patchCondition(pod: DeepReadonly<Pod>, next: object): Promise<void> {
    const patch = { metadata: { uid: pod.metadata.uid }, status: { conditions: [next] } };
    const cause = { component: this.#name, reason: "Unschedulable", object: this.#objectOf(pod) };
    try {
      await this.#o.client
        .resource(pods, pod.metadata.namespace)
        .patch(nameOf(pod), "application/strategic-merge-patch+json", patch, { subresource: "status", cause });
    } catch (error) {
      if (!isReason(error, "NotFound", "Conflict")) {
        this.#o.log.warn({ err: error, pod: nameOf(pod) }, "could not report that a pod is unschedulable");
      }
    }
  }

  #track(write: Promise<void>, among = this.#writes): void {
    const tracked = write.finally(() => among.delete(tracked));
    among.add(tracked);
  }

  #objectOf({ metadata: m }: DeepReadonly<Pod>): string {
    return `pods/${m.namespace ?? ""}/${m.name ?? ""}@${m.resourceVersion ?? ""}`;
  }

  #onPod(key: ObjectKey, now: DeepReadonly<Pod> | undefined, old: DeepReadonly<Pod> | undefined): void {
    if (now && standing(now)) {
      this.#queue.remove(key);
      this.#cache.put(podInfo(now), now.spec?.nodeName ?? "");
    } else if (now && this.#isMine(now)) {
      // One we have bound but whose binding we do not see yet still looks as if it had no node.
      if (!this.#cache.isAssumed(key, now.metadata.uid ?? "")) this.#queue.put(podInfo(now));
    } else {
      this.#queue.remove(key);
      this.#cache.remove(key);
    }
    for (const event of podEvents(now, old)) this.#queue.move(event);
  }

  #isMine(pod: DeepReadonly<Pod>): boolean {
    const scheduler = pod.spec?.schedulerName || DEFAULT_NAME;
    return !pod.spec?.nodeName && !isTerminal(pod) && !pod.metadata.deletionTimestamp && scheduler === this.#name;
  }

  #onNode(name: string, now: DeepReadonly<Node> | undefined, old: DeepReadonly<Node> | undefined): void {
    if (!now) return this.#cache.removeNode(name);
    this.#cache.setNode(now);
    for (const event of nodeEvents(now, old)) this.#queue.move(event);
  }

  #onNamespace(name: string, now: DeepReadonly<Namespace> | undefined): void {
    if (!now) return this.#cache.removeNamespace(name);
    if (this.#cache.setNamespace(now)) this.#queue.move("NamespaceLabelsChanged");
  }
}
