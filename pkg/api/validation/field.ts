/** Field errors in Kubernetes' words (`field.Required`, `field.Invalid`, …). */
import { semanticEqual } from "../equal.ts";
import type { NameCheck } from "../names.ts";
import type { FieldError } from "../status.ts";

export type FieldErrors = readonly FieldError[];

export const IMMUTABLE = "field is immutable";
export const NOT_NEGATIVE = "must be greater than or equal to 0";

export function required(field: string, detail = ""): FieldError {
  return { type: "Required", field, detail };
}

export function invalidValue(field: string, value: unknown, detail: string): FieldError {
  return { type: "Invalid", field, value: value ?? null, detail };
}

export function forbidden(field: string, detail: string): FieldError {
  return { type: "Forbidden", field, detail };
}

/** `next` is what `old` was; empty and absent are the same. */
export function immutable(field: string, next: unknown, old: unknown): FieldErrors {
  return semanticEqual(next, old) ? [] : [invalidValue(field, next, IMMUTABLE)];
}

export function duplicate(field: string, value: unknown): FieldError {
  return { type: "Duplicate", field, value, detail: "" };
}

export function notSupported(field: string, value: unknown, supported: readonly string[]): FieldError {
  const words = supported.map((s) => JSON.stringify(s)).join(", ");
  return { type: "NotSupported", field, value, detail: `supported values: ${words}` };
}

export function tooLong(field: string, bytes: number): FieldError {
  return { type: "TooLong", field, detail: `may not be more than ${bytes} bytes` };
}

export function tooMany(field: string, items: number, max: number): FieldError {
  return { type: "TooMany", field, value: items, detail: `must have at most ${max} item${max === 1 ? "" : "s"}` };
}

/** What `check` says of `value`, as errors of `field`. */
export function checked(field: string, value: string, check: NameCheck): FieldErrors {
  return check(value).map((detail) => invalidValue(field, value, detail));
}

/** Missing is an error of its own, so that nobody is told that "" does not match a pattern. */
export function checkedRequired(field: string, value: string | undefined, check: NameCheck): FieldErrors {
  return value ? checked(field, value, check) : [required(field)];
}

export function oneOf(field: string, value: string | undefined, supported: readonly string[]): FieldErrors {
  if (!value) return [required(field)];
  return supported.includes(value) ? [] : [notSupported(field, value, supported)];
}

export function notNegative(field: string, value: number | undefined): FieldErrors {
  return value !== undefined && value < 0 ? [invalidValue(field, value, NOT_NEGATIVE)] : [];
}

export function positive(field: string, value: number | undefined): FieldErrors {
  return value !== undefined && value <= 0 ? [invalidValue(field, value, "must be greater than 0")] : [];
}

/** `check` on each element, with its field path `field[i]`. */
export function each<T>(
  field: string,
  list: readonly T[] | undefined,
  check: (item: T, field: string, index: number) => FieldErrors,
): FieldErrors {
  return (list ?? []).flatMap((item, i) => check(item, `${field}[${i}]`, i));
}

/** Reports every element whose key an earlier one has, at `field[i]<child>`. Empty keys are somebody else's error. */
export function unique<T>(
  field: string,
  list: readonly T[] | undefined,
  keyOf: (item: T) => string | undefined,
  child = "",
): FieldErrors {
  const seen = new Set<string>();
  return each(field, list, (item, at) => {
    const key = keyOf(item);
    if (!key || !seen.has(key)) {
      if (key) seen.add(key);
      return [];
    }
    return [duplicate(at + child, key)];
  });
}
