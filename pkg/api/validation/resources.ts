/** Resource lists: requests, limits, capacity. */
import type { DeepReadonly } from "../../util/types.ts";
import type { ResourceRequirements } from "../generated/types.ts";
import { qualifiedName } from "../names.ts";
import {
  compareQuantities,
  formatQuantity,
  isQuantity,
  parseQuantity,
  QUANTITY_FORMAT_ERROR,
  roundUpToMilli,
} from "../quantity.ts";
import { checked, type FieldErrors, invalidValue, NOT_NEGATIVE, required } from "./field.ts";

export type ResourceList = Readonly<Record<string, string>>;

/** Those a node has by itself; everything else is extended (`nvidia.com/gpu`) or a huge page size. */
const NATIVE: ReadonlySet<string> = new Set(["cpu", "memory", "ephemeral-storage", "storage", "pods"]);
const PER_CONTAINER: ReadonlySet<string> = new Set(["cpu", "memory", "ephemeral-storage"]);

export function isHugePages(name: string): boolean {
  return name.startsWith("hugepages-");
}

/** A name with a domain that is not Kubernetes' own: counted, never overcommitted. */
export function isExtended(name: string): boolean {
  return !NATIVE.has(name) && !isHugePages(name) && name.includes("/") && !name.startsWith("requests.");
}

/** Every value a quantity, none negative. */
export function validateQuantities(list: ResourceList | undefined, field: string): FieldErrors {
  return Object.entries(list ?? {}).flatMap(([name, value]) => {
    const at = `${field}[${name}]`;
    if (!isQuantity(value)) return [invalidValue(at, value, QUANTITY_FORMAT_ERROR)];
    if (parseQuantity(value).nano < 0n) return [invalidValue(at, value, NOT_NEGATIVE)];
    const whole = isExtended(name) && parseQuantity(value).nano % 1_000_000_000n !== 0n;
    return whole ? [invalidValue(at, value, "must be an integer")] : [];
  });
}

export function validateResourceName(name: string, field: string): FieldErrors {
  const errors = checked(field, name, qualifiedName);
  if (errors.length || name.includes("/") || NATIVE.has(name) || isHugePages(name)) return errors;
  return [invalidValue(field, name, "must be a standard resource type or fully qualified")];
}

export function validateRequirements(r: DeepReadonly<ResourceRequirements> | undefined, field: string): FieldErrors {
  const limits = r?.limits ?? {};
  const requests = r?.requests ?? {};
  return [
    ...validateList(limits, `${field}.limits`),
    ...validateList(requests, `${field}.requests`),
    ...Object.keys(requests).flatMap((name) => validateRequest(name, requests, limits, `${field}.requests`)),
  ];
}

function validateList(list: ResourceList, field: string): FieldErrors {
  const names = Object.keys(list).flatMap((name) => {
    const errors = validateResourceName(name, `${field}[${name}]`);
    if (errors.length || name.includes("/") || PER_CONTAINER.has(name) || isHugePages(name)) return errors;
    return [invalidValue(`${field}[${name}]`, name, "must be a standard resource for containers")];
  });
  return [...names, ...validateQuantities(list, field)];
}

function validateRequest(name: string, requests: ResourceList, limits: ResourceList, field: string): FieldErrors {
  const request = requests[name];
  const limit = limits[name];
  if (request === undefined || !isQuantity(request)) return [];
  if (limit === undefined) {
    // Without a limit such a request would promise what cannot be taken back.
    return isExtended(name) || isHugePages(name)
      ? [required(field.replace(/requests$/, "limits"), "Limit must be set for non overcommitable resources")]
      : [];
  }
  if (!isQuantity(limit)) return [];
  const order = compareQuantities(request, limit);
  if ((isExtended(name) || isHugePages(name)) && order !== 0) {
    return [invalidValue(field, request, `must be equal to ${name} limit of ${limit}`)];
  }
  return order > 0 ? [invalidValue(field, request, `must be less than or equal to ${name} limit of ${limit}`)] : [];
}

/** Writes every quantity in its canonical form; leaves what is none to validation. */
export function canonicalize(list: Record<string, string> | undefined): void {
  for (const [name, value] of Object.entries(list ?? {})) {
    if (list && isQuantity(value)) list[name] = formatQuantity(roundUpToMilli(parseQuantity(value)));
  }
}
