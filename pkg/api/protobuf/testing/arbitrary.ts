/** Objects of any kind in their JSON form, as fast-check draws them from the table of messages. */
import fc from "fast-check";
import { type Field, type Message, mustMessage } from "../table.ts";

/** Of the fields of one message, so that whole Pods stay small enough to look at. */
const MAX_FIELDS = 5;

const seconds = fc.integer({ min: 1, max: 4e9 });
const moment = seconds.map((s) => new Date(s * 1000).toISOString().slice(0, 19));
const json = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.dictionary(fc.string(), fc.string()));
const word = fc.string({ minLength: 1, unit: "grapheme" });
const strings = fc.array(word, { minLength: 1, maxLength: 3 });

/** Those of a shape of their own. `inner`: a schema, for what holds one. */
const SHAPED: Readonly<Record<string, (inner: fc.Arbitrary<unknown>) => fc.Arbitrary<unknown>>> = {
  "meta/v1.Time": () => moment.map((text) => `${text}Z`),
  "meta/v1.MicroTime": () =>
    fc
      .tuple(moment, fc.integer({ min: 0, max: 999_999 }))
      .map(([text, micros]) => `${text}.${String(micros).padStart(6, "0")}Z`),
  "resource.Quantity": () => fc.constantFrom("1", "500m", "2Gi", "0"),
  "intstr.IntOrString": () => fc.oneof(fc.integer({ min: 0, max: 65535 }), word),
  "meta/v1.FieldsV1": () => fc.dictionary(word, fc.constant({})),
  "runtime.RawExtension": () => json,
  "apiextensions/v1.JSON": () => json,
  "apiextensions/v1.JSONSchemaPropsOrArray": (inner) =>
    fc.oneof(inner, fc.array(inner, { minLength: 1, maxLength: 2 })),
  "apiextensions/v1.JSONSchemaPropsOrBool": (inner) => fc.oneof(inner, fc.boolean()),
  "apiextensions/v1.JSONSchemaPropsOrStringArray": (inner) => fc.oneof(inner, strings),
  "authentication/v1.ExtraValue": () => strings,
  "authorization/v1.ExtraValue": () => strings,
  "certificates/v1.ExtraValue": () => strings,
};

/** `depth` more levels of messages. */
export function messageArbitrary(message: Message, depth: number): fc.Arbitrary<object> {
  const fields = [...message.fields.values()].filter((f) => f.name !== "" && canHold(f, depth));
  return fc
    .subarray(fields, { maxLength: Math.min(MAX_FIELDS, fields.length) })
    .chain((chosen) => fc.record(Object.fromEntries(chosen.map((f) => [f.name, fieldArbitrary(f, depth)]))))
    .chain((own) => inlined(message, depth).map((more) => ({ ...more, ...own })));
}

/** What Go writes always has its message; `depth` 0 has room only for values. */
const canHold = (f: Field, depth: number) =>
  typeof f.type === "string" || depth > 0 || (f.type.message in SHAPED && !f.type.message.includes("JSONSchema"));

function inlined(message: Message, depth: number): fc.Arbitrary<object> {
  const parts = [...message.fields.values()].flatMap((f) =>
    f.name === "" && typeof f.type === "object" ? [messageArbitrary(mustMessage(f.type.message), depth)] : [],
  );
  return fc.tuple(...parts).map((all) => Object.assign({}, ...all) as object);
}

function fieldArbitrary(f: Field, depth: number): fc.Arbitrary<unknown> {
  const one = valueArbitrary(f, depth - 1);
  if (f.many === "list") return fc.array(one, { minLength: 1, maxLength: 2 });
  return f.many === "map" ? fc.dictionary(word, one, { minKeys: 1, maxKeys: 2 }) : one;
}

function valueArbitrary({ type, zeroIsAbsent }: Field, depth: number): fc.Arbitrary<unknown> {
  if (typeof type === "object") {
    const shaped = SHAPED[type.message];
    if (!shaped) return messageArbitrary(mustMessage(type.message), Math.max(0, depth));
    return shaped(messageArbitrary(mustMessage("apiextensions/v1.JSONSchemaProps"), Math.max(0, depth - 1)));
  }
  const atLeast = zeroIsAbsent ? 1 : 0;
  switch (type) {
    case "string":
      return fc.string({ minLength: atLeast, unit: "grapheme" });
    case "bytes":
      return fc.uint8Array({ minLength: atLeast, maxLength: 9 }).map((bytes) => Buffer.from(bytes).toString("base64"));
    case "raw":
      return json;
    case "bool":
      return zeroIsAbsent ? fc.constant(true) : fc.boolean();
    case "int32":
      return zeroIsAbsent ? fc.integer({ min: 1 }) : fc.integer();
    case "int64":
      return zeroIsAbsent ? fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }) : fc.maxSafeInteger();
    case "double":
      return fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0);
  }
}
