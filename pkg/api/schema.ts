/**
 * The schema of all built-in types, from the text that `npm run generate` makes: one line a type,
 *
 *     Container name!:string ports:[]ContainerPort env:[]EnvVar …
 *
 * `!` marks a required field, `[]T` a list, `{}T` a map with string keys, a capital another type. A type's line is parsed
 * when the type is first asked for, so that loading costs nothing and memory only what is used.
 */
import { own } from "../util/keys.ts";
import { schemaText } from "./generated/schema.ts";
import { ATOMIC_TYPES, FIELD_RULES, SCHEMA_DEFAULTS, type MergeRule } from "./schema-tables.ts";

/** All but `any` are what their names say in Go; `bytes` is base64 on the wire. */
export type Scalar =
  | "string"
  | "bytes"
  | "bool"
  | "quantity"
  | "int32"
  | "int64"
  | "double"
  | "time"
  | "microTime"
  | "intOrString"
  | "any";

/** Equal types are the same object. */
export type FieldType =
  | { readonly kind: "scalar"; readonly scalar: Scalar }
  | { readonly kind: "object"; readonly type: string }
  | { readonly kind: "list"; readonly of: FieldType }
  | { readonly kind: "map"; readonly of: FieldType };

export interface Field {
  /** As on the wire. */
  readonly name: string;
  readonly type: FieldType;
  readonly required: boolean;
  readonly merge: MergeRule;
  readonly default?: string | number | boolean;
}

export interface TypeSchema {
  readonly name: string;
  /** OpenAPI's name: `io.k8s.api.core.v1.Pod`. */
  readonly openApiName: string;
  readonly fields: ReadonlyMap<string, Field>;
  /** Server-side apply replaces values of this type as a whole. */
  readonly atomic: boolean;
}

interface Line {
  readonly goPackage: string;
  readonly text: string;
}

const ATOMIC: MergeRule = { listType: "atomic" };
const NONE: MergeRule = {};

const lines: ReadonlyMap<string, Line> = indexLines();
const schemas = new Map<string, TypeSchema>();
const types = new Map<string, FieldType>();
const atomicTypes: ReadonlySet<string> = new Set(words(ATOMIC_TYPES));
const rules: ReadonlyMap<string, MergeRule> = new Map(
  FIELD_RULES.flatMap(([rule, fields]) => words(fields).map((f) => [f, rule] as const)),
);

/** Splits what {@link FIELD_RULES} and {@link ATOMIC_TYPES} list. */
export function words(text: string): string[] {
  return text.trim().split(/\s+/);
}

/** The schema of a type by its name in generated/types.ts; undefined if there is none. */
export function schemaOf(typeName: string): TypeSchema | undefined {
  const known = schemas.get(typeName);
  if (known) return known;
  const line = lines.get(typeName);
  if (!line) return undefined;
  const schema = parseLine(typeName, line);
  schemas.set(typeName, schema);
  return schema;
}

/** For names that come from a schema or a ResourceDef: a missing one is a bug, not bad input. */
export function mustSchemaOf(typeName: string): TypeSchema {
  const schema = schemaOf(typeName);
  if (!schema) throw new Error(`no schema for type ${typeName}`);
  return schema;
}

export function typeNames(): Iterable<string> {
  return lines.keys();
}

export function fieldOf(typeName: string, field: string): Field | undefined {
  return schemaOf(typeName)?.fields.get(field);
}

/**
 * The field a path leads to: `fieldAt("Pod", ["spec", "containers", 0, "ports"])`. A list takes any index, a map any key;
 * both lead on to what they hold, so a path that ends in one gives the field of the list or map itself.
 */
export function fieldAt(typeName: string, path: readonly (string | number)[]): Field | undefined {
  let at: FieldType = objectType(typeName);
  let field: Field | undefined;
  for (const step of path) {
    if (at.kind === "list" || at.kind === "map") {
      at = at.of;
    } else if (at.kind === "object") {
      field = fieldOf(at.type, String(step));
      if (!field) return undefined;
      at = field.type;
    } else {
      return undefined;
    }
  }
  return field;
}

/** What the items of a list or map are, through all nesting: the object type's name, or undefined for scalars. */
export function objectTypeOf(type: FieldType): string | undefined {
  let t = type;
  while (t.kind === "list" || t.kind === "map") t = t.of;
  return t.kind === "object" ? t.type : undefined;
}

function indexLines(): Map<string, Line> {
  const index = new Map<string, Line>();
  let goPackage = "";
  for (const text of schemaText.split("\n")) {
    if (text.startsWith("# ")) goPackage = text.slice(2);
    else if (text !== "") index.set(text.split(" ", 1)[0] ?? "", { goPackage, text });
  }
  return index;
}

function parseLine(name: string, line: Line): TypeSchema {
  const fields = line.text
    .split(" ")
    .slice(1)
    .map((text) => parseField(name, text));
  return {
    name,
    openApiName: `${line.goPackage}.${goName(name)}`,
    fields: new Map(fields.map((f) => [f.name, f])),
    atomic: atomicTypes.has(name),
  };
}

function parseField(typeName: string, text: string): Field {
  const colon = text.indexOf(":");
  const required = text[colon - 1] === "!";
  const name = text.slice(0, required ? colon - 1 : colon);
  const type = parseType(text.slice(colon + 1));
  const key = `${typeName}.${name}`;
  const ruled = rules.get(key) ?? (type.kind === "list" && !isItems(typeName, name) ? ATOMIC : NONE);
  const preset = own(SCHEMA_DEFAULTS, key);
  return { name, type, required, merge: ruled, ...(preset !== undefined && { default: preset }) };
}

/** Lists of objects are answers, never merged. */
const isItems = (typeName: string, field: string) => field === "items" && typeName.endsWith("List");

function parseType(text: string): FieldType {
  const known = types.get(text);
  if (known) return known;
  const type = readType(text);
  types.set(text, type);
  return type;
}

function readType(text: string): FieldType {
  if (text.startsWith("[]")) return { kind: "list", of: parseType(text.slice(2)) };
  if (text.startsWith("{}")) return { kind: "map", of: parseType(text.slice(2)) };
  if (/^[A-Z]/.test(text)) return { kind: "object", type: text };
  // The generator writes no other words than those of Scalar; a test holds it to that.
  return { kind: "scalar", scalar: text as Scalar };
}

function objectType(name: string): FieldType {
  return parseType(name);
}

/** `V2HorizontalPodAutoscaler`, `CoreV1Event` → the names within their packages. */
function goName(name: string): string {
  return name === "VersionInfo" ? "Info" : name.replace(/^(?:[A-Z][a-z]+)?V\d+(?:(?:alpha|beta)\d+)?(?=[A-Z])/, "");
}
