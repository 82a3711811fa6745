/**
 * JSON as CEL sees it: whole numbers are `int`, maps are Maps, times are times; objects with fields are instances of
 * classes that their schema declares, so that a misspelt field is found when the expression is compiled.
 */
import { type Environment, Optional } from "@marcbachmann/cel-js";
import { Duration } from "@marcbachmann/cel-js/evaluator";
import { own } from "../../util/keys.ts";
import { isObject, preservesUnknown, type Schema } from "../structural/schema.ts";
import { CelObject, equalValues } from "./equal.ts";
import { parseDuration } from "./duration.ts";

/** Without a schema: a number is `int` if it is whole. */
export function toDynamic(value: unknown): unknown {
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(toDynamic);
  if (isObject(value)) return new Map(Object.entries(value).map(([k, v]) => [k, toDynamic(v)]));
  return value;
}

/** What may be read of an object's metadata. */
const METADATA: Schema = { type: "object", properties: { name: { type: "string" }, generateName: { type: "string" } } };

/** apiVersion, kind and metadata are there even where the schema does not name them. */
export function asResource(schema: Schema): Schema {
  const { apiVersion: _, kind: __, metadata: ___, ...rest } = schema.properties ?? {};
  const meta = { apiVersion: { type: "string" }, kind: { type: "string" }, metadata: METADATA };
  return { ...schema, properties: { ...meta, ...rest } };
}

const RESERVED = new Set(
  "true false null in as break const continue else for function if import let loop package namespace return var void while".split(
    " ",
  ),
);

/** `foo-bar` → `foo__dash__bar`; undefined for what cannot be said in an expression. */
export function escapeField(name: string): string | undefined {
  if (RESERVED.has(name)) return `__${name}__`;
  const escaped = name
    .replaceAll("__", "__underscores__")
    .replaceAll(".", "__dot__")
    .replaceAll("-", "__dash__")
    .replaceAll("/", "__slash__");
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(escaped) ? escaped : undefined;
}

type Convert = (value: unknown) => unknown;

interface Declared {
  /** As the library writes types: `list<Self.spec.items>`. */
  readonly type: string;
  readonly convert: Convert;
}

const DYNAMIC: Declared = { type: "dyn", convert: toDynamic };

/** Declares the types of one schema tree in an environment. */
export class Types {
  readonly #env: Environment;
  readonly #known = new Map<Schema, Declared>();
  readonly #names = new Set<string>();

  constructor(env: Environment) {
    this.#env = env;
  }

  /** `name`: how errors call it. */
  declare(schema: Schema, name: string): Declared {
    const known = this.#known.get(schema);
    if (known) return known;
    const made = this.#make(schema, name);
    this.#known.set(schema, made);
    return made;
  }

  #make(schema: Schema, name: string): Declared {
    // What may be null has no type that says so.
    if (schema["x-kubernetes-int-or-string"] || schema.nullable) return DYNAMIC;
    switch (schema.type ?? "") {
      case "object":
        return this.#object(schema["x-kubernetes-embedded-resource"] ? asResource(schema) : schema, name);
      case "array": {
        const items = schema.items ? this.declare(schema.items, `${name}.items`) : DYNAMIC;
        const convert = (v: unknown) => (Array.isArray(v) ? v.map(items.convert) : v);
        return { type: `list<${items.type}>`, convert };
      }
      case "string":
        return own(STRINGS, schema.format ?? "") ?? TEXT;
      case "integer":
        return WHOLE;
      case "number":
        return { type: "double", convert: (v) => v };
      case "boolean":
        return { type: "bool", convert: (v) => v };
      default:
        return DYNAMIC;
    }
  }

  #object(schema: Schema, name: string): Declared {
    if (schema.properties) return this.#fields(schema.properties, name);
    const { additionalProperties } = schema;
    if (typeof additionalProperties !== "object") return preservesUnknown(schema) ? DYNAMIC : DYNAMIC_MAP;
    const of = this.declare(additionalProperties, `${name}.additionalProperties`);
    const convert = (v: unknown) =>
      isObject(v) ? new Map(Object.entries(v).map(([key, item]) => [key, of.convert(item)])) : v;
    return { type: `map<string, ${of.type}>`, convert };
  }

  #fields(properties: NonNullable<Schema["properties"]>, wanted: string): Declared {
    const name = this.#freeName(wanted);
    const fields: { from: string; to: string; declared: Declared }[] = [];
    for (const [from, schema] of Object.entries(properties)) {
      const to = escapeField(from);
      if (to !== undefined) fields.push({ from, to, declared: this.declare(schema, `${name}.${to}`) });
    }
    const ctor = class extends CelObject {};
    this.#env.registerType(name, { ctor, fields: Object.fromEntries(fields.map((f) => [f.to, f.declared.type])) });
    this.#env.registerOperator(`${name} == ${name}`, equalValues);
    const convert = (value: unknown) => {
      if (!isObject(value)) return value;
      const object: Record<string, unknown> = Object.create(ctor.prototype) as Record<string, unknown>;
      for (const { from, to, declared } of fields) {
        const item = own(value, from);
        if (item !== undefined && item !== null) object[to] = declared.convert(item);
      }
      return object;
    };
    return { type: name, convert };
  }

  #freeName(wanted: string): string {
    let name = wanted;
    for (let n = 2; this.#names.has(name); n++) name = `${wanted}${n}`;
    this.#names.add(name);
    return name;
  }
}

const TEXT: Declared = { type: "string", convert: (v) => v };
const WHOLE: Declared = { type: "int", convert: (v) => (typeof v === "number" && Number.isInteger(v) ? BigInt(v) : v) };
const DYNAMIC_MAP: Declared = { type: "map<string, dyn>", convert: toDynamic };

const TIME: Declared = { type: "google.protobuf.Timestamp", convert: (v) => new Date(String(v)) };

/** Strings whose format makes them something else. */
const STRINGS: Readonly<Record<string, Declared>> = {
  byte: { type: "bytes", convert: (v) => Uint8Array.from(atob(String(v)), (c) => c.charCodeAt(0)) },
  date: TIME,
  "date-time": TIME,
  datetime: TIME,
  duration: { type: "google.protobuf.Duration", convert: (v) => durationOf(parseDuration(String(v)) ?? 0n) },
};

const BILLION = 1_000_000_000n;

function durationOf(nanos: bigint): Duration {
  return new Duration(nanos / BILLION, Number(nanos % BILLION));
}

/** `optional.of(value)`, or none for undefined. */
export function optionalOf(value: unknown): Optional {
  return value === undefined ? Optional.none() : Optional.of(value);
}
