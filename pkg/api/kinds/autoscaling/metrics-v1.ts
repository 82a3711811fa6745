/**
 * Metrics as autoscaling/v1 writes them in annotations: the same facts as in v2, flat, under other names. One table of
 * pairs converts both ways.
 */
import { has } from "../../../util/keys.ts";

type Fields = Readonly<Record<string, unknown>>;
/** `[path in v2, name in v1]` */
type Pairs = readonly (readonly [v2: string, v1: string])[];
type Table = Readonly<Record<string, Pairs>>;

const RESOURCE: Pairs = [
  ["name", "name"],
  ["target.averageUtilization", "targetAverageUtilization"],
  ["target.averageValue", "targetAverageValue"],
];
const NAMED: Pairs = [
  ["metric.name", "metricName"],
  ["metric.selector", "selector"],
];

export const SPECS: Table = {
  containerResource: [["container", "container"], ...RESOURCE],
  external: [
    ["metric.name", "metricName"],
    ["metric.selector", "metricSelector"],
    ["target.value", "targetValue"],
    ["target.averageValue", "targetAverageValue"],
  ],
  object: [
    ...NAMED,
    ["describedObject", "target"],
    ["target.value", "targetValue"],
    ["target.averageValue", "averageValue"],
  ],
  pods: [...NAMED, ["target.averageValue", "targetAverageValue"]],
  resource: RESOURCE,
};

const RESOURCE_STATUS: Pairs = [
  ["name", "name"],
  ["current.averageUtilization", "currentAverageUtilization"],
  ["current.averageValue", "currentAverageValue"],
];

export const STATUSES: Table = {
  containerResource: [["container", "container"], ...RESOURCE_STATUS],
  external: [
    ["metric.name", "metricName"],
    ["metric.selector", "metricSelector"],
    ["current.value", "currentValue"],
    ["current.averageValue", "currentAverageValue"],
  ],
  object: [
    ...NAMED,
    ["describedObject", "target"],
    ["current.value", "currentValue"],
    ["current.averageValue", "averageValue"],
  ],
  pods: [...NAMED, ["current.averageValue", "currentAverageValue"]],
  resource: RESOURCE_STATUS,
};

/** A metric of v2 in v1's words. */
export function metricToV1(metric: object, table: Table): Fields {
  return eachSource(metric, table, (source, pairs) =>
    Object.fromEntries(pairs.map(([v2, v1]) => [v1, at(source, v2)] as const).filter(([, v]) => v !== undefined)),
  );
}

/** And back. What is not of v1's shape is left out. */
export function metricFromV1(metric: object, table: Table): Fields {
  return eachSource(metric, table, (source, pairs) => {
    const out: Record<string, Record<string, unknown>> = {};
    const flat: Record<string, unknown> = {};
    for (const [v2, v1] of pairs) {
      const value = at(source, v1);
      if (value === undefined) continue;
      const [outer = "", inner] = v2.split(".");
      if (inner === undefined) flat[outer] = value;
      else (out[outer] ??= {})[inner] = value;
    }
    if (table === SPECS) out["target"] = withType(out["target"] ?? {});
    return { ...flat, ...out };
  });
}

/** v1 does not say which kind of target it is: the value that is there does. It writes "0" where it has none. */
function withType({ value, averageValue, averageUtilization }: Record<string, unknown>): Record<string, unknown> {
  if (averageUtilization !== undefined) return { type: "Utilization", averageUtilization, averageValue };
  if (averageValue === undefined) return { type: "Value", value };
  return { type: "AverageValue", averageValue, ...(value !== undefined && value !== "0" && { value }) };
}

function eachSource(metric: object, table: Table, convert: (source: object, pairs: Pairs) => object): Fields {
  const sources = Object.entries(table).flatMap(([key, pairs]) => {
    const source = at(metric, key);
    return isObject(source) ? [[key, convert(source, pairs)] as const] : [];
  });
  return { type: at(metric, "type"), ...Object.fromEntries(sources) };
}

const isObject = (v: unknown): v is object => typeof v === "object" && v !== null && !Array.isArray(v);

/** `target.value`; only what the object has itself. */
function at(o: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>((v, key) => (isObject(v) && has(v, key) ? (v as Fields)[key] : undefined), o);
}
