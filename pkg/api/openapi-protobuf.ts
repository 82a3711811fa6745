/**
 * An OpenAPI v2 document as protobuf: gnostic's `openapi.v2.Document`, the only form in which kubectl before 1.29 reads our
 * schema (for explain, for --dry-run=server and diff, and for checking manifests).
 *
 * The tables name the fields that our documents use, with their numbers in OpenAPIv2.proto (github.com/google/gnostic).
 */
import type { Json } from "./openapi-schemas.ts";

/** Bytes in pieces. */
type Parts = readonly Uint8Array[];
type Encoder = (field: number, value: unknown) => Parts;
/** By JSON name; `x-` stands for all extensions. */
type Message = Readonly<Record<string, readonly [field: number, encoder: Encoder]>>;

const VARINT = 0;
const BYTES = 2;
const utf8 = new TextEncoder();

/** What the tables do not name is left out. */
export function openApiV2ToProtobuf(document: Json): Uint8Array {
  return joined(fields(DOCUMENT, document as Readonly<Record<string, unknown>>));
}

const string: Encoder = (field, v) => delimited(field, [utf8.encode(String(v))]);
const bool: Encoder = (field, v) => [varint((field << 3) | VARINT), varint(v === true ? 1 : 0)];
const each =
  (of: Encoder): Encoder =>
  (field, v) =>
    (v as readonly unknown[]).flatMap((item) => of(field, item));
/** A message that holds nothing but its field `inner`. */
const within =
  (inner: number, of: Encoder): Encoder =>
  (field, v) =>
    delimited(field, of(inner, v));
/** A map: messages of name and value. */
const named =
  (of: Encoder): Encoder =>
  (field, v) =>
    Object.entries(v as Json).flatMap(([name, value]) => delimited(field, [...string(1, name), ...of(2, value)]));
/** Late, because schemas hold schemas. */
const message =
  (of: () => Message): Encoder =>
  (field, v) =>
    delimited(field, fields(of(), v as Json));
/** Any value, as YAML, which JSON is. */
const any: Encoder = within(2, (field, v) => string(field, JSON.stringify(v)));
const strings = each(string);
const extensions = named(any);

const schema = message(() => SCHEMA);
const SCHEMA: Message = {
  $ref: [1, string],
  format: [2, string],
  description: [4, string],
  default: [5, any],
  required: [19, strings],
  enum: [20, each(any)],
  additionalProperties: [21, within(1, schema)],
  type: [22, within(1, string)],
  items: [23, within(1, schema)],
  allOf: [24, each(schema)],
  properties: [25, within(1, named(schema))],
  "x-": [31, extensions],
};

const BODY: Message = {
  description: [1, string],
  name: [2, string],
  in: [3, string],
  required: [4, bool],
  schema: [5, schema],
};
const SIMPLE: Message = { required: [1, bool], in: [2, string], description: [3, string], name: [4, string] };
const QUERY: Message = { ...SIMPLE, type: [6, string], uniqueItems: [20, bool] };
const PATH: Message = { ...SIMPLE, type: [5, string], uniqueItems: [19, bool] };

const body = message(() => BODY);
const path = message(() => PATH);
const query = message(() => QUERY);
/** One of two kinds, of which the second is again one of several. */
const parameter: Encoder = (field, v) => {
  switch ((v as Json)["in"]) {
    case "body":
      return within(1, body)(field, v);
    case "path":
      return within(2, within(4, path))(field, v);
    default:
      return within(2, within(3, query))(field, v);
  }
};
const parameters = each(within(1, parameter));

const RESPONSE: Message = { description: [1, string], schema: [2, within(1, schema)] };
const response = message(() => RESPONSE);
const OPERATION: Message = {
  tags: [1, strings],
  description: [3, string],
  operationId: [5, string],
  produces: [6, strings],
  consumes: [7, strings],
  parameters: [8, parameters],
  responses: [9, within(1, named(within(1, response)))],
  "x-": [13, extensions],
};
const operation = message(() => OPERATION);
const PATH_ITEM: Message = {
  get: [2, operation],
  put: [3, operation],
  post: [4, operation],
  delete: [5, operation],
  patch: [8, operation],
  parameters: [9, parameters],
};
const pathItem = message(() => PATH_ITEM);
const INFO: Message = { title: [1, string], version: [2, string] };
const DOCUMENT: Message = {
  swagger: [1, string],
  info: [2, message(() => INFO)],
  paths: [8, within(2, named(pathItem))],
  definitions: [9, within(1, named(schema))],
};

function fields(of: Message, value: Json): Parts {
  const known = Object.entries(value).flatMap(([name, v]) => {
    const row = of[name];
    return row && v !== undefined ? row[1](row[0], v) : [];
  });
  const more = Object.entries(value).filter(([name]) => name.startsWith("x-"));
  const row = of["x-"];
  return row && more.length > 0 ? [...known, ...row[1](row[0], Object.fromEntries(more))] : known;
}

function delimited(field: number, content: Parts): Parts {
  const length = content.reduce((sum, part) => sum + part.byteLength, 0);
  return [varint((field << 3) | BYTES), varint(length), ...content];
}

function varint(n: number): Uint8Array {
  const bytes: number[] = [];
  let rest = n;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Uint8Array.from([...bytes, rest]);
}

function joined(parts: Parts): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.byteLength;
  }
  return all;
}
