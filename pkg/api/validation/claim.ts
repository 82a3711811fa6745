/** A PersistentVolumeClaim's spec, beyond what the schema says, and what of it may change. */
import type { DeepReadonly } from "../../util/types.ts";
import { type Mutable, deepClone, differences } from "../equal.ts";
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec } from "../generated/types.ts";
import { dnsLabel, dnsSubdomain } from "../names.ts";
import { compareQuantities, isQuantity } from "../quantity.ts";
import { checked, type FieldErrors, forbidden, IMMUTABLE, invalidValue, oneOf, required } from "./field.ts";
import { validateAccessModes, validateClassNames, validatePositiveQuantity, VOLUME_MODES } from "./persistentvolume.ts";
import { validateQuantities } from "./resources.ts";
import { validateLabelSelector } from "./selector.ts";

type Spec = DeepReadonly<PersistentVolumeClaimSpec>;

/** Also for the claims in templates. */
export function validateClaimSpec(spec: Spec, field: string): FieldErrors {
  const size = spec.resources?.requests?.["storage"];
  const at = `${field}.resources[storage]`;
  return [
    ...validateAccessModes(spec.accessModes, `${field}.accessModes`, "at least 1 access mode is required"),
    ...validateLabelSelector(spec.selector, `${field}.selector`),
    ...(size === undefined ? [required(at)] : validatePositiveQuantity(size, at)),
    ...validateClassNames(spec, field),
    ...oneOf(`${field}.volumeMode`, spec.volumeMode, VOLUME_MODES),
    ...validateDataSource(spec.dataSource, `${field}.dataSource`),
    ...validateDataSource(spec.dataSourceRef, `${field}.dataSourceRef`),
    ...validateDataSources(spec, field),
  ];
}

function validateDataSource(
  source: { apiGroup?: string; kind: string; name: string; namespace?: string } | undefined,
  field: string,
): FieldErrors {
  if (!source) return [];
  const { apiGroup, kind, name, namespace } = source;
  const why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
  return [
    ...(name ? [] : [required(`${field}.name`)]),
    ...(kind ? [] : [required(`${field}.kind`)]),
    ...(!apiGroup && kind !== "PersistentVolumeClaim" ? [invalidValue(field, kind, why)] : []),
    ...(apiGroup ? checked(`${field}.apiGroup`, apiGroup, dnsSubdomain) : []),
    ...(namespace ? checked(`${field}.namespace`, namespace, dnsLabel) : []),
  ];
}

function validateDataSources({ dataSource: a, dataSourceRef: b }: Spec, field: string): FieldErrors {
  if (!a || !b) return [];
  const wrong = (why: string) => [invalidValue(field, `${field}.dataSource`, why)];
  if (b.namespace) return wrong("may not be specified when dataSourceRef.namespace is specified");
  const same = a.kind === b.kind && a.name === b.name && (a.apiGroup ?? "") === (b.apiGroup ?? "");
  return same ? [] : wrong("must match dataSourceRef");
}

export function validateClaimUpdate(
  next: DeepReadonly<PersistentVolumeClaim>,
  old: DeepReadonly<PersistentVolumeClaim>,
): FieldErrors {
  const [b, a] = [next.spec ?? {}, old.spec ?? {}];
  const changed = differences(withoutMutable(b, next), withoutMutable(a, next, b), "spec");
  return [
    ...(changed.length
      ? [
          forbidden(
            "spec",
            `spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims (changed: ${changed.join(", ")})`,
          ),
        ]
      : []),
    ...validateSize(next, old),
    ...(b.volumeMode === a.volumeMode ? [] : [invalidValue("volumeMode", b.volumeMode, IMMUTABLE)]),
    ...(a.volumeAttributesClassName !== undefined && !b.volumeAttributesClassName
      ? [
          forbidden(
            "spec.volumeAttributesClassName",
            `update from non-nil value to ${b.volumeAttributesClassName === undefined ? "nil" : "an empty string"} is forbidden`,
          ),
        ]
      : []),
  ];
}

/**
 * What of a claim must stay. A volume's name and a class may be given once; a bound claim may ask for another size.
 * `taken` fills in what `spec` still lacks.
 */
function withoutMutable(spec: Spec, next: DeepReadonly<PersistentVolumeClaim>, taken: Spec = spec): Mutable<Spec> {
  const kept = deepClone(spec);
  delete kept.volumeAttributesClassName;
  if (!kept.volumeName && taken.volumeName) kept.volumeName = taken.volumeName;
  if (kept.storageClassName === undefined && taken.storageClassName !== undefined) {
    kept.storageClassName = taken.storageClassName;
  }
  if (next.status?.phase === "Bound") delete kept.resources?.requests?.["storage"];
  return kept;
}

/** It may shrink only as far as an expansion that failed: never to what is there already. */
function validateSize(
  next: DeepReadonly<PersistentVolumeClaim>,
  old: DeepReadonly<PersistentVolumeClaim>,
): FieldErrors {
  const [wanted, before] = [next, old].map((o) => o.spec?.resources?.requests?.["storage"] ?? "0");
  const present = old.status?.capacity?.["storage"] ?? "0";
  if (!wanted || !before || !isQuantity(wanted) || compareQuantities(wanted, before) >= 0) return [];
  return compareQuantities(wanted, present) <= 0
    ? [forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")]
    : [];
}

export function validateClaimStatus(next: DeepReadonly<PersistentVolumeClaim>): FieldErrors {
  return [
    ...validateQuantities(next.status?.capacity, "status.capacity"),
    ...validateQuantities(next.status?.allocatedResources, "status.allocatedResources"),
  ];
}
