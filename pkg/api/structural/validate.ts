/**
 * Values against a schema, in the words of the validator that Kubernetes uses:
 * `spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 1`.
 */
import { has } from "../../util/keys.ts";
import { compileRegexp } from "../../util/regexp.ts";
import { deepEqual } from "../equal.ts";
import type { FieldError } from "../status.ts";
import { invalidValue, required } from "../validation/field.ts";
import { fitsFormat, formatCheck, isKnownFormat } from "./formats.ts";
import { schemaTypeName } from "./go-type.ts";
import { childOf, isObject, type Schema } from "./schema.ts";

interface Result {
  readonly errors: readonly FieldError[];
  /** How much of the schema was looked at: of several alternatives, errors are those of the one that went furthest. */
  readonly reach: number;
}

interface At {
  readonly path: string;
  /** The value before the write, where it is known which one that was: what has not changed is not refused. */
  readonly old?: unknown;
}

export function validateValue(schema: Schema, value: unknown, at: At): readonly FieldError[] {
  return check(schema, value, at).errors;
}

function check(schema: Schema, value: unknown, at: At): Result {
  if (at.old !== undefined && deepEqual(value, at.old)) return { errors: [], reach: 1 };
  const { path } = at;
  const type = typeErrors(schema, value, path);
  if (value === null || value === undefined) return { errors: [...type, ...enumErrors(schema, value, path)], reach: 1 };
  const alternatives = checkAlternatives(schema, value, at);
  const inner = isObject(value)
    ? checkObject(schema, value, at)
    : Array.isArray(value)
      ? checkList(schema, value, at)
      : NOTHING;
  return {
    errors: [
      ...type,
      ...alternatives.errors,
      ...(typeof value === "string" ? stringErrors(schema, value, path) : []),
      ...(typeof value === "number" ? numberErrors(schema, value, path) : []),
      ...enumErrors(schema, value, path),
      ...inner.errors,
    ],
    reach: 1 + alternatives.reach + inner.reach + (type.length === 0 ? 1 : 0),
  };
}

const NOTHING: Result = { errors: [], reach: 0 };

function join(results: readonly Result[]): Result {
  return { errors: results.flatMap((r) => r.errors), reach: results.reduce((n, r) => n + r.reach, 0) };
}

const wrong = (path: string, value: unknown, why: string) => invalidValue(path, value, `${path} in body ${why}`);

function typeErrors(schema: Schema, value: unknown, path: string): FieldError[] {
  const types = typesOf(schema);
  const found = schemaTypeName(value);
  if (types.length === 0 || (found === "null" && schema.nullable)) return [];
  if (types.includes(found) || (found === "integer" && types.includes("number"))) return [];
  const { format = "" } = schema;
  const byFormat = found !== "string" && found !== "array" && found !== "null" && isKnownFormat(schema.type, format);
  const [expected, shown] = byFormat ? [format, found === "number" ? "double" : ""] : [types.join(","), found];
  const why = `${path} in body must be of type ${expected}: ${JSON.stringify(shown)}`;
  return [{ type: "TypeInvalid", field: path, value: shown, detail: why }];
}

function typesOf(schema: Schema): readonly string[] {
  if (schema["x-kubernetes-int-or-string"]) return ["integer", "string"];
  return schema.type ? [schema.type] : [];
}

function enumErrors(schema: Schema, value: unknown, path: string): FieldError[] {
  const allowed = schema.enum ?? [];
  if (allowed.length === 0 || allowed.some((v) => deepEqual(v, value))) return [];
  const words = allowed.map((v) => JSON.stringify(typeof v === "string" ? v : JSON.stringify(v)));
  return [{ type: "NotSupported", field: path, value: value ?? null, detail: `supported values: ${words.join(", ")}` }];
}

function stringErrors(schema: Schema, value: string, path: string): FieldError[] {
  const { minLength, maxLength, pattern, format } = schema;
  const errors: FieldError[] = [];
  const length = minLength === undefined && maxLength === undefined ? 0 : Array.from(value).length;
  if (maxLength !== undefined && length > maxLength) {
    errors.push({
      type: "TooLong",
      field: path,
      detail: `may not be more than ${maxLength} ${maxLength === 1 ? "byte" : "bytes"}`,
    });
  }
  if (minLength !== undefined && length < minLength) {
    errors.push(wrong(path, value, `should be at least ${minLength} chars long`));
  }
  if (pattern && !compileRegexp(pattern).test(value)) errors.push(wrong(path, value, `should match '${pattern}'`));
  if (format && formatCheck(format)?.(value) === false) {
    const why = `${path} in body must be of type ${format}: ${JSON.stringify(value)}`;
    errors.push({ type: "TypeInvalid", field: path, value, detail: why });
  }
  return errors;
}

function numberErrors(schema: Schema, value: number, path: string): FieldError[] {
  const { minimum, exclusiveMinimum, maximum, exclusiveMaximum, multipleOf, format = "", type } = schema;
  const errors: FieldError[] = [];
  if (multipleOf && !isMultiple(value, multipleOf))
    errors.push(wrong(path, value, `should be a multiple of ${multipleOf}`));
  if (maximum !== undefined && (exclusiveMaximum ? value >= maximum : value > maximum)) {
    errors.push(wrong(path, value, `should be less than ${exclusiveMaximum ? "" : "or equal to "}${maximum}`));
  }
  if (minimum !== undefined && (exclusiveMinimum ? value <= minimum : value < minimum)) {
    errors.push(wrong(path, value, `should be greater than ${exclusiveMinimum ? "" : "or equal to "}${minimum}`));
  }
  if (isKnownFormat(type, format) && !fitsFormat(value, format)) {
    errors.push(invalidValue(path, value, `Checked value must be of type ${type} with format ${format} in ${path}`));
  }
  return errors;
}

