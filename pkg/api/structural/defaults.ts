/** Filling in a schema's defaults. */
import { define, has } from "../../util/keys.ts";
import { deepClone } from "../equal.ts";
import { childOf, isObject, type Schema } from "./schema.ts";

/**
 * In place, from the outside in: a default that is itself an object gets the defaults of its own fields. A null where
 * none is allowed counts as absent if there is a default for it. Lists and maps keep their length.
 */
export function applyDefaults(schema: Schema | undefined, value: unknown): void {
  if (!schema) return;
  if (Array.isArray(value)) {
    for (const item of value as unknown[]) applyDefaults(schema.items, item);
    return;
  }
  if (!isObject(value)) return;
  for (const [key, child] of Object.entries(schema.properties ?? {})) {
    if (isMissing(value, key, child)) define(value, key, deepClone(child.default));
  }
  for (const [key, item] of Object.entries(value)) applyDefaults(childOf(schema, key), item);
}

/** Whether {@link applyDefaults} would change it. */
export function lacksDefaults(schema: Schema | undefined, value: unknown): boolean {
  if (!schema) return false;
  if (Array.isArray(value)) return value.some((item) => lacksDefaults(schema.items, item));
  if (!isObject(value)) return false;
  const { properties = {} } = schema;
  return (
    Object.keys(properties).some((key) => isMissing(value, key, properties[key])) ||
    Object.entries(value).some(([key, item]) => lacksDefaults(childOf(schema, key), item))
  );
}

function isMissing(value: Readonly<Record<string, unknown>>, key: string, child: Schema | undefined): boolean {
  if (child?.default === undefined) return false;
  return !has(value, key) || value[key] === undefined || (value[key] === null && !child.nullable);
}
