/** Gives each Pod that has no node one: queue → snapshot → filter → score → pick → assume → bind. */
import type { Namespace, Node, Pod, PodDisruptionBudget } from "../api/generated/types.ts";
import { namespaces } from "../api/kinds/core/namespace.ts";
import { nodes } from "../api/kinds/core/node.ts";
import { pods } from "../api/kinds/core/pod.ts";
import { podDisruptionBudgets } from "../api/kinds/policy/poddisruptionbudget.ts";
import { uidOf, type ObjectKey } from "../api/object.ts";
import { isTerminal } from "../api/pod.ts";
import { isReason } from "../api/status.ts";
import type { Client } from "../client/client.ts";
import { Informer } from "../informer/informer.ts";
import { together } from "../reconcile/scope.ts";
import type { Clock, Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import type { Metrics } from "../util/metrics.ts";
import type { DeepReadonly } from "../util/types.ts";
import { SchedulerCache } from "./cache.ts";
import { nodeEvents, podEvents, standing } from "./cluster-events.ts";
import { explain, refusers, type Unschedulable } from "./explain.ts";
import { type Decision, findNode } from "./find-node.ts";
import { type ClusterEvent, PodJudge, type ProfilePlugin } from "./framework.ts";
import { Nominations } from "./nominations.ts";
import { podInfo, type PodInfo } from "./pod-info.ts";
import { PodWriter } from "./pod-writer.ts";
import { planVolumes } from "./plugins/volume-binding.ts";
import { isPreempted, planPreemption, type Preemption } from "./preemption.ts";
import { defaultProfile } from "./profile.ts";
import { SchedulingQueue, type QueuedPod } from "./queue.ts";
import { VolumeBinder } from "./volume-binder.ts";
import type { VolumePlan } from "./volume-cache.ts";
import { type Attempt, SchedulerMetrics } from "./metrics.ts";
import { mayHelp } from "./wake.ts";

export interface SchedulerOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: Random;
  /** Serves the Pods whose spec.schedulerName is this. */
  readonly name?: string;
  readonly profile?: readonly ProfilePlugin[];
  /** Counts attempts. */
  readonly metrics?: Metrics | undefined;
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
 *  D5  A Pod for which room can be made has it made once: it waits for its victims to go, on a node that less important
 *      ones cannot take from it.
 */
export async function runScheduler(o: SchedulerOptions, signal: AbortSignal): Promise<void> {
  using scheduler = new Scheduler(o);
  await scheduler.run(signal);
}

class Scheduler implements Disposable {
  readonly #o: SchedulerOptions;
  readonly #name: string;
  readonly #profile: readonly ProfilePlugin[];
  readonly #plugins: ReadonlyMap<string, ProfilePlugin>;
  readonly #cache = new SchedulerCache();
  readonly #queue: SchedulingQueue;
  readonly #nominations = new Nominations();
  readonly #budgets: Informer<PodDisruptionBudget>;
  readonly #writer: PodWriter;
  readonly #metrics: SchedulerMetrics | undefined;
  readonly #volumes: VolumeBinder;
  #signal = AbortSignal.abort();
  /** Writes under way. */
  readonly #writes = new Set<Promise<void>>();
  /** Bindings that wait for volumes: others make those, and nobody must wait for others. */
  readonly #waits = new Set<Promise<void>>();
  /** By uid: Pods that are being ended, though they do not look so yet. */
  readonly #victims = new Set<string>();
  /** Where the search for nodes begins next, so that all nodes get their share of it. */
  #start = 0;

  constructor(o: SchedulerOptions) {
    this.#o = o;
    this.#name = o.name ?? DEFAULT_NAME;
    this.#profile = o.profile ?? defaultProfile;
    this.#plugins = new Map(this.#profile.map((p) => [p.name, p]));
    const wakeOn = (plugin: string) => this.#plugins.get(plugin)?.wakeOn ?? [];
    this.#queue = new SchedulingQueue({ clock: o.clock, wakeOn });
    this.#metrics =
      o.metrics &&
      new SchedulerMetrics({ metrics: o.metrics, profile: this.#name, pending: () => this.#queue.counts() });
    this.#budgets = new Informer({ ...o, resource: o.client.resource<PodDisruptionBudget>(podDisruptionBudgets) });
    this.#writer = new PodWriter({ ...o, name: this.#name });
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
    const all = [...Object.values(informers), this.#budgets, ...this.#volumes.informers];
    await together(signal, ...all.map((i) => (s: AbortSignal) => i.run(s)), async (s) => {
      this.#signal = s;
      await Promise.all(all.map((i) => i.whenSynced(s)));
      await this.#loop(s);
    });
  }

  [Symbol.dispose](): void {
    this.#queue[Symbol.dispose]();
    this.#writer[Symbol.dispose]();
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
    const began = this.#o.clock.now();
    const attempted = (result: Attempt) => this.#metrics?.attempted(result, this.#o.clock.now() - began);
    try {
      const { decision, preemption } = this.#decide(info);
      if (!decision.node) {
        this.#postpone(pod, decision.why, preemption);
        return attempted("unschedulable");
      }
      this.#start = (this.#start + decision.evaluated) % this.#cache.nodes.length;
      const volumes = planVolumes(info, decision.node, this.#cache.volumes);
      this.#cache.assume(info, decision.node.name);
      if (volumes) this.#cache.volumes.give(volumes);
      this.#track(this.#bind(pod, decision.node.name, volumes), volumes && this.#waits);
      attempted("scheduled");
    } catch (error) {
      this.#o.log.error({ err: error, pod: pod.key }, "scheduling failed");
      attempted("error");
      this.#queue.retry(pod);
    }
  }

  /** Pods that have been promised a node stand there, for less important ones (Nominations O1). */
  #decide(info: PodInfo): { readonly decision: Decision; readonly preemption?: Preemption } {
    const [profile, cache] = [this.#profile, this.#cache];
    const { random } = this.#o;
    const nominated = this.#nominations.of(info.key);
    using world = cache.whatIf();
    const crowded = this.#nominations.seat(info, cache, world);
    const decision = findNode(profile, info, cache, { random, start: this.#start, nominated });
    if (decision.node) {
      world[Symbol.dispose]();
      // They may never come: nobody is placed on the strength of their company.
      const refusal = crowded ? new PodJudge(profile, info, cache).filter(decision.node) : undefined;
      if (!refusal) return { decision };
      const why = { nodes: cache.nodes.length, refusals: new Map([[decision.node.name, refusal]]) };
      return { decision: { node: undefined, why } };
    }
    if (cache.nodes.length === 0) return { decision };
    const isVictim = (p: PodInfo) => this.#victims.has(p.uid) || isPreempted(p);
    const budgets = this.#budgets.list();
    const { why } = decision;
    return {
      decision,
      preemption: planPreemption({ profile, pod: info, why, cache, budgets, nominated, isVictim, random }),
    };
  }

  #postpone(pod: QueuedPod, why: Unschedulable, preemption: Preemption | undefined): void {
    const { info } = pod;
    // Where not all nodes have been asked, any plugin may have been in the way.
    this.#queue.park(pod, why.refusals.size < why.nodes ? this.#plugins.keys() : refusers(why));
    if (preemption?.node) this.#preempt(info, preemption.node.name, preemption.victims);
    else if (preemption?.gaveUp) this.#nominations.clear(info.key);
    const message = [explain(why), preemption?.node ? undefined : preemption?.message].filter(Boolean).join(" ");
    this.#o.log.debug({ pod: info.key, attempts: pod.attempts, why: message }, "pod unschedulable");
    this.#writer.failed(info, message);
    const report = this.#writer.unschedulable(info, message, this.#nominations.of(info.key) ?? "");
    if (report) this.#track(report);
  }

  #preempt(info: PodInfo, node: string, victims: readonly PodInfo[]): void {
    this.#nominations.set(info, node);
    for (const other of this.#nominations.below(info, node)) {
      this.#nominations.clear(other.key);
      this.#queue.wake(other.key);
      this.#track(this.#writer.unnominate(other));
    }
    for (const victim of victims) {
      if (this.#victims.has(victim.uid) || victim.pod.metadata.deletionTimestamp) continue;
      this.#victims.add(victim.uid);
      this.#track(this.#end(victim, info, node));
    }
  }

  async #end(victim: PodInfo, by: PodInfo, node: string): Promise<void> {
    if (await this.#writer.preempt(victim, by, node)) return;
    this.#victims.delete(victim.uid);
    this.#queue.wake(by.key);
  }

  async #bind(pod: QueuedPod, node: string, volumes: VolumePlan | undefined): Promise<void> {
    const { info } = pod;
    try {
      if (volumes) await this.#bindVolumes(info, volumes, node);
      await this.#writer.bind(info, node);
      this.#queue.done(pod);
      const waitedMs = this.#o.clock.now() - pod.addedAt;
      this.#metrics?.bound(pod.attempts, waitedMs);
      this.#o.log.info({ pod: info.key, node, attempts: pod.attempts, waitedMs }, "pod assigned");
    } catch (error) {
      this.#cache.forget(info);
      this.#queue.retry(pod);
      this.#move("PodGone", node); // the room it was to have is free
      if (isReason(error, "Conflict", "NotFound")) {
        this.#o.log.debug({ err: error, pod: info.key, node }, "binding refused: the pod has moved on");
        return;
      }
      this.#o.log.warn({ err: error, pod: info.key, node }, "binding failed, will retry");
      this.#writer.failed(info, `binding rejected: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  async #bindVolumes({ pod }: PodInfo, volumes: VolumePlan, node: string): Promise<void> {
    try {
      await this.#volumes.bind(volumes, node, this.#writer.causeOf(pod, "VolumeBinding"), this.#signal);
    } finally {
      this.#cache.volumes.settle(volumes);
    }
  }

  #track(write: Promise<void>, among = this.#writes): void {
    const tracked = write.finally(() => among.delete(tracked));
    among.add(tracked);
  }

  #onPod(key: ObjectKey, now: DeepReadonly<Pod> | undefined, old: DeepReadonly<Pod> | undefined): void {
    if (old && (!now || now.metadata.deletionTimestamp)) this.#victims.delete(uidOf(old));
    if (now && standing(now)) {
      this.#queue.remove(key);
      this.#nominations.forget(key);
      this.#cache.put(podInfo(now), now.spec?.nodeName ?? "");
    } else if (now && this.#isMine(now)) {
      // One we have bound but whose binding we do not see yet still looks as if it had no node.
      if (!this.#cache.isAssumed(key, uidOf(now))) this.#enqueue(podInfo(now));
    } else {
      this.#queue.remove(key);
      this.#cache.remove(key);
      if (this.#nominations.forget(key)) this.#queue.move("PodGone");
    }
    for (const event of podEvents(now, old)) this.#move(event, (now ?? old)?.spec?.nodeName);
  }

  #enqueue(info: PodInfo): void {
    this.#nominations.observe(info);
    this.#queue.put(info);
  }

  /** `at`: the name of the node where it happened. */
  #move(event: ClusterEvent, at: string | undefined): void {
    const node = at === undefined ? undefined : this.#cache.node(at);
    if (!node) return this.#queue.move(event);
    const where = { node, snapshot: this.#cache };
    this.#queue.move(event, (pod, name) => {
      const plugin = this.#plugins.get(name);
      return !plugin || mayHelp(plugin, event, pod, where);
    });
  }

  #isMine(pod: DeepReadonly<Pod>): boolean {
    const scheduler = pod.spec?.schedulerName || DEFAULT_NAME;
    return !pod.spec?.nodeName && !isTerminal(pod) && !pod.metadata.deletionTimestamp && scheduler === this.#name;
  }

  #onNode(name: string, now: DeepReadonly<Node> | undefined, old: DeepReadonly<Node> | undefined): void {
    if (!now) return this.#cache.removeNode(name);
    this.#cache.setNode(now);
    for (const event of nodeEvents(now, old)) this.#move(event, name);
  }

  #onNamespace(name: string, now: DeepReadonly<Namespace> | undefined): void {
    if (!now) return this.#cache.removeNamespace(name);
    if (this.#cache.setNamespace(now)) this.#queue.move("NamespaceLabelsChanged");
  }
}
