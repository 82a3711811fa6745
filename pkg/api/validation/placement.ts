/** What a Pod says of where it wants to run: affinity, tolerations, spreading. */
import type { DeepReadonly } from "../../util/types.ts";
import type {
  Affinity,
  NodeAffinity,
  PodAffinity,
  PodAffinityTerm,
  Toleration,
  TopologySpreadConstraint,
} from "../generated/types.ts";
import { labelValue, qualifiedName } from "../names.ts";
import { checked, duplicate, each, type FieldErrors, invalidValue, notSupported, oneOf, required } from "./field.ts";
import { validateLabelSelector, validateNodeSelectorTerm } from "./selector.ts";

const EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

export function validateAffinity(a: DeepReadonly<Affinity> | undefined, field: string): FieldErrors {
  return [
    ...(a?.nodeAffinity ? validateNodeAffinity(a.nodeAffinity, `${field}.nodeAffinity`) : []),
    ...(a?.podAffinity ? validatePodAffinity(a.podAffinity, `${field}.podAffinity`) : []),
    ...(a?.podAntiAffinity ? validatePodAffinity(a.podAntiAffinity, `${field}.podAntiAffinity`) : []),
  ];
}

const REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution";

function validateNodeAffinity(a: DeepReadonly<NodeAffinity>, field: string): FieldErrors {
  const terms = a[REQUIRED]?.nodeSelectorTerms;
  const at = `${field}.${REQUIRED}.nodeSelectorTerms`;
  return [
    ...(a[REQUIRED] && !terms?.length ? [required(at, "must have at least one node selector term")] : []),
    ...each(at, terms, validateNodeSelectorTerm),
    ...each(`${field}.${PREFERRED}`, a[PREFERRED], (p, i) => [
      ...validateWeight(p.weight, `${i}.weight`),
      ...validateNodeSelectorTerm(p.preference ?? {}, `${i}.preference`),
    ]),
  ];
}

function validatePodAffinity(a: DeepReadonly<PodAffinity>, field: string): FieldErrors {
  return [
    ...each(`${field}.${REQUIRED}`, a[REQUIRED], validateTerm),
    ...each(`${field}.${PREFERRED}`, a[PREFERRED], (p, at) => [
      ...validateWeight(p.weight, `${at}.weight`),
      ...validateTerm(p.podAffinityTerm ?? {}, `${at}.podAffinityTerm`),
    ]),
  ];
}

function validateTerm(t: Partial<DeepReadonly<PodAffinityTerm>>, field: string): FieldErrors {
  return [
    ...validateLabelSelector(t.labelSelector, `${field}.labelSelector`),
    ...validateLabelSelector(t.namespaceSelector, `${field}.namespaceSelector`),
    ...validateTopologyKey(t.topologyKey, `${field}.topologyKey`),
  ];
}

function validateTopologyKey(key: string | undefined, field: string): FieldErrors {
  return key ? checked(field, key, qualifiedName) : [required(field, "can not be empty")];
}

function validateWeight(weight: number, field: string): FieldErrors {
  return weight >= 1 && weight <= 100 ? [] : [invalidValue(field, weight, "must be in the range 1-100")];
}

export function validateTolerations(list: readonly DeepReadonly<Toleration>[] | undefined, field: string): FieldErrors {
  return each(field, list, (t, at) => [
    ...(t.key ? checked(`${at}.key`, t.key, qualifiedName) : []),
    ...validateOperator(t, `${at}.operator`),
    ...(t.effect ? oneOf(`${at}.effect`, t.effect, EFFECTS) : []),
    ...(t.tolerationSeconds !== undefined && t.effect !== "NoExecute"
      ? [invalidValue(`${at}.effect`, t.effect ?? "", "effect must be 'NoExecute' when `tolerationSeconds` is set")]
      : []),
  ]);
}

function validateOperator(t: DeepReadonly<Toleration>, field: string): FieldErrors {
  const operator = t.operator || "Equal";
  if (!t.key && operator !== "Exists") {
    const why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"';
    return [invalidValue(field, t.operator ?? "", why)];
  }
  if (operator === "Equal") return checked(field, t.value ?? "", labelValue);
  if (operator !== "Exists") return [notSupported(field, operator, ["Equal", "Exists"])];
  return t.value ? [invalidValue(field, t.value, "value must be empty when `operator` is 'Exists'")] : [];
}

export function validateSpread(
  list: readonly DeepReadonly<TopologySpreadConstraint>[] | undefined,
  field: string,
): FieldErrors {
  const seen = new Set<string>();
  return each(field, list, (c, at) => {
    const id = `{${c.topologyKey}, ${c.whenUnsatisfiable}}`;
    const again = seen.has(id);
    seen.add(id);
    return [
      ...(c.maxSkew > 0 ? [] : [invalidValue(`${at}.maxSkew`, c.maxSkew, "must be greater than zero")]),
      ...validateTopologyKey(c.topologyKey, `${at}.topologyKey`),
      ...oneOf(`${at}.whenUnsatisfiable`, c.whenUnsatisfiable, ["DoNotSchedule", "ScheduleAnyway"]),
      ...(again ? [duplicate(`${at}.{topologyKey, whenUnsatisfiable}`, id)] : []),
      ...validateLabelSelector(c.labelSelector, `${at}.labelSelector`),
    ];
  });
}
