/** What one look at a HorizontalPodAutoscaler comes to: a size, and why. Pure. */
import type {
  V2HorizontalPodAutoscaler,
  V2HorizontalPodAutoscalerCondition,
  V2HorizontalPodAutoscalerStatus,
  V2MetricStatus,
} from "../../api/generated/types.ts";
import { namespaceOf } from "../../api/object.ts";
import { milliValue } from "../../api/quantity.ts";
import type { EventType } from "../../reconcile/events.ts";
import { rfc3339 } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { withCondition } from "../workload/conditions.ts";
import type { ReadonlyPod } from "../workload/pods.ts";
import { bound, type Bounds, type History, recommended, type Said } from "./behavior.ts";
import { evaluate, type Failure, type MetricsAnswer, type Wanted } from "./metrics.ts";
import type { AutoscalerSettings } from "./settings.ts";

type Hpa = DeepReadonly<V2HorizontalPodAutoscaler>;
type Status = DeepReadonly<V2HorizontalPodAutoscalerStatus>;
type Conditions = readonly DeepReadonly<V2HorizontalPodAutoscalerCondition>[];

export interface Event {
  readonly type: EventType;
  readonly reason: string;
  readonly message: string;
}

/** As its condition says it, and its event where that has other words. */
export interface Problem {
  readonly reason: string;
  readonly message: string;
  readonly event?: { readonly reason: string; readonly message: string };
}

/** Which Pods the target means; a problem is said in a condition of its own. */
export type TargetPods =
  | { readonly pods: readonly ReadonlyPod[]; readonly metrics: MetricsAnswer }
  | { readonly problem: Problem };

export interface Observed {
  readonly hpa: Hpa;
  /** Of the target's scale: what is asked for. */
  readonly current: number;
  readonly target: TargetPods;
  readonly history: History;
  readonly now: number;
  readonly settings: AutoscalerSettings;
}

export interface AutoscalePlan {
  /** Set when the scale is to be changed. */
  readonly rescale?: { readonly replicas: number; readonly reason: string };
  /** As it is to be when all of it has succeeded but for the scale. */
  readonly status: Status;
  readonly events: readonly Event[];
  readonly history: History;
}

export function planScale(o: Observed): AutoscalePlan {
  const { hpa, current, history, now } = o;
  const { maxReplicas: max, minReplicas: min = 1 } = hpa.spec;
  const conditions = said(hpa.status?.conditions, "AbleToScale", GOT_SCALE, now);
  const plain = (status: Partial<Status>, rescale?: AutoscalePlan["rescale"]): AutoscalePlan => ({
    status: statusOf(o, { conditions, desiredReplicas: rescale?.replicas ?? current, ...status }),
    events: [],
    history,
    ...(rescale && { rescale }),
  });
  if (current === 0 && min !== 0) {
    return plain({ desiredReplicas: 0, conditions: said(conditions, "ScalingActive", DISABLED, now) });
  }
  if (current > max) return plain({}, { replicas: max, reason: "Current number of replicas above Spec.MaxReplicas" });
  if (current < min) return plain({}, { replicas: min, reason: "Current number of replicas below Spec.MinReplicas" });
  return planByMetrics(o, conditions);
}

function planByMetrics(o: Observed, conditions: Conditions): AutoscalePlan {
  const { hpa, current, now, settings } = o;
  const found = askMetrics(o);
  const active = said(conditions, "ScalingActive", found.scalingActive, now);
  if (found.wanted === undefined) {
    const desiredReplicas = hpa.status?.desiredReplicas ?? current;
    const status = statusOf(o, { conditions: active, desiredReplicas, ...found.shown });
    return { status, events: found.events, history: o.history };
  }
  const { replicas, metric } = found.wanted;
  const { maxReplicas: max, minReplicas: min = 1, behavior } = hpa.spec;
  const { downscaleStabilizationMs } = settings;
  const bounds: Bounds = { current, min, max, behavior, downscaleStabilizationMs };
  const bounded = bound(replicas, bounds, o.history, now);
  const able = said(active, "AbleToScale", bounded.ableToScale, now);
  const limited = said(able, "ScalingLimited", bounded.scalingLimited, now);
  const reason = replicas > current ? `${metric} above target` : replicas < current ? "All metrics below target" : "";
  return {
    status: statusOf(o, {
      conditions: limited,
      desiredReplicas: bounded.replicas,
      ...found.shown,
    }),
    events: found.events,
    history: recommended(o.history, replicas, bounds, now),
    ...(bounded.replicas !== current && { rescale: { replicas: bounded.replicas, reason } }),
  };
}

interface Found {
  /** The most that any metric asks for; undefined: nothing may be done on what is known. */
  readonly wanted?: Pick<Wanted, "replicas" | "metric">;
  /** Absent: as it was. */
  readonly shown?: { readonly currentMetrics: readonly V2MetricStatus[] };
  readonly scalingActive: Said;
  readonly events: readonly Event[];
}

