/** Environment variables, and the references to Pod fields that they share with downward API volumes. */
import type { DeepReadonly } from "../../util/types.ts";
import type {
  EnvFromSource,
  EnvVar,
  EnvVarSource,
  ObjectFieldSelector,
  ResourceFieldSelector,
} from "../generated/types.ts";
import { configKey, envVarName, qualifiedName } from "../names.ts";
import { checked, checkedRequired, each, type FieldErrors, invalidValue, notSupported, required } from "./field.ts";

const ENV_FIELDS = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
] as const;
const VOLUME_FIELDS = [
  "metadata.annotations",
  "metadata.labels",
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
];
const RESOURCES = ["cpu", "ephemeral-storage", "memory"].flatMap((r) => [`limits.${r}`, `requests.${r}`]).sort();

export function validateEnv(env: readonly DeepReadonly<EnvVar>[] | undefined, field: string): FieldErrors {
  return each(field, env, (e, at) => [
    ...checkedRequired(`${at}.name`, e.name, envVarName),
    ...(e.valueFrom ? validateSource(e.valueFrom, e.value, `${at}.valueFrom`) : []),
  ]);
}

function validateSource(from: DeepReadonly<EnvVarSource>, value: string | undefined, field: string): FieldErrors {
  const sources = Object.values(from).filter((v) => v != null);
  if (sources.length === 0) {
    const why =
      "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
    return [invalidValue(field, "", why)];
  }
  return [
    ...(value ? [invalidValue(field, "", "may not be specified when `value` is not empty")] : []),
    ...(sources.length > 1 ? [invalidValue(field, "", "may not have more than one field specified at a time")] : []),
    ...(from.fieldRef ? validateFieldRef(from.fieldRef, ENV_FIELDS, `${field}.fieldRef`) : []),
    ...(from.resourceFieldRef ? validateResourceRef(from.resourceFieldRef, `${field}.resourceFieldRef`) : []),
    ...(from.configMapKeyRef ? validateKeyRef(from.configMapKeyRef, `${field}.configMapKeyRef`) : []),
    ...(from.secretKeyRef ? validateKeyRef(from.secretKeyRef, `${field}.secretKeyRef`) : []),
  ];
}

function validateKeyRef(ref: { readonly name?: string; readonly key: string }, field: string): FieldErrors {
  return [...(ref.name ? [] : [required(`${field}.name`)]), ...checkedRequired(`${field}.key`, ref.key, configKey)];
}

export function validateVolumeFieldRef(ref: DeepReadonly<ObjectFieldSelector>, field: string): FieldErrors {
  return validateFieldRef(ref, VOLUME_FIELDS, field);
}

/** `metadata.name`, or one label or annotation: `metadata.labels['app']`. */
function validateFieldRef(
  ref: DeepReadonly<ObjectFieldSelector>,
  allowed: readonly string[],
  field: string,
): FieldErrors {
  const path = ref.fieldPath;
  if (!path) return [required(`${field}.fieldPath`)];
  const at = `${field}.fieldPath`;
  const subscript = /^(.*)\['(.*)'\]$/.exec(path);
  if (!subscript) return allowed.includes(path) ? [] : [notSupported(at, path, allowed)];
  const [, base = "", key = ""] = subscript;
  if (base === "metadata.labels" || base === "metadata.annotations") {
    return checked(at, base === "metadata.annotations" ? key.toLowerCase() : key, qualifiedName);
  }
  return [invalidValue(at, path, `error converting fieldPath: field label does not support subscript`)];
}

export function validateResourceRef(ref: DeepReadonly<ResourceFieldSelector>, field: string): FieldErrors {
  if (!ref.resource) return [required(`${field}.resource`)];
  if (RESOURCES.includes(ref.resource) || /^(limits|requests)\.hugepages-/.test(ref.resource)) return [];
  return [notSupported(`${field}.resource`, ref.resource, RESOURCES)];
}

export function validateEnvFrom(list: readonly DeepReadonly<EnvFromSource>[] | undefined, field: string): FieldErrors {
  return each(field, list, (e, at) => {
    const prefix = e.prefix ? checked(`${at}.prefix`, e.prefix, envVarName) : [];
    if (!e.configMapRef && !e.secretRef) {
      return [...prefix, invalidValue(at, "", "must specify one of: `configMapRef` or `secretRef`")];
    }
    if (e.configMapRef && e.secretRef) {
      return [...prefix, invalidValue(at, "", "may not have more than one field specified at a time")];
    }
    const kind = e.configMapRef ? "configMapRef" : "secretRef";
    return [...prefix, ...(e[kind]?.name ? [] : [required(`${at}.${kind}.name`)])];
  });
}
