import { semanticEqual } from "../../equal.ts";
import type { Secret } from "../../generated/types.ts";
import { configKey } from "../../names.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import {
  checked,
  type FieldErrors,
  forbidden,
  IMMUTABLE,
  invalidValue,
  required,
  tooLong,
} from "../../validation/field.ts";
import { base64Bytes, decodeBase64, encodeBase64, frozen, MAX_DATA_BYTES } from "../../validation/data.ts";
import { AGE, NAME } from "../columns.ts";

export const secrets: ResourceDef<Secret> = {
  group: "",
  version: "v1",
  kind: "Secret",
  plural: "secrets",
  singular: "secret",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: "Secret",
  setDefaults(o) {
    o.type ||= "Opaque";
    // stringData is write-only, and wins over data.
    const written = Object.entries(o.stringData ?? {}).map(([k, v]) => [k, encodeBase64(v)]);
    if (written.length) o.data = { ...o.data, ...(Object.fromEntries(written) as Record<string, string>) };
    delete o.stringData;
  },
  validate: (next, old) => [...validateData(next), ...validateType(next), ...(old ? validateUpdate(next, old) : [])],
  subresources: {},
  selectableFields: { type: (o) => o.type ?? "" },
  columns: [
    NAME,
    {
      name: "Type",
      type: "string",
      description: "Used to facilitate programmatic handling of secret data.",
      cell: (o) => o.type ?? "",
    },
    {
      name: "Data",
      type: "string",
      description: "How many keys there are.",
      cell: (o) => Object.keys(o.data ?? {}).length,
    },
    AGE,
  ],
};

function validateData(o: DeepReadonly<Secret>): FieldErrors {
  const entries = Object.entries(o.data ?? {});
  const size = entries.reduce((n, [, v]) => n + base64Bytes(v), 0);
  return [
    ...entries.flatMap(([k]) => checked(`data[${k}]`, k, configKey)),
    ...(size > MAX_DATA_BYTES ? [tooLong("data", MAX_DATA_BYTES)] : []),
  ];
}

const SERVICE_ACCOUNT = "kubernetes.io/service-account.name";

/** The types that Kubernetes knows promise keys to their readers. */
function validateType(o: DeepReadonly<Secret>): FieldErrors {
  const data = o.data ?? {};
  const needs = (...keys: string[]) => keys.filter((k) => data[k] === undefined).map((k) => required(`data[${k}]`));
  switch (o.type ?? "") {
    case "kubernetes.io/service-account-token":
      return o.metadata.annotations?.[SERVICE_ACCOUNT] ? [] : [required(`metadata.annotations[${SERVICE_ACCOUNT}]`)];
    case "kubernetes.io/dockercfg":
      return validateJson(data, ".dockercfg");
    case "kubernetes.io/dockerconfigjson":
      return validateJson(data, ".dockerconfigjson");
    case "kubernetes.io/basic-auth":
      return data["username"] === undefined && data["password"] === undefined ? needs("username", "password") : [];
    case "kubernetes.io/ssh-auth":
      return data["ssh-privatekey"] ? [] : [required("data[ssh-privatekey]")];
    case "kubernetes.io/tls":
      return needs("tls.crt", "tls.key");
    default:
      return [];
  }
}

function validateJson(data: Readonly<Record<string, string>>, key: string): FieldErrors {
  const field = `data[${key}]`;
  const value = data[key];
  if (value === undefined) return [required(field)];
  try {
    JSON.parse(decodeBase64(value));
    return [];
  } catch (e) {
    // The parser's own words would quote the secret.
    if (e instanceof Error) return [invalidValue(field, "<secret contents redacted>", "invalid JSON")];
    throw e;
  }
}

function validateUpdate(next: DeepReadonly<Secret>, old: DeepReadonly<Secret>): FieldErrors {
  const type = next.type === old.type ? [] : [invalidValue("type", next.type, IMMUTABLE)];
  if (!old.immutable) return type;
  return [
    ...type,
    ...(next.immutable ? [] : [forbidden("immutable", frozen)]),
    ...(semanticEqual(next.data, old.data) ? [] : [forbidden("data", frozen)]),
  ];
}
