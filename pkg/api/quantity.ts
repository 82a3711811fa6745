/**
 * Kubernetes quantities (`100m`, `1.5Gi`, `2e3`), exactly.
 *
 *  - Q1 A quantity is a whole number of nano units; finer parts are rounded away from zero, as upstream does.
 *  - Q2 Its magnitude is at most 2^63-1 units; more is cut to that.
 *  - Q3 `formatQuantity(parseQuantity(x))` is canonical: no fraction, the largest suffix that keeps it whole, and the
 *    family of suffixes (1000 or 1024) that was written. Parsing it again gives the same value.
 */
export type QuantityFormat = "DecimalSI" | "BinarySI" | "DecimalExponent";

export interface Quantity {
  readonly nano: bigint;
  readonly format: QuantityFormat;
}

export class QuantityError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "QuantityError";
  }
}

export const QUANTITY_FORMAT_ERROR =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const WRONG_SUFFIX = "unable to parse quantity's suffix";

const NANO = 1_000_000_000n;
const NANO_PER_MILLI = 1_000_000n;
const MAX = (2n ** 63n - 1n) * NANO;
/** No quantity below 2^63 needs a larger power of ten; one of 10^1000000 must not be computed. */
const MAX_EXPONENT = 40;

const DECIMAL = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"] as const;
const BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"] as const;

/** Throws {@link QuantityError}. A number is accepted too: YAML's `cpu: 1`. */
export function parseQuantity(text: string | number): Quantity {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?([a-zA-Z]*|[eE][+-]?\d+)$/.exec(String(text));
  const [, sign, whole = "", fraction = "", suffix = ""] = match ?? [];
  if (!match || whole + fraction === "") throw new QuantityError(QUANTITY_FORMAT_ERROR);
  const scale = scaleOf(suffix);
  const digits = BigInt(whole + fraction);
  const numerator = digits * scale.times;
  const denominator = 10n ** BigInt(fraction.length) * scale.over;
  const rounded = (numerator + denominator - 1n) / denominator;
  const magnitude = rounded > MAX ? MAX : rounded;
  return { nano: sign === "-" ? -magnitude : magnitude, format: scale.format };
}

export function isQuantity(text: string | number): boolean {
  try {
    parseQuantity(text);
    return true;
  } catch (e) {
    if (e instanceof QuantityError) return false;
    throw e;
  }
}

/** Nano units per unit of the suffix, as a fraction. */
function scaleOf(suffix: string): { times: bigint; over: bigint; format: QuantityFormat } {
  const decimal = (DECIMAL as readonly string[]).indexOf(suffix);
  if (decimal >= 0) return { times: 1000n ** BigInt(decimal), over: 1n, format: "DecimalSI" };
  const binary = (BINARY as readonly string[]).indexOf(suffix);
  if (binary > 0) return { times: NANO * 1024n ** BigInt(binary), over: 1n, format: "BinarySI" };
  const exponent = /^[eE]([+-]?\d+)$/.exec(suffix)?.[1];
  if (exponent === undefined) throw new QuantityError(WRONG_SUFFIX);
  const power = Math.max(-MAX_EXPONENT, Math.min(MAX_EXPONENT, Number(exponent)));
  const ten = 10n ** BigInt(Math.abs(power));
  return power < 0
    ? { times: NANO, over: ten, format: "DecimalExponent" }
    : { times: NANO * ten, over: 1n, format: "DecimalExponent" };
}

export function formatQuantity(q: Quantity): string {
  if (q.nano === 0n) return "0";
  const sign = q.nano < 0n ? "-" : "";
  const magnitude = q.nano < 0n ? -q.nano : q.nano;
  // Below 1024, or with a fraction, binary suffixes would lose digits.
  if (q.format === "BinarySI" && magnitude >= 1024n * NANO && magnitude % NANO === 0n) {
    const { rest, power } = divideOut(magnitude / NANO, 1024n, BINARY.length - 1);
    return `${sign}${rest}${BINARY[power]}`;
  }
  const { rest, power } = divideOut(magnitude, 1000n, DECIMAL.length - 1);
  if (q.format !== "DecimalExponent") return `${sign}${rest}${DECIMAL[power]}`;
  const exponent = power * 3 - 9;
  return `${sign}${rest}${exponent === 0 ? "" : `e${exponent}`}`;
}

function divideOut(n: bigint, by: bigint, atMost: number): { rest: bigint; power: number } {
  let rest = n;
  let power = 0;
  while (power < atMost && rest % by === 0n) {
    rest /= by;
    power++;
  }
  return { rest, power };
}

export function canonicalQuantity(text: string | number): string {
  return formatQuantity(parseQuantity(text));
}

export function compareQuantities(a: string | number, b: string | number): -1 | 0 | 1 {
  const [x, y] = [parseQuantity(a).nano, parseQuantity(b).nano];
  return x < y ? -1 : x > y ? 1 : 0;
}

/** Keeps the first one's family of suffixes, unless it is zero. */
export function addQuantities(a: Quantity, b: Quantity): Quantity {
  return { nano: a.nano + b.nano, format: a.nano === 0n ? b.format : a.format };
}

/** Thousandths, rounded up. */
export function milliValue(text: string | number): bigint {
  return divideUp(parseQuantity(text).nano, NANO_PER_MILLI);
}

/** Whole units, rounded up. */
export function wholeValue(text: string | number): bigint {
  return divideUp(parseQuantity(text).nano, NANO);
}

/** Rounded up to thousandths: the finest a resource may be written. */
export function roundUpToMilli(q: Quantity): Quantity {
  return { nano: divideUp(q.nano, NANO_PER_MILLI) * NANO_PER_MILLI, format: q.format };
}

/** Millicores, rounded up. */
export function cpuMilli(text: string | number): number {
  return Number(milliValue(text));
}

/** Bytes, rounded up; exact below 2^53. */
export function bytes(text: string | number): number {
  return Number(wholeValue(text));
}

/** Towards positive infinity, like Go's `Quantity.Value()`. */
function divideUp(n: bigint, by: bigint): bigint {
  const quotient = n / by;
  return n > 0n && n % by !== 0n ? quotient + 1n : quotient;
}
