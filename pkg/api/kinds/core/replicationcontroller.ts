import { keep } from "../../equal.ts";
import type { PodTemplateSpec, ReplicationController, ReplicationControllerSpec } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import { matchesLabels, fromLabelSelector } from "../../selectors.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { replicaCounts, validateCounts } from "../../validation/counts.ts";
import { type FieldErrors, notNegative, required } from "../../validation/field.ts";
import { mismatch, validateLastingTemplate } from "../../validation/pod-template.ts";
import { AGE, NAME } from "../columns.ts";
import { scaleByLabels, statusPart } from "../parts.ts";
import { defaultPodTemplate, labelsText, orNone, templateColumns } from "../pod-template.ts";

const COUNTS = replicaCounts(["fullyLabeledReplicas"]);

export const replicationControllers: ResourceDef<ReplicationController> = {
  group: "",
  version: "v1",
  kind: "ReplicationController",
  plural: "replicationcontrollers",
  singular: "replicationcontroller",
  shortNames: ["rc"],
  categories: ["all"],
  namespaced: true,
  schema: "ReplicationController",
  // Older than garbage collection: a client that says nothing expects the Pods to stay.
  defaultPropagation: "Orphan",
  setDefaults(o) {
    const spec = (o.spec ??= {});
    spec.replicas ??= 1;
    if (!spec.template) return;
    defaultPodTemplate(spec.template);
    takeLabels(o, spec, spec.template);
  },
  prepareForCreate(o) {
    o.status = { replicas: 0 };
  },
  prepareForUpdate: (next, old) => keep(next, old, "status"),
  validate: (next) => validateSpec(next.spec ?? {}),
  subresources: {
    status: statusPart((next, old) => validateCounts(COUNTS, next.status, old.status)),
    scale: scaleByLabels,
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
    ...templateColumns<ReplicationController>(
      (o) => o.spec?.template,
      (o) => orNone(labelsText(o.spec?.selector)),
    ),
  ],
};

/** Selector and labels are the template's where nobody wrote others. */
function takeLabels(o: ReplicationController, spec: ReplicationControllerSpec, template: PodTemplateSpec): void {
  const labels = template.metadata?.labels;
  if (!labels) return;
  const isEmpty = (map: object | undefined) => Object.keys(map ?? {}).length === 0;
  if (isEmpty(spec.selector)) spec.selector = { ...labels };
  if (isEmpty(o.metadata.labels)) o.metadata.labels = { ...labels };
}

function validateSpec(spec: DeepReadonly<ReplicationControllerSpec>): FieldErrors {
  const { selector = {}, template } = spec;
  const selected = fromLabelSelector({ matchLabels: selector }) ?? [];
  return [
    ...notNegative("spec.minReadySeconds", spec.minReadySeconds),
    ...(selected.length ? [] : [required("spec.selector")]),
    ...notNegative("spec.replicas", spec.replicas),
    ...(template && !matchesLabels(selected, template.metadata?.labels) ? [mismatch(template, "spec")] : []),
    ...(template
      ? validateLastingTemplate(template, "spec.template", "ReplicationController")
      : [required("spec.template")]),
  ];
}
