/** The ranges that the addresses of Services are taken from. */
import { keep } from "../../equal.ts";
import type { ServiceCIDR } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { each, type FieldErrors, IMMUTABLE, invalidValue, required } from "../../validation/field.ts";
import { parseCidr, validateCidr } from "../../validation/ip.ts";
import { AGE, NAME } from "../columns.ts";
import { statusPart } from "../parts.ts";

const FIELD = "spec.cidrs";

export const serviceCidrs: ResourceDef<ServiceCIDR> = {
  group: "networking.k8s.io",
  version: "v1",
  kind: "ServiceCIDR",
  plural: "servicecidrs",
  singular: "servicecidr",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: "ServiceCIDR",
  prepareForCreate(o) {
    o.status = {};
  },
  prepareForUpdate: (next, old) => keep(next, old, "status"),
  validate: (next, old) => (old ? validateUpdate(next, old) : validateCidrs(next)),
  subresources: { status: statusPart() },
  selectableFields: {},
  columns: [NAME, { name: "CIDRs", type: "string", cell: (o) => (o.spec?.cidrs ?? []).join(",") }, AGE],
};

function validateCidrs({ spec }: DeepReadonly<ServiceCIDR>): FieldErrors {
  const cidrs = spec?.cidrs ?? [];
  if (!cidrs.length) return [required(FIELD, "at least one CIDR required")];
  if (cidrs.length > 2) return [invalidValue(FIELD, spec, "may only hold up to 2 values")];
  const families = cidrs.map((c) => parseCidr(c)?.family);
  const why = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
  return [
    ...each(FIELD, cidrs, (c, at) => validateCidr(c, at)),
    ...(cidrs.length === 2 && families[0] && families[0] === families[1] ? [invalidValue(FIELD, cidrs, why)] : []),
  ];
}

/** A second family may join; nothing else, since addresses are in use. */
function validateUpdate(next: DeepReadonly<ServiceCIDR>, old: DeepReadonly<ServiceCIDR>): FieldErrors {
  const [b, a] = [next.spec?.cidrs ?? [], old.spec?.cidrs ?? []];
  const joined = a.length === 1 && b.length === 2;
  if (a.length !== b.length && !joined) return [invalidValue(FIELD, b, IMMUTABLE)];
  const changed = each(FIELD, a, (cidr, at, i) => (cidr === b[i] ? [] : [invalidValue(at, b[i], IMMUTABLE)]));
  return joined ? [...changed, ...validateCidrs(next)] : changed;
}
