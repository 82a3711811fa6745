import { keep } from "../../equal.ts";
import type { Deployment, DeploymentSpec, DeploymentStrategy } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { replicaCounts, validateCounts } from "../../validation/counts.ts";
import {
  type FieldErrors,
  forbidden,
  immutable,
  invalidValue,
  notNegative,
  notSupported,
} from "../../validation/field.ts";
import { numberOf, validateAtMost100Percent, validateIntOrPercent } from "../../validation/int-or-percent.ts";
import { validateLastingTemplate, validateSelector } from "../../validation/pod-template.ts";
import { AGE, NAME } from "../columns.ts";
import { scale } from "../parts.ts";
import { defaultPodTemplate, selectorText, templateColumns } from "../pod-template.ts";

type Spec = DeepReadonly<Partial<DeploymentSpec>>;

const COUNTS = replicaCounts(["updatedReplicas"]);

export const deployments: ResourceDef<Deployment> = {
  group: "apps",
  version: "v1",
  kind: "Deployment",
  plural: "deployments",
  singular: "deployment",
  shortNames: ["deploy"],
  categories: ["all"],
  namespaced: true,
  schema: "Deployment",
  setDefaults,
  prepareForCreate(o) {
    o.status = {};
  },
  prepareForUpdate: (next, old) => keep(next, old, "status"),
  validate: (next, old) => [
    ...validateSpec(next.spec ?? {}),
    // Pods that another selector had found would be orphans.
    ...(old ? immutable("spec.selector", next.spec?.selector, old.spec?.selector) : []),
  ],
  subresources: {
    status: {
      type: "part",
      prepareForUpdate(next, old) {
        keep(next, old, "spec");
        keep(next.metadata, old.metadata, "labels");
      },
      validate: (next, old) => validateCounts(COUNTS, next.status, old.status),
    },
    scale,
  },
  selectableFields: {},
  columns: [
    NAME,
    {
      name: "Ready",
      type: "string",
      description: "Number of the pod with ready state",
      cell: (o) => `${o.status?.readyReplicas ?? 0}/${o.spec?.replicas ?? 0}`,
    },
    {
      name: "Up-to-date",
      type: "string",
      description: "How many pods have the desired template.",
      cell: (o) => o.status?.updatedReplicas ?? 0,
    },
    {
      name: "Available",
      type: "string",
      description: "How many pods have been ready for at least minReadySeconds.",
      cell: (o) => o.status?.availableReplicas ?? 0,
    },
    AGE,
    ...templateColumns<Deployment>(
      (o) => o.spec?.template,
      (o) => selectorText(o.spec?.selector),
    ),
  ],
};

function setDefaults(o: Deployment): void {
  // What else must be there is validation's to say.
  const spec = (o.spec ??= { template: {} } as DeploymentSpec);
  defaultPodTemplate((spec.template ??= {}));
  spec.replicas ??= 1;
  spec.revisionHistoryLimit ??= 10;
  spec.progressDeadlineSeconds ??= 600;
  const strategy = (spec.strategy ??= {});
  strategy.type ||= "RollingUpdate";
  if (strategy.type !== "RollingUpdate") return;
  const rolling = (strategy.rollingUpdate ??= {});
  rolling.maxUnavailable ??= "25%";
  rolling.maxSurge ??= "25%";
}

function validateSpec(spec: Spec): FieldErrors {
  const { minReadySeconds = 0, progressDeadlineSeconds: deadline } = spec;
  const at = "spec.progressDeadlineSeconds";
  return [
    ...notNegative("spec.replicas", spec.replicas),
    ...validateSelector(spec, "spec", "deployment"),
    ...validateLastingTemplate(spec.template, "spec.template", "ReplicaSet"),
    ...validateStrategy(spec.strategy ?? {}, "spec.strategy"),
    ...notNegative("spec.minReadySeconds", minReadySeconds),
    ...notNegative("spec.revisionHistoryLimit", spec.revisionHistoryLimit),
    ...notNegative(at, deadline),
    ...(deadline !== undefined && deadline <= minReadySeconds
      ? [invalidValue(at, deadline, "must be greater than minReadySeconds")]
      : []),
  ];
}

function validateStrategy(s: DeepReadonly<DeploymentStrategy>, field: string): FieldErrors {
  const rolling = s.rollingUpdate;
  const at = `${field}.rollingUpdate`;
  if (s.type === "Recreate") {
    return rolling ? [forbidden(at, "may not be specified when strategy `type` is 'Recreate'")] : [];
  }
  if (s.type !== "RollingUpdate") return [notSupported(field, s, ["Recreate", "RollingUpdate"])];
  const { maxUnavailable, maxSurge } = rolling ?? {};
  // Neither fewer nor more than desired: nothing could ever be replaced.
  const stuck = numberOf(maxUnavailable) === 0 && numberOf(maxSurge) === 0;
  return [
    ...validateIntOrPercent(`${at}.maxUnavailable`, maxUnavailable),
    ...validateIntOrPercent(`${at}.maxSurge`, maxSurge),
    ...(stuck ? [invalidValue(`${at}.maxUnavailable`, maxUnavailable, "may not be 0 when `maxSurge` is 0")] : []),
    ...validateAtMost100Percent(`${at}.maxUnavailable`, maxUnavailable),
  ];
}
