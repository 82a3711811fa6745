/** How a Service's clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy fit together, and what may become of them. */
import type { DeepReadonly } from "../../util/types.ts";
import type { ServiceSpec } from "../generated/types.ts";
import { isHeadless, needsClusterIp } from "../service.ts";
import { each, type FieldErrors, invalidValue, notSupported, oneOf, required, unique } from "./field.ts";
import { familyOf, validateIp } from "./ip.ts";

type Spec = DeepReadonly<ServiceSpec>;

const FIELD = "spec.clusterIPs";
const POLICIES = ["PreferDualStack", "RequireDualStack", "SingleStack"];
const FIXED = "may not change once set";

export function validateClusterIps(spec: Spec): FieldErrors {
  if (!needsClusterIp(spec)) return [];
  const families = spec.ipFamilies ?? [];
  const wrongIps = each(FIELD, spec.clusterIPs, (ip, at, i) => (i === 0 && ip === "None" ? [] : validateIp(ip, at)));
  const errors = [
    ...validateFirst(spec),
    ...each("spec.ipFamilies", families, (f, at) =>
      f === "IPv4" || f === "IPv6" ? [] : [notSupported(at, f, ["IPv4", "IPv6"])],
    ),
    ...unique("spec.ipFamilies", families, (f) => f),
    ...(spec.ipFamilyPolicy ? oneOf("spec.ipFamilyPolicy", spec.ipFamilyPolicy, POLICIES) : []),
    ...validateNone(spec),
    ...wrongIps,
  ];
  // What is no address has no family either: more words would only confuse.
  return wrongIps.length || validateNone(spec).length ? errors : [...errors, ...validateStacks(spec)];
}

function validateFirst(spec: Spec): FieldErrors {
  const ips = spec.clusterIPs ?? [];
  if (!spec.clusterIP) {
    return ips.length ? [invalidValue(FIELD, ips, "must be empty when `clusterIP` is not specified")] : [];
  }
  if (!ips.length) return [required(FIELD)];
  return ips[0] === spec.clusterIP ? [] : [invalidValue(FIELD, ips, "first value must match `clusterIP`")];
}

function validateNone({ clusterIPs: ips = [] }: Spec): FieldErrors {
  const mixed = ips[0] === "None" && ips.length > 1;
  return mixed ? [invalidValue(FIELD, ips, "'None' must be the first and only value")] : [];
}

function validateStacks(spec: Spec): FieldErrors {
  const { clusterIPs: ips = [], ipFamilies: families = [] } = spec;
  const found = new Set(ips.map(familyOf));
  return [
    ...(ips.length > 2 ? [invalidValue(FIELD, ips, "may only hold up to 2 values")] : []),
    ...(found.size < ips.length
      ? [invalidValue(FIELD, ips, "may specify no more than one IP for each IP family")]
      : []),
    ...(isHeadless(spec)
      ? []
      : each(FIELD, ips, (ip, at, i) =>
          families[i] === undefined || familyOf(ip) === families[i]
            ? []
            : [invalidValue(at, ip, `expected an ${families[i]} value as indicated by \`ipFamilies[${i}]\``)],
        )),
  ];
}

/** The first address and family stay; a second one may come, and go with the policy that asked for it. */
export function validateClusterIpsUpdate(next: Spec, old: Spec): FieldErrors {
  if (!needsClusterIp(next) || !needsClusterIp(old) || (isHeadless(next) && isHeadless(old))) return [];
  const sameHeads = isHeadless(next) === isHeadless(old);
  return [
    ...validateListUpdate({ next, old, field: "clusterIPs", what: "clusterIP" }),
    ...(sameHeads ? validateListUpdate({ next, old, field: "ipFamilies", what: "ipFamily" }) : []),
  ];
}

function validateListUpdate(o: {
  next: Spec;
  old: Spec;
  field: "clusterIPs" | "ipFamilies";
  what: string;
}): FieldErrors {
  const [next, old] = [o.next[o.field] ?? [], o.old[o.field] ?? []];
  const at = (i: number) => `spec.${o.field}[${i}]`;
  if (next.length === old.length) {
    return old.flatMap((value, i) => (value === next[i] ? [] : [invalidValue(at(i), next, FIXED)]));
  }
  if (old.length && !next.length) return [invalidValue(at(0), next, `primary ${o.what} can not be unset`)];
  const released = old.length > next.length && o.next.ipFamilyPolicy !== "SingleStack";
  const why = `must be set to 'SingleStack' when releasing the secondary ${o.what}`;
  return [
    ...(old.length && next[0] !== old[0] ? [invalidValue(at(0), next, FIXED)] : []),
    ...(released ? [invalidValue("spec.ipFamilyPolicy", o.next.ipFamilyPolicy, why)] : []),
  ];
}
