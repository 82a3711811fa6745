/** A Job's spec; also in a CronJob, where there is no selector yet. */
import type { DeepReadonly } from "../../util/types.ts";
import type { Job, JobSpec } from "../generated/types.ts";
import { dnsLabel } from "../names.ts";
import { fromLabelSelector, matchesLabels } from "../selectors.ts";
import { validateDomainPrefixedPath } from "./domain.ts";
import { type FieldErrors, invalidValue, notNegative, notSupported, required, tooLong } from "./field.ts";
import { validatePodFailurePolicy, validateSuccessPolicy } from "./job-policies.ts";
import { mismatch, selects, validatePodTemplate } from "./pod-template.ts";
import { validateLabelSelector } from "./selector.ts";

export type JobSpecLike = DeepReadonly<Partial<JobSpec>>;

/** The longest text of indexes that a status may have to hold follows from these. */
const MAX_PARALLELISM = 100_000;
const MAX_FAILED_INDEXES = 100_000;
const MANY_COMPLETIONS = 100_000;
const LIMIT_FOR_MANY_COMPLETIONS = 10_000;
const MAX_MANAGED_BY = 63;

export function validateJob(job: DeepReadonly<Job>): FieldErrors {
  const spec: JobSpecLike = job.spec ?? {};
  return [
    ...validateGeneratedSelector(job, spec),
    ...validateJobSpec(spec, "spec"),
    ...validateSelector(spec),
    ...validateHostnames(job.metadata.name ?? "", spec),
  ];
}

function validateSelector(spec: JobSpecLike): FieldErrors {
  const { selector } = spec;
  if (!selector) return [required("spec.selector"), mismatch(spec.template, "spec")];
  const errors = validateLabelSelector(selector, "spec.selector");
  return errors.length || selects(selector, spec.template) ? errors : [mismatch(spec.template, "spec")];
}

export const JOB_NAME_LABELS = ["job-name", "batch.kubernetes.io/job-name"] as const;
export const CONTROLLER_UID_LABELS = ["controller-uid", "batch.kubernetes.io/controller-uid"] as const;

/** What was generated is still there and says the truth: no two Jobs may own one Pod. */
function validateGeneratedSelector(job: DeepReadonly<Job>, spec: JobSpecLike): FieldErrors {
  if (spec.manualSelector || !spec.selector) return [];
  const { name = "", uid = "" } = job.metadata;
  const expected = Object.fromEntries([
    ...JOB_NAME_LABELS.map((key) => [key, name]),
    ...CONTROLLER_UID_LABELS.map((key) => [key, uid]),
  ]) as Record<string, string>;
  const labels = spec.template?.metadata?.labels;
  const wrong = Object.entries(expected).flatMap(([key, value]) => {
    const field = `spec.template.metadata.labels[${key}]`;
    if (labels?.[key] === undefined) return [required(field, `must be '${value}'`)];
    return labels[key] === value ? [] : [invalidValue(field, labels, `must be '${value}'`)];
  });
  const valid = validateLabelSelector(spec.selector, "").length === 0;
  const matches = valid && matchesLabels(fromLabelSelector(spec.selector) ?? [], expected);
  return matches || !valid
    ? wrong
    : [...wrong, invalidValue("spec.selector", spec.selector, "`selector` not auto-generated")];
}

/** Pods of an indexed Job are hosts called `NAME-INDEX`. */
function validateHostnames(name: string, { completionMode, completions = 0 }: JobSpecLike): FieldErrors {
  if (completionMode !== "Indexed" || completions <= 0) return [];
  const last = `${name}-${completions - 1}`;
  if (dnsLabel(last).length === 0) return [];
  return [invalidValue("metadata.name", name, `will not able to create pod with invalid DNS label: ${last}`)];
}

const COUNTS = [
  "parallelism",
  "completions",
  "activeDeadlineSeconds",
  "backoffLimit",
  "ttlSecondsAfterFinished",
  "backoffLimitPerIndex",
  "maxFailedIndexes",
] as const;

