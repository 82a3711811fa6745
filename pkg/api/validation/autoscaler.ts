/** A HorizontalPodAutoscaler's spec. */
import type { DeepReadonly } from "../../util/types.ts";
import type {
  V2CrossVersionObjectReference,
  V2HorizontalPodAutoscaler,
  V2HorizontalPodAutoscalerSpec,
  V2HPAScalingPolicy,
  V2HPAScalingRules,
  V2MetricIdentifier,
  V2MetricSpec,
  V2MetricTarget,
} from "../generated/types.ts";
import { dnsLabel } from "../names.ts";
import { parseQuantity } from "../quantity.ts";
import { pathSegment } from "./domain.ts";
import {
  checkedRequired,
  each,
  type FieldErrors,
  forbidden,
  invalidValue,
  NOT_NEGATIVE,
  notSupported,
  required,
} from "./field.ts";

type Autoscaler = DeepReadonly<V2HorizontalPodAutoscaler>;
type Spec = DeepReadonly<Partial<V2HorizontalPodAutoscalerSpec>>;
type Reference = DeepReadonly<V2CrossVersionObjectReference>;
type Metric = DeepReadonly<V2MetricSpec>;
type Target = DeepReadonly<V2MetricTarget>;

const MAX_PERIOD = 1800;
const MAX_WINDOW = 3600;

export function validateAutoscaler(next: Autoscaler, old?: Autoscaler): FieldErrors {
  const spec: Spec = next.spec ?? {};
  const ref = spec.scaleTargetRef;
  const before = old?.spec.scaleTargetRef;
  const sameKind = before !== undefined && before.apiVersion === ref?.apiVersion && before.kind === ref?.kind;
  // What is stored already, by a server that asked for less, stays valid.
  const group = sameKind ? "any" : ref?.kind === "ReplicationController" ? "optional" : "required";
  return [
    ...validateBounds(spec, old?.spec.minReplicas === 0 ? 0 : 1),
    ...validateReference(ref, "spec.scaleTargetRef", group),
    ...each("spec.metrics", spec.metrics, validateMetric),
    ...validateScaleToZero(spec),
    ...validateRules(spec.behavior?.scaleUp, "spec.behavior.scaleUp"),
    ...validateRules(spec.behavior?.scaleDown, "spec.behavior.scaleDown"),
  ];
}

function validateBounds({ minReplicas: min, maxReplicas: max = 0 }: Spec, lowest: number): FieldErrors {
  const at = "spec.maxReplicas";
  return [
    ...(min !== undefined && min < lowest
      ? [invalidValue("spec.minReplicas", min, `must be greater than or equal to ${lowest}`)]
      : []),
    ...(max === 0 ? [required(at, "must be set and greater than 0")] : []),
    ...(max < 0 ? [invalidValue(at, max, "must be greater than or equal to 1")] : []),
    ...(min !== undefined && max < min
      ? [invalidValue(at, max, "must be greater than or equal to `minReplicas`")]
      : []),
  ];
}

/** Without Pods there is nothing to measure in them. */
function validateScaleToZero({ minReplicas, metrics = [] }: Spec): FieldErrors {
  if (minReplicas !== 0 || metrics.some((m) => m.type === "Object" || m.type === "External")) return [];
  return [
    forbidden(
      "spec.metrics",
      "must specify at least one Object or External metric to support scaling to zero replicas",
    ),
  ];
}

function validateReference(
  ref: Reference | undefined,
  field: string,
  group: "required" | "optional" | "any",
): FieldErrors {
  return [
    ...checkedRequired(`${field}.kind`, ref?.kind, pathSegment),
    ...checkedRequired(`${field}.name`, ref?.name, pathSegment),
    ...(group === "any" ? [] : validateApiVersion(ref?.apiVersion ?? "", `${field}.apiVersion`, group)),
  ];
}

