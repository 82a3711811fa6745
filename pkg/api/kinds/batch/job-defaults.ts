/** What a Job says where its author is silent; also in a CronJob's template. */
import type { JobSpec } from "../../generated/types.ts";
import { defaultPodTemplate } from "../pod-template.ts";

const MAX_INT32 = 2 ** 31 - 1;

export function defaultJobSpec(spec: JobSpec): void {
  defaultPodTemplate((spec.template ??= {}));
  // Parallelism alone makes a work queue, which is done when one of its Pods says so.
  if (spec.parallelism === undefined) spec.completions ??= 1;
  spec.parallelism ??= 1;
  // Where each index has a limit of its own, the Job needs none.
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : MAX_INT32;
  spec.completionMode ??= "NonIndexed";
  spec.suspend ??= false;
  spec.podReplacementPolicy ??= spec.podFailurePolicy ? "Failed" : "TerminatingOrFailed";
  spec.manualSelector ??= false;
  defaultFailurePolicy(spec);
}

export function defaultFailurePolicy(spec: JobSpec): void {
  for (const rule of spec.podFailurePolicy?.rules ?? []) {
    for (const pattern of rule.onPodConditions ?? []) pattern.status ||= "True";
  }
}
