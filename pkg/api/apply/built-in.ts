/** How built-in kinds merge, from the schema and its tables. */
import type { ResourceDef } from "../resource.ts";
import { type Field, type FieldType, fieldOf, mustSchemaOf, schemaOf, words } from "../schema.ts";
import { ATOMIC, DEDUCED, type ListKey, type MergeType } from "./merge-type.ts";

/**
 * Structs that Go writes even when they are empty, so that no manager ever made them. By name: what the fields mean is the
 * same in all kinds.
 */
const ALWAYS: ReadonlySet<string> = new Set(
  words(`metadata spec status template jobTemplate strategy updateStrategy resources loadBalancer nodeInfo
  daemonEndpoints kubeletEndpoint scaleTargetRef roleRef involvedObject regarding target`),
);

const objects = new Map<string, MergeType>();
const always = new Map<string, MergeType>();
const fields = new WeakMap<Field, MergeType>();

/** The type of the whole object; the same one each time. */
export function mergeTypeOf(def: Pick<ResourceDef, "schema" | "custom">): MergeType {
  return def.custom?.mergeType ?? objectType(def.schema, objects, {});
}

function objectType(name: string, known: Map<string, MergeType>, more: { always?: true }): MergeType {
  const found = known.get(name);
  if (found) return found;
  const field = (key: string): MergeType | undefined => {
    const declared = fieldOf(name, key);
    return declared && typeOfField(declared);
  };
  const made: MergeType = mustSchemaOf(name).atomic ? ATOMIC : { kind: "object", field, ...more };
  known.set(name, made);
  return made;
}

function typeOfField(field: Field): MergeType {
  let type = fields.get(field);
  if (!type) {
    type = makeType(field);
    fields.set(field, type);
  }
  return type;
}

function makeType({ name, type, merge, required }: Field): MergeType {
  if (merge.mapType === "atomic") return ATOMIC;
  if (type.kind === "object" && ALWAYS.has(name)) return objectType(type.type, always, { always: true });
  if (type.kind !== "list") return plainType(type);
  if (merge.listType === "set") return { kind: "set" };
  if (merge.listType !== "map" || type.of.kind !== "object") return ATOMIC;
  const item = type.of.type;
  const keys = (merge.listMapKeys ?? []).map((key) => keyOf(item, key));
  return { kind: "list", keys, of: plainType(type.of), ...(required && { always: true }) };
}

/** Without the rules that a field may have. */
function plainType(type: FieldType): MergeType {
  switch (type.kind) {
    case "scalar":
    case "list":
      return ATOMIC;
    case "object":
      return schemaOf(type.type) ? objectType(type.type, objects, {}) : DEDUCED;
    case "map":
      return { kind: "map", of: plainType(type.of) };
  }
}

function keyOf(item: string, name: string): ListKey {
  const preset = fieldOf(item, name)?.default;
  return preset === undefined ? { name } : { name, default: preset };
}
