import { keep, semanticEqual } from "../../equal.ts";
import type { VolumeAttachment, VolumeAttachmentSource } from "../../generated/types.ts";
import { dnsSubdomain } from "../../names.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import {
  checked,
  checkedRequired,
  type FieldErrors,
  forbidden,
  IMMUTABLE,
  invalidValue,
  required,
} from "../../validation/field.ts";
import { validateQualifiedLower } from "../../validation/storage.ts";
import { AGE, NAME } from "../columns.ts";
import { statusPart } from "../parts.ts";

export const volumeAttachments: ResourceDef<VolumeAttachment> = {
  group: "storage.k8s.io",
  version: "v1",
  kind: "VolumeAttachment",
  plural: "volumeattachments",
  singular: "volumeattachment",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: "VolumeAttachment",
  setDefaults(o) {
    o.spec ??= { attacher: "", nodeName: "", source: {} };
    o.spec.source ??= {};
  },
  prepareForCreate(o) {
    o.status = { attached: false };
  },
  prepareForUpdate: (next, old) => keep(next, old, "status"),
  validate: (next, old) => [
    ...validateQualifiedLower(next.spec.attacher, "spec.attacher"),
    ...checkedRequired("spec.nodeName", next.spec.nodeName, dnsSubdomain),
    ...validateSource(next.spec.source, "spec.source"),
    ...(old && !semanticEqual(next.spec, old.spec) ? [invalidValue("spec", next.spec, IMMUTABLE)] : []),
  ],
  subresources: { status: statusPart() },
  selectableFields: {},
  columns: [
    NAME,
    { name: "Attacher", type: "string", cell: (o) => o.spec.attacher ?? "" },
    { name: "PV", type: "string", cell: (o) => o.spec.source.persistentVolumeName ?? "" },
    { name: "Node", type: "string", cell: (o) => o.spec.nodeName ?? "" },
    { name: "Attached", type: "boolean", cell: (o) => o.status?.attached ?? false },
    AGE,
  ],
};

function validateSource(s: DeepReadonly<VolumeAttachmentSource>, at: string): FieldErrors {
  const { inlineVolumeSpec: inline, persistentVolumeName: name } = s;
  if (inline && name !== undefined) {
    return [forbidden(at, "must specify exactly one of inlineVolumeSpec and persistentVolumeName")];
  }
  if (inline) return inline.csi ? [] : [required(`${at}.inlineVolumeSpec.csi`)];
  return name === undefined
    ? [required(at, "must specify exactly one of inlineVolumeSpec and persistentVolumeName")]
    : checked(`${at}.persistentVolumeName`, name, dnsSubdomain);
}
