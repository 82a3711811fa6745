/** Values that are a number of Pods or a share of them: `maxUnavailable: 1`, `maxSurge: 25%`. */
import { checked, type FieldErrors, invalidValue, notNegative } from "./field.ts";

type IntOrPercent = number | string;

const PERCENT = /^[0-9]+%$(?![\s\S])/;
const PERCENT_ERROR =
  "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

export function validateIntOrPercent(field: string, value: IntOrPercent | undefined): FieldErrors {
  if (typeof value !== "string") return notNegative(field, value);
  return checked(field, value, (v) => (PERCENT.test(v) ? [] : [PERCENT_ERROR]));
}

/** For what cannot exceed the whole; a surge can. */
export function validateAtMost100Percent(field: string, value: IntOrPercent | undefined): FieldErrors {
  const over = typeof value === "string" && PERCENT.test(value) && numberOf(value) > 100;
  return over ? [invalidValue(field, value, "must not be greater than 100%")] : [];
}

/** The number before the sign; what is neither number nor percentage counts as 0. */
export function numberOf(value: IntOrPercent | undefined): number {
  return typeof value === "string" ? (PERCENT.test(value) ? Number(value.slice(0, -1)) : 0) : (value ?? 0);
}
