/** The messages of messages.ts. A line is parsed when its message is first asked for. */
import { messagesText } from "./messages.ts";

/** `bytes` are base64 in JSON; `raw` are bytes that hold a value of their own. */
export type Scalar = "string" | "bytes" | "bool" | "int32" | "int64" | "double" | "raw";

export interface Field {
  readonly number: number;
  /** In JSON. Empty: the message's fields are its parent's. */
  readonly name: string;
  readonly many: "one" | "list" | "map";
  /** A message by its id. */
  readonly type: Scalar | { readonly message: string };
  /** Go writes it always; in JSON its zero value is absent. */
  readonly zeroIsAbsent: boolean;
}

export interface Message {
  /** `core/v1.Pod` */
  readonly id: string;
  readonly fields: ReadonlyMap<number, Field>;
}

const SCALARS: ReadonlySet<string> = new Set<Scalar>(["string", "bytes", "bool", "int32", "int64", "double", "raw"]);
const META = "meta/v1";

const lines = new Map<string, string>();
const packages = new Map<string, string>();
const messages = new Map<string, Message>();
index();

/** The message of a kind. Those of the machinery (DeleteOptions) belong to every group. */
export function messageOfKind(apiVersion: string, kind: string): Message | undefined {
  const own = packages.get(apiVersion);
  return (own === undefined ? undefined : find(`${own}.${kind}`)) ?? find(`${META}.${kind}`);
}

/** For ids that come from the table itself. */
export function mustMessage(id: string): Message {
  const message = find(id);
  if (!message) throw new Error(`no protobuf message ${id}`);
  return message;
}

export function messageIds(): Iterable<string> {
  return lines.keys();
}

function find(id: string): Message | undefined {
  const known = messages.get(id);
  if (known) return known;
  const line = lines.get(id);
  if (line === undefined) return undefined;
  const [, ...texts] = line.split(" ");
  const prefix = id.slice(0, id.lastIndexOf("."));
  const message = { id, fields: new Map(texts.map((t) => parseField(t, prefix)).map((f) => [f.number, f])) };
  messages.set(id, message);
  return message;
}

function parseField(text: string, prefix: string): Field {
  const [, name = "", zero, number, many, type = ""] = /^(.*?)(\?)?=(\d+):(\[\]|\{\})?(.+)$/.exec(text) ?? [];
  return {
    number: Number(number),
    name,
    many: many === "[]" ? "list" : many === "{}" ? "map" : "one",
    type: SCALARS.has(type) ? (type as Scalar) : { message: type.includes(".") ? type : `${prefix}.${type}` },
    zeroIsAbsent: zero !== undefined,
  };
}

function index(): void {
  let prefix = "";
  for (const line of messagesText.split("\n")) {
    const [first = "", second = "", apiVersion] = line.split(" ");
    if (first !== "#") {
      if (first !== "") lines.set(`${prefix}.${first}`, line);
      continue;
    }
    prefix = second;
    if (apiVersion !== undefined) packages.set(apiVersion, second);
  }
}
