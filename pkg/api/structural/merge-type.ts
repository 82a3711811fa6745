/** What server-side apply must know of a schema. */
import { ATOMIC, DEDUCED, type ListKey, type MergeType } from "../apply/merge-type.ts";
import { childOf, preservesUnknown, type Schema } from "./schema.ts";

/** `metadata` is how metadata merges, at the root and in embedded objects. */
export function mergeTypeOf(schema: Schema, metadata: MergeType): MergeType {
  if (schema["x-kubernetes-int-or-string"]) return ATOMIC;
  switch (schema.type ?? "") {
    case "object":
      return objectType(schema, metadata);
    case "array":
      return listType(schema, metadata);
    default:
      return schema.type ? ATOMIC : DEDUCED;
  }
}

function objectType(schema: Schema, metadata: MergeType): MergeType {
  if (schema["x-kubernetes-map-type"] === "atomic") return ATOMIC;
  const { additionalProperties } = schema;
  if (!schema.properties && typeof additionalProperties === "object") {
    return { kind: "map", of: mergeTypeOf(additionalProperties, metadata) };
  }
  if (!schema.properties && !schema["x-kubernetes-embedded-resource"]) return DEDUCED;
  return {
    kind: "object",
    field(name) {
      const child = childOf(schema, name);
      if (schema["x-kubernetes-embedded-resource"] && name === "metadata") return metadata;
      if (child) return mergeTypeOf(child, metadata);
      return preservesUnknown(schema) ? DEDUCED : undefined;
    },
  };
}

function listType(schema: Schema, metadata: MergeType): MergeType {
  const { items = {} } = schema;
  switch (schema["x-kubernetes-list-type"] ?? "atomic") {
    case "set":
      return { kind: "set" };
    case "map": {
      const keys = (schema["x-kubernetes-list-map-keys"] ?? []).map((name) => listKey(name, items));
      return { kind: "list", keys, of: mergeTypeOf(items, metadata) };
    }
    default:
      return ATOMIC;
  }
}

function listKey(name: string, items: Schema): ListKey {
  const preset = childOf(items, name)?.default;
  const simple = typeof preset === "string" || typeof preset === "number" || typeof preset === "boolean";
  return simple ? { name, default: preset } : { name };
}
