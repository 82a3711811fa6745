/** Taking away what a schema does not know. */
import { define } from "../../util/keys.ts";
import { strictDecode, type Decoded } from "../decode.ts";
import { deepClone } from "../equal.ts";
import { goTypeName } from "./go-type.ts";
import { childOf, isObject, preservesUnknown, type Schema } from "./schema.ts";

/** What every object has, whatever its schema says. */
const META = new Set(["apiVersion", "kind", "metadata"]);

/**
 * A custom object as a client sent it. Only apiVersion, kind and metadata must have the right types here; a wrong type
 * elsewhere is for validation to find. The input is not changed, and shares nothing with the value.
 */
export function decodeCustom(schema: Schema, input: unknown): Decoded {
  if (!isObject(input)) {
    return {
      value: undefined,
      unknown: [],
      errors: [`json: cannot unmarshal ${goTypeName(input)} into Go value of type map[string]interface {}`],
    };
  }
  const unknown: string[] = [];
  const body = prune({ ...schema, "x-kubernetes-embedded-resource": true }, input, "", unknown);
  const meta = decodeMeta(body as Record<string, unknown>);
  return { value: meta.value, unknown: [...unknown, ...meta.unknown], errors: meta.errors };
}

/** A copy of `value` with only what the schema knows; the paths of the rest are added to `unknown`. */
export function prune(schema: Schema | undefined, value: unknown, path: string, unknown: string[]): unknown {
  if (Array.isArray(value)) {
    return value.map((item: unknown, i) =>
      schema?.items ? prune(schema.items, item, `${path}[${i}]`, unknown) : deepClone(item),
    );
  }
  if (!isObject(value) || !schema) return deepClone(value);
  const out: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    const at = path === "" ? key : `${path}.${key}`;
    const child = childOf(schema, key);
    if (schema["x-kubernetes-embedded-resource"] && META.has(key)) define(out, key, deepClone(item));
    else if (child) define(out, key, prune(child, item, at, unknown));
    else if (schema.additionalProperties === true || preservesUnknown(schema)) define(out, key, deepClone(item));
    else unknown.push(at);
  }
  return out;
}

/** apiVersion, kind and metadata as Go's types have them. */
function decodeMeta(body: Record<string, unknown>): Decoded {
  const { apiVersion, kind, metadata, ...rest } = body;
  const errors = Object.entries({ apiVersion, kind }).flatMap(([field, value]) =>
    value === undefined || value === null || typeof value === "string"
      ? []
      : [`json: cannot unmarshal ${goTypeName(value)} into Go struct field TypeMeta.${field} of type string`],
  );
  const meta = strictDecode("ObjectMeta", metadata ?? {});
  const value = {
    ...(typeof apiVersion === "string" && { apiVersion }),
    ...(typeof kind === "string" && { kind }),
    metadata: meta.value,
    ...rest,
  };
  return { value, unknown: meta.unknown.map((p) => `metadata.${p}`), errors: [...errors, ...meta.errors] };
}
