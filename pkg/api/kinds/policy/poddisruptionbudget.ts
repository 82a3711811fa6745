import { keep } from "../../equal.ts";
import type { PodDisruptionBudget, PodDisruptionBudgetSpec } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { validateConditions } from "../../validation/conditions.ts";
import { validateCounts } from "../../validation/counts.ts";
import { type FieldErrors, invalidValue, notSupported } from "../../validation/field.ts";
import { validateAtMost100Percent, validateIntOrPercent } from "../../validation/int-or-percent.ts";
import { validateLabelSelector } from "../../validation/selector.ts";
import { AGE, NAME } from "../columns.ts";
import { statusPart } from "../parts.ts";

const COUNTS = { counts: ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] } as const;
const BOUNDS = ["minAvailable", "maxUnavailable"] as const;
const EVICTION_POLICIES = ["AlwaysAllow", "IfHealthyBudget"];

export const podDisruptionBudgets: ResourceDef<PodDisruptionBudget> = {
  group: "policy",
  version: "v1",
  kind: "PodDisruptionBudget",
  plural: "poddisruptionbudgets",
  singular: "poddisruptionbudget",
  shortNames: ["pdb"],
  categories: [],
  namespaced: true,
  schema: "PodDisruptionBudget",
  prepareForCreate(o) {
    o.status = { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 };
  },
  prepareForUpdate: (next, old) => keep(next, old, "status"),
  validate: (next) => validateSpec(next.spec ?? {}, "spec"),
  subresources: {
    status: statusPart((next) => [
      ...validateConditions(next.status?.conditions, "status.conditions"),
      ...validateCounts(COUNTS, next.status),
    ]),
  },
  selectableFields: {},
  columns: [
    NAME,
    {
      name: "Min Available",
      type: "string",
      description: "The minimum number of pods that must be available.",
      cell: (o) => String(o.spec?.minAvailable ?? "N/A"),
    },
    {
      name: "Max Unavailable",
      type: "string",
      description: "The maximum number of pods that may be unavailable.",
      cell: (o) => String(o.spec?.maxUnavailable ?? "N/A"),
    },
    {
      name: "Allowed Disruptions",
      type: "integer",
      description: "Calculated number of pods that may be disrupted at this time.",
      cell: (o) => o.status?.disruptionsAllowed ?? 0,
    },
    AGE,
  ],
};

function validateSpec(spec: DeepReadonly<PodDisruptionBudgetSpec>, field: string): FieldErrors {
  const policy = spec.unhealthyPodEvictionPolicy;
  return [
    ...(spec.minAvailable !== undefined && spec.maxUnavailable !== undefined
      ? [invalidValue(field, spec, "minAvailable and maxUnavailable cannot be both set")]
      : []),
    ...BOUNDS.flatMap((bound) => [
      ...validateIntOrPercent(`${field}.${bound}`, spec[bound]),
      ...validateAtMost100Percent(`${field}.${bound}`, spec[bound]),
    ]),
    ...validateLabelSelector(spec.selector, `${field}.selector`),
    ...(policy !== undefined && !EVICTION_POLICIES.includes(policy)
      ? [notSupported(`${field}.unhealthyPodEvictionPolicy`, policy, EVICTION_POLICIES)]
      : []),
  ];
}
