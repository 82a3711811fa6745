/** When a Job counts as failed or as succeeded before its Pods are all done. */
import type { DeepReadonly } from "../../util/types.ts";
import type {
  JobSpec,
  PodFailurePolicyOnExitCodesRequirement,
  PodFailurePolicyOnPodConditionsPattern,
  PodFailurePolicyRule,
  SuccessPolicyRule,
} from "../generated/types.ts";
import { qualifiedName } from "../names.ts";
import type { FieldError } from "../status.ts";
import {
  checkedRequired,
  duplicate,
  each,
  type FieldErrors,
  invalidValue,
  notNegative,
  notSupported,
  required,
  tooLong,
  tooMany,
} from "./field.ts";
import { countIndexes } from "./job-indexes.ts";

type Spec = DeepReadonly<Partial<JobSpec>>;

const MAX_RULES = 20;
const MAX_EXIT_CODES = 255;
const MAX_PATTERNS = 20;
const MAX_INDEXES_LENGTH = 64 * 1024;

const ACTIONS = ["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS = ["In", "NotIn"];
const STATUSES = ["False", "True", "Unknown"];

export function validatePodFailurePolicy(spec: Spec, field: string): FieldErrors {
  const at = `${field}.rules`;
  const rules = spec.podFailurePolicy?.rules ?? [];
  return [
    ...(rules.length > MAX_RULES ? [tooMany(at, rules.length, MAX_RULES)] : []),
    ...each(at, rules, (rule, i) => validateRule(rule, spec, i)),
  ];
}

function validateRule(rule: DeepReadonly<PodFailurePolicyRule>, spec: Spec, field: string): FieldErrors {
  const codes = rule.onExitCodes;
  const conditions = rule.onPodConditions ?? [];
  const whole = (detail: string): FieldError => ({ type: "Invalid", field, detail });
  return [
    ...(rule.action === "FailIndex" && spec.backoffLimitPerIndex === undefined
      ? [invalidValue(`${field}.action`, rule.action, "requires the backoffLimitPerIndex to be set")]
      : oneOfQuoted(`${field}.action`, rule.action, ACTIONS)),
    ...(codes ? validateExitCodes(codes, containerNames(spec), `${field}.onExitCodes`) : []),
    ...validateConditions(conditions, `${field}.onPodConditions`),
    ...(codes && conditions.length ? [whole("specifying both OnExitCodes and OnPodConditions is not supported")] : []),
    ...(codes || conditions.length ? [] : [whole("specifying one of OnExitCodes and OnPodConditions is required")]),
  ];
}

/** Unlike `oneOf`, says what there is to choose from where nothing was chosen, too. */
function oneOfQuoted(field: string, value: string | undefined, supported: readonly string[]): FieldErrors {
  if (!value) return [required(field, `valid values: [${supported.map((s) => JSON.stringify(s)).join(" ")}]`)];
  return supported.includes(value) ? [] : [notSupported(field, value, supported)];
}

function containerNames(spec: Spec): readonly string[] {
  const pod = spec.template?.spec;
  return [...(pod?.containers ?? []), ...(pod?.initContainers ?? [])].map((c) => c.name);
}

function validateExitCodes(
  r: DeepReadonly<PodFailurePolicyOnExitCodesRequirement>,
  containers: readonly string[],
  field: string,
): FieldErrors {
  const values = r.values ?? [];
  const at = `${field}.values`;
  const unknown = "must be one of the container or initContainer names in the pod template";
  return [
    ...oneOfQuoted(`${field}.operator`, r.operator, OPERATORS),
    ...(r.containerName !== undefined && !containers.includes(r.containerName)
      ? [invalidValue(`${field}.containerName`, r.containerName, unknown)]
      : []),
    ...(values.length ? [] : [invalidValue(at, values, "at least one value is required")]),
    ...(values.length > MAX_EXIT_CODES ? [tooMany(at, values.length, MAX_EXIT_CODES)] : []),
    ...each(at, values, (code, i, index) => [
      ...(r.operator === "In" && code === 0 ? [invalidValue(i, code, "must not be 0 for the In operator")] : []),
      ...(values.indexOf(code) < index ? [duplicate(i, code)] : []),
    ]),
    ...(values.some((code, i) => code < (values[i - 1] ?? code)) ? [invalidValue(at, values, "must be ordered")] : []),
  ];
}

function validateConditions(
  patterns: readonly DeepReadonly<PodFailurePolicyOnPodConditionsPattern>[],
  field: string,
): FieldErrors {
  return [
    ...(patterns.length > MAX_PATTERNS ? [tooMany(field, patterns.length, MAX_PATTERNS)] : []),
    ...each(field, patterns, (p, at) => [
      ...checkedRequired(`${at}.type`, p.type, qualifiedName),
      ...oneOfQuoted(`${at}.status`, p.status, STATUSES),
    ]),
  ];
}

/** Of an indexed Job. */
export function validateSuccessPolicy(spec: Spec, field: string): FieldErrors {
  const at = `${field}.rules`;
  const rules = spec.successPolicy?.rules ?? [];
  const none = "at least one rules must be specified when the successPolicy is specified";
  return [
    ...(rules.length ? [] : [required(at, none)]),
    ...(rules.length > MAX_RULES ? [tooMany(at, rules.length, MAX_RULES)] : []),
    ...each(at, rules, (rule, i) => validateSuccessRule(rule, spec.completions ?? 0, i)),
  ];
}

function validateSuccessRule(rule: DeepReadonly<SuccessPolicyRule>, completions: number, field: string): FieldErrors {
  const { succeededIndexes: indexes, succeededCount: count } = rule;
  if (indexes === undefined && count === undefined) {
    return [required(field, "at least one of succeededCount or succeededIndexes must be specified")];
  }
  const total = countIndexes(indexes ?? "", completions);
  const at = `${field}.succeededIndexes`;
  return [
    ...((indexes ?? "").length > MAX_INDEXES_LENGTH ? [tooLong(at, MAX_INDEXES_LENGTH)] : []),
    ...(typeof total === "string" ? [invalidValue(at, indexes, `error parsing succeededIndexes: ${total}`)] : []),
    ...validateCount(count, `${field}.succeededCount`, [
      [completions, "the number of specified completions"],
      [
        indexes === undefined ? Infinity : Number(total) || 0,
        "the number of indexes in the specified succeededIndexes field",
      ],
    ]),
  ];
}

function validateCount(
  count: number | undefined,
  field: string,
  limits: readonly (readonly [limit: number, what: string])[],
): FieldErrors {
  const over = limits.filter(([limit]) => (count ?? 0) > limit);
  return [
    ...notNegative(field, count),
    ...over.map(([limit, what]) => invalidValue(field, count, `must be less than or equal to ${limit} (${what})`)),
  ];
}
