/** Names as DNS compares them: without the root's dot, without regard to case. */
import { parseIp } from "../../api/validation/ip.ts";

/** `Web.Default.svc.cluster.local.` → `web.default.svc.cluster.local`; the root is "". */
export const canonical = (name: string): string => name.replace(/\.$/, "").toLowerCase();

export const labelsOf = (name: string): readonly string[] => (name === "" ? [] : name.split("."));

/** What stands before `zone` in a canonical name: "" for the zone itself, undefined for what is not within. */
export function prefixIn(name: string, zone: string): string | undefined {
  if (name === zone || zone === "") return zone === "" ? name : "";
  return name.endsWith(`.${zone}`) ? name.slice(0, -zone.length - 1) : undefined;
}

/** The address a reverse name asks for: `1.0.96.10.in-addr.arpa` → `10.96.0.1`. */
export function addressOfReverse(name: string): string | undefined {
  const v4 = prefixIn(name, "in-addr.arpa");
  if (v4 !== undefined) {
    const address = labelsOf(v4).toReversed().join(".");
    return parseIp(address) ? address : undefined;
  }
  const nibbles = labelsOf(prefixIn(name, "ip6.arpa") ?? "").toReversed();
  if (nibbles.length !== 32 || !nibbles.every((n) => /^[0-9a-f]$/.test(n))) return undefined;
  return canonicalIp((nibbles.join("").match(/.{4}/g) ?? []).join(":"));
}

/** One spelling for each address; undefined for what is none. */
export function canonicalIp(text: string): string | undefined {
  const ip = parseIp(text);
  if (!ip) return undefined;
  return ip.family === "IPv4" ? text : new URL(`http://[${text}]/`).hostname.slice(1, -1);
}

/** `10-244-0-7` → `10.244.0.7`, `fd00--7` → `fd00::7`: how an address stands in a name. */
export function addressOfDashed(label: string): string | undefined {
  return canonicalIp(label.replaceAll("-", ".")) ?? canonicalIp(label.replaceAll("-", ":"));
}

export const dashed = (ip: string): string => ip.replaceAll(/[.:]/g, "-");
