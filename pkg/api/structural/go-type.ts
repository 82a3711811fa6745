/** What Go's JSON decoder and Kubernetes' validator call the types of JSON values. */

/** In messages of encoding/json. */
export function goTypeName(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (value === null) return "null";
  return typeof value === "boolean" ? "bool" : typeof value;
}

/** In schemas. A whole number is an integer, however it was written. */
export function schemaTypeName(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (value === null || value === undefined) return "null";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}