function validateApiVersion(text: string, field: string, group: "required" | "optional"): FieldErrors {
  const slashes = text.split("/").length - 1;
  if (slashes > 1) return [invalidValue(field, text, `unexpected GroupVersion string: ${text}`)];
  const hasGroup = slashes === 1 && !text.startsWith("/");
  return hasGroup || group === "optional" ? [] : [invalidValue(field, text, "apiVersion must specify API group")];
}

/** `type`, and the field that goes with it. */
const SOURCES = {
  ContainerResource: "containerResource",
  External: "external",
  Object: "object",
  Pods: "pods",
  Resource: "resource",
} as const;
const TYPES = Object.keys(SOURCES);

function validateMetric(m: Metric, field: string): FieldErrors {
  const wanted = Object.entries(SOURCES).find(([type]) => type === m.type)?.[1];
  const given = Object.values(SOURCES).filter((source) => m[source] !== undefined);
  const others = given.length === 1 && wanted !== undefined ? [] : given.filter((source) => source !== wanted);
  return [
    ...(m.type ? [] : [required(`${field}.type`, "must specify a metric source type")]),
    ...(wanted ? [] : [notSupported(`${field}.type`, m.type ?? "", TYPES)]),
    ...(given.length === 1 ? validateSource(m, field) : []),
    ...(wanted && m[wanted] === undefined
      ? [required(`${field}.${wanted}`, "must populate information for the given metric source")]
      : []),
    ...(given.length === 1
      ? []
      : others.map((source) => forbidden(`${field}.${source}`, "must populate the given metric source only"))),
  ];
}

function validateSource(m: Metric, field: string): FieldErrors {
  if (m.object) return validateObjectSource(m.object, `${field}.object`);
  if (m.external) return validateExternalSource(m.external, `${field}.external`);
  if (m.pods) return validatePodsSource(m.pods, `${field}.pods`);
  if (m.resource) return validateResourceSource(m.resource, `${field}.resource`);
  return m.containerResource ? validateContainerSource(m.containerResource, `${field}.containerResource`) : [];
}

function validateObjectSource(s: NonNullable<Metric["object"]>, field: string): FieldErrors {
  const { value, averageValue } = s.target ?? {};
  return [
    ...validateReference(s.describedObject, `${field}.describedObject`, "optional"),
    ...validateIdentifier(s.metric, `${field}.metric`),
    ...validateTarget(s.target, `${field}.target`),
    ...(value === undefined && averageValue === undefined
      ? [required(`${field}.target.averageValue`, "must set either a target value or averageValue")]
      : []),
  ];
}

function validateExternalSource(s: NonNullable<Metric["external"]>, field: string): FieldErrors {
  const { value, averageValue } = s.target ?? {};
  const neither = "must set either a target value for metric or a per-pod target";
  const both = "may not set both a target value for metric and a per-pod target";
  return [
    ...validateIdentifier(s.metric, `${field}.metric`),
    ...validateTarget(s.target, `${field}.target`),
    ...(value === undefined && averageValue === undefined ? [required(`${field}.target.averageValue`, neither)] : []),
    ...(value !== undefined && averageValue !== undefined ? [forbidden(`${field}.target.value`, both)] : []),
  ];
}

function validatePodsSource(s: NonNullable<Metric["pods"]>, field: string): FieldErrors {
  return [
    ...validateIdentifier(s.metric, `${field}.metric`),
    ...validateTarget(s.target, `${field}.target`),
    ...(s.target?.averageValue === undefined
      ? [required(`${field}.target.averageValue`, "must specify a positive target averageValue")]
      : []),
  ];
}

