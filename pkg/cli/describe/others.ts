/** `describe` of the smaller kinds, and of any kind there is no page for. */
import type { ConfigMap, Namespace, Secret, ServiceAccount } from "../../api/generated/types.ts";
import type { ApiObject } from "../../api/object.ts";
import { annotations, block, compact, type Entry, pairs, row } from "./tree.ts";

function head(o: ApiObject): Entry[] {
  const { metadata } = o;
  return compact([
    row("Name", metadata.name),
    metadata.namespace ? row("Namespace", metadata.namespace) : undefined,
    row("Labels", pairs(metadata.labels)),
    row("Annotations", annotations(metadata.annotations)),
  ]);
}

export function describeNamespace(ns: Namespace): Entry[] {
  const conditions = (ns.status?.conditions ?? []).map((c) => [c.type, c.status, c.reason ?? "", c.message ?? ""]);
  return compact([
    ...head(ns),
    row("Status", ns.status?.phase),
    conditions.length > 0
      ? { label: "Conditions", header: ["Type", "Status", "Reason", "Message"], rows: conditions }
      : undefined,
  ]);
}

export function describeConfigMap(c: ConfigMap): Entry[] {
  const text = Object.entries(c.data ?? {}).map(([k, v]) => row(k, v.replace(/\n$/, "").split("\n")));
  const binary = Object.entries(c.binaryData ?? {}).map(([k, v]) => row(k, bytes(v)));
  return [...head(c), block("Data", text), block("BinaryData", binary)];
}

/** Sizes only: a secret is not for shoulders to look over. */
export function describeSecret(s: Secret): Entry[] {
  return [
    ...head(s),
    row("Type", s.type),
    block(
      "Data",
      Object.entries(s.data ?? {}).map(([k, v]) => row(k, bytes(v))),
    ),
  ];
}

const bytes = (base64: string) => `${Buffer.from(base64, "base64").length} bytes`;

export function describeServiceAccount(s: ServiceAccount): Entry[] {
  return [
    ...head(s),
    row(
      "Image pull secrets",
      (s.imagePullSecrets ?? []).map((r) => r.name ?? ""),
    ),
    row(
      "Mountable secrets",
      (s.secrets ?? []).map((r) => r.name ?? ""),
    ),
  ];
}

/** Every field, its name in words. */
export function describeAny(o: ApiObject): Entry[] {
  const { apiVersion, kind, metadata, ...rest } = o as ApiObject & Record<string, unknown>;
  const { name: _n, namespace: _ns, labels: _l, annotations: _a, managedFields: _m, ...meta } = metadata;
  return [
    ...head(o),
    row("API Version", apiVersion),
    row("Kind", kind),
    block("Metadata", fields(meta)),
    ...fields(rest),
  ];
}

function fields(o: object): Entry[] {
  return Object.entries(o).flatMap(([key, value]: [string, unknown]) => {
    const label = words(key);
    if (Array.isArray(value)) {
      if (value.every((v) => typeof v !== "object")) return [row(label, value)];
      return value.map((v, i) => block(`${label} ${i + 1}`, fields(v as object)));
    }
    return [typeof value === "object" && value !== null ? block(label, fields(value)) : row(label, value)];
  });
}

/** `hostIP` → `Host IP`; keys that are no field names (labels) stay. */
function words(key: string): string {
  if (!/^[a-z][a-zA-Z0-9]*$/.test(key)) return key;
  return key.replace(/([a-z])([A-Z])/g, "$1 $2").replace(/^./, (c) => c.toUpperCase());
}
