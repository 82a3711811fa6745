/**
 * From what a client sent to an object of a known type, in one pass over the input:
 *
 *  - D1 The value has only fields the schema knows; the others are reported by path, in the order they came.
 *  - D2 Nulls are as good as absent. A null in a list or map is its zero value, as in Go.
 *  - D3 Quantities and times come out in canonical form (`0.5` → `500m`), so that equal values are equal bytes.
 *  - D4 The value shares nothing with the input.
 *  - D5 In an object of a kind, a required part that is an object, list or map is there, empty where none was sent: in Go
 *       it is no pointer, and code may rely on the type it has here.
 *
 * Missing fields are no error here: they are zero values, and it is for validation to want more. Keys that JSON repeats
 * are not seen here: the parser has dropped them before (duplicate-fields.ts finds them).
 */
import { define } from "../util/keys.ts";
import type { ApiObject } from "./object.ts";
import { apiVersionOf } from "./object.ts";
import { goTypeOf, mismatch, pathText, type Context, type Decoder } from "./decode-errors.ts";
import { scalarDecoder, ZERO } from "./decode-scalars.ts";
import { mustSchemaOf, type Field, type FieldType } from "./schema.ts";
import { badRequest } from "./status.ts";

export interface Decoded {
  /** Meaningless if there are errors. */
  readonly value: unknown;
  /** Paths of the fields that were dropped: `spec.containers[0].imagee`. */
  readonly unknown: readonly string[];
  /** What does not fit its type, in Go's words. */
  readonly errors: readonly string[];
}

export type FieldValidation = "Strict" | "Warn" | "Ignore";

/** `typeName` must exist. */
export function strictDecode(typeName: string, input: unknown): Decoded {
  return decodeAs(typeName, input, false);
}

function decodeAs(typeName: string, input: unknown, complete: boolean): Decoded {
  const c: Context = { path: [], owner: "", unknown: [], errors: [], complete };
  const value = decoderOf(mustSchemaOf(typeName).name)(input, c);
  return { value, unknown: c.unknown, errors: c.errors };
}

/**
 * An object of a kind, with metadata. Throws BadRequest for what does not fit and, if `Strict`, for unknown fields and for
 * `duplicates` (fields that the text had twice); if `Warn`, those come back as warnings.
 */
export function decodeObject<T extends ApiObject>(
  def: {
    readonly group: string;
    readonly version: string;
    readonly kind: string;
    readonly schema: string;
    /** In place of the generated schema. */
    readonly custom?: { decode(input: unknown): Decoded };
  },
  input: unknown,
  fieldValidation: FieldValidation,
  duplicates: readonly string[] = [],
): { object: T; warnings: readonly string[] } {
  const { value, unknown, errors } = def.custom ? def.custom.decode(input) : decodeAs(def.schema, input, true);
  const doubts = [
    ...duplicates.map((path) => `duplicate field "${path}"`),
    ...unknown.map((path) => `unknown field "${path}"`),
  ];
  const refuse = (why: string) =>
    badRequest(`${def.kind} in version "${apiVersionOf(def)}" cannot be handled as a ${def.kind}: ${why}`);
  if (errors.length > 0) throw refuse(errors.join("; "));
  if (fieldValidation === "Strict" && doubts.length > 0) throw refuse(`strict decoding error: ${doubts.join(", ")}`);
  const object = value as T;
  object.metadata ??= {};
  return { object, warnings: fieldValidation === "Warn" ? doubts : [] };
}

const objectDecoders = new Map<string, Decoder>();
const decoders = new Map<FieldType, Decoder>();

/** Made once per type, and only when first needed: types refer to each other in circles. */
function decoderOf(typeName: string): Decoder {
  const known = objectDecoders.get(typeName);
  if (known) return known;
  const made = objectDecoder(typeName);
  objectDecoders.set(typeName, made);
  return made;
}

function decoderFor(type: FieldType): Decoder {
  const known = decoders.get(type);
  if (known) return known;
  const made = makeDecoder(type);
  decoders.set(type, made);
  return made;
}

function makeDecoder(type: FieldType): Decoder {
  switch (type.kind) {
    case "object": {
      const { type: name } = type;
      return (input, c) => decoderOf(name)(input, c);
    }
    case "list":
      return listDecoder(type);
    case "map":
      return mapDecoder(type);
    case "scalar":
      return scalarDecoder(type.scalar);
  }
}

function objectDecoder(typeName: string): Decoder {
  const { name, fields } = mustSchemaOf(typeName);
  const owner = goTypeOf({ kind: "object", type: name }).replace(/^.*\./, "");
  const byName = new Map([...fields.values()].map((f) => [f.name, decoderFor(f.type)]));
  const parts = [...fields.values()].filter((f) => isPart(f, fields.has("kind")));
  return (input, c) => {
    if (!isObject(input)) return mismatch(c, input, goTypeOf({ kind: "object", type: name }));
    const out: Record<string, unknown> = {};
    const outer = c.owner;
    for (const key in input) {
      const decoder = byName.get(key);
      if (!decoder) {
        c.unknown.push(pathText([...c.path, key]));
        continue;
      }
      const value = input[key];
      if (value === null || value === undefined) continue;
      c.owner = owner;
      c.path.push(key);
      out[key] = decoder(value, c);
      c.path.pop();
    }
    if (c.complete) for (const f of parts) out[f.name] ??= zero(f.type, decoderFor(f.type), c);
    c.owner = outer;
    return out;
  };
}

/** Objects within objects have metadata as those at the top have. */
function isPart(f: Field, ofObject: boolean): boolean {
  return (f.required && f.type.kind !== "scalar" && !isPointer(f)) || (ofObject && f.name === "metadata");
}

/** Required by validation, which tells an absent selector from an empty one: in Go the only pointers that are required. */
const isPointer = (f: Field) => f.type.kind === "object" && f.type.type === "LabelSelector";

function listDecoder(type: FieldType & { kind: "list" }): Decoder {
  const decoder = decoderFor(type.of);
  return (input, c) => {
    if (!Array.isArray(input)) return mismatch(c, input, goTypeOf(type));
    return input.map((item: unknown, i) => {
      c.path.push(i);
      const value = item === null || item === undefined ? zero(type.of, decoder, c) : decoder(item, c);
      c.path.pop();
      return value;
    });
  };
}

function mapDecoder(type: FieldType & { kind: "map" }): Decoder {
  const decoder = decoderFor(type.of);
  return (input, c) => {
    if (!isObject(input)) return mismatch(c, input, goTypeOf(type));
    const out: Record<string, unknown> = {};
    for (const key of Object.keys(input)) {
      const item = input[key];
      c.path.push({ key });
      define(out, key, item === null || item === undefined ? zero(type.of, decoder, c) : decoder(item, c));
      c.path.pop();
    }
    return out;
  };
}

function zero(type: FieldType, decoder: Decoder, c: Context): unknown {
  if (type.kind === "scalar") return ZERO[type.scalar];
  return decoder(type.kind === "list" ? [] : {}, c);
}

const isObject = (v: unknown): v is Record<string, unknown> => typeof v === "object" && v !== null && !Array.isArray(v);
