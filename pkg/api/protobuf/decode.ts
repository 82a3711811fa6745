/**
 * From Kubernetes' protobuf to the JSON form of the same object, so that nothing behind it knows of protobuf. One reader
 * for all kinds, driven by the table of messages (table.ts).
 *
 *  P1  The result is what Go's JSON encoder makes of the object that Go's protobuf decoder reads, less its nulls.
 *  P2  What it cannot read it refuses with BadRequest: it never runs past the input's end, and its depth is bounded.
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { rfc3339 } from "../../util/clock.ts";
import { define, own } from "../../util/keys.ts";
import { ApiError, badRequest } from "../status.ts";
import { type Field, type Message, messageOfKind, mustMessage, type Scalar } from "./table.ts";

/** `k8s` and a zero byte: before every message, also one inside another object. */
const MAGIC = [0x6b, 0x38, 0x73, 0x00];
/** Of messages in messages. The deepest that exist are schemas of schemas. */
const MAX_DEPTH = 100;

type Fields = Record<string, unknown>;

/** Throws BadRequest. */
export function decodeProtobuf(bytes: Uint8Array): unknown {
  return readEnvelope(bytes, 0);
}

/** runtime.Unknown: what it is, and the object itself. */
function readEnvelope(bytes: Uint8Array, depth: number): unknown {
  if (!hasMagic(bytes)) {
    throw badRequest(
      `provided data does not appear to be a protobuf message, expected prefix [${MAGIC.map(String).join(" ")}]`,
    );
  }
  const unknown = refusing("the object provided is unrecognized", () =>
    readMessage(bytes.subarray(MAGIC.length), mustMessage("runtime.Unknown"), depth),
  ) as { apiVersion?: string; kind?: string; raw?: Uint8Array; contentEncoding?: string };
  const { apiVersion = "", kind = "", raw = new Uint8Array(), contentEncoding = "" } = unknown;
  if (kind === "") throw badRequest("Object 'Kind' is missing in the protobuf message");
  const message = messageOfKind(apiVersion, kind);
  if (!message) throw badRequest(`no kind "${kind}" is registered for version "${apiVersion}" in protobuf`);
  const version = apiVersion.slice(apiVersion.indexOf("/") + 1);
  return refusing(`${kind} in version "${version}" cannot be handled as a ${kind}`, () => {
    if (contentEncoding !== "") throw new Error(`unknown content encoding ${JSON.stringify(contentEncoding)}`);
    return { apiVersion, kind, ...(readMessage(raw, message, depth) as Fields) };
  });
}

const hasMagic = (bytes: Uint8Array) => MAGIC.every((byte, i) => bytes[i] === byte);

