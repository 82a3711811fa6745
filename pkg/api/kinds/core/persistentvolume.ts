import { keep } from "../../equal.ts";
import type { PersistentVolume } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import { canonicalize } from "../../validation/resources.ts";
import { validatePersistentVolume, validatePersistentVolumeUpdate } from "../../validation/persistentvolume.ts";
import { AGE, NAME } from "../columns.ts";
import { statusPart } from "../parts.ts";
import { accessModes, classOf, phaseOf } from "./volume-cells.ts";

export const persistentVolumes: ResourceDef<PersistentVolume> = {
  group: "",
  version: "v1",
  kind: "PersistentVolume",
  plural: "persistentvolumes",
  singular: "persistentvolume",
  shortNames: ["pv"],
  categories: [],
  namespaced: false,
  generations: false,
  schema: "PersistentVolume",
  setDefaults(o) {
    const spec = (o.spec ??= {});
    spec.persistentVolumeReclaimPolicy ||= "Retain";
    spec.volumeMode ||= "Filesystem";
    if (spec.hostPath) spec.hostPath.type ??= "";
    canonicalize(spec.capacity);
  },
  prepareForCreate(o) {
    o.status = { phase: "Pending" };
  },
  prepareForUpdate: (next, old) => keep(next, old, "status"),
  validate: (next, old) => [
    ...validatePersistentVolume(next),
    ...(old ? validatePersistentVolumeUpdate(next, old) : []),
  ],
  subresources: { status: statusPart() },
  selectableFields: {},
  columns: [
    NAME,
    { name: "Capacity", type: "string", cell: (o) => o.spec?.capacity?.["storage"] ?? "" },
    { name: "Access Modes", type: "string", cell: (o) => accessModes(o.spec?.accessModes) },
    { name: "Reclaim Policy", type: "string", cell: (o) => o.spec?.persistentVolumeReclaimPolicy ?? "" },
    { name: "Status", type: "string", cell: phaseOf },
    {
      name: "Claim",
      type: "string",
      cell: ({ spec }) => (spec?.claimRef ? `${spec.claimRef.namespace ?? ""}/${spec.claimRef.name ?? ""}` : ""),
    },
    { name: "StorageClass", type: "string", description: "StorageClass of the pv", cell: classOf },
    {
      name: "VolumeAttributesClass",
      type: "string",
      description: "VolumeAttributesClass of the pv",
      cell: (o) => o.spec?.volumeAttributesClassName ?? "<unset>",
    },
    { name: "Reason", type: "string", cell: (o) => o.status?.reason ?? "" },
    AGE,
    { name: "VolumeMode", type: "string", wide: true, cell: (o) => o.spec?.volumeMode ?? "<unset>" },
  ],
};
