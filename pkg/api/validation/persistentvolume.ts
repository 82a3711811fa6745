/** A PersistentVolume's spec, beyond what the schema says. */
import { own } from "../../util/keys.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { differences, semanticEqual } from "../equal.ts";
import type { PersistentVolume, PersistentVolumeSpec } from "../generated/types.ts";
import { dnsSubdomain } from "../names.ts";
import { isQuantity, parseQuantity, QUANTITY_FORMAT_ERROR } from "../quantity.ts";
import {
  checked,
  each,
  type FieldErrors,
  forbidden,
  IMMUTABLE,
  invalidValue,
  notSupported,
  oneOf,
  required,
} from "./field.ts";
import { validateNodeSelectorTerm } from "./selector.ts";

type Spec = DeepReadonly<PersistentVolumeSpec>;

const ACCESS_MODES = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
export const VOLUME_MODES = ["Block", "Filesystem"];

/** All other fields of a spec are sources. */
const NOT_SOURCES: ReadonlySet<string> = new Set([
  "accessModes",
  "capacity",
  "claimRef",
  "mountOptions",
  "nodeAffinity",
  "persistentVolumeReclaimPolicy",
  "storageClassName",
  "volumeAttributesClassName",
  "volumeMode",
]);

export function validatePersistentVolume({ spec = {} }: DeepReadonly<PersistentVolume>): FieldErrors {
  return [
    ...validateAccessModes(spec.accessModes, "spec.accessModes", ""),
    ...validateCapacity(spec),
    ...oneOf("spec.persistentVolumeReclaimPolicy", spec.persistentVolumeReclaimPolicy, ["Delete", "Recycle", "Retain"]),
    ...validateAffinity(spec),
    ...validateSource(spec),
    ...(spec.hostPath?.path === "/" && spec.persistentVolumeReclaimPolicy === "Recycle"
      ? [forbidden("spec.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'")]
      : []),
    ...validateClassNames(spec, "spec"),
    ...(spec.volumeAttributesClassName !== undefined && !spec.csi
      ? [required("spec.csi", "has to be specified when using volumeAttributesClassName")]
      : []),
    ...oneOf("spec.volumeMode", spec.volumeMode, VOLUME_MODES),
  ];
}

/** Of volumes and of claims. */
export function validateAccessModes(modes: readonly string[] | undefined, field: string, why: string): FieldErrors {
  if (!modes?.length) return [required(field, why)];
  const unknown = modes.filter((m) => !ACCESS_MODES.includes(m));
  const known = new Set(modes.filter((m) => ACCESS_MODES.includes(m)));
  return [
    ...unknown.map((m) => notSupported(field, m, ACCESS_MODES)),
    ...(known.has("ReadWriteOncePod") && known.size > 1
      ? [forbidden(field, "may not use ReadWriteOncePod with other access modes")]
      : []),
  ];
}

export function validateClassNames(
  spec: { readonly storageClassName?: string; readonly volumeAttributesClassName?: string },
  field: string,
): FieldErrors {
  return (["storageClassName", "volumeAttributesClassName"] as const).flatMap((key) => {
    const name = spec[key];
    return name ? checked(`${field}.${key}`, name, dnsSubdomain) : [];
  });
}

export function validatePositiveQuantity(value: string, field: string): FieldErrors {
  if (!isQuantity(value)) return [invalidValue(field, value, QUANTITY_FORMAT_ERROR)];
  return parseQuantity(value).nano > 0n ? [] : [invalidValue(field, value, "must be greater than zero")];
}

function validateCapacity({ capacity = {} }: Spec): FieldErrors {
  const names = Object.keys(capacity);
  const onlyStorage = names.length === 1 && names[0] === "storage";
  return [
    ...(names.length ? [] : [required("spec.capacity")]),
    ...(onlyStorage ? [] : [notSupported("spec.capacity", capacity, ["storage"])]),
    ...Object.entries(capacity).flatMap(([name, value]) => validatePositiveQuantity(value, `spec.capacity[${name}]`)),
  ];
}

