import { keep } from "../../equal.ts";
import type { ReplicaSet, ReplicaSetSpec } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { replicaCounts, validateCounts } from "../../validation/counts.ts";
import { type FieldErrors, immutable, notNegative } from "../../validation/field.ts";
import { validateLastingTemplate, validateSelector } from "../../validation/pod-template.ts";
import { AGE, NAME } from "../columns.ts";
import { scale, statusPart } from "../parts.ts";
import { defaultPodTemplate, orNone, selectorText, templateColumns } from "../pod-template.ts";

const COUNTS = replicaCounts(["fullyLabeledReplicas"]);

export const replicaSets: ResourceDef<ReplicaSet> = {
  group: "apps",
  version: "v1",
  kind: "ReplicaSet",
  plural: "replicasets",
  singular: "replicaset",
  shortNames: ["rs"],
  categories: ["all"],
  namespaced: true,
  schema: "ReplicaSet",
  setDefaults(o) {
    const spec = (o.spec ??= {} as ReplicaSetSpec);
    defaultPodTemplate((spec.template ??= {}));
    spec.replicas ??= 1;
  },
  prepareForCreate(o) {
    o.status = { replicas: 0 };
  },
  prepareForUpdate: (next, old) => keep(next, old, "status"),
  validate: (next, old) => [
    ...validateSpec(next.spec ?? {}),
    // Pods that another selector had found would be orphans.
    ...(old ? immutable("spec.selector", next.spec?.selector, old.spec?.selector) : []),
  ],
  subresources: {
    status: statusPart((next, old) => validateCounts(COUNTS, next.status, old.status)),
    scale,
  },
  selectableFields: { "status.replicas": (o) => String(o.status?.replicas ?? 0) },
  columns: [
    NAME,
    {
      name: "Desired",
      type: "integer",
      description: "How many pods are wanted.",
      cell: (o) => o.spec?.replicas ?? 0,
    },
    { name: "Current", type: "integer", description: "How many pods there are.", cell: (o) => o.status?.replicas ?? 0 },
    {
      name: "Ready",
      type: "integer",
      description: "How many of them are ready.",
      cell: (o) => o.status?.readyReplicas ?? 0,
    },
    AGE,
    ...templateColumns<ReplicaSet>(
      (o) => o.spec?.template,
      (o) => orNone(selectorText(o.spec?.selector)),
    ),
  ],
};

function validateSpec(spec: DeepReadonly<Partial<ReplicaSetSpec>>): FieldErrors {
  return [
    ...notNegative("spec.replicas", spec.replicas),
    ...notNegative("spec.minReadySeconds", spec.minReadySeconds),
    // Upstream's words: the check was a Deployment's first.
    ...validateSelector(spec, "spec", "deployment"),
    ...validateLastingTemplate(spec.template, "spec.template", "ReplicaSet"),
  ];
}
