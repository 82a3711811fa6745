/**
 * Structural schemas: the JSON schemas of CustomResourceDefinitions. The generated type leaves `items`,
 * `additionalProperties` and what is below them open; here they are read, so that everything else can rely on them.
 */
import { define, own } from "../../util/keys.ts";
import { strictDecode } from "../decode.ts";
import type { JSONSchemaProps, ValidationRule } from "../generated/types.ts";
import type { FieldError } from "../status.ts";
import { invalidValue } from "../validation/field.ts";

type Scalars = Omit<
  JSONSchemaProps,
  "items" | "additionalProperties" | "properties" | "allOf" | "anyOf" | "oneOf" | "not"
>;

export interface Schema extends Readonly<Scalars> {
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly not?: Schema;
}

export type Rule = Readonly<ValidationRule>;

/** Deeper ones are no schemas of anybody, and would exhaust the stack. */
const MAX_DEPTH = 200;

interface Reading {
  readonly errors: FieldError[];
}

/** `props` as it came from a client. Where there are errors, the schema is what could be read. */
export function readSchema(props: unknown, path: string): { schema: Schema; errors: readonly FieldError[] } {
  const reading: Reading = { errors: [] };
  return { schema: read(decodeOpen(props, path, reading), path, 0, reading), errors: reading.errors };
}

function read(props: JSONSchemaProps, path: string, depth: number, r: Reading): Schema {
  if (depth > MAX_DEPTH) {
    r.errors.push(invalidValue(path, "", `must not be nested more than ${MAX_DEPTH} levels deep`));
    return {};
  }
  const { items, additionalProperties, properties, allOf, anyOf, oneOf, not, ...scalars } = props;
  const below = (child: JSONSchemaProps, step: string) => read(child, `${path}.${step}`, depth + 1, r);
  const open = (child: unknown, step: string) => below(decodeOpen(child, `${path}.${step}`, r), step);
  const all = (list: JSONSchemaProps[], step: string) => list.map((s, i) => below(s, `${step}[${i}]`));
  return {
    ...scalars,
    ...(items !== undefined && { items: readItems(items, path, open, r) }),
    ...(additionalProperties !== undefined && {
      additionalProperties:
        typeof additionalProperties === "boolean"
          ? additionalProperties
          : open(additionalProperties, "additionalProperties"),
    }),
    ...(properties && { properties: mapValues(properties, (s, name) => below(s, `properties[${name}]`)) }),
    ...(allOf && { allOf: all(allOf, "allOf") }),
    ...(anyOf && { anyOf: all(anyOf, "anyOf") }),
    ...(oneOf && { oneOf: all(oneOf, "oneOf") }),
    ...(not && { not: below(not, "not") }),
  };
}

/** The generated type knows nothing of what stands under `items` and `additionalProperties`. */
function decodeOpen(props: unknown, path: string, r: Reading): JSONSchemaProps {
  const { value, errors } = strictDecode("JSONSchemaProps", props);
  if (errors.length === 0) return value as JSONSchemaProps;
  r.errors.push(...errors.map((why) => invalidValue(path, "", why)));
  return {};
}

function readItems(items: unknown, path: string, open: (s: unknown, step: string) => Schema, r: Reading): Schema {
  if (!Array.isArray(items)) return open(items, "items");
  r.errors.push({
    type: "Forbidden",
    field: `${path}.items`,
    detail: "items must be a schema object and not an array",
  });
  return {};
}

export function mapValues<A, B>(
  from: Readonly<Record<string, A>>,
  to: (value: A, key: string) => B,
): Record<string, B> {
  const out: Record<string, B> = {};
  for (const [key, value] of Object.entries(from)) define(out, key, to(value, key));
  return out;
}

export const isObject = (v: unknown): v is Record<string, unknown> =>
  typeof v === "object" && v !== null && !Array.isArray(v);

/** Its own schema, or that of its properties, keeps what no schema knows. */
export const preservesUnknown = (s: Schema | undefined): boolean =>
  s?.["x-kubernetes-preserve-unknown-fields"] === true;

/** The schema below a key of an object: undefined where the key is unknown or free. */
export function childOf(s: Schema, key: string): Schema | undefined {
  const known = own(s.properties, key);
  if (known) return known;
  return typeof s.additionalProperties === "object" ? s.additionalProperties : undefined;
}

/** Whether any schema in it, at any depth, is one. */
export function someSchema(s: Schema, is: (s: Schema) => boolean): boolean {
  return is(s) || children(s).some((child) => someSchema(child, is));
}

export function children(s: Schema): readonly Schema[] {
  const more = typeof s.additionalProperties === "object" ? [s.additionalProperties] : [];
  return [
    ...Object.values(s.properties ?? {}),
    ...more,
    ...(s.items ? [s.items] : []),
    ...(s.allOf ?? []),
    ...(s.anyOf ?? []),
    ...(s.oneOf ?? []),
    ...(s.not ? [s.not] : []),
  ];
}
