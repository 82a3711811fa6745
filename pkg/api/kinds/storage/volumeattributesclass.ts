import { deepEqual } from "../../equal.ts";
import type { VolumeAttributesClass } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import { IMMUTABLE, invalidValue, required } from "../../validation/field.ts";
import { validateParameters, validateQualifiedLower } from "../../validation/storage.ts";
import { AGE, NAME } from "../columns.ts";

export const volumeAttributesClasses: ResourceDef<VolumeAttributesClass> = {
  group: "storage.k8s.io",
  version: "v1",
  kind: "VolumeAttributesClass",
  plural: "volumeattributesclasses",
  singular: "volumeattributesclass",
  shortNames: ["vac"],
  categories: [],
  namespaced: false,
  schema: "VolumeAttributesClass",
  validate: (next, old) => [
    ...validateQualifiedLower(next.driverName, "driverName"),
    ...(Object.keys(next.parameters ?? {}).length
      ? validateParameters(next.parameters, "parameters")
      : [required("parameters", "must contain at least one key/value pair")]),
    ...(["driverName", "parameters"] as const).flatMap((f) =>
      old && !deepEqual(next[f], old[f]) ? [invalidValue(f, next[f], IMMUTABLE)] : [],
    ),
  ],
  subresources: {},
  selectableFields: {},
  columns: [NAME, { name: "DriverName", type: "string", cell: (o) => o.driverName ?? "" }, AGE],
};
