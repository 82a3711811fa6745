import { keep, semanticEqual } from "../../equal.ts";
import type {
  PersistentVolumeClaim,
  PodTemplateSpec,
  StatefulSet,
  StatefulSetSpec,
  StatefulSetUpdateStrategy,
} from "../../generated/types.ts";
import { dnsLabel } from "../../names.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { validateClaimSpec } from "../../validation/claim.ts";
import { replicaCounts, validateCounts } from "../../validation/counts.ts";
import {
  checked,
  each,
  type FieldErrors,
  forbidden,
  invalidValue,
  notNegative,
  notSupported,
} from "../../validation/field.ts";
import { numberOf, validateAtMost100Percent, validateIntOrPercent } from "../../validation/int-or-percent.ts";
import { validateLastingTemplate, validateSelector } from "../../validation/pod-template.ts";
import { AGE, NAME } from "../columns.ts";
import { defaultClaimSpec } from "../core/persistentvolumeclaim.ts";
import { scale, statusPart } from "../parts.ts";
import { defaultPodTemplate, templateColumns } from "../pod-template.ts";

type Spec = DeepReadonly<Partial<StatefulSetSpec>>;

const COUNTS = replicaCounts(["currentReplicas", "updatedReplicas"], "status.readyReplicas");

export const statefulSets: ResourceDef<StatefulSet> = {
  group: "apps",
  version: "v1",
  kind: "StatefulSet",
  plural: "statefulsets",
  singular: "statefulset",
  shortNames: ["sts"],
  categories: ["all"],
  namespaced: true,
  schema: "StatefulSet",
  // Its Pods are called `NAME-0`, …, which are host names.
  validateName: dnsLabel,
  setDefaults,
  prepareForCreate(o) {
    o.status = { availableReplicas: 0, replicas: 0 };
  },
  prepareForUpdate: (next, old) => keep(next, old, "status"),
  validate: (next, old) => [
    ...validateSpec(next.spec ?? {}),
    ...(old ? validateUpdate(next.spec ?? {}, old.spec ?? {}) : validateIdentity(next.spec ?? {})),
  ],
  subresources: {
    status: statusPart((next, old) => validateCounts(COUNTS, next.status, old.status)),
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
    AGE,
    ...templateColumns<StatefulSet>((o) => o.spec?.template),
  ],
};

function setDefaults(o: StatefulSet): void {
  const spec = (o.spec ??= { template: {} } as StatefulSetSpec);
  defaultPodTemplate((spec.template ??= {}));
  spec.podManagementPolicy ||= "OrderedReady";
  const strategy = (spec.updateStrategy ??= {});
  if (!strategy.type) {
    strategy.type = "RollingUpdate";
    strategy.rollingUpdate ??= {};
  }
  if (strategy.type === "RollingUpdate" && strategy.rollingUpdate) strategy.rollingUpdate.partition ??= 0;
  const retention = (spec.persistentVolumeClaimRetentionPolicy ??= {});
  retention.whenDeleted ||= "Retain";
  retention.whenScaled ||= "Retain";
  spec.replicas ??= 1;
  spec.revisionHistoryLimit ??= 10;
  spec.volumeClaimTemplates?.forEach(defaultClaim);
}

/** Clients have always been shown templates of claims as whole objects. */
function defaultClaim(claim: PersistentVolumeClaim): void {
  claim.apiVersion = "v1";
  claim.kind = "PersistentVolumeClaim";
  defaultClaimSpec((claim.spec ??= {}));
  claim.status = { phase: "Pending", ...claim.status };
}

