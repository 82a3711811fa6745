/** What each metric of an autoscaler says: replicas, and how it is shown in the status. Pure. */
import type { PodMetrics, V2MetricSpec, V2MetricStatus, V2MetricTarget } from "../../api/generated/types.ts";
import { formatQuantity, milliValue } from "../../api/quantity.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { MetricError, type Resource } from "./pods.ts";
import { type Measured, proposeReplicas, type Proposal, type Target } from "./replicas.ts";

/** The answer of the metrics API, or why there is none. */
export type MetricsAnswer = { readonly items: readonly DeepReadonly<PodMetrics>[] } | { readonly error: string };

export interface Wanted {
  readonly replicas: number;
  /** In events and conditions: `cpu resource utilization (percentage of request)`. */
  readonly metric: string;
  readonly status: V2MetricStatus;
}

/** A metric that says nothing. */
export interface Failure {
  readonly reason: string;
  /** For its own event and condition, and for the sum of them. */
  readonly message: string;
  readonly summary: string;
}

export type Outcome = Wanted | Failure;

type Spec = DeepReadonly<V2MetricSpec>;
export type Situation = Omit<Measured, "metrics"> & { readonly metrics: MetricsAnswer };

export function evaluate(spec: Spec, s: Situation): Outcome {
  const source = SOURCES[spec.type];
  if (source) return source(spec, s);
  const message = `unknown metric source type "${spec.type}"`;
  return { reason: "InvalidMetricSourceType", message, summary: message };
}

/** Nobody here serves custom.metrics.k8s.io or external.metrics.k8s.io, and it is said as client-go says it. */
const NOT_SERVED = "no custom metrics API (custom.metrics.k8s.io) registered";
const NO_EXTERNAL = "no external metrics API (external.metrics.k8s.io) registered";

const SOURCES: Readonly<Record<string, (spec: Spec, s: Situation) => Outcome>> = {
  Resource({ resource }, s) {
    if (!resource) return unserved("FailedGetResourceMetric", "", "no resource is named");
    const { name, target } = resource;
    const show = (p: Proposal): V2MetricStatus => ({ type: "Resource", resource: { name, current: current(p) } });
    return ofResource({ name }, target, s, { words: `${name} resource`, reason: "FailedGetResourceMetric", show });
  },
  ContainerResource({ containerResource: source }, s) {
    if (!source) return unserved("FailedGetContainerResourceMetric", "", "no resource is named");
    const { name, container, target } = source;
    const show = (p: Proposal): V2MetricStatus => ({
      type: "ContainerResource",
      containerResource: { name, container, current: current(p) },
    });
    const said = { words: `${name} container resource`, reason: "FailedGetContainerResourceMetric", show };
    return ofResource({ name, container }, target, s, said);
  },
  Pods: ({ pods }) => custom("FailedGetPodsMetric", "pods metric value", pods?.metric.name ?? "", NOT_SERVED),
  Object: ({ object }) => custom("FailedGetObjectMetric", "object metric value", object?.metric.name ?? "", NOT_SERVED),
  External({ external }) {
    const name = external?.metric.name ?? "";
    const why = `unable to get external metric ${name}: unable to fetch metrics from external metrics API: ${NO_EXTERNAL}`;
    return unserved("FailedGetExternalMetric", `failed to get ${name} external metric: `, why);
  },
};

function custom(reason: string, what: string, name: string, why: string): Failure {
  const message = `unable to get metric ${name}: unable to fetch metrics from custom metrics API: ${why}`;
  return unserved(reason, `failed to get ${what}: `, message);
}

const unserved = (reason: string, prefix: string, message: string): Failure => ({
  reason,
  message,
  summary: prefix + message,
});

interface Words {
  readonly words: string;
  readonly reason: string;
  readonly show: (p: Proposal) => V2MetricStatus;
}

function ofResource(r: Resource, target: DeepReadonly<V2MetricTarget>, s: Situation, w: Words): Outcome {
  try {
    const goal = targetOf(target);
    const proposal = proposeReplicas(r, goal, { ...s, metrics: itemsOf(s.metrics, r) });
    const metric = "utilization" in goal ? `${w.words} utilization (percentage of request)` : w.words;
    return { replicas: proposal.replicas, metric, status: w.show(proposal) };
  } catch (error) {
    if (!(error instanceof MetricError)) throw error;
    const what = target.averageValue === undefined ? "utilization" : "usage";
    const summary = `failed to get ${r.name} ${what}: ${error.message}`;
    return { reason: w.reason, message: error.message, summary };
  }
}

function targetOf(t: DeepReadonly<V2MetricTarget>): Target {
  if (t.averageValue !== undefined) return { averageMilli: Number(milliValue(t.averageValue)) };
  if (t.averageUtilization !== undefined) return { utilization: t.averageUtilization };
  throw new MetricError(
    "invalid resource metric source: neither an average utilization target nor an average value target was set",
  );
}

function itemsOf(answer: MetricsAnswer, { name }: Resource): readonly DeepReadonly<PodMetrics>[] {
  if ("items" in answer) return answer.items;
  throw new MetricError(
    `unable to get metrics for resource ${name}: unable to fetch metrics from resource metrics API: ${answer.error}`,
  );
}

function current({ utilization, averageMilli }: Proposal) {
  const averageValue = formatQuantity({ nano: BigInt(averageMilli) * 1_000_000n, format: "DecimalSI" });
  return { ...(utilization !== undefined && { averageUtilization: utilization }), averageValue };
}
