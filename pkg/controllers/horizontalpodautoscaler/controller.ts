/** Makes targets as large as their load asks for, through the scale of whatever kind they are. */
import { deepEqual } from "../../api/equal.ts";
import type { Scale, V2HorizontalPodAutoscaler, V2HorizontalPodAutoscalerStatus } from "../../api/generated/types.ts";
import { horizontalPodAutoscalers } from "../../api/kinds/autoscaling/horizontalpodautoscaler.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { podMetrics } from "../../api/kinds/metrics/metrics.ts";
import { keyOf, namespaceOf, parseApiVersion } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { formatSelector, matchesLabels, parseLabelSelector, type Selector } from "../../api/selectors.ts";
import { isReason } from "../../api/status.ts";
import type { Cause } from "../../client/transport.ts";
import type { Informer } from "../../informer/informer.ts";
import { type Outcome, type ReconcileRun, runController } from "../../reconcile/controller.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ControllerParts } from "../parts.ts";
import type { ReadonlyPod } from "../workload/pods.ts";
import { type History, noHistory, scaled } from "./behavior.ts";
import type { MetricsAnswer } from "./metrics.ts";
import { afterRescale, type Event, planScale, type TargetPods, unreachable } from "./plan.ts";
import { type AutoscalerSettings, defaultSettings } from "./settings.ts";

type Hpa = DeepReadonly<V2HorizontalPodAutoscaler>;

const NAME = "horizontal-pod-autoscaler";
const WORKERS = 5;

export async function runHorizontalPodAutoscalers(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const queue = new WorkQueue(o);
  using recorder = new EventRecorder({ ...o, component: NAME });
  const controller = new AutoscalerController(o, recorder);
  const autoscalers = o.informers.of(horizontalPodAutoscalers);
  // What it writes itself is no reason to look again.
  autoscalers.onChange((key, now, old) => {
    if (!now || !old || !deepEqual(now.spec, old.spec)) queue.add(key);
  });
  const after = [autoscalers, o.informers.of(pods), o.kinds];
  const reconcile = controller.reconcile.bind(controller);
  await runController({ ...o, name: NAME, queue, workers: WORKERS, after, reconcile }, signal);
}

interface Target {
  readonly ref: ResourceRef;
  readonly scale: DeepReadonly<Scale>;
}

class AutoscalerController {
  readonly #o: ControllerParts;
  readonly #settings: AutoscalerSettings;
  readonly #recorder: EventRecorder;
  readonly #autoscalers: Informer<V2HorizontalPodAutoscaler>;
  /** What is remembered of each. A controller that has just started begins anew, from the size it finds. */
  readonly #histories = new Map<string, History>();
  /** Whose Pods each scales: two that scale the same would pull in two directions. */
  readonly #selectors = new Map<string, Selector>();

  constructor(o: ControllerParts, recorder: EventRecorder) {
    this.#o = o;
    this.#settings = { ...defaultSettings, ...o.autoscaler };
    this.#recorder = recorder;
    this.#autoscalers = o.informers.of(horizontalPodAutoscalers);
  }

