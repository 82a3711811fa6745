/** What may change in a Job that exists. */
import type { DeepReadonly } from "../../util/types.ts";
import { deepClone, deepEqual, semanticEqual } from "../equal.ts";
import type { Job, PodSpec } from "../generated/types.ts";
import { condition } from "../pod.ts";
import { type FieldErrors, IMMUTABLE, immutable, invalidValue } from "./field.ts";
import type { JobSpecLike } from "./job.ts";

type Template = NonNullable<JobSpecLike["template"]>;

export function validateJobUpdate(next: DeepReadonly<Job>, old: DeepReadonly<Job>): FieldErrors {
  const is: JobSpecLike = next.spec ?? {};
  const was: JobSpecLike = old.spec ?? {};
  const fixed = ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"] as const;
  return [
    ...validateCompletions(is, was),
    ...immutable("spec.selector", is.selector, was.selector),
    ...validateTemplate(is.template ?? {}, was.template ?? {}, mayReschedule(old)),
    // Not `immutable`: 0 failures per index is something else than no such limit.
    ...fixed
      .filter((key) => !deepEqual(is[key], was[key]))
      .map((key) => invalidValue(`spec.${key}`, is[key], IMMUTABLE)),
  ];
}

/** An indexed Job is elastic: as many completions as Pods at a time. */
function validateCompletions(next: JobSpecLike, old: JobSpecLike): FieldErrors {
  const { completions } = next;
  if (completions === old.completions) return [];
  if (next.completionMode !== "Indexed") return [invalidValue("spec.completions", completions, IMMUTABLE)];
  if (completions === undefined || completions === next.parallelism) return [];
  return [invalidValue("spec.completions", completions, "can only be modified in tandem with spec.parallelism")];
}

/** Suspended, and said so by its controller, which has no Pod left. */
function mayReschedule(old: DeepReadonly<Job>): boolean {
  const suspended = condition(old.status?.conditions, "Suspended")?.status === "True";
  return old.spec?.suspend === true && suspended && !old.status?.active;
}

/** Where a queue holds a Job back, it may still decide where its Pods will run and how large they are. */
function validateTemplate(next: Template, old: Template, open: boolean): FieldErrors {
  if (!open) return immutable("spec.template", next, old);
  if (semanticEqual(withoutOpen(next), withoutOpen(old))) return [];
  return [invalidValue("spec.template.spec", next.spec, IMMUTABLE)];
}

function withoutOpen(t: Template): object {
  const spec: PodSpec = deepClone(t.spec ?? { containers: [] });
  for (const key of ["nodeSelector", "tolerations", "schedulingGates"] as const) delete spec[key];
  delete spec.affinity?.nodeAffinity;
  for (const c of [...spec.containers, ...(spec.initContainers ?? [])]) delete c.resources;
  return spec;
}
