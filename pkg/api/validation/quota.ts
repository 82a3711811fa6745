/** What a quota may count, and of which objects. */
import { own } from "../../util/keys.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ResourceQuota, ResourceQuotaSpec, ScopedResourceSelectorRequirement } from "../generated/types.ts";
import { qualifiedName } from "../names.ts";
import { parseQuantity } from "../quantity.ts";
import { checked, type FieldErrors, IMMUTABLE, invalidValue, NOT_NEGATIVE, required } from "./field.ts";
import { isExtended, isHugePages, type ResourceList } from "./resources.ts";

type Spec = DeepReadonly<ResourceQuotaSpec>;

const COMPUTE = ["cpu", "memory", "ephemeral-storage"];
const OBJECTS: ReadonlySet<string> = new Set([
  "pods",
  "resourcequotas",
  "services",
  "replicationcontrollers",
  "secrets",
  "persistentvolumeclaims",
  "configmaps",
  "services.nodeports",
  "services.loadbalancers",
]);
const STANDARD: ReadonlySet<string> = new Set([
  ...COMPUTE,
  ...COMPUTE.map((r) => `requests.${r}`),
  ...COMPUTE.map((r) => `limits.${r}`),
  "requests.storage",
  ...OBJECTS,
]);

const isStandard = (name: string) => STANDARD.has(name) || isHugePages(name.replace(/^requests\./, ""));

const OF_PODS = ["pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];

/** What of the standard resources each scope can be about. */
const SCOPES: Readonly<Record<string, readonly string[]>> = {
  Terminating: OF_PODS,
  NotTerminating: OF_PODS,
  BestEffort: ["pods"],
  NotBestEffort: OF_PODS,
  PriorityClass: OF_PODS,
  CrossNamespacePodAffinity: OF_PODS,
  VolumeAttributesClass: ["persistentvolumeclaims", "requests.storage"],
};
/** Scopes that hold or do not; the others ask for a value. */
const WITHOUT_VALUE = ["BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity"];
const CONFLICTING = [
  ["BestEffort", "NotBestEffort"],
  ["Terminating", "NotTerminating"],
];

export function validateQuota(next: DeepReadonly<ResourceQuota>, old?: DeepReadonly<ResourceQuota>): FieldErrors {
  const spec: Spec = next.spec ?? {};
  const sorted = (scopes: readonly string[] = []) => [...new Set(scopes)].sort().join();
  return [
    ...validateAmounts(spec.hard, "spec.hard"),
    ...validateScopes(spec),
    ...validateScopeSelector(spec, "spec.scopeSelector.matchExpressions"),
    ...(old && sorted(spec.scopes) !== sorted(old.spec?.scopes)
      ? [invalidValue("spec.scopes", spec.scopes, IMMUTABLE)]
      : []),
  ];
}

export function validateQuotaStatus(next: DeepReadonly<ResourceQuota>): FieldErrors {
  return [...validateAmounts(next.status?.hard, "status.hard"), ...validateAmounts(next.status?.used, "status.used")];
}

function validateAmounts(list: ResourceList | undefined, field: string): FieldErrors {
  return Object.entries(list ?? {}).flatMap(([name, value]) => {
    const at = `${field}[${name}]`;
    const { nano } = parseQuantity(value);
    const counted = OBJECTS.has(name) || isExtended(name);
    return [
      ...validateName(name, at),
      ...(nano < 0n ? [invalidValue(at, value, NOT_NEGATIVE)] : []),
      ...(counted && nano % 1_000_000_000n !== 0n ? [invalidValue(at, value, "must be an integer")] : []),
    ];
  });
}

function validateName(name: string, field: string): FieldErrors {
  const errors = checked(field, name, qualifiedName);
  if (errors.length || name.includes("/") || isStandard(name)) return errors;
  return [
    // A resource, but none that is counted.
    ...(name === "storage" ? [] : [invalidValue(field, name, "must be a standard resource type or fully qualified")]),
    invalidValue(field, name, "must be a standard resource for quota"),
  ];
}

function validateScopes(spec: Spec): FieldErrors {
  const { scopes = [] } = spec;
  const refuse = (why: string) => invalidValue("spec.scopes", scopes, why);
  return [
    ...scopes.flatMap((scope) => [
      ...(own(SCOPES, scope) ? [] : [refuse("unsupported scope")]),
      ...unfit(scope, spec).map(() => refuse("unsupported scope applied to resource")),
    ]),
    ...conflicts(scopes, spec),
  ];
}

/** The standard resources of the quota that the scope has nothing to do with. */
function unfit(scope: string, spec: Spec): readonly string[] {
  const fit = own(SCOPES, scope);
  return fit ? Object.keys(spec.hard ?? {}).filter((name) => isStandard(name) && !fit.includes(name)) : [];
}

function conflicts(scopes: readonly string[], spec: Spec): FieldErrors {
  return CONFLICTING.filter((pair) => pair.every((scope) => scopes.includes(scope))).map(() =>
    invalidValue("spec.scopes", spec.scopes, "conflicting scopes"),
  );
}

function validateScopeSelector(spec: Spec, field: string): FieldErrors {
  const expressions = spec.scopeSelector?.matchExpressions ?? [];
  return [
    ...expressions.flatMap((e) => [
      ...(own(SCOPES, e.scopeName) ? [] : [invalidValue(`${field}.scopeName`, e.scopeName, "unsupported scope")]),
      ...unfit(e.scopeName, spec).map(() =>
        invalidValue(field, spec.scopeSelector, "unsupported scope applied to resource"),
      ),
      ...validateExpression(e, field),
    ]),
    ...conflicts(
      expressions.map((e) => e.scopeName),
      spec,
    ),
  ];
}

function validateExpression(e: DeepReadonly<ScopedResourceSelectorRequirement>, field: string): FieldErrors {
  const at = { operator: `${field}.operator`, values: `${field}.values` };
  const exists =
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
  const operator =
    WITHOUT_VALUE.includes(e.scopeName) && e.operator !== "Exists"
      ? [invalidValue(at.operator, e.operator, exists)]
      : [];
  const values = e.values ?? [];
  switch (e.operator) {
    case "In":
    case "NotIn":
      if (values.length) return operator;
      return [
        ...operator,
        required(at.values, "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"),
      ];
    case "Exists":
    case "DoesNotExist":
      if (!values.length) return operator;
      return [
        ...operator,
        invalidValue(
          at.values,
          values,
          "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
        ),
      ];
    default:
      return [...operator, invalidValue(at.operator, e.operator, "not a valid selector operator")];
  }
}