function refusing<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw badRequest(`${what}: proto: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function readMessage(bytes: Uint8Array, message: Message, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new Error(`nested more than ${MAX_DEPTH} levels deep`);
  const fields: Fields = {};
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    const field = message.fields.get(number);
    if (field) readField(reader, { wire, field, depth }, fields);
    else reader.skip(wire, number);
    if (reader.pos > reader.len) throw new RangeError("unexpected EOF");
  }
  const shape = own(SHAPES, message.id);
  return shape ? shape(fields, depth) : fields;
}

interface At {
  readonly wire: WireType;
  readonly field: Field;
  readonly depth: number;
}

function readField(reader: BinaryReader, at: At, into: Fields): void {
  const { name, many, type, zeroIsAbsent } = at.field;
  if (many === "map") {
    const entries = (into[name] ??= {}) as Fields;
    const { key = "", value } = readMessage(lengthDelimited(reader, at), entryOf(type), at.depth + 1) as Fields;
    return define(entries, String(key), value ?? zeroOf(type, at.depth));
  }
  if (many === "list") {
    const items = (into[name] ??= []) as unknown[];
    if (!isPacked(at)) items.push(readValue(reader, at));
    else for (const item of readPacked(reader, at)) items.push(item);
    return;
  }
  const value = readValue(reader, at);
  if (name === "") return void Object.assign(into, value);
  if (value === null || (zeroIsAbsent && !value)) return;
  into[name] = value;
}

const ENTRY_KEY: Field = { number: 1, name: "key", many: "one", type: "string", zeroIsAbsent: false };

/** A map is a list of messages of key and value. */
function entryOf(type: Field["type"]): Message {
  const value: Field = { number: 2, name: "value", many: "one", type, zeroIsAbsent: false };
  return { id: "", fields: new Map([ENTRY_KEY, value].map((f) => [f.number, f])) };
}

function zeroOf(type: Field["type"], depth: number): unknown {
  if (typeof type === "object") return readMessage(new Uint8Array(), mustMessage(type.message), depth + 1);
  return READERS[type].zero;
}

const isPacked = ({ wire, field }: At) =>
  wire === WireType.LengthDelimited &&
  typeof field.type === "string" &&
  READERS[field.type].wire !== WireType.LengthDelimited;

function* readPacked(reader: BinaryReader, at: At): Generator<unknown> {
  const inner = new BinaryReader(reader.bytes());
  const wire = typeof at.field.type === "string" ? READERS[at.field.type].wire : at.wire;
  while (inner.pos < inner.len) yield readValue(inner, { ...at, wire });
}

function readValue(reader: BinaryReader, at: At): unknown {
  const { type } = at.field;
  if (typeof type === "object")
    return readMessage(lengthDelimited(reader, at), mustMessage(type.message), at.depth + 1);
  const { wire, read } = READERS[type];
  if (wire !== at.wire) throw wrongWire(at);
  return read(reader);
}

function lengthDelimited(reader: BinaryReader, at: At): Uint8Array {
  if (at.wire !== WireType.LengthDelimited) throw wrongWire(at);
  return reader.bytes();
}

const wrongWire = ({ wire, field }: At) => new Error(`wrong wireType = ${wire} for field ${field.name}`);

interface ScalarReader {
  readonly wire: WireType;
  readonly zero: unknown;
  readonly read: (reader: BinaryReader) => unknown;
}

const READERS: Readonly<Record<Scalar, ScalarReader>> = {
  string: { wire: WireType.LengthDelimited, zero: "", read: (r) => r.string(true) },
  bytes: { wire: WireType.LengthDelimited, zero: "", read: (r) => base64(r.bytes()) },
  raw: { wire: WireType.LengthDelimited, zero: undefined, read: (r) => r.bytes() },
  bool: { wire: WireType.Varint, zero: false, read: (r) => r.bool() },
  int32: { wire: WireType.Varint, zero: 0, read: (r) => r.int32() },
  // As the JSON parser would: rounded beyond 53 bits.
  int64: { wire: WireType.Varint, zero: 0, read: (r) => Number(r.int64()) },
  double: { wire: WireType.Bit64, zero: 0, read: (r) => finite(r.double()) },
};

function finite(n: number): number {
  if (!Number.isFinite(n)) throw new Error(`${n} is no number of JSON`);
  return n;
}

/** What a message is in JSON, where that is no object of its fields. Null is as good as absent. */
const SHAPES: Readonly<Record<string, (m: Fields, depth: number) => unknown>> = {
  "meta/v1.Time": (m) => time(m, ""),
  "meta/v1.MicroTime": (m) => time(m, `.${String(Math.trunc(Number(m["nanos"] ?? 0) / 1000)).padStart(6, "0")}`),
  "resource.Quantity": (m) => m["string"] || "0",
  "intstr.IntOrString": (m) => (m["type"] === 1 ? (m["strVal"] ?? "") : (m["intVal"] ?? 0)),
  "meta/v1.FieldsV1": rawValue,
  "runtime.RawExtension": rawValue,
  "apiextensions/v1.JSON": rawValue,
  "apiextensions/v1.JSONSchemaPropsOrArray": (m) => m["jSONSchemas"] ?? m["schema"] ?? null,
  "apiextensions/v1.JSONSchemaPropsOrBool": (m) => m["schema"] ?? m["allows"] ?? false,
  "apiextensions/v1.JSONSchemaPropsOrStringArray": (m) => m["property"] ?? m["schema"] ?? null,
  "authentication/v1.ExtraValue": (m) => m["items"] ?? [],
  "authorization/v1.ExtraValue": (m) => m["items"] ?? [],
  "certificates/v1.ExtraValue": (m) => m["items"] ?? [],
};

/** Four digits of a year are all that RFC 3339 has. */
const FIRST_TIME = Date.parse("0000-01-01T00:00:00Z");
const LAST_TIME = Date.parse("9999-12-31T23:59:59Z");

/** No seconds and no fraction is Go's zero time, which JSON shows as null. */
function time({ seconds = 0, nanos = 0 }: Fields, fraction: string): string | null {
  if (seconds === 0 && nanos === 0) return null;
  const ms = Number(seconds) * 1000;
  if (!(ms >= FIRST_TIME && ms <= LAST_TIME && Number(nanos) >= 0 && Number(nanos) < 1e9)) {
    throw new Error(`${String(seconds)}s and ${String(nanos)}ns is no time of RFC 3339`);
  }
  const text = rfc3339(ms);
  return text.replace("Z", `${fraction}Z`);
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** JSON, or an object in an envelope of its own. */
function rawValue({ raw }: Fields, depth: number): unknown {
  if (!(raw instanceof Uint8Array) || raw.length === 0) return null;
  return hasMagic(raw) ? readEnvelope(raw, depth + 1) : (JSON.parse(utf8.decode(raw)) as unknown);
}

/** In pieces, since a call takes only so many arguments. */
function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}
