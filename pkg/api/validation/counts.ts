/** The numbers in the status of a workload. */
import { type FieldErrors, invalidValue, NOT_NEGATIVE } from "./field.ts";

export interface CountRules {
  /** None of these is negative. */
  readonly counts: readonly string[];
  /** `[part, whole, detail]`: no part exceeds its whole. */
  readonly atMost?: readonly (readonly [part: string, whole: string, detail: string])[];
  /** These only grow: clients have remembered them. */
  readonly growing?: readonly string[];
}

/** Absent counts as 0. */
export function validateCounts(rules: CountRules, next: object | undefined, old?: object): FieldErrors {
  const is = numbersOf(next);
  const was = numbersOf(old);
  return [
    ...rules.counts.filter((f) => is(f) < 0).map((f) => invalidValue(`status.${f}`, is(f), NOT_NEGATIVE)),
    ...(rules.atMost ?? [])
      .filter(([part, whole]) => is(part) > is(whole))
      .map(([part, , detail]) => invalidValue(`status.${part}`, is(part), detail)),
    ...(rules.growing ?? [])
      .filter((f) => is(f) < was(f))
      .map((f) => invalidValue(`status.${f}`, is(f), "cannot be decremented")),
  ];
}

function numbersOf(status: object | undefined): (field: string) => number {
  const open: Readonly<Record<string, unknown>> = { ...status };
  return (field) => (typeof open[field] === "number" ? open[field] : 0);
}

const REPLICAS = "cannot be greater than status.replicas";

/** What ReplicaSets and ReplicationControllers count, and Deployments and StatefulSets in part. */
export function replicaCounts(more: readonly string[], ready = "readyReplicas"): CountRules {
  const parts = ["readyReplicas", "availableReplicas", ...more];
  return {
    counts: [
      "replicas",
      ...parts,
      "observedGeneration",
      "terminatingReplicas",
      "unavailableReplicas",
      "collisionCount",
    ],
    atMost: [
      ...parts.map((part) => [part, "replicas", REPLICAS] as const),
      ["availableReplicas", "readyReplicas", `cannot be greater than ${ready}`],
    ],
    growing: ["collisionCount"],
  };
}
