/**
 * IP addresses and CIDRs, and what is wrong with them, in Kubernetes' words. Only the canonical forms are accepted:
 * where programs read `010.0.0.1` or `10.0.0.1/8` differently, a firewall can be fooled.
 */
import { type FieldErrors, invalidValue } from "./field.ts";

export type IpFamily = "IPv4" | "IPv6";

export interface Ip {
  readonly family: IpFamily;
  readonly bits: bigint;
}

export interface Cidr extends Ip {
  readonly prefix: number;
}

const WIDTH: Readonly<Record<IpFamily, number>> = { IPv4: 32, IPv6: 128 };
const NOT_AN_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const NOT_A_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
const OCTET = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const IPV4 = new RegExp(`^${OCTET}\\.${OCTET}\\.${OCTET}\\.${OCTET}$`);

export function parseIp(text: string): Ip | undefined {
  const octets = IPV4.exec(text)?.slice(1);
  if (octets) return { family: "IPv4", bits: octets.reduce((bits, octet) => bits * 256n + BigInt(octet), 0n) };
  return parseIpv6(text);
}

/** The URL parser knows the grammar of RFC 4291, `::ffff:1.2.3.4` included, and writes eight groups or `::`. */
function parseIpv6(text: string): Ip | undefined {
  if (!/^[0-9a-fA-F:.]+$/.test(text) || !URL.canParse(`http://[${text}]/`)) return undefined;
  const [head = "", tail] = new URL(`http://[${text}]/`).hostname.slice(1, -1).split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":"));
  const [left, right] = [groups(head), groups(tail ?? "")];
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => "0");
  const all = tail === undefined ? left : [...left, ...zeros, ...right];
  return { family: "IPv6", bits: all.reduce((bits, group) => bits * 65536n + BigInt(`0x${group}`), 0n) };
}

export function parseCidr(text: string): Cidr | undefined {
  const [, address, length] = /^(.*)\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
  const ip = address === undefined ? undefined : parseIp(address);
  const prefix = Number(length);
  return ip && prefix <= WIDTH[ip.family] ? { ...ip, prefix } : undefined;
}

/** Whether the network has no bits set where hosts are counted. */
function isMasked(c: Cidr): boolean {
  const hostBits = BigInt(WIDTH[c.family] - c.prefix);
  return (c.bits >> hostBits) << hostBits === c.bits;
}

/** Whether all of `inner` lies in `outer`. */
export function contains(outer: Cidr, inner: Cidr): boolean {
  if (outer.family !== inner.family || outer.prefix > inner.prefix) return false;
  const hostBits = BigInt(WIDTH[outer.family] - outer.prefix);
  return outer.bits >> hostBits === inner.bits >> hostBits;
}

export function familyOf(ip: string): IpFamily | undefined {
  return parseIp(ip)?.family;
}

/** `::ffff:0:0/96`: an IPv4 address in disguise. */
const isMapped = (ip: Ip) => ip.family === "IPv6" && ip.bits >> 32n === 0xffffn;

export function validateIp(text: string | undefined, field: string, family?: IpFamily): FieldErrors {
  const wrong = (why: string) => [invalidValue(field, text ?? "", why)];
  const ip = parseIp(text ?? "");
  if (family && ip?.family !== family) return wrong(`must be a valid ${family} address`);
  if (!ip) return wrong(NOT_AN_IP);
  return isMapped(ip) ? wrong("must not be an IPv4-mapped IPv6 address") : [];
}

export function validateCidr(text: string, field: string): FieldErrors {
  const cidr = parseCidr(text);
  if (!cidr) return [invalidValue(field, text, NOT_A_CIDR)];
  return isMasked(cidr) ? [] : [invalidValue(field, text, "must not have bits set beyond the prefix length")];
}

/** No traffic may be led to where only the node itself answers. */
const SPECIAL: readonly (readonly [networks: readonly string[], why: string])[] = [
  [["127.0.0.0/8", "::1/128"], "may not be in the loopback range (127.0.0.0/8, ::1/128)"],
  [["169.254.0.0/16", "fe80::/10"], "may not be in the link-local range (169.254.0.0/16, fe80::/10)"],
  [["224.0.0.0/24", "ff02::/16"], "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"],
];

export function validateNonSpecialIp(text: string, field: string): FieldErrors {
  const ip = parseIp(text);
  if (!ip) return [];
  if (ip.bits === 0n) return [invalidValue(field, text, `may not be unspecified (${text})`)];
  const host = { ...ip, prefix: WIDTH[ip.family] };
  const isIn = (network: string) => {
    const cidr = parseCidr(network);
    return cidr !== undefined && contains(cidr, host);
  };
  return SPECIAL.flatMap(([networks, why]) => (networks.some(isIn) ? [invalidValue(field, text, why)] : []));
}
