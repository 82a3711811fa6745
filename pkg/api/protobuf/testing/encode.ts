/** What a Go client sends for the JSON form of an object: the counterpart of ../decode.ts. */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type Field, type Message, messageOfKind, mustMessage } from "../table.ts";

type Fields = Record<string, unknown>;

export const MAGIC = Uint8Array.from([0x6b, 0x38, 0x73, 0x00]);

interface TypeMeta {
  readonly apiVersion: string;
  readonly kind: string;
}

export function encodeProtobuf({ apiVersion, kind, ...rest }: TypeMeta & Fields): Uint8Array {
  const message = messageOfKind(apiVersion, kind);
  if (!message) throw new Error(`no message for ${apiVersion} ${kind}`);
  return encodeEnvelope({ apiVersion, kind }, encodeMessage(message, rest));
}

export function encodeEnvelope(typeMeta: TypeMeta, raw: Uint8Array): Uint8Array {
  const meta = encodeMessage(mustMessage("runtime.TypeMeta"), typeMeta);
  const w = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(meta);
  return Buffer.concat([MAGIC, w.tag(2, WireType.LengthDelimited).bytes(raw).finish()]);
}

export function encodeMessage(message: Message, value: unknown): Uint8Array {
  const fields = UNSHAPE[message.id]?.(value) ?? (value as Fields);
  const w = new BinaryWriter();
  for (const field of message.fields.values()) {
    const v = field.name === "" ? fields : fields[field.name];
    if (v === undefined) continue;
    const values = field.many === "list" ? (v as unknown[]) : field.many === "map" ? Object.entries(v as object) : [v];
    for (const one of values) {
      if (field.many !== "map") encodeValue(w, field, one);
      else {
        const [key, item] = one as [string, unknown];
        const entry = new BinaryWriter().tag(1, WireType.LengthDelimited).string(key);
        encodeValue(entry, { ...field, number: 2 }, item);
        w.tag(field.number, WireType.LengthDelimited).bytes(entry.finish());
      }
    }
  }
  return w.finish();
}

function encodeValue(w: BinaryWriter, { number, type }: Field, value: unknown): void {
  if (typeof type === "object") {
    w.tag(number, WireType.LengthDelimited).bytes(encodeMessage(mustMessage(type.message), value));
    return;
  }
  switch (type) {
    case "string":
      w.tag(number, WireType.LengthDelimited).string(String(value));
      return;
    case "bytes":
      w.tag(number, WireType.LengthDelimited).bytes(Buffer.from(String(value), "base64"));
      return;
    case "raw":
      w.tag(number, WireType.LengthDelimited).bytes(Buffer.from(JSON.stringify(value)));
      return;
    case "bool":
      w.tag(number, WireType.Varint).bool(value === true);
      return;
    case "int32":
      w.tag(number, WireType.Varint).int32(Number(value));
      return;
    case "int64":
      w.tag(number, WireType.Varint).int64(BigInt(Number(value)));
      return;
    case "double":
      w.tag(number, WireType.Bit64).double(Number(value));
  }
}

const time = (value: unknown) => {
  const text = String(value);
  const fraction = /\.(\d{6})Z$/.exec(text)?.[1] ?? "0";
  return { seconds: Math.floor(Date.parse(text) / 1000), nanos: Number(fraction) * 1000 };
};
const raw = (value: unknown) => ({ raw: value });
const items = (value: unknown) => ({ items: value });

const UNSHAPE: Readonly<Record<string, (value: unknown) => Fields>> = {
  "meta/v1.Time": time,
  "meta/v1.MicroTime": time,
  "resource.Quantity": (value) => ({ string: value }),
  "intstr.IntOrString": (v) => (typeof v === "string" ? { type: 1, strVal: v } : { type: 0, intVal: v }),
  "meta/v1.FieldsV1": raw,
  "runtime.RawExtension": raw,
  "apiextensions/v1.JSON": raw,
  "apiextensions/v1.JSONSchemaPropsOrArray": (v) => (Array.isArray(v) ? { jSONSchemas: v } : { schema: v }),
  "apiextensions/v1.JSONSchemaPropsOrBool": (v) => (typeof v === "boolean" ? { allows: v } : { schema: v }),
  "apiextensions/v1.JSONSchemaPropsOrStringArray": (v) => (Array.isArray(v) ? { property: v } : { schema: v }),
  "authentication/v1.ExtraValue": items,
  "authorization/v1.ExtraValue": items,
  "certificates/v1.ExtraValue": items,
};
