import { deepEqual } from "../../equal.ts";
import type { StorageClass } from "../../generated/types.ts";
import { nameOf } from "../../object.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import {
  each,
  type FieldErrors,
  forbidden,
  IMMUTABLE,
  invalidValue,
  oneOf,
  required,
  unique,
} from "../../validation/field.ts";
import { validateParameters, validateQualifiedLower } from "../../validation/storage.ts";
import { AGE, NAME } from "../columns.ts";

const IS_DEFAULT = ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

/** Claims that name no class get this one. */
export function isDefaultStorageClass(o: DeepReadonly<StorageClass>): boolean {
  return IS_DEFAULT.some((key) => o.metadata.annotations?.[key] === "true");
}

export const storageClasses: ResourceDef<StorageClass> = {
  group: "storage.k8s.io",
  version: "v1",
  kind: "StorageClass",
  plural: "storageclasses",
  singular: "storageclass",
  shortNames: ["sc"],
  categories: [],
  namespaced: false,
  schema: "StorageClass",
  setDefaults(o) {
    o.reclaimPolicy ||= "Delete";
    o.volumeBindingMode ||= "Immediate";
  },
  validate: (next, old) => [
    ...validateQualifiedLower(next.provisioner, "provisioner"),
    ...validateParameters(next.parameters, "parameters"),
    ...oneOf("reclaimPolicy", next.reclaimPolicy, ["Delete", "Retain"]),
    ...oneOf("volumeBindingMode", next.volumeBindingMode, ["Immediate", "WaitForFirstConsumer"]),
    ...validateTopologies(next),
    ...(old ? validateUpdate(next, old) : []),
  ],
  subresources: {},
  selectableFields: {},
  columns: [
    { ...NAME, cell: (o) => (isDefaultStorageClass(o) ? `${nameOf(o)} (default)` : nameOf(o)) },
    { name: "Provisioner", type: "string", cell: (o) => o.provisioner ?? "" },
    { name: "ReclaimPolicy", type: "string", cell: (o) => o.reclaimPolicy ?? "Delete" },
    { name: "VolumeBindingMode", type: "string", cell: (o) => o.volumeBindingMode ?? "Immediate" },
    { name: "AllowVolumeExpansion", type: "string", cell: (o) => o.allowVolumeExpansion ?? false },
    AGE,
  ],
};

function validateTopologies(o: DeepReadonly<StorageClass>): FieldErrors {
  return each("allowedTopologies", o.allowedTopologies, (term, at) => {
    const field = `${at}.matchLabelExpressions`;
    return [
      ...each(field, term.matchLabelExpressions, (e, i) => [
        ...(e.key ? [] : [required(`${i}.key`)]),
        ...(e.values?.length ? [] : [required(`${i}.values`)]),
        ...unique(`${i}.values`, e.values, (v) => v),
      ]),
      ...unique(field, term.matchLabelExpressions, (e) => e.key, ".key"),
    ];
  });
}

/** Volumes were made by it: what they were promised stays. */
function validateUpdate(next: DeepReadonly<StorageClass>, old: DeepReadonly<StorageClass>): FieldErrors {
  return [
    ...(["parameters", "provisioner", "reclaimPolicy"] as const).flatMap((f) =>
      deepEqual(next[f], old[f]) ? [] : [forbidden(f, `updates to ${f} are forbidden.`)],
    ),
    ...(next.volumeBindingMode === old.volumeBindingMode
      ? []
      : [invalidValue("volumeBindingMode", next.volumeBindingMode, IMMUTABLE)]),
  ];
}
