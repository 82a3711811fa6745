/**
 * Learns what the Pods of each VerticalPodAutoscaler's target use, recommends requests, and has Pods made anew whose
 * requests are far off. What new Pods ask for is set at their admission.
 */
import { deepEqual } from "../../api/equal.ts";
import type { Pod, PodMetrics } from "../../api/generated/types.ts";
import { replicaSets } from "../../api/kinds/apps/replicaset.ts";
import { jobs } from "../../api/kinds/batch/job.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { podMetrics } from "../../api/kinds/metrics/metrics.ts";
import { type ApiObject, keyOf, makeKey, nameOf, namespaceOf, uidOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { isReason } from "../../api/status.ts";
import {
  amount,
  applyRecommendation,
  type ContainerRecommendation,
  type FindOwner,
  isMeant,
  updateMode,
  type VerticalPodAutoscaler,
  verticalPodAutoscalers,
} from "../../api/verticalpodautoscaler.ts";
import type { Cause } from "../../client/transport.ts";
import { newReconcileId } from "../../reconcile/controller.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ControllerParts } from "../parts.ts";
import { withCondition } from "../workload/conditions.ts";
import type { ReadonlyPod } from "../workload/pods.ts";
import { loadUsage, saveUsage, type Usages } from "./checkpoints.ts";
import { learn } from "./learn.ts";
import { recommend } from "./recommend.ts";
import { isStuck, planEvictions } from "./update.ts";

type Vpa = DeepReadonly<VerticalPodAutoscaler>;
type Metrics = ReadonlyMap<string, DeepReadonly<PodMetrics>>;

const NAME = "vertical-pod-autoscaler";
const LOOK_MS = 60_000;
const SAVE_MS = 10 * 60_000;
/** Kinds that are made by others. */
const between: readonly ResourceRef<ApiObject>[] = [replicaSets, jobs] as unknown as ResourceRef<ApiObject>[];

/** A look a minute, as long as the kind is served; until then it costs nothing. */
export async function runVerticalPodAutoscalers(o: ControllerParts, signal: AbortSignal): Promise<void> {
  using recorder = new EventRecorder({ ...o, component: NAME });
  const autoscaler = new VerticalAutoscaler(o, recorder);
  while (!signal.aborted) {
    await o.clock.sleep(LOOK_MS, signal).catch(() => {}); // an abort; the loop sees it
    if (signal.aborted) return;
    try {
      await autoscaler.look(signal);
    } catch (error) {
      if (!signal.aborted) o.log.warn({ err: error }, "vertical pod autoscalers: not looked at; next time again");
    }
  }
}

interface Known {
  readonly usages: Usages;
  savedAt: number;
}

class VerticalAutoscaler {
  readonly #o: ControllerParts;
  readonly #recorder: EventRecorder;
  /** By the VPA's uid. */
  readonly #known = new Map<string, Known>();

  constructor(o: ControllerParts, recorder: EventRecorder) {
    this.#o = o;
    this.#recorder = recorder;
  }

  async look(signal: AbortSignal): Promise<void> {
    const all = await this.#list(signal);
    const uids = new Set(all.map(uidOf));
    for (const uid of this.#known.keys()) if (!uids.has(uid)) this.#known.delete(uid);
    if (all.length === 0) return;
    await Promise.all(
      [pods, replicaSets, jobs].map((ref) => this.#o.informers.of(ref as ResourceRef).whenSynced(signal)),
    );
    const metrics = new Map<string, Promise<Metrics>>();
    for (const vpa of all) {
      const namespace = namespaceOf(vpa);
      const here = metrics.get(namespace) ?? this.#metrics(namespace, signal);
      metrics.set(namespace, here);
      try {
        await this.#one(vpa, await here, signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#o.log.warn({ err: error, vpa: keyOf(vpa) }, "vertical pod autoscaler: will look again");
      }
    }
  }

  async #list(signal: AbortSignal): Promise<readonly Vpa[]> {
    const { group, plural } = verticalPodAutoscalers;
    if (!this.#o.kinds.all().some((k) => k.group === group && k.plural === plural)) return [];
    return (await this.#o.client.resource(verticalPodAutoscalers).list({}, signal)).items;
  }

  /** Of Pods that are not measured there is nothing to learn this time. */
  async #metrics(namespace: string, signal: AbortSignal): Promise<Metrics> {
    try {
      const { items } = await this.#o.client.resource(podMetrics, namespace).list({}, signal);
      return new Map(items.map((m) => [nameOf(m), m]));
    } catch (error) {
      signal.throwIfAborted();
      this.#o.log.debug({ err: error, namespace }, "vertical pod autoscalers: no metrics");
      return new Map();
    }
  }

  async #one(vpa: Vpa, metrics: Metrics, signal: AbortSignal): Promise<void> {
    const reconcileId = newReconcileId(this.#o.random);
    const object = `${verticalPodAutoscalers.plural}/${keyOf(vpa)}@${vpa.metadata.resourceVersion ?? ""}`;
    const cause = (reason: string): Cause => ({ component: NAME, reconcileId, reason, object });
    const known = this.#known.get(uidOf(vpa)) ?? { usages: await loadUsage(this.#o.client, vpa, signal), savedAt: 0 };
    this.#known.set(uidOf(vpa), known);
    const meant = this.#podsOf(vpa);
    learn(known.usages, meant, metrics);
    const next = withRecommendation(vpa, { usages: known.usages, pods: meant.length, now: this.#o.clock.now() });
    if (isNews(vpa.status, next.status)) await this.#report(next, cause("StatusChanged"));
    for (const pod of planEvictions(next, meant, this.#o.clock.now())) await this.#update(next, pod, cause("FarOff"));
    if (this.#o.clock.now() - known.savedAt < SAVE_MS) return;
    await saveUsage(this.#o.client, vpa, known.usages, cause("Checkpoint"));
    known.savedAt = this.#o.clock.now();
  }

  #podsOf(vpa: Vpa): readonly ReadonlyPod[] {
    const find: FindOwner = (namespace, owner) => {
      const ref = between.find((k) => k.kind === owner.kind);
      return ref && this.#o.informers.of(ref).get(makeKey(namespace, owner.name));
    };
    const here = this.#o.informers.of(pods).byIndex("namespace", namespaceOf(vpa));
    return here.filter((pod) => isMeant(vpa, pod, find));
  }

  async #report(vpa: Vpa, cause: Cause): Promise<void> {
    try {
      await this.#o.client.resource(verticalPodAutoscalers, namespaceOf(vpa)).updateStatus(vpa, { cause });
    } catch (error) {
      if (!isReason(error, "NotFound", "Conflict")) throw error; // a minute later it is as true as now
    }
  }

  /** Where it runs, if the mode says so and that can be; else by a new one. */
  async #update(vpa: Vpa, pod: ReadonlyPod, cause: Cause): Promise<void> {
    const inPlace = updateMode(vpa) === "InPlaceOrRecreate" && !isStuck(pod, this.#o.clock.now());
    if (!inPlace || !(await this.#resize(vpa, pod, cause))) await this.#evict(pod, cause);
  }

  /** False: the server will not have it (its QoS class would be another one). */
  async #resize(vpa: Vpa, pod: ReadonlyPod, cause: Cause): Promise<boolean> {
    const resized = structuredClone(pod) as Pod;
    applyRecommendation(vpa, resized);
    const containers = (resized.spec?.containers ?? []).map(({ name, resources }) => ({ name, resources }));
    try {
      const api = this.#o.client.resource(pods, namespaceOf(pod));
      const body = { spec: { containers } };
      await api.patch(nameOf(pod), "application/strategic-merge-patch+json", body, { subresource: "resize", cause });
    } catch (error) {
      if (isReason(error, "NotFound", "Conflict")) return true;
      if (isReason(error, "Invalid", "Forbidden")) return false;
      throw error;
    }
    const message = "Pod was resized in place by VPA Updater.";
    this.#recorder.event(subjectOf(pods, pod), "Normal", "InPlaceResizedByVPA", message);
    return true;
  }

  /** A disruption budget may say no: then it stays for now. */
  async #evict(pod: ReadonlyPod, cause: Cause): Promise<void> {
    const [name, namespace] = [nameOf(pod), namespaceOf(pod)];
    const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name, namespace } };
    try {
      await this.#o.client.resource(pods, namespace).subresource(name, "eviction", eviction, "create", cause);
    } catch (error) {
      if (isReason(error, "TooManyRequests", "NotFound")) return;
      throw error;
    }
    const message = "Pod was evicted by VPA Updater to apply resource recommendation.";
    this.#recorder.event(subjectOf(pods, pod), "Normal", "EvictedByVPA", message);
  }
}

/** The bounds draw nearer with every minute; a change of less than this is not worth a write. */
const WORTH_WRITING = 0.01;

/** Whether a status says something else than the one that stands. */
export function isNews(old: Vpa["status"], next: Vpa["status"]): boolean {
  if (!deepEqual(old?.conditions, next?.conditions)) return true;
  const [before = [], after = []] = [old, next].map((s) => s?.recommendation?.containerRecommendations);
  if (before.length !== after.length) return true;
  return after.some((r, i) => r.containerName !== before[i]?.containerName || moved(before[i], r));
}

function moved(before: DeepReadonly<ContainerRecommendation> | undefined, r: DeepReadonly<ContainerRecommendation>) {
  if (!deepEqual(before?.target, r.target) || !deepEqual(before?.uncappedTarget, r.uncappedTarget)) return true;
  return (["lowerBound", "upperBound"] as const).some((bound) =>
    Object.entries(r[bound]).some(([resource, text]) => {
      const [was, is] = [amount(before?.[bound][resource] ?? "0"), amount(text)];
      return Math.abs(is - was) > was * WORTH_WRITING;
    }),
  );
}

interface Learned {
  readonly usages: Usages;
  /** How many Pods the target has. */
  readonly pods: number;
  readonly now: number;
}

/** The VPA with the status that follows from what was learned. */
export function withRecommendation(vpa: Vpa, { usages, pods: count, now }: Learned): Vpa {
  const containerRecommendations = recommend(vpa, usages);
  const provided = containerRecommendations.length > 0 ? "True" : "False";
  const noPods = count === 0;
  const matched = {
    type: "NoPodsMatched",
    status: noPods ? "True" : "False",
    ...(noPods && { reason: "NoPodsMatched", message: "No pods match this VPA object" }),
  };
  const recommended = withCondition(vpa.status?.conditions, { type: "RecommendationProvided", status: provided }, now);
  const conditions = withCondition(recommended, matched, now);
  return {
    ...vpa,
    status: { ...(provided === "True" && { recommendation: { containerRecommendations } }), conditions },
  };
}
