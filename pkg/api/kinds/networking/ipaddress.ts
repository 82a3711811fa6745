/** Who holds an address of the Services' range. */
import { semanticEqual } from "../../equal.ts";
import type { IPAddress, ParentReference } from "../../generated/types.ts";
import { dnsSubdomain } from "../../names.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { pathSegment } from "../../validation/domain.ts";
import {
  checked,
  checkedRequired,
  type FieldErrors,
  IMMUTABLE,
  invalidValue,
  required,
} from "../../validation/field.ts";
import { validateIp } from "../../validation/ip.ts";
import { AGE, NAME } from "../columns.ts";

export const ipAddresses: ResourceDef<IPAddress> = {
  group: "networking.k8s.io",
  version: "v1",
  kind: "IPAddress",
  plural: "ipaddresses",
  singular: "ipaddress",
  shortNames: ["ip"],
  categories: [],
  namespaced: false,
  schema: "IPAddress",
  validateName: (name) => validateIp(name, "").map((e) => e.detail),
  validate(next, old) {
    const parent = next.spec?.parentRef;
    if (!parent) return [required("spec.parentRef")];
    const changed = old && !semanticEqual(parent, old.spec?.parentRef);
    return [
      ...validateParent(parent, "spec.parentRef"),
      ...(changed ? [invalidValue("spec.parentRef", parent, IMMUTABLE)] : []),
    ];
  },
  subresources: {},
  selectableFields: {},
  columns: [NAME, { name: "ParentRef", type: "string", cell: parentRef }, AGE],
};

function validateParent(p: DeepReadonly<ParentReference>, at: string): FieldErrors {
  return [
    ...(p.group ? checked(`${at}.group`, p.group, dnsSubdomain) : []),
    ...checkedRequired(`${at}.resource`, p.resource, pathSegment),
    ...checkedRequired(`${at}.name`, p.name, pathSegment),
    ...(p.namespace ? checked(`${at}.namespace`, p.namespace, pathSegment) : []),
  ];
}

function parentRef({ spec }: DeepReadonly<IPAddress>): string {
  const p = spec?.parentRef;
  if (!p) return "<none>";
  const resource = `${p.resource ?? ""}${p.group ? `.${p.group}` : ""}`.toLowerCase();
  return [resource, ...(p.namespace ? [p.namespace] : []), p.name ?? ""].join("/");
}
