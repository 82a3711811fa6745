/** Where a decoder is in its input, and how it says what is wrong there: in the words of Go's encoding/json. */
import { mustSchemaOf, type FieldType, type Scalar } from "./schema.ts";

/** A field's name, a list's index, or a map's key. */
export type Step = string | number | { readonly key: string };

export interface Context {
  readonly path: Step[];
  /** The innermost type under way; Go names it in its errors. */
  owner: string;
  readonly unknown: string[];
  readonly errors: string[];
  /** Whether required parts are filled in (D5). */
  readonly complete: boolean;
}

/** Never sees null or undefined. Reports what is wrong to the context and returns undefined then. */
export type Decoder = (input: unknown, c: Context) => unknown;

/** Always undefined, so that decoders can end with it. */
export function fail(c: Context, message: string): undefined {
  c.errors.push(message);
}

/** `json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32` */
export function mismatch(c: Context, input: unknown, goType: string): undefined {
  const fields = c.path.filter((step) => typeof step === "string");
  if (fields.length === 0) return plainMismatch(c, input, goType);
  const where = `${c.owner}.${fields.join(".")}`;
  return fail(c, `json: cannot unmarshal ${jsonTypeOf(input, goType)} into Go struct field ${where} of type ${goType}`);
}

/** Where Go's own decoder of the type does not know the field. */
export function plainMismatch(c: Context, input: unknown, goType: string): undefined {
  return fail(c, `json: cannot unmarshal ${jsonTypeOf(input, goType)} into Go value of type ${goType}`);
}

function jsonTypeOf(input: unknown, goType: string): string {
  if (Array.isArray(input)) return "array";
  if (typeof input === "boolean") return "bool";
  // The right kind of value, but too large or not whole: Go shows it.
  return typeof input === "number" && goType.startsWith("int") ? `number ${input}` : typeof input;
}

const GO_SCALARS: Readonly<Record<Scalar, string>> = {
  string: "string",
  bytes: "[]uint8",
  bool: "bool",
  quantity: "resource.Quantity",
  int32: "int32",
  int64: "int64",
  double: "float64",
  time: "v1.Time",
  microTime: "v1.MicroTime",
  intOrString: "intstr.IntOrString",
  any: "runtime.RawExtension",
};

export function goTypeOf(type: FieldType): string {
  switch (type.kind) {
    case "object":
      return mustSchemaOf(type.type).openApiName.split(".").slice(-2).join(".");
    case "list":
      return `[]${goTypeOf(type.of)}`;
    case "map":
      return `map[string]${goTypeOf(type.of)}`;
    case "scalar":
      return GO_SCALARS[type.scalar];
  }
}

export function pathText(path: readonly Step[]): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else text += `${text === "" ? "" : "."}${typeof step === "string" ? step : step.key}`;
  }
  return text;
}
