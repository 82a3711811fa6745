/** When two CEL values are the same. */
import { Duration } from "@marcbachmann/cel-js/evaluator";

/** An object with fields: each schema has a class of its own below this one (values.ts). */
export abstract class CelObject {}

/** A value of a type that is not CEL's own. */
export interface Comparable {
  equals(other: unknown): boolean;
}

const isComparable = (v: object): v is Comparable => "equals" in v && typeof v.equals === "function";

export function equalValues(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return equalNumbers(a, b);
  if (Array.isArray(a)) return Array.isArray(b) && equalLists(a, b);
  if (a instanceof Map) return b instanceof Map && equalMaps(a, b);
  if (a instanceof Date) return b instanceof Date && a.getTime() === b.getTime();
  if (a instanceof Uint8Array) return b instanceof Uint8Array && equalLists([...a], [...b]);
  if (a instanceof Duration) return b instanceof Duration && a.seconds === b.seconds && a.nanos === b.nanos;
  if (a instanceof CelObject) return b instanceof CelObject && equalMaps(fieldsOf(a), fieldsOf(b));
  if (isComparable(a)) return a.equals(b);
  return equalMaps(new Map(Object.entries(a)), new Map(Object.entries(b)));
}

/** 1 and 1.0 are the same number. */
function equalNumbers(a: unknown, b: unknown): boolean {
  if (typeof a === "bigint" && typeof b === "number") return Number.isInteger(b) && a === BigInt(b);
  return typeof a === "number" && typeof b === "bigint" && equalNumbers(b, a);
}

function equalLists(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, i) => equalValues(item, b[i]));
}

function equalMaps(a: ReadonlyMap<unknown, unknown>, b: ReadonlyMap<unknown, unknown>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.has(key) && equalValues(value, b.get(key)));
}

const fieldsOf = (o: CelObject) => new Map(Object.entries(o));
