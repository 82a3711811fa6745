/** `cpu: 12%/80%, 30/100 (avg) + 1 more...`: how `kubectl get hpa` shows metrics. */
import type { DeepReadonly } from "../../../util/types.ts";
import type { V2MetricSpec, V2MetricStatus, V2MetricTarget, V2MetricValueStatus } from "../../generated/types.ts";

type Spec = DeepReadonly<V2MetricSpec>;
type Status = DeepReadonly<V2MetricStatus> | undefined;

const SHOWN = 2;
const UNKNOWN = "<unknown>";

/** A status belongs to the spec at the same place. */
export function metricsText(specs: readonly Spec[] | undefined, statuses: DeepReadonly<V2MetricStatus[]> = []): string {
  if (!specs?.length) return "<none>";
  const texts = specs.map((spec, i) => metricText(spec, statuses[i]));
  const shown = texts.slice(0, SHOWN).join(", ");
  return texts.length > SHOWN ? `${shown} + ${texts.length - SHOWN} more...` : shown;
}

function metricText(spec: Spec, status: Status): string {
  switch (spec.type) {
    case "External":
      return valueText(spec.external?.target, status?.external?.current);
    case "Object":
      return valueText(spec.object?.target, status?.object?.current);
    case "Pods":
      return `${status?.pods?.current.averageValue ?? UNKNOWN}/${spec.pods?.target.averageValue ?? ""}`;
    case "Resource":
      return `${spec.resource?.name}: ${usageText(spec.resource?.target, status?.resource?.current)}`;
    case "ContainerResource":
      return `${spec.containerResource?.name}: ${usageText(spec.containerResource?.target, status?.containerResource?.current)}`;
    default:
      return "<unknown type>";
  }
}

type Target = DeepReadonly<V2MetricTarget> | undefined;
type Current = DeepReadonly<V2MetricValueStatus> | undefined;

function valueText(target: Target, current: Current): string {
  return target?.averageValue === undefined
    ? `${current?.value ?? UNKNOWN}/${target?.value ?? ""}`
    : `${current?.averageValue ?? UNKNOWN}/${target.averageValue} (avg)`;
}

function usageText(target: Target, current: Current): string {
  if (target?.averageValue !== undefined) return `${current?.averageValue ?? UNKNOWN}/${target.averageValue}`;
  const percent = (n: number | undefined, none: string) => (n === undefined ? none : `${n}%`);
  return `${percent(current?.averageUtilization, UNKNOWN)}/${percent(target?.averageUtilization, "<auto>")}`;
}
