/** `"%s has %d".format([name, count])`. */
import { Duration } from "@marcbachmann/cel-js/evaluator";

export function formatString(template: string, args: readonly unknown[]): string {
  let next = 0;
  return template.replace(/%(?:\.(\d+))?([a-zA-Z%])/g, (_, precision: string | undefined, verb: string) => {
    if (verb === "%") return "%";
    if (next >= args.length) throw new RangeError(`index ${next} out of range`);
    return formatOne(verb, args[next++], precision === undefined ? 6 : Number(precision));
  });
}

function formatOne(verb: string, value: unknown, precision: number): string {
  switch (verb) {
    case "s":
      return textOf(value);
    case "d":
      return wholeOf(value).toString();
    case "f":
      return Number(value).toFixed(Math.min(precision, 100));
    case "e":
      return Number(value)
        .toExponential(Math.min(precision, 100))
        .replace(/e([+-])(\d)$/, "e$10$2");
    case "b":
      return typeof value === "boolean" ? (value ? "1" : "0") : wholeOf(value).toString(2);
    case "o":
      return wholeOf(value).toString(8);
    case "x":
      return hexOf(value);
    case "X":
      return hexOf(value).toUpperCase();
    default:
      throw new RangeError(`could not parse formatting clause: unrecognized formatting clause "${verb}"`);
  }
}

function wholeOf(value: unknown): bigint {
  if (typeof value === "bigint") return value;
  if (typeof value === "number" && Number.isInteger(value)) return BigInt(value);
  const inner: unknown = typeof value === "object" && value !== null ? value.valueOf() : undefined;
  if (typeof inner === "bigint") return inner;
  throw new RangeError("integer clause can only be used on integers");
}

function hexOf(value: unknown): string {
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  if (!(bytes instanceof Uint8Array)) return wholeOf(value).toString(16);
  return [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
}

export function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (value === null || value === undefined) return "null";
  if (value instanceof Date) return value.toISOString().replace(/\.000Z$/, "Z");
  if (value instanceof Duration) return value.toString();
  if (Array.isArray(value)) return `[${value.map(textOf).join(", ")}]`;
  const entries = value instanceof Map ? [...value] : isPlain(value) ? Object.entries(value) : undefined;
  if (!entries) return `${value as string}`;
  const parts = entries.map(([k, v]) => `${textOf(k)}: ${textOf(v)}`);
  return `{${parts.toSorted().join(", ")}}`;
}

const isPlain = (v: unknown): v is object =>
  typeof v === "object" && v !== null && v.toString === Object.prototype.toString;
