/** Decoders of what has no fields: see decode.ts for what they guarantee. */
import { fail, mismatch, plainMismatch, type Context, type Decoder } from "./decode-errors.ts";
import { deepClone } from "./equal.ts";
import { canonicalQuantity, QuantityError } from "./quantity.ts";
import type { Scalar } from "./schema.ts";

/** What Go holds where JSON says nothing. */
export const ZERO: Readonly<Record<Scalar, unknown>> = {
  string: "",
  bytes: "",
  bool: false,
  quantity: "0",
  int32: 0,
  int64: 0,
  double: 0,
  time: null,
  microTime: null,
  intOrString: 0,
  any: null,
};

const isInt32 = (v: unknown) => typeof v === "number" && (v | 0) === v;
const isInt64 = (v: unknown) => typeof v === "number" && Number.isInteger(v) && v >= -(2 ** 63) && v <= 2 ** 63;

export function scalarDecoder(scalar: Scalar): Decoder {
  switch (scalar) {
    case "any":
      return (input) => deepClone(input);
    case "string":
      return (input, c) => (typeof input === "string" ? input : mismatch(c, input, "string"));
    case "bool":
      return (input, c) => (typeof input === "boolean" ? input : mismatch(c, input, "bool"));
    case "double":
      return (input, c) => (typeof input === "number" ? input : mismatch(c, input, "float64"));
    case "int32":
      return (input, c) => (isInt32(input) ? input : mismatch(c, input, "int32"));
    case "int64":
      // A JavaScript number holds no more than 53 bits; what is larger has been rounded by the JSON parser already.
      return (input, c) => (isInt64(input) ? input : mismatch(c, input, "int64"));
    case "intOrString":
      return (input, c) => (typeof input === "string" || isInt32(input) ? input : plainMismatch(c, input, "int32"));
    case "bytes":
      return decodeBytes;
    case "quantity":
      return decodeQuantity;
    case "time":
      return (input, c) => decodeTime(input, c, 0);
    case "microTime":
      return (input, c) => decodeTime(input, c, 6);
  }
}

/** One character class at a time: a repeated group would exhaust the stack on a Secret of a megabyte. */
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

function decodeBytes(input: unknown, c: Context): unknown {
  if (typeof input !== "string") return mismatch(c, input, "[]uint8");
  const text = input.replace(/[\r\n]/g, "");
  return text.length % 4 === 0 && BASE64.test(text)
    ? text
    : fail(c, `illegal base64 data at input byte ${firstIllegal(text)}`);
}

function firstIllegal(text: string): number {
  const at = text.search(/[^A-Za-z0-9+/]/);
  return at < 0 ? text.length - (text.length % 4) : at;
}

function decodeQuantity(input: unknown, c: Context): unknown {
  try {
    return canonicalQuantity(typeof input === "string" || typeof input === "number" ? input : JSON.stringify(input));
  } catch (e) {
    if (e instanceof QuantityError) return fail(c, e.message);
    throw e;
  }
}

const RFC3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)$/;

/** UTC, with that many digits of the second's fraction. */
function decodeTime(input: unknown, c: Context, digits: number): unknown {
  if (typeof input !== "string") return plainMismatch(c, input, "string");
  const [, , fraction = "", zone] = RFC3339.exec(input) ?? [];
  const at = zone === undefined ? Number.NaN : Date.parse(input.replace(/[.,]\d+/, ""));
  if (Number.isNaN(at) || !isRealDate(input)) {
    const layout = digits > 0 ? "2006-01-02T15:04:05.000000Z07:00" : "2006-01-02T15:04:05Z07:00";
    return fail(c, `parsing time ${JSON.stringify(input)} as "${layout}": not a time of RFC 3339`);
  }
  const seconds = new Date(at).toISOString().slice(0, 19);
  return digits > 0 ? `${seconds}.${fraction.padEnd(digits, "0").slice(0, digits)}Z` : `${seconds}Z`;
}

/** Date.parse rolls February 30th over to March. */
function isRealDate(text: string): boolean {
  const day = text.slice(0, 10);
  return new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
}
