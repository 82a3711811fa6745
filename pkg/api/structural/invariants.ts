/** What holds beyond values: items of sets and of lists with keys are told apart, and embedded objects are objects. */
import { has, own } from "../../util/keys.ts";
import { dns1035Label } from "../names.ts";
import type { FieldError } from "../status.ts";
import { duplicate, invalidValue, required } from "../validation/field.ts";
import { childOf, isObject, type Schema } from "./schema.ts";

export function validateInvariants(schema: Schema | undefined, value: unknown, path: string): readonly FieldError[] {
  if (!schema) return [];
  if (Array.isArray(value)) {
    const items = value.flatMap((item: unknown, i) => validateInvariants(schema.items, item, `${path}[${i}]`));
    return [...listErrors(schema, value, path), ...items];
  }
  if (!isObject(value)) return [];
  const below = Object.entries(value).flatMap(([key, item]) =>
    validateInvariants(childOf(schema, key), item, step(schema, path, key)),
  );
  return [...(schema["x-kubernetes-embedded-resource"] ? embeddedErrors(value, path) : []), ...below];
}

function step(schema: Schema, path: string, key: string): string {
  if (!own(schema.properties, key)) return `${path}[${key}]`;
  return path === "" ? key : `${path}.${key}`;
}

function listErrors(schema: Schema, list: readonly unknown[], path: string): FieldError[] {
  switch (schema["x-kubernetes-list-type"] ?? "atomic") {
    case "set":
      return repeated(list, (item) => item, path);
    case "map": {
      const keys = schema["x-kubernetes-list-map-keys"] ?? [];
      return repeated(list, (item) => keyOf(item, keys), path);
    }
    default:
      return [];
  }
}

function keyOf(item: unknown, keys: readonly string[]): object {
  const fields = isObject(item) ? item : {};
  return Object.fromEntries(keys.filter((k) => has(fields, k)).map((k) => [k, fields[k]]));
}

/** Each key that comes more than once is told once: where it comes for the second time. */
function repeated(list: readonly unknown[], keyOfItem: (item: unknown) => unknown, path: string): FieldError[] {
  const times = new Map<string, number>();
  return list.flatMap((item, i) => {
    const key = keyOfItem(item);
    const text = JSON.stringify(key) ?? "";
    const before = times.get(text) ?? 0;
    times.set(text, before + 1);
    return before === 1 ? [duplicate(`${path}[${i}]`, key)] : [];
  });
}

function embeddedErrors(value: Readonly<Record<string, unknown>>, path: string): FieldError[] {
  return (["apiVersion", "kind"] as const).flatMap((name) => {
    const field = `${path}.${name}`;
    const found = value[name];
    if (found === undefined) return [required(field)];
    if (typeof found !== "string") return [invalidValue(field, found, "must be a string")];
    if (found === "") return [invalidValue(field, "", "must not be empty")];
    if (name === "apiVersion") {
      return found.split("/").length > 2
        ? [invalidValue(field, found, `unexpected GroupVersion string: ${found}`)]
        : [];
    }
    const errors = dns1035Label(found.toLowerCase());
    return errors.length
      ? [invalidValue(field, found, `may have mixed case, but should otherwise match: ${errors.join(",")}`)]
      : [];
  });
}