export function validateJobSpec(spec: JobSpecLike, field: string): FieldErrors {
  const { completionMode } = spec;
  const indexed = completionMode === "Indexed";
  return [
    ...COUNTS.flatMap((key) => notNegative(`${field}.${key}`, spec[key])),
    ...(spec.maxFailedIndexes !== undefined && spec.backoffLimitPerIndex === undefined
      ? [required(`${field}.backoffLimitPerIndex`, "when maxFailedIndexes is specified")]
      : []),
    ...validateManagedBy(spec.managedBy, `${field}.managedBy`),
    ...(indexed || completionMode === undefined || completionMode === "NonIndexed"
      ? []
      : [notSupported(`${field}.completionMode`, completionMode, ["NonIndexed", "Indexed"])]),
    ...(indexed ? validateIndexed(spec, field) : validateNotIndexed(spec, field)),
    ...(spec.podFailurePolicy ? validatePodFailurePolicy(spec, `${field}.podFailurePolicy`) : []),
    ...validateReplacement(spec, `${field}.podReplacementPolicy`),
    ...validatePodTemplate(spec.template, `${field}.template`),
    ...validateRestarts(spec, `${field}.template.spec.restartPolicy`),
  ];
}

function validateManagedBy(by: string | undefined, field: string): FieldErrors {
  if (by === undefined) return [];
  return [
    ...validateDomainPrefixedPath(by, field),
    ...(by.length > MAX_MANAGED_BY ? [tooLong(field, MAX_MANAGED_BY)] : []),
  ];
}

function validateIndexed(spec: JobSpecLike, field: string): FieldErrors {
  const { completions, parallelism = 0, maxFailedIndexes: failed } = spec;
  const at = { parallelism: `${field}.parallelism`, failed: `${field}.maxFailedIndexes` };
  return [
    ...(completions === undefined ? [required(`${field}.completions`, "when completion mode is Indexed")] : []),
    ...atMost(at.parallelism, parallelism, MAX_PARALLELISM, " when completion mode is Indexed"),
    ...(completions !== undefined && (failed ?? 0) > completions
      ? [invalidValue(at.failed, failed, "must be less than or equal to completions")]
      : []),
    ...atMost(at.failed, failed, MAX_FAILED_INDEXES, ""),
    ...(spec.backoffLimitPerIndex !== undefined && (completions ?? 0) > MANY_COMPLETIONS
      ? validateManyCompletions(spec, at)
      : []),
    ...(spec.successPolicy ? validateSuccessPolicy(spec, `${field}.successPolicy`) : []),
  ];
}

function validateManyCompletions(spec: JobSpecLike, at: { parallelism: string; failed: string }): FieldErrors {
  const limit = LIMIT_FOR_MANY_COMPLETIONS;
  const when = ` when completions are above ${MANY_COMPLETIONS} and used with backoff limit per index`;
  return [
    ...(spec.maxFailedIndexes === undefined
      ? [required(at.failed, `must be specified when completions is above ${MANY_COMPLETIONS}`)]
      : []),
    ...atMost(at.parallelism, spec.parallelism, limit, when),
    ...atMost(at.failed, spec.maxFailedIndexes, limit, when),
  ];
}

function atMost(field: string, value: number | undefined, limit: number, when: string): FieldErrors {
  if (value === undefined || value <= limit) return [];
  return [invalidValue(field, value, `must be less than or equal to ${limit}${when}`)];
}

function validateNotIndexed(spec: JobSpecLike, field: string): FieldErrors {
  return (["backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"] as const)
    .filter((key) => spec[key] !== undefined)
    .map((key) => invalidValue(`${field}.${key}`, spec[key], "requires indexed completion mode"));
}

function validateReplacement(
  { podReplacementPolicy: policy, podFailurePolicy }: JobSpecLike,
  field: string,
): FieldErrors {
  // A failure policy wants to see how a Pod failed before the next one starts.
  const supported = podFailurePolicy ? ["Failed"] : ["Failed", "TerminatingOrFailed"];
  return policy === undefined || supported.includes(policy) ? [] : [notSupported(field, policy, supported)];
}

/** A Job ends: its Pods must be able to. */
function validateRestarts(spec: JobSpecLike, field: string): FieldErrors {
  const policy = spec.template?.spec?.restartPolicy ?? "";
  if (policy === "" || policy === "Always") return [required(field, 'valid values: "OnFailure", "Never"')];
  if (policy !== "OnFailure" && policy !== "Never") return [notSupported(field, policy, ["OnFailure", "Never"])];
  return spec.podFailurePolicy && policy !== "Never"
    ? [invalidValue(field, policy, 'only "Never" is supported when podFailurePolicy is specified')]
    : [];
}
