/** Which values have parts of their own, and what the parts are. */
import { DEDUCED, type MergeType } from "./merge-type.ts";

export type Json = Readonly<Record<string, unknown>>;
type List = Extract<MergeType, { kind: "list" | "set" }>;

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An object whose fields are owned one by one. */
export function hasFields(type: MergeType, value: unknown): value is Json {
  return (type.kind === "object" || type.kind === "map" || type.kind === "deduced") && isObject(value);
}

export function isList(type: MergeType): type is List {
  return type.kind === "list" || type.kind === "set";
}

/** A list whose items are owned one by one. */
export function hasItems(type: MergeType, value: unknown): value is readonly unknown[] {
  return isList(type) && Array.isArray(value);
}

/** The type of a field of a value that {@link hasFields}. */
export function fieldType(type: MergeType, name: string): MergeType {
  if (type.kind === "object") return type.field(name) ?? DEDUCED;
  return type.kind === "map" ? type.of : DEDUCED;
}

/** Declared by name, as opposed to the keys of a map: such a field is there as soon as something in it is. */
export function isDeclared(type: MergeType, name: string): boolean {
  return type.kind === "object" && type.field(name) !== undefined;
}

export function itemType(type: List): MergeType {
  return type.kind === "list" ? type.of : { kind: "atomic" };
}

export function isEmptyContainer(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  for (const _ in value) return false;
  return true;
}
