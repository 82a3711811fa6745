/** What the kinds of storage.k8s.io have in common. */
import { dnsSubdomain, maxLengthError, qualifiedName } from "../names.ts";
import { checked, checkedRequired, type FieldErrors, invalidValue, required, tooLong, tooMany } from "./field.ts";
import { byteLength } from "./meta.ts";

const MAX_PARAMETERS = 512;
const MAX_PARAMETERS_BYTES = 256 * 1024;
const MAX_DRIVER_LENGTH = 63;

/** A name whose case is nobody's business: provisioners, attachers. */
export function validateQualifiedLower(name: string | undefined, field: string): FieldErrors {
  return checkedRequired(field, name, (v) => qualifiedName(v.toLowerCase()));
}

/** Passed on to a driver as they are. */
export function validateParameters(all: Readonly<Record<string, string>> | undefined, field: string): FieldErrors {
  const entries = Object.entries(all ?? {});
  if (entries.length > MAX_PARAMETERS) return [tooMany(field, entries.length, MAX_PARAMETERS)];
  const size = entries.reduce((sum, [k, v]) => sum + byteLength(k) + byteLength(v), 0);
  return [
    ...entries.flatMap(([k]) => (k === "" ? [invalidValue(field, k, "field can not be empty.")] : [])),
    ...(size > MAX_PARAMETERS_BYTES ? [tooLong(field, MAX_PARAMETERS_BYTES)] : []),
  ];
}

export function validateDriverName(name: string | undefined, field: string): FieldErrors {
  if (!name) return [required(field)];
  return [
    ...(name.length > MAX_DRIVER_LENGTH ? [invalidValue(field, name, maxLengthError(MAX_DRIVER_LENGTH))] : []),
    ...checked(field, name, (v) => dnsSubdomain(v.toLowerCase())),
  ];
}
