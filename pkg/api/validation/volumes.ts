/** A Pod's volumes, and how its containers mount them. */
import type { DeepReadonly } from "../../util/types.ts";
import type { DownwardAPIVolumeFile, KeyToPath, Volume, VolumeMount, VolumeProjection } from "../generated/types.ts";
import { dnsLabel } from "../names.ts";
import { isQuantity, parseQuantity } from "../quantity.ts";
import { validateResourceRef, validateVolumeFieldRef } from "./env.ts";
import {
  checkedRequired,
  each,
  type FieldErrors,
  forbidden,
  invalidValue,
  notSupported,
  required,
  unique,
} from "./field.ts";

type ReadonlyVolume = DeepReadonly<Volume>;

const HOST_PATH_TYPES = [
  "",
  "BlockDevice",
  "CharDevice",
  "Directory",
  "DirectoryOrCreate",
  "File",
  "FileOrCreate",
  "Socket",
];
const MODE_ERROR = "must be a number between 0 and 0777 (octal), both inclusive";

export function validateVolumes(volumes: readonly ReadonlyVolume[] | undefined, field: string): FieldErrors {
  return [
    ...each(field, volumes, (v, at) => [...checkedRequired(`${at}.name`, v.name, dnsLabel), ...validateSource(v, at)]),
    ...unique(field, volumes, (v) => v.name, ".name"),
  ];
}

function validateSource(v: ReadonlyVolume, field: string): FieldErrors {
  const [type, another] = (Object.keys(v) as (keyof Volume)[]).filter((k) => k !== "name" && v[k] != null);
  if (!type) return [required(field, "must specify a volume type")];
  if (another) return [forbidden(`${field}.${another}`, "may not specify more than 1 volume type")];
  const at = `${field}.${type}`;
  if (v.hostPath) return validateHostPath(v.hostPath, at);
  if (v.emptyDir) return validateSizeLimit(v.emptyDir.sizeLimit, `${at}.sizeLimit`);
  if (v.secret) return [...needs(v.secret.secretName, `${at}.secretName`), ...validateFiles(v.secret, at)];
  if (v.configMap) return [...needs(v.configMap.name, `${at}.name`), ...validateFiles(v.configMap, at)];
  if (v.persistentVolumeClaim) return needs(v.persistentVolumeClaim.claimName, `${at}.claimName`);
  if (v.downwardAPI)
    return [...mode(v.downwardAPI.defaultMode, `${at}.defaultMode`), ...validateDownward(v.downwardAPI.items, at)];
  if (v.projected) {
    return [...mode(v.projected.defaultMode, `${at}.defaultMode`), ...validateProjections(v.projected.sources, at)];
  }
  return [];
}

function needs(value: string | undefined, field: string): FieldErrors {
  return value ? [] : [required(field)];
}

function mode(value: number | undefined, field: string): FieldErrors {
  return value !== undefined && (value < 0 || value > 0o777) ? [invalidValue(field, value, MODE_ERROR)] : [];
}

function validateHostPath(h: { readonly path: string; readonly type?: string }, field: string): FieldErrors {
  if (!h.path) return [required(`${field}.path`)];
  return [
    ...noBacksteps(h.path, `${field}.path`),
    ...(HOST_PATH_TYPES.includes(h.type ?? "") ? [] : [notSupported(`${field}.type`, h.type, HOST_PATH_TYPES)]),
  ];
}

function validateSizeLimit(size: string | undefined, field: string): FieldErrors {
  if (size === undefined || (isQuantity(size) && parseQuantity(size).nano >= 0n)) return [];
  return [forbidden(field, "SizeLimit field must be a valid resource quantity")];
}

function validateFiles(
  v: { readonly defaultMode?: number; readonly items?: readonly DeepReadonly<KeyToPath>[] },
  field: string,
): FieldErrors {
  return [
    ...mode(v.defaultMode, `${field}.defaultMode`),
    ...each(`${field}.items`, v.items, (item, at) => [
      ...needs(item.key, `${at}.key`),
      ...filePath(item.path, `${at}.path`),
      ...mode(item.mode, `${at}.mode`),
    ]),
  ];
}

function validateDownward(
  items: readonly DeepReadonly<DownwardAPIVolumeFile>[] | undefined,
  field: string,
): FieldErrors {
  return each(`${field}.items`, items, (item, at) => [
    ...filePath(item.path, `${at}.path`),
    ...mode(item.mode, `${at}.mode`),
    ...(item.fieldRef && item.resourceFieldRef
      ? [invalidValue(at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")]
      : []),
    ...(item.fieldRef || item.resourceFieldRef
      ? []
      : [required(at, "one of fieldRef and resourceFieldRef is required")]),
    ...(item.fieldRef ? validateVolumeFieldRef(item.fieldRef, `${at}.fieldRef`) : []),
    ...(item.resourceFieldRef ? validateResourceRef(item.resourceFieldRef, `${at}.resourceFieldRef`) : []),
  ]);
}

function validateProjections(list: readonly DeepReadonly<VolumeProjection>[] | undefined, field: string): FieldErrors {
  return each(`${field}.sources`, list, (p, at) => {
    const [type, another] = (Object.keys(p) as (keyof VolumeProjection)[]).filter((k) => p[k] != null);
    if (!type) return [required(at, "must specify a volume type")];
    if (another) return [forbidden(`${at}.${another}`, "may not specify more than 1 volume type")];
    if (p.secret) return [...needs(p.secret.name, `${at}.secret.name`), ...validateFiles(p.secret, `${at}.secret`)];
    if (p.configMap) {
      return [...needs(p.configMap.name, `${at}.configMap.name`), ...validateFiles(p.configMap, `${at}.configMap`)];
    }
    if (p.downwardAPI) return validateDownward(p.downwardAPI.items, `${at}.downwardAPI`);
    return p.serviceAccountToken ? filePath(p.serviceAccountToken.path, `${at}.serviceAccountToken.path`) : [];
  });
}

/** A path inside the volume. */
function filePath(path: string | undefined, field: string): FieldErrors {
  return path ? descending(path, field) : [required(field)];
}

function descending(path: string, field: string): FieldErrors {
  return path.startsWith("/") ? [invalidValue(field, path, "must be a relative path")] : noBacksteps(path, field);
}

function noBacksteps(path: string, field: string): FieldErrors {
  return path.split("/").includes("..") ? [invalidValue(field, path, "must not contain '..'")] : [];
}

export function validateMounts(
  mounts: readonly DeepReadonly<VolumeMount>[] | undefined,
  volumes: readonly ReadonlyVolume[],
  field: string,
): FieldErrors {
  const paths = new Set<string>();
  return each(field, mounts, (m, at) => {
    const again = paths.has(m.mountPath);
    paths.add(m.mountPath);
    return [
      ...needs(m.name, `${at}.name`),
      ...(m.name && !volumes.some((v) => v.name === m.name)
        ? [{ type: "NotFound" as const, field: `${at}.name`, value: m.name, detail: "" }]
        : []),
      ...needs(m.mountPath, `${at}.mountPath`),
      ...(again && m.mountPath ? [invalidValue(`${at}.mountPath`, m.mountPath, "must be unique")] : []),
      ...(m.subPath ? descending(m.subPath, `${at}.subPath`) : []),
      ...(m.subPath && m.subPathExpr
        ? [invalidValue(`${at}.subPathExpr`, m.subPathExpr, "subPathExpr and subPath are mutually exclusive")]
        : []),
      ...(m.subPathExpr ? descending(m.subPathExpr, `${at}.subPathExpr`) : []),
    ];
  });
}