  async reconcile(key: string, signal: AbortSignal, { reconcileId }: ReconcileRun): Promise<Outcome> {
    const hpa = this.#autoscalers.get(key);
    if (!hpa) {
      this.#histories.delete(key);
      this.#selectors.delete(key);
      return "done";
    }
    const object = `${horizontalPodAutoscalers.plural}/${key}@${hpa.metadata.resourceVersion ?? ""}`;
    const cause = (reason: string): Cause => ({ component: NAME, reconcileId, reason, object });
    await this.#look(hpa, cause, signal);
    return { againAfterMs: this.#settings.syncMs };
  }

  async #look(hpa: Hpa, cause: (r: string) => Cause, signal: AbortSignal): Promise<void> {
    const now = this.#o.clock.now();
    const target = await this.#target(hpa, signal);
    if ("error" in target) {
      const { status, event } = unreachable(hpa, target.error, now);
      return this.#report(hpa, { status, events: [event] }, cause, signal);
    }
    const current = target.scale.spec?.replicas ?? 0;
    const history = this.#history(hpa, current, now);
    const observed = { hpa, current, history, now, settings: this.#settings };
    const plan = planScale({ ...observed, target: await this.#targetPods(hpa, target, signal) });
    const error = plan.rescale && (await this.#rescale(target, plan.rescale.replicas, cause("Rescale"), signal));
    const scaledTo = error === undefined ? plan.rescale?.replicas : undefined;
    const next = scaledTo === undefined ? plan.history : scaled(plan.history, current, scaledTo, now);
    this.#histories.set(keyOf(hpa), next);
    const { status, event } = afterRescale(observed, plan, error);
    await this.#report(hpa, { status, events: [...plan.events, ...(event ? [event] : [])] }, cause, signal);
  }

  #history(hpa: Hpa, current: number, now: number): History {
    const first = { ...noHistory, recommendations: [{ at: now, replicas: current }] };
    return this.#histories.get(keyOf(hpa)) ?? first;
  }

  async #target(hpa: Hpa, signal: AbortSignal): Promise<Target | { readonly error: string }> {
    const { apiVersion = "", kind, name } = hpa.spec.scaleTargetRef;
    const { group } = parseApiVersion(apiVersion);
    const ref = this.#o.kinds.all().find((k) => k.group === group && k.kind === kind);
    if (!ref) return { error: `no matches for kind "${kind}" in group "${group}"` };
    try {
      const api = this.#o.client.resource(ref, namespaceOf(hpa));
      return { ref, scale: (await api.getSubresource(name, "scale", signal)) as DeepReadonly<Scale> };
    } catch (error) {
      signal.throwIfAborted();
      return { error: (error as Error).message };
    }
  }

  async #targetPods(hpa: Hpa, { scale }: Target, signal: AbortSignal): Promise<TargetPods> {
    const text = scale.status?.selector ?? "";
    if (text === "") {
      const message = "the HPA target's scale is missing a selector";
      const event = { reason: "SelectorRequired", message: "selector is required" };
      return { problem: { reason: "InvalidSelector", message, event } };
    }
    let selector: Selector;
    try {
      selector = parseLabelSelector(text);
    } catch (error) {
      const why = (error as Error).message;
      const message = `couldn't convert selector into a corresponding internal selector object: ${why}`;
      return { problem: { reason: "InvalidSelector", message } };
    }
    this.#selectors.set(keyOf(hpa), selector);
    const all = this.#o.informers.of(pods).byIndex("namespace", namespaceOf(hpa));
    const meant = all.filter((p) => matchesLabels(selector, p.metadata.labels));
    const rivals = this.#rivals(hpa, meant);
    if (rivals.length > 1) {
      const message = `pods by selector ${formatSelector(selector)} are controlled by multiple HPAs: [${rivals.join(" ")}]`;
      return { problem: { reason: "AmbiguousSelector", message } };
    }
    return { pods: meant, metrics: await this.#metrics(hpa, text, signal) };
  }

  /** Of those whose selectors mean any of the Pods, in order. */
  #rivals(hpa: Hpa, meant: readonly ReadonlyPod[]): readonly string[] {
    const inNamespace = this.#autoscalers.byIndex("namespace", namespaceOf(hpa)).map(keyOf);
    const means = (key: string) => {
      const selector = this.#selectors.get(key);
      return selector !== undefined && meant.some((p) => matchesLabels(selector, p.metadata.labels));
    };
    return inNamespace.filter(means).toSorted();
  }

  async #metrics(hpa: Hpa, labelSelector: string, signal: AbortSignal): Promise<MetricsAnswer> {
    try {
      const api = this.#o.client.resource(podMetrics, namespaceOf(hpa));
      return { items: (await api.list({ labelSelector }, signal)).items };
    } catch (error) {
      signal.throwIfAborted();
      return { error: (error as Error).message };
    }
  }

  /** Why it could not be done. */
  async #rescale(
    { ref, scale }: Target,
    replicas: number,
    cause: Cause,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { name = "", namespace } = scale.metadata;
    const body = { ...scale, spec: { ...scale.spec, replicas } };
    try {
      await this.#o.client.resource(ref, namespace).subresource(name, "scale", body, "update", cause);
      return undefined;
    } catch (error) {
      signal.throwIfAborted();
      return (error as Error).message;
    }
  }

  async #report(
    hpa: Hpa,
    { status, events }: { status: DeepReadonly<V2HorizontalPodAutoscalerStatus>; events: readonly Event[] },
    cause: (r: string) => Cause,
    signal: AbortSignal,
  ): Promise<void> {
    const subject = subjectOf(horizontalPodAutoscalers, hpa);
    for (const { type, reason, message } of events) this.#recorder.event(subject, type, reason, message);
    if (deepEqual(hpa.status, status)) return;
    try {
      const api = this.#o.client.resource(horizontalPodAutoscalers, namespaceOf(hpa));
      const written = await api.updateStatus({ ...hpa, status }, { cause: cause("StatusChanged") });
      await this.#autoscalers.whenShows(written, signal);
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
    }
  }
}