/** Decimal fractions are not exact: 0.3 is a multiple of 0.1. */
function isMultiple(value: number, of: number): boolean {
  const times = value / of;
  return Math.abs(times - Math.round(times)) < 1e-9 * Math.max(1, Math.abs(times));
}

function checkObject(schema: Schema, value: Record<string, unknown>, { path, old }: At): Result {
  const keys = Object.keys(value);
  const { minProperties, maxProperties } = schema;
  const errors: FieldError[] = [];
  if (minProperties !== undefined && keys.length < minProperties) {
    errors.push(wrong(path, keys.length, `should have at least ${minProperties} properties`));
  }
  if (maxProperties !== undefined && keys.length > maxProperties)
    errors.push(tooMany(path, keys.length, maxProperties));
  const below = keys.map((key) => {
    const child = childOf(schema, key);
    return child ? check(child, value[key], { path: joinPath(path, key), ...oldAt(old, key) }) : NOTHING;
  });
  const missing = (schema.required ?? []).filter((key) => !has(value, key) && !(isObject(old) && !has(old, key)));
  return join([
    { errors, reach: 0 },
    ...below,
    { errors: missing.map((key) => required(joinPath(path, key))), reach: 0 },
  ]);
}

const joinPath = (path: string, key: string) => (path === "" ? key : `${path}.${key}`);

function oldAt(old: unknown, key: string): { old?: unknown } {
  return isObject(old) && has(old, key) ? { old: old[key] } : {};
}

function tooMany(path: string, found: number, max: number): FieldError {
  const detail = `must have at most ${max} ${max === 1 ? "item" : "items"}`;
  return { type: "TooMany", field: path, value: found, detail };
}

function checkList(schema: Schema, value: readonly unknown[], { path, old }: At): Result {
  const { minItems, maxItems, items } = schema;
  const errors: FieldError[] = [];
  if (minItems !== undefined && value.length < minItems) {
    errors.push(wrong(path, value.length, `should have at least ${minItems} items`));
  }
  if (maxItems !== undefined && value.length > maxItems) errors.push(tooMany(path, value.length, maxItems));
  if (schema.uniqueItems && value.some((v, i) => value.slice(0, i).some((u) => deepEqual(u, v)))) {
    errors.push(wrong(path, "", "shouldn't contain duplicates"));
  }
  if (!items) return { errors, reach: 0 };
  const previous = correlate(schema, old);
  const below = value.map((item, i) => {
    const before = previous(item);
    return check(items, item, { path: `${path}[${i}]`, ...(before !== undefined && { old: before }) });
  });
  return join([{ errors, reach: 0 }, ...below]);
}

/** Which of the items before an item is now: known only where items have keys. */
export function correlate(schema: Schema, old: unknown): (item: unknown) => unknown {
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  if (schema["x-kubernetes-list-type"] !== "map" || !Array.isArray(old)) return () => undefined;
  const keyOf = (item: unknown) => JSON.stringify(keys.map((k) => (isObject(item) ? item[k] : undefined)));
  const byKey = new Map(old.map((item: unknown) => [keyOf(item), item]));
  return (item) => byKey.get(keyOf(item));
}

/** An error about the whole object has no field in Kubernetes, and says so. */
export const NO_FIELD = "<nil>";

function checkAlternatives(schema: Schema, value: unknown, at: At): Result {
  const name = JSON.stringify(at.path);
  const results: Result[] = [];
  const fail = (why: string) => results.push({ errors: [invalidValue(NO_FIELD, "", `${name} must ${why}`)], reach: 0 });
  const of = (schemas: readonly Schema[] | undefined) => (schemas ?? []).map((s) => check(s, value, at));
  const [anyOf, oneOf, allOf] = [of(schema.anyOf), of(schema.oneOf), of(schema.allOf)];
  if (anyOf.length > 0 && !anyOf.some(isValid)) {
    fail("validate at least one schema (anyOf)");
    results.push(furthest(anyOf));
  }
  const valid = oneOf.filter(isValid).length;
  if (oneOf.length > 0 && valid !== 1) {
    fail(
      `validate one and only one schema (oneOf). ${valid === 0 ? "Found none valid" : `Found ${valid} valid alternatives`}`,
    );
    if (valid === 0) results.push(furthest(oneOf));
  }
  results.push(...allOf);
  if (!allOf.every(isValid)) fail(`validate all the schemas (allOf)${allOf.some(isValid) ? "" : ". None validated"}`);
  if (schema.not && isValid(check(schema.not, value, at))) fail("not validate the schema (not)");
  return join(results);
}

const isValid = (r: Result) => r.errors.length === 0;

function furthest(results: readonly Result[]): Result {
  return results.reduce((best, r) => (r.reach > best.reach ? r : best), results[0] ?? NOTHING);
}
