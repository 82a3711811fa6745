/**
 * autoscaling/v1: the same autoscalers, in the words of the time when only CPU was measured. What those lack stands in
 * annotations, as JSON, where every client of v1 carries it along unread.
 */
import { strictDecode } from "../../decode.ts";
import { deepClone } from "../../equal.ts";
import type {
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerStatus,
  V2HorizontalPodAutoscaler,
  V2HorizontalPodAutoscalerSpec,
  V2HorizontalPodAutoscalerStatus,
  V2MetricSpec,
} from "../../generated/types.ts";
import type { ApiObject } from "../../object.ts";
import type { Column, ResourceDef, Subresource } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { BEHAVIOR, CONDITIONS, CURRENT_METRICS, METRICS, withoutV1Annotations } from "./annotations.ts";
import { horizontalPodAutoscalers as stored } from "./horizontalpodautoscaler.ts";
import { metricFromV1, metricToV1, SPECS, STATUSES } from "./metrics-v1.ts";

export const horizontalPodAutoscalersV1: ResourceDef<HorizontalPodAutoscaler> = {
  group: "autoscaling",
  version: "v1",
  kind: "HorizontalPodAutoscaler",
  plural: stored.plural,
  singular: stored.singular,
  shortNames: stored.shortNames,
  categories: stored.categories,
  namespaced: true,
  schema: "HorizontalPodAutoscaler",
  view: { of: stored as unknown as ResourceDef, toStored, fromStored },
  subresources: stored.subresources as unknown as Readonly<Record<string, Subresource<HorizontalPodAutoscaler>>>,
  selectableFields: {},
  columns: stored.columns.map((c): Column<HorizontalPodAutoscaler> => ({
    ...c,
    cell: (o, now) => c.cell(toStored(o), now),
  })),
};

/** The CPU metric, which v1 has a field for. */
function isCpu(m: DeepReadonly<V2MetricSpec>): boolean {
  return m.type === "Resource" && m.resource?.name === "cpu" && m.resource.target?.averageUtilization !== undefined;
}

function fromStored(object: DeepReadonly<ApiObject>): HorizontalPodAutoscaler {
  const { metadata, spec, status } = deepClone(object) as V2HorizontalPodAutoscaler;
  const { metrics = [], behavior, ...bounds } = spec;
  const cpu = metrics.find(isCpu)?.resource?.target.averageUtilization;
  const others = metrics.filter((m) => !isCpu(m));
  const added = {
    ...annotation(
      METRICS,
      others.map((m) => metricToV1(m, SPECS)),
    ),
    ...annotation(
      CURRENT_METRICS,
      status?.currentMetrics?.map((m) => metricToV1(m, STATUSES)),
    ),
    ...annotation(BEHAVIOR, recase(behavior, "toUpperCase")),
    ...annotation(CONDITIONS, status?.conditions),
  };
  const kept = withoutV1Annotations(metadata);
  return {
    apiVersion: "autoscaling/v1",
    kind: "HorizontalPodAutoscaler",
    metadata: Object.keys(added).length ? { ...kept, annotations: { ...kept.annotations, ...added } } : kept,
    spec: { ...bounds, ...(cpu !== undefined && { targetCPUUtilizationPercentage: cpu }) },
    ...(status && { status: statusToV1(status) }),
  };
}

/** None for nothing. */
function annotation(key: string, value: unknown): Record<string, string> {
  return value === undefined || (Array.isArray(value) && value.length === 0) ? {} : { [key]: JSON.stringify(value) };
}

function statusToV1(s: V2HorizontalPodAutoscalerStatus): HorizontalPodAutoscalerStatus {
  const { currentMetrics, conditions: _, currentReplicas = 0, ...rest } = s;
  const cpu = currentMetrics?.findLast((m) => m.type === "Resource" && m.resource?.name === "cpu");
  const percentage = cpu?.resource?.current.averageUtilization;
  return {
    ...rest,
    currentReplicas,
    ...(percentage !== undefined && { currentCPUUtilizationPercentage: percentage }),
  };
}

/** Takes what is stored, too, and gives it back as it is. */
function toStored(object: DeepReadonly<ApiObject>): V2HorizontalPodAutoscaler {
  if (object.apiVersion === "autoscaling/v2") return object as V2HorizontalPodAutoscaler;
  const { metadata, spec, status } = deepClone(object) as HorizontalPodAutoscaler;
  const { targetCPUUtilizationPercentage: percentage, ...bounds } = spec ?? {};
  const { metrics, behavior } = specOf(metadata.annotations);
  const all = [...(metrics ?? []), ...(percentage === undefined ? [] : [cpuMetric(percentage)])];
  return {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    metadata: withoutV1Annotations(metadata),
    spec: { ...bounds, ...(all.length > 0 && { metrics: all }), ...(behavior && { behavior }) },
    ...(status && { status: { ...statusFromV1(status), ...statusOf(metadata.annotations) } }),
  };
}

function cpuMetric(averageUtilization: number): V2MetricSpec {
  return { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization } } };
}

function statusFromV1(s: HorizontalPodAutoscalerStatus): V2HorizontalPodAutoscalerStatus {
  const { currentCPUUtilizationPercentage: averageUtilization, ...rest } = s;
  if (averageUtilization === undefined) return rest;
  const resource = { name: "cpu", current: { averageUtilization } };
  return { ...rest, currentMetrics: [{ type: "Resource", resource }] };
}

type Annotations = Readonly<Record<string, string>> | undefined;

function specOf(annotations: Annotations): Partial<V2HorizontalPodAutoscalerSpec> {
  const metrics = parsedList(annotations?.[METRICS])?.map((m) => metricFromV1(m, SPECS));
  const behavior = recase(parsed(annotations?.[BEHAVIOR]), "toLowerCase");
  return readable("V2HorizontalPodAutoscalerSpec", { metrics, behavior });
}

function statusOf(annotations: Annotations): Partial<V2HorizontalPodAutoscalerStatus> {
  const currentMetrics = parsedList(annotations?.[CURRENT_METRICS])?.map((m) => metricFromV1(m, STATUSES));
  const conditions = parsedList(annotations?.[CONDITIONS]);
  return readable("V2HorizontalPodAutoscalerStatus", { currentMetrics, conditions });
}

/** The fields that the schema can read: anybody may have written an annotation. */
function readable<T extends object>(schema: string, fields: Readonly<Record<string, unknown>>): T {
  const read = Object.entries(fields).map(([key, value]) => strictDecode(schema, { [key]: value }));
  return Object.assign({}, ...read.filter((d) => d.errors.length === 0).map((d) => d.value)) as T;
}

function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as unknown);
  } catch (e) {
    if (e instanceof SyntaxError) return undefined;
    throw e;
  }
}

function parsedList(text: string | undefined): readonly object[] | undefined {
  const value = parsed(text);
  const isObject = (v: unknown): v is object => typeof v === "object" && v !== null;
  return Array.isArray(value) && value.every(isObject) ? value : undefined;
}

/** Behavior was once written by a type without names for the wire, and has stayed so: `ScaleUp`, `PeriodSeconds`. */
function recase(value: unknown, how: "toUpperCase" | "toLowerCase"): unknown {
  if (Array.isArray(value)) return value.map((v) => recase(v, how));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k.charAt(0)[how]() + k.slice(1), recase(v, how)]));
}