/** One metric that is known is enough to go up, but all must be known to go down. */
function askMetrics(o: Observed): Found {
  if ("problem" in o.target) return problem(o.target.problem);
  const { current, now, settings, hpa } = o;
  const { pods, metrics } = o.target;
  const tolerance = toleranceOf(hpa, settings);
  const specs = hpa.spec.metrics ?? [];
  const namespace = namespaceOf(hpa);
  const outcomes = specs.map((m) => evaluate(m, { namespace, current, pods, metrics, tolerance, now, settings }));
  const failures = outcomes.filter((x): x is Failure => !("replicas" in x));
  const wanted = outcomes
    .filter((x): x is Wanted => "replicas" in x)
    .reduce<Wanted | undefined>((most, x) => (most && most.replicas >= x.replicas ? most : x), undefined);
  const shown = { currentMetrics: outcomes.map((x) => ("replicas" in x ? x.status : { type: "" })) };
  const events = failures.map((f): Event => ({ type: "Warning", reason: f.reason, message: f.message }));
  const [first] = failures;
  if (!first && wanted) return { wanted, shown, scalingActive: valid(wanted.metric), events };
  const message = `invalid metrics (${failures.length} invalid out of ${specs.length}), first error is: ${first?.summary ?? "there is no metric"}`;
  const all: Found["events"] = [...events, { type: "Warning", reason: "FailedComputeMetricsReplicas", message }];
  if (wanted && wanted.replicas >= current) {
    return { wanted, shown, scalingActive: valid(wanted.metric), events: all };
  }
  const why = `the HPA was unable to compute the replica count: ${first?.message ?? "there is no metric"}`;
  const scalingActive: Said = { status: "False", reason: first?.reason ?? "InvalidMetricSourceType", message: why };
  return { shown, scalingActive, events: all };
}

function problem({ reason, message, event = { reason, message } }: Problem): Found {
  return {
    scalingActive: { status: "False", reason, message },
    events: [
      { type: "Warning", ...event },
      { type: "Warning", reason: "FailedComputeMetricsReplicas", message: event.message },
    ],
  };
}

const GOT_SCALE: Said = {
  status: "True",
  reason: "SucceededGetScale",
  message: "the HPA controller was able to get the target's current scale",
};
const DISABLED: Said = {
  status: "False",
  reason: "ScalingDisabled",
  message: "scaling is disabled since the replica count of the target is zero",
};

const valid = (metric: string): Said => ({
  status: "True",
  reason: "ValidMetricFound",
  message: `the HPA was able to successfully calculate a replica count from ${metric}`,
});

function toleranceOf({ spec }: Hpa, { tolerance }: AutoscalerSettings) {
  const of = (text: string | undefined) => (text === undefined ? tolerance : Number(milliValue(text)) / 1000);
  return { up: of(spec.behavior?.scaleUp?.tolerance), down: of(spec.behavior?.scaleDown?.tolerance) };
}

function statusOf(o: Observed, next: Partial<Status> & Pick<Status, "desiredReplicas">): Status {
  const { lastScaleTime, currentMetrics } = o.hpa.status ?? {};
  const { generation } = o.hpa.metadata;
  return {
    ...(generation !== undefined && { observedGeneration: generation }),
    ...(lastScaleTime && { lastScaleTime }),
    currentReplicas: o.current,
    ...(currentMetrics && { currentMetrics }),
    ...next,
  };
}

export function said(list: Conditions | undefined, type: string, s: Said, now: number): Conditions {
  return withCondition<DeepReadonly<V2HorizontalPodAutoscalerCondition>>(list, { type, ...s }, now);
}

/** The status, and what to tell, once the scale has been written or refused. */
export function afterRescale(
  { hpa, current, now }: Pick<Observed, "hpa" | "current" | "now">,
  { status, rescale }: Pick<AutoscalePlan, "status" | "rescale">,
  error?: string,
): { readonly status: Status; readonly event?: Event } {
  if (!rescale) return { status };
  const size = `New size: ${rescale.replicas}; reason: ${rescale.reason}`;
  if (error !== undefined) {
    const message = `the HPA controller was unable to update the target scale: ${error}`;
    const failed: Said = { status: "False", reason: "FailedUpdateScale", message };
    const conditions = said(status.conditions, "AbleToScale", failed, now);
    const { desiredReplicas = current } = hpa.status ?? {};
    return {
      status: { ...status, desiredReplicas, conditions },
      event: { type: "Warning", reason: "FailedRescale", message: `${size}; error: ${error}` },
    };
  }
  const message = `the HPA controller was able to update the target scale to ${rescale.replicas}`;
  const done: Said = { status: "True", reason: "SucceededRescale", message };
  const conditions = said(status.conditions, "AbleToScale", done, now);
  return {
    status: { ...status, conditions, lastScaleTime: rfc3339(now) },
    event: { type: "Normal", reason: "SuccessfulRescale", message: size },
  };
}

/** The target's scale could not be read. */
export function unreachable(hpa: Hpa, error: string, now: number): { readonly status: Status; readonly event: Event } {
  const message = `the HPA controller was unable to get the target's current scale: ${error}`;
  const conditions = said(hpa.status?.conditions, "AbleToScale", failed(message), now);
  return {
    status: { ...(hpa.status ?? { desiredReplicas: 0 }), conditions },
    event: { type: "Warning", reason: "FailedGetScale", message: error },
  };
}

const failed = (message: string): Said => ({ status: "False", reason: "FailedGetScale", message });
