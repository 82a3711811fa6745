import { keep } from "../../equal.ts";
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import { validateClaimStatus, validateClaimUpdate, validateClaimSpec } from "../../validation/claim.ts";
import { canonicalize } from "../../validation/resources.ts";
import { AGE, NAME } from "../columns.ts";
import { statusPart } from "../parts.ts";
import { accessModes, classOf, phaseOf } from "./volume-cells.ts";

export const persistentVolumeClaims: ResourceDef<PersistentVolumeClaim> = {
  group: "",
  version: "v1",
  kind: "PersistentVolumeClaim",
  plural: "persistentvolumeclaims",
  singular: "persistentvolumeclaim",
  shortNames: ["pvc"],
  categories: [],
  namespaced: true,
  generations: false,
  schema: "PersistentVolumeClaim",
  setDefaults(o) {
    defaultClaimSpec((o.spec ??= {}));
    canonicalize(o.status?.capacity);
    canonicalize(o.status?.allocatedResources);
  },
  prepareForCreate(o) {
    o.status = { phase: "Pending" };
  },
  prepareForUpdate: (next, old) => keep(next, old, "status"),
  validate: (next, old) => [
    ...validateClaimSpec(next.spec ?? {}, "spec"),
    ...(old ? validateClaimUpdate(next, old) : []),
  ],
  subresources: { status: statusPart<PersistentVolumeClaim>(validateClaimStatus) },
  selectableFields: {},
  columns: [
    NAME,
    { name: "Status", type: "string", cell: phaseOf },
    { name: "Volume", type: "string", cell: (o) => o.spec?.volumeName ?? "" },
    {
      name: "Capacity",
      type: "string",
      cell: (o) => (o.spec?.volumeName ? (o.status?.capacity?.["storage"] ?? "0") : ""),
    },
    {
      name: "Access Modes",
      type: "string",
      cell: (o) => (o.spec?.volumeName ? accessModes(o.status?.accessModes) : ""),
    },
    { name: "StorageClass", type: "string", description: "StorageClass of the pvc", cell: classOf },
    {
      name: "VolumeAttributesClass",
      type: "string",
      description: "VolumeAttributesClass of the pvc",
      cell: (o) => o.spec?.volumeAttributesClassName ?? "<unset>",
    },
    AGE,
    { name: "VolumeMode", type: "string", wide: true, cell: (o) => o.spec?.volumeMode ?? "<unset>" },
  ],
};

/** Also for the claims in templates of StatefulSets and Pods. */
export function defaultClaimSpec(spec: PersistentVolumeClaimSpec): void {
  spec.volumeMode ||= "Filesystem";
  canonicalize(spec.resources?.requests);
  canonicalize(spec.resources?.limits);
  // The older field and the newer one are one, as long as no other namespace is meant.
  if (spec.dataSource && !spec.dataSourceRef) spec.dataSourceRef = { ...spec.dataSource };
  else if (spec.dataSourceRef && !spec.dataSourceRef.namespace && !spec.dataSource) {
    const { apiGroup, kind, name } = spec.dataSourceRef;
    spec.dataSource = { kind, name, ...(apiGroup && { apiGroup }) };
  }
}