function validateResourceSource(s: { readonly name: string; readonly target: Target }, field: string): FieldErrors {
  const { averageUtilization, averageValue } = s.target ?? {};
  const neither = "must set either a target raw value or a target utilization";
  const both = "may not set both a target raw value and a target utilization";
  return [
    ...(s.name ? [] : [required(`${field}.name`, "must specify a resource name")]),
    ...validateTarget(s.target, `${field}.target`),
    ...(averageUtilization === undefined && averageValue === undefined
      ? [required(`${field}.target.averageUtilization`, neither)]
      : []),
    ...(averageUtilization !== undefined && averageValue !== undefined
      ? [forbidden(`${field}.target.averageValue`, both)]
      : []),
  ];
}

function validateContainerSource(s: NonNullable<Metric["containerResource"]>, field: string): FieldErrors {
  return [
    ...(s.container
      ? checkedRequired(`${field}.container`, s.container, dnsLabel)
      : [required(`${field}.container`, "must specify a container")]),
    ...validateResourceSource(s, field),
  ];
}

const TARGET_TYPES = ["Utilization", "Value", "AverageValue"];

function validateTarget(t: Target | undefined, field: string): FieldErrors {
  const positive = (key: "value" | "averageValue") => {
    const value = t?.[key];
    return value === undefined || parseQuantity(value).nano > 0n
      ? []
      : [invalidValue(`${field}.${key}`, value, "must be positive")];
  };
  const type = t?.type ?? "";
  return [
    ...(type ? [] : [required(`${field}.type`, "must specify a metric target type")]),
    ...(TARGET_TYPES.includes(type)
      ? []
      : [invalidValue(`${field}.type`, type, "must be either Utilization, Value, or AverageValue")]),
    ...positive("value"),
    ...positive("averageValue"),
    ...(t?.averageUtilization !== undefined && t.averageUtilization < 1
      ? [invalidValue(`${field}.averageUtilization`, t.averageUtilization, "must be greater than 0")]
      : []),
  ];
}

function validateIdentifier(id: DeepReadonly<V2MetricIdentifier> | undefined, field: string): FieldErrors {
  if (!id?.name) return [required(`${field}.name`, "must specify a metric name")];
  return checkedRequired(`${field}.name`, id.name, pathSegment);
}

function validateRules(r: DeepReadonly<V2HPAScalingRules> | undefined, field: string): FieldErrors {
  if (!r) return [];
  const window = r.stabilizationWindowSeconds ?? 0;
  const at = `${field}.stabilizationWindowSeconds`;
  const select = ["Disabled", "Max", "Min"];
  return [
    ...(window < 0 ? [invalidValue(at, window, "must be greater than or equal to zero")] : []),
    ...(window > MAX_WINDOW ? [invalidValue(at, window, `must be less than or equal to ${MAX_WINDOW}`)] : []),
    ...(r.selectPolicy === undefined || select.includes(r.selectPolicy)
      ? []
      : [notSupported(`${field}.selectPolicy`, r.selectPolicy, select)]),
    ...(r.policies?.length ? [] : [required(`${field}.policies`, "must specify at least one Policy")]),
    ...each(`${field}.policies`, r.policies, validatePolicy),
    ...(r.tolerance !== undefined && parseQuantity(r.tolerance).nano < 0n
      ? [invalidValue(`${field}.tolerance`, r.tolerance, NOT_NEGATIVE)]
      : []),
  ];
}

function validatePolicy(p: DeepReadonly<Partial<V2HPAScalingPolicy>>, field: string): FieldErrors {
  const { type = "", value = 0, periodSeconds = 0 } = p;
  const at = `${field}.periodSeconds`;
  return [
    ...(type === "Pods" || type === "Percent" ? [] : [notSupported(`${field}.type`, type, ["Percent", "Pods"])]),
    ...(value > 0 ? [] : [invalidValue(`${field}.value`, value, "must be greater than zero")]),
    ...(periodSeconds > 0 ? [] : [invalidValue(at, periodSeconds, "must be greater than zero")]),
    ...(periodSeconds > MAX_PERIOD
      ? [invalidValue(at, periodSeconds, `must be less than or equal to ${MAX_PERIOD}`)]
      : []),
  ];
}