function validateSpec(spec: Spec): FieldErrors {
  const { whenDeleted, whenScaled } = spec.persistentVolumeClaimRetentionPolicy ?? {};
  const retention = (field: string, value: string | undefined) =>
    value === "Retain" || value === "Delete" ? [] : [notSupported(field, value ?? "", ["Retain", "Delete"])];
  const management = spec.podManagementPolicy ?? "";
  return [
    ...(management === "OrderedReady" || management === "Parallel"
      ? []
      : [invalidValue("spec.podManagementPolicy", management, "must be 'OrderedReady' or 'Parallel'")]),
    ...validateStrategy(spec.updateStrategy ?? {}, "spec.updateStrategy"),
    ...retention("spec.persistentVolumeClaimRetentionPolicy.whenDeleted", whenDeleted),
    ...retention("spec.persistentVolumeClaimRetentionPolicy.whenScaled", whenScaled),
    ...notNegative("spec.replicas", spec.replicas),
    ...notNegative("spec.minReadySeconds", spec.minReadySeconds),
    ...notNegative("spec.ordinals.start", spec.ordinals?.start),
    ...validateSelector(spec, "spec", "statefulset"),
    ...validateLastingTemplate(withIdentity(spec), "spec.template", "StatefulSet"),
  ];
}

/** The template as Pods are made of it: each has its own host name, and its claims as volumes. */
function withIdentity({ template, volumeClaimTemplates = [] }: Spec): DeepReadonly<PodTemplateSpec> | undefined {
  if (!template?.spec) return template;
  const claims = volumeClaimTemplates.map((claim) => claim.metadata?.name ?? "");
  const others = (template.spec.volumes ?? []).filter((v) => !claims.includes(v.name));
  const volumes = [...claims.map((name) => ({ name, persistentVolumeClaim: { claimName: name } })), ...others];
  return { ...template, spec: { ...template.spec, hostname: "", subdomain: "", volumes } };
}

/** What is given once and stays. */
function validateIdentity({ serviceName, volumeClaimTemplates }: Spec): FieldErrors {
  return [
    ...(serviceName ? checked("spec.serviceName", serviceName, dnsLabel) : []),
    ...each("spec.volumeClaimTemplates", volumeClaimTemplates, (claim, at) =>
      validateClaimSpec(claim.spec ?? {}, `${at}.spec`),
    ),
  ];
}

function validateStrategy(s: DeepReadonly<StatefulSetUpdateStrategy>, field: string): FieldErrors {
  const at = `${field}.rollingUpdate`;
  const rolling = s.rollingUpdate;
  if (s.type === "OnDelete") {
    return rolling ? [invalidValue(at, rolling, "only allowed for updateStrategy 'RollingUpdate'")] : [];
  }
  if (s.type !== "RollingUpdate") return [invalidValue(field, s, "must be 'RollingUpdate' or 'OnDelete'")];
  const unavailable = rolling?.maxUnavailable;
  return [
    ...notNegative(`${at}.partition`, rolling?.partition),
    ...validateIntOrPercent(`${at}.maxUnavailable`, unavailable),
    ...(unavailable !== undefined && numberOf(unavailable) === 0
      ? [invalidValue(`${at}.maxUnavailable`, unavailable, "cannot be 0")]
      : []),
    ...validateAtMost100Percent(`${at}.maxUnavailable`, unavailable),
  ];
}

const MUTABLE = [
  "replicas",
  "ordinals",
  "template",
  "updateStrategy",
  "revisionHistoryLimit",
  "persistentVolumeClaimRetentionPolicy",
  "minReadySeconds",
] as const;
const ONLY = `updates to statefulset spec for fields other than ${MUTABLE.slice(0, -1)
  .map((f) => `'${f}'`)
  .join(", ")} and '${MUTABLE.at(-1)}' are forbidden`;

/** What names its Pods and their claims stays: they are found again by it. */
function validateUpdate(next: Spec, old: Spec): FieldErrors {
  const fixed = (spec: Spec) => ({ ...spec, ...Object.fromEntries(MUTABLE.map((f) => [f, undefined])) });
  return semanticEqual(fixed(next), fixed(old)) ? [] : [forbidden("spec", ONLY)];
}
