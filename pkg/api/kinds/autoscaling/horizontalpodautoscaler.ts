import { deepClone, keep, type Mutable } from "../../equal.ts";
import type { V2HorizontalPodAutoscaler, V2HPAScalingRules } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { validateAutoscaler } from "../../validation/autoscaler.ts";
import { validateCounts } from "../../validation/counts.ts";
import { AGE, NAME } from "../columns.ts";
import { statusPart } from "../parts.ts";
import { withoutV1Annotations } from "./annotations.ts";
import { metricsText } from "./metrics-text.ts";

type Rules = DeepReadonly<Required<Omit<V2HPAScalingRules, "tolerance" | "stabilizationWindowSeconds">>>;

/** At most doubled, or by four Pods, every 15 s. */
const SCALE_UP: Rules & { readonly stabilizationWindowSeconds: number } = {
  stabilizationWindowSeconds: 0,
  selectPolicy: "Max",
  policies: [
    { type: "Pods", value: 4, periodSeconds: 15 },
    { type: "Percent", value: 100, periodSeconds: 15 },
  ],
};
/** As far as the minimum; the window is the autoscaler's own setting. */
const SCALE_DOWN: Rules = { selectPolicy: "Max", policies: [{ type: "Percent", value: 100, periodSeconds: 15 }] };

export const DEFAULT_CPU_UTILIZATION = 80;

export const horizontalPodAutoscalers: ResourceDef<V2HorizontalPodAutoscaler> = {
  group: "autoscaling",
  version: "v2",
  kind: "HorizontalPodAutoscaler",
  plural: "horizontalpodautoscalers",
  singular: "horizontalpodautoscaler",
  shortNames: ["hpa"],
  categories: ["all"],
  namespaced: true,
  schema: "V2HorizontalPodAutoscaler",
  setDefaults,
  prepareForCreate(o) {
    o.status = { currentMetrics: [], currentReplicas: 0, desiredReplicas: 0 };
  },
  prepareForUpdate: (next, old) => keep(next, old, "status"),
  validate: validateAutoscaler,
  subresources: {
    status: statusPart((next) => validateCounts({ counts: ["currentReplicas", "desiredReplicas"] }, next.status)),
  },
  selectableFields: {},
  columns: [
    NAME,
    {
      name: "Reference",
      type: "string",
      description: "What is scaled.",
      cell: ({ spec }) => `${spec.scaleTargetRef?.kind ?? ""}/${spec.scaleTargetRef?.name ?? ""}`,
    },
    {
      name: "Targets",
      type: "string",
      description: "Each metric as it is, and as it should be.",
      cell: (o) => metricsText(o.spec.metrics, o.status?.currentMetrics),
    },
    {
      name: "MinPods",
      type: "string",
      description: "The fewest replicas it may set.",
      cell: (o) => String(o.spec.minReplicas ?? "<unset>"),
    },
    { name: "MaxPods", type: "string", description: "The most.", cell: (o) => o.spec.maxReplicas ?? 0 },
    {
      name: "Replicas",
      type: "string",
      description: "How many there are.",
      cell: (o) => o.status?.currentReplicas ?? 0,
    },
    AGE,
  ],
};

function setDefaults(o: V2HorizontalPodAutoscaler): void {
  // Those stand for fields that v1 lacks; here they would contradict the fields.
  o.metadata = withoutV1Annotations(o.metadata);
  const spec = (o.spec ??= { maxReplicas: 0, scaleTargetRef: { kind: "", name: "" } });
  spec.maxReplicas ??= 0;
  spec.scaleTargetRef ??= { kind: "", name: "" };
  spec.minReplicas ??= 1;
  if (!spec.metrics?.length) {
    const target = { type: "Utilization", averageUtilization: DEFAULT_CPU_UTILIZATION };
    spec.metrics = [{ type: "Resource", resource: { name: "cpu", target } }];
  }
  if (!spec.behavior) return;
  spec.behavior.scaleUp = withDefaults(spec.behavior.scaleUp, SCALE_UP);
  spec.behavior.scaleDown = withDefaults(spec.behavior.scaleDown, SCALE_DOWN);
}

function withDefaults(
  rules: V2HPAScalingRules | undefined,
  defaults: DeepReadonly<V2HPAScalingRules>,
): V2HPAScalingRules {
  return { ...(deepClone(defaults) as Mutable<V2HPAScalingRules>), ...rules };
}
