/** What each metric of an autoscaler says: replicas, and how it is shown in the status. Pure. */
import type {
  LabelSelector,
  PodMetrics,
  V2MetricSpec,
  V2MetricStatus,
  V2MetricTarget,
} from "../../api/generated/types.ts";
import { formatQuantity, milliValue } from "../../api/quantity.ts";
import { own } from "../../util/keys.ts";
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

export interface Situation extends Omit<Measured, "metrics"> {
  readonly namespace: string;
  readonly metrics: MetricsAnswer;
}

export function evaluate(spec: Spec, s: Situation): Outcome {
  const source = own(SOURCES, spec.type);
  if (source) return source(spec, s);
  const message = `unknown metric source type "${spec.type}"`;
  return { reason: "InvalidMetricSourceType", message, summary: message };
}

/** Nobody here serves these, and it is said as client-go says it. */
const NO_CUSTOM =
  "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered";
const noExternal = (name: string) =>
  `unable to fetch metrics from external metrics API: the server could not find the requested resource (get ${name}.external.metrics.k8s.io)`;

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
  Pods({ pods }) {
    const why = `unable to get metric ${pods?.metric.name ?? ""}: ${NO_CUSTOM}`;
    return unserved("FailedGetPodsMetric", "failed to get pods metric value: ", why);
  },
  Object({ object }, { namespace }) {
    const { kind = "", name = "" } = object?.describedObject ?? {};
    const why = `unable to get metric ${object?.metric.name ?? ""}: ${kind} on ${namespace} ${name}/${NO_CUSTOM}`;
    return unserved("FailedGetObjectMetric", "failed to get object metric value: ", why);
  },
  External({ external }, { namespace }) {
    const { name = "", selector } = external?.metric ?? {};
    const each = external?.target.averageValue !== undefined;
    const why = `unable to get external metric ${namespace}/${name}/${goString(selector)}: ${noExternal(name)}`;
    const prefix = each ? `failed to get ${name} external metric: ` : `failed to get external metric ${name}: `;
    return unserved("FailedGetExternalMetric", prefix, why);
  },
};

/** As Go prints one. */
function goString(selector: DeepReadonly<LabelSelector> | undefined): string {
  if (!selector) return "nil";
  const labels = Object.entries(selector.matchLabels ?? {}).map(([k, v]) => `${k}: ${v},`);
  const expressions = (selector.matchExpressions ?? []).map(
    (e) => `LabelSelectorRequirement{Key:${e.key},Operator:${e.operator},Values:[${(e.values ?? []).join(" ")}],},`,
  );
  return `&LabelSelector{MatchLabels:map[string]string{${labels.join("")}},MatchExpressions:[]LabelSelectorRequirement{${expressions.join("")}},}`;
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
