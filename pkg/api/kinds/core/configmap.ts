import { semanticEqual } from "../../equal.ts";
import type { ConfigMap } from "../../generated/types.ts";
import { configKey } from "../../names.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { checked, type FieldErrors, forbidden, invalidValue, tooLong } from "../../validation/field.ts";
import { byteLength } from "../../validation/meta.ts";
import { base64Bytes, frozen, MAX_DATA_BYTES } from "../../validation/data.ts";
import { AGE, NAME } from "../columns.ts";

export const configMaps: ResourceDef<ConfigMap> = {
  group: "",
  version: "v1",
  kind: "ConfigMap",
  plural: "configmaps",
  singular: "configmap",
  shortNames: ["cm"],
  categories: [],
  namespaced: true,
  schema: "ConfigMap",
  validate: (next, old) => [...validateData(next), ...(old ? validateUpdate(next, old) : [])],
  subresources: {},
  selectableFields: {},
  columns: [
    NAME,
    {
      name: "Data",
      type: "string",
      description: "How many keys there are, in data and binaryData.",
      cell: (o) => Object.keys(o.data ?? {}).length + Object.keys(o.binaryData ?? {}).length,
    },
    AGE,
  ],
};

function validateData(o: DeepReadonly<ConfigMap>): FieldErrors {
  const data = Object.entries(o.data ?? {});
  const binary = Object.entries(o.binaryData ?? {});
  const texts = new Set(data.map(([k]) => k));
  const size = data.reduce((n, [, v]) => n + byteLength(v), 0) + binary.reduce((n, [, v]) => n + base64Bytes(v), 0);
  return [
    ...data.flatMap(([k]) => checked(`data[${k}]`, k, configKey)),
    ...binary.flatMap(([k]) => [
      ...checked(`binaryData[${k}]`, k, configKey),
      ...(texts.has(k) ? [invalidValue(`binaryData[${k}]`, k, "duplicate of key present in data")] : []),
    ]),
    ...(size > MAX_DATA_BYTES ? [tooLong("[]", MAX_DATA_BYTES)] : []),
  ];
}

function validateUpdate(next: DeepReadonly<ConfigMap>, old: DeepReadonly<ConfigMap>): FieldErrors {
  if (!old.immutable) return [];
  return [
    ...(next.immutable ? [] : [forbidden("immutable", frozen)]),
    ...(semanticEqual(next.data, old.data) ? [] : [forbidden("data", frozen)]),
    ...(semanticEqual(next.binaryData, old.binaryData) ? [] : [forbidden("binaryData", frozen)]),
  ];
}
