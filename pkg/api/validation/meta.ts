/** Metadata, validated for all kinds alike. */
import type { DeepReadonly } from "../../util/types.ts";
import { semanticEqual } from "../equal.ts";
import { dnsLabel, dnsSubdomain, labelValue, prefixOf, qualifiedName } from "../names.ts";
import type { ApiObject, ObjectMeta, OwnerReference } from "../object.ts";
import type { ResourceDef } from "../resource.ts";
import { checked, each, type FieldErrors, forbidden, IMMUTABLE, invalidValue, required, tooLong } from "./field.ts";

type Meta = DeepReadonly<ObjectMeta>;

const MAX_ANNOTATIONS_BYTES = 256 * 1024;

export function validateMetadata(
  def: Pick<ResourceDef, "namespaced" | "validateName" | "custom">,
  o: DeepReadonly<ApiObject>,
  old?: DeepReadonly<ApiObject>,
): FieldErrors {
  const meta = o.metadata;
  return [
    ...validateName(def, meta),
    ...validateNamespace(def, meta),
    ...validateLabels(meta.labels, "metadata.labels"),
    ...validateAnnotations(meta.annotations, "metadata.annotations"),
    ...validateOwners(meta.ownerReferences ?? []),
    ...validateFinalizers(meta.finalizers ?? [], "metadata.finalizers", def.custom !== undefined),
    ...(old ? validateUpdate(meta, old.metadata) : []),
  ];
}

function validateName(def: Pick<ResourceDef, "validateName">, meta: Meta): FieldErrors {
  const check = def.validateName ?? dnsSubdomain;
  const prefix = meta.generateName ? checked("metadata.generateName", meta.generateName, prefixOf(check)) : [];
  // A generated name is there by now; where it is not, its prefix was refused.
  if (!meta.name) return prefix.length ? prefix : [required("metadata.name", "name or generateName is required")];
  return [...prefix, ...checked("metadata.name", meta.name, check)];
}

function validateNamespace(def: Pick<ResourceDef, "namespaced">, meta: Meta): FieldErrors {
  if (!def.namespaced) {
    return meta.namespace ? [forbidden("metadata.namespace", "not allowed on this type")] : [];
  }
  return meta.namespace ? checked("metadata.namespace", meta.namespace, dnsLabel) : [required("metadata.namespace")];
}

export function validateLabels(labels: Readonly<Record<string, string>> | undefined, field: string): FieldErrors {
  return Object.entries(labels ?? {}).flatMap(([key, value]) => [
    ...checked(field, key, qualifiedName),
    ...checked(field, value, labelValue),
  ]);
}

export function validateAnnotations(all: Readonly<Record<string, string>> | undefined, field: string): FieldErrors {
  const entries = Object.entries(all ?? {});
  const keys = entries.flatMap(([key]) =>
    qualifiedName(key.toLowerCase()).map((detail) => invalidValue(field, key, detail)),
  );
  const size = entries.reduce((sum, [k, v]) => sum + byteLength(k) + byteLength(v), 0);
  return size > MAX_ANNOTATIONS_BYTES ? [...keys, tooLong(field, MAX_ANNOTATIONS_BYTES)] : keys;
}

const encoder = new TextEncoder();

/** UTF-8 bytes. */
export function byteLength(text: string): number {
  return encoder.encode(text).length;
}

function validateOwners(owners: readonly DeepReadonly<OwnerReference>[]): FieldErrors {
  const field = "metadata.ownerReferences";
  const errors = each(field, owners, (r) => [
    ...(r.apiVersion ? [] : [invalidValue(`${field}.apiVersion`, "", "version must not be empty")]),
    ...(["kind", "name", "uid"] as const).flatMap((k) =>
      r[k] ? [] : [invalidValue(`${field}.${k}`, "", "must not be empty")],
    ),
    ...(r.apiVersion === "v1" && r.kind === "Event"
      ? [invalidValue(field, r, "/v1, Kind=Event is disallowed from being an owner")]
      : []),
  ]);
  const [first, second] = owners.filter((r) => r.controller === true);
  if (!first || !second) return errors;
  const why = `Only one reference can have Controller set to true. Found "true" in references for ${first.name} and ${second.name}`;
  return [...errors, invalidValue(field, owners, why)];
}

const STANDARD_FINALIZERS: readonly string[] = [
  "kubernetes",
  "orphan",
  "foregroundDeletion",
  "customresourcecleanup.apiextensions.k8s.io",
];

/** `anyName`: custom resources may have names without a domain. */
export function validateFinalizers(finalizers: readonly string[], field: string, anyName = false): FieldErrors {
  const errors = finalizers.flatMap((f) => {
    const wrong = checked(field, f, qualifiedName);
    if (wrong.length || anyName || f.includes("/") || STANDARD_FINALIZERS.includes(f)) return wrong;
    return [invalidValue(field, f, "name is neither a standard finalizer name nor is it fully qualified")];
  });
  return finalizers.includes("orphan") && finalizers.includes("foregroundDeletion")
    ? [...errors, invalidValue(field, finalizers, "finalizer orphan and foregroundDeletion cannot be both set")]
    : errors;
}

const IMMUTABLE_FIELDS = ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp"] as const;

function validateUpdate(meta: Meta, old: Meta): FieldErrors {
  const changed = IMMUTABLE_FIELDS.filter((f) => !semanticEqual(meta[f], old[f]));
  const added = old.deletionTimestamp ? (meta.finalizers ?? []).filter((f) => !(old.finalizers ?? []).includes(f)) : [];
  return [
    ...changed.map((f) => invalidValue(`metadata.${f}`, meta[f], IMMUTABLE)),
    ...(added.length
      ? [
          forbidden(
            "metadata.finalizers",
            `no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`,
          ),
        ]
      : []),
  ];
}
