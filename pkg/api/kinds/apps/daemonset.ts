import { keep, semanticEqual } from "../../equal.ts";
import type { DaemonSet, DaemonSetSpec, DaemonSetUpdateStrategy } from "../../generated/types.ts";
import type { Column, ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { type CountRules, validateCounts } from "../../validation/counts.ts";
import {
  type FieldErrors,
  immutable,
  invalidValue,
  notNegative,
  notSupported,
  required,
} from "../../validation/field.ts";
import { numberOf, validateAtMost100Percent, validateIntOrPercent } from "../../validation/int-or-percent.ts";
import { validateLastingTemplate, validateSelector } from "../../validation/pod-template.ts";
import { AGE, NAME } from "../columns.ts";
import { statusPart } from "../parts.ts";
import { defaultPodTemplate, labelsText, orNone, selectorText, templateColumns } from "../pod-template.ts";

/** Counts the versions of the template. The field is long gone from the API, but old clients read it here. */
const TEMPLATE_GENERATION = "deprecated.daemonset.template.generation";

const COUNTS: CountRules = {
  counts: [
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
    "collisionCount",
  ],
  growing: ["collisionCount"],
};

export const daemonSets: ResourceDef<DaemonSet> = {
  group: "apps",
  version: "v1",
  kind: "DaemonSet",
  plural: "daemonsets",
  singular: "daemonset",
  shortNames: ["ds"],
  categories: ["all"],
  namespaced: true,
  schema: "DaemonSet",
  setDefaults,
  prepareForCreate(o) {
    o.status = { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 };
    setTemplateGeneration(o, 1);
  },
  prepareForUpdate(next, old) {
    keep(next, old, "status");
    const generation = Number(old.metadata.annotations?.[TEMPLATE_GENERATION] ?? 0);
    setTemplateGeneration(next, semanticEqual(next.spec?.template, old.spec?.template) ? generation : generation + 1);
  },
  validate: (next, old) => [
    ...validateSpec(next.spec ?? {}),
    // Pods that another selector had found would be orphans.
    ...(old ? immutable("spec.selector", next.spec?.selector, old.spec?.selector) : []),
  ],
  subresources: { status: statusPart((next, old) => validateCounts(COUNTS, next.status, old.status)) },
  selectableFields: {},
  columns: [
    NAME,
    number("Desired", "desiredNumberScheduled", "How many nodes should run the pod."),
    number("Current", "currentNumberScheduled", "How many of them have the pod."),
    number("Ready", "numberReady", "On how many of them it is ready."),
    number("Up-to-date", "updatedNumberScheduled", "On how many of them it has the desired template."),
    number("Available", "numberAvailable", "On how many of them it has been ready for minReadySeconds."),
    {
      name: "Node Selector",
      type: "string",
      description: "Labels that a node must have.",
      cell: (o) => orNone(labelsText(o.spec?.template.spec?.nodeSelector)),
    },
    AGE,
    ...templateColumns<DaemonSet>(
      (o) => o.spec?.template,
      (o) => orNone(selectorText(o.spec?.selector)),
    ),
  ],
};

function number(
  name: string,
  field:
    | "desiredNumberScheduled"
    | "currentNumberScheduled"
    | "numberReady"
    | "updatedNumberScheduled"
    | "numberAvailable",
  description: string,
): Column<DaemonSet> {
  return { name, type: "integer", description, cell: (o) => o.status?.[field] ?? 0 };
}

function setTemplateGeneration(o: DaemonSet, generation: number): void {
  o.metadata.annotations = { ...o.metadata.annotations, [TEMPLATE_GENERATION]: String(generation) };
}

function setDefaults(o: DaemonSet): void {
  const spec = (o.spec ??= { template: {} } as DaemonSetSpec);
  defaultPodTemplate((spec.template ??= {}));
  spec.revisionHistoryLimit ??= 10;
  const strategy = (spec.updateStrategy ??= {});
  strategy.type ||= "RollingUpdate";
  if (strategy.type !== "RollingUpdate") return;
  const rolling = (strategy.rollingUpdate ??= {});
  rolling.maxUnavailable ??= 1;
  rolling.maxSurge ??= 0;
}

function validateSpec(spec: DeepReadonly<Partial<DaemonSetSpec>>): FieldErrors {
  return [
    ...validateSelector(spec, "spec", "daemonset"),
    ...validateLastingTemplate(spec.template, "spec.template", "DaemonSet"),
    ...notNegative("spec.minReadySeconds", spec.minReadySeconds),
    ...validateStrategy(spec.updateStrategy ?? {}, "spec.updateStrategy"),
    ...notNegative("spec.revisionHistoryLimit", spec.revisionHistoryLimit),
  ];
}

function validateStrategy(s: DeepReadonly<DaemonSetUpdateStrategy>, field: string): FieldErrors {
  if (s.type === "OnDelete") return [];
  if (s.type !== "RollingUpdate") return [notSupported(field, s, ["RollingUpdate", "OnDelete"])];
  const { maxUnavailable, maxSurge } = s.rollingUpdate ?? {};
  const at = `${field}.rollingUpdate`;
  return [
    ...validateIntOrPercent(`${at}.maxUnavailable`, maxUnavailable),
    ...validateIntOrPercent(`${at}.maxSurge`, maxSurge),
    ...validateAtMost100Percent(`${at}.maxUnavailable`, maxUnavailable),
    ...validateAtMost100Percent(`${at}.maxSurge`, maxSurge),
    ...eitherFirst(numberOf(maxUnavailable), numberOf(maxSurge), maxSurge, at),
  ];
}

/** A node's Pod goes before its successor comes, or after: one of the two. */
function eitherFirst(unavailable: number, surge: number, maxSurge: unknown, at: string): FieldErrors {
  if (unavailable && surge) {
    return [invalidValue(`${at}.maxSurge`, maxSurge, "may not be set when maxUnavailable is non-zero")];
  }
  return unavailable || surge ? [] : [required(`${at}.maxUnavailable`, "cannot be 0 when maxSurge is 0")];
}