function validateAffinity({ nodeAffinity }: Spec): FieldErrors {
  if (!nodeAffinity) return [];
  const field = "spec.nodeAffinity.required";
  if (!nodeAffinity.required) return [required(field, "must specify required node constraints")];
  const terms = nodeAffinity.required.nodeSelectorTerms;
  return [
    ...(terms?.length ? [] : [required(`${field}.nodeSelectorTerms`, "must have at least one node selector term")]),
    ...each(`${field}.nodeSelectorTerms`, terms, validateNodeSelectorTerm),
  ];
}

/** What the commonest sources cannot do without, by source. */
const NEEDS: Readonly<Record<string, readonly string[]>> = {
  csi: ["driver", "volumeHandle"],
  fc: [],
  hostPath: ["path"],
  iscsi: ["targetPortal", "iqn"],
  local: ["path"],
  nfs: ["server", "path"],
};

function sourcesOf(spec: Spec): readonly (readonly [name: string, source: Readonly<Record<string, unknown>>])[] {
  return Object.entries(spec).flatMap(([name, value]) =>
    NOT_SOURCES.has(name) || value == null ? [] : [[name, value as Readonly<Record<string, unknown>>] as const],
  );
}

function validateSource(spec: Spec): FieldErrors {
  const [first, ...more] = sourcesOf(spec);
  if (!first) return [required("spec", "must specify a volume type")];
  const [type, source] = first;
  const at = `spec.${type}`;
  return [
    ...more.map(([other]) => forbidden(`spec.${other}`, "may not specify more than 1 volume type")),
    ...(own(NEEDS, type) ?? []).filter((key) => !source[key]).map((key) => required(`${at}.${key}`)),
    ...(["hostPath", "local"].includes(type) ? validatePath(source["path"], `${at}.path`) : []),
    ...(type === "local" && !spec.nodeAffinity
      ? [required("metadata.annotations", "Local volume requires node affinity")]
      : []),
    ...(spec.nfs?.path && !spec.nfs.path.startsWith("/")
      ? [invalidValue(`${at}.path`, spec.nfs.path, "must be an absolute path")]
      : []),
  ];
}

function validatePath(path: unknown, field: string): FieldErrors {
  const backsteps = typeof path === "string" && path.split("/").includes("..");
  return backsteps ? [invalidValue(field, path, "must not contain '..'")] : [];
}

/** Somebody's data is there: it neither moves nor changes its shape. */
export function validatePersistentVolumeUpdate(
  next: DeepReadonly<PersistentVolume>,
  old: DeepReadonly<PersistentVolume>,
): FieldErrors {
  const [b, a] = [next.spec ?? {}, old.spec ?? {}];
  const [source, before] = [b, a].map((spec) => Object.fromEntries(sourcesOf(spec)));
  // A driver learns to expand later than its volumes were made.
  const moved = differences(source, before, "spec").filter((path) => path !== "spec.csi.controllerExpandSecretRef");
  return [
    ...(moved.length
      ? [
          forbidden(
            "spec.persistentvolumesource",
            `spec.persistentvolumesource is immutable after creation (changed: ${moved.join(", ")})`,
          ),
        ]
      : []),
    ...(b.volumeMode === a.volumeMode ? [] : [invalidValue("volumeMode", b.volumeMode, IMMUTABLE)]),
    ...(a.nodeAffinity && !semanticEqual(b.nodeAffinity, a.nodeAffinity)
      ? [invalidValue("nodeAffinity", b.nodeAffinity, `${IMMUTABLE}, except for updating from beta label to GA`)]
      : []),
    ...(a.volumeAttributesClassName !== undefined && b.volumeAttributesClassName === undefined
      ? [forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden")]
      : []),
  ];
}
