/** What may change in a Pod that exists: almost nothing, because its containers may run already. */
import type { DeepReadonly } from "../../util/types.ts";
import { deepClone, deepEqual, differences, semanticEqual } from "../equal.ts";
import type { Pod, PodSpec, Toleration } from "../generated/types.ts";
import { type FieldErrors, forbidden, invalidValue } from "./field.ts";

type Spec = DeepReadonly<PodSpec>;

const ONLY =
  "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

export function validatePodUpdate(next: DeepReadonly<Pod>, old: DeepReadonly<Pod>): FieldErrors {
  if (!next.spec || !old.spec) return [];
  const resized = containersAddedOrRemoved(next.spec, old.spec);
  if (resized.length) return resized;
  return [
    ...validateDeadline(next.spec.activeDeadlineSeconds, old.spec.activeDeadlineSeconds),
    ...validateTolerations(next.spec.tolerations ?? [], old.spec.tolerations ?? []),
    ...validateGates(next.spec, old.spec),
    ...validateRest(next.spec, old.spec),
  ];
}

function containersAddedOrRemoved(next: Spec, old: Spec): FieldErrors {
  const lists = ["containers", "initContainers"] as const;
  return lists
    .filter((list) => (next[list] ?? []).length !== (old[list] ?? []).length)
    .map((list) => forbidden(`spec.${list}`, "pod updates may not add or remove containers"));
}

/** May only come nearer. */
function validateDeadline(next: number | undefined, old: number | undefined): FieldErrors {
  const field = "spec.activeDeadlineSeconds";
  if (old === undefined) return [];
  if (next === undefined) return [forbidden(field, "must not update from a positive integer to nil value")];
  return next > old ? [invalidValue(field, next, "must be less than or equal to previous value")] : [];
}

type Tolerations = readonly DeepReadonly<Toleration>[];

function validateTolerations(next: Tolerations, old: Tolerations): FieldErrors {
  const withoutSeconds = (t: DeepReadonly<Toleration>) => ({ ...t, tolerationSeconds: undefined });
  const kept = old.every((t) => next.some((n) => semanticEqual(withoutSeconds(n), withoutSeconds(t))));
  const why = "existing toleration can not be modified except its tolerationSeconds";
  return kept ? [] : [forbidden("spec.tolerations", why)];
}

function validateGates(next: Spec, old: Spec): FieldErrors {
  const had = new Set((old.schedulingGates ?? []).map((g) => g.name));
  return (next.schedulingGates ?? [])
    .filter((g) => !had.has(g.name))
    .map((g) =>
      forbidden("spec.schedulingGates", `only deletion is allowed, but found new scheduling gate '${g.name}'`),
    );
}

/** All that has no rule of its own must be as it was. */
function validateRest(next: Spec, old: Spec): FieldErrors {
  const allowed = deepClone(next);
  const before: Spec = old;
  for (const list of ["containers", "initContainers"] as const) {
    allowed[list]?.forEach((c, i) => setOrDelete(c, "image", before[list]?.[i]?.image));
  }
  for (const field of ["activeDeadlineSeconds", "tolerations", "schedulingGates"] as const) {
    setOrDelete(allowed, field, before[field]);
  }
  if ((old.terminationGracePeriodSeconds ?? 0) < 0 && next.terminationGracePeriodSeconds === 1) {
    setOrDelete(allowed, "terminationGracePeriodSeconds", old.terminationGracePeriodSeconds);
  }
  // While gated, a Pod may still be told more precisely where it belongs.
  if (old.schedulingGates?.length && isSuperset(next.nodeSelector ?? {}, old.nodeSelector ?? {})) {
    setOrDelete(allowed, "nodeSelector", old.nodeSelector);
  }
  const changed = differences(before, allowed, "spec");
  return changed.length ? [forbidden("spec", `${ONLY}\nchanged: ${changed.join(", ")}`)] : [];
}

function setOrDelete(target: object, field: string, value: unknown): void {
  const open = target as Record<string, unknown>;
  if (value === undefined) delete open[field];
  else open[field] = value;
}

function isSuperset(next: Readonly<Record<string, string>>, old: Readonly<Record<string, string>>): boolean {
  return Object.entries(old).every(([k, v]) => deepEqual(next[k], v));
}
