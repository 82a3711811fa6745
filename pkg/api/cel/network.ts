/** `ip("10.0.0.1").family() == 4`, `cidr("10.0.0.0/8").containsIP("10.1.2.3")` */
import type { Environment } from "@marcbachmann/cel-js";
import { type Cidr, contains, formatIp, type Ip, masked, parseCidr, parseIp } from "./ip.ts";
import { define } from "./define.ts";

class CelIp {
  readonly ip: Ip;

  constructor(ip: Ip) {
    this.ip = ip;
  }

  equals(other: unknown): boolean {
    return other instanceof CelIp && other.ip.family === this.ip.family && other.ip.value === this.ip.value;
  }

  toString(): string {
    return formatIp(this.ip);
  }
}

class CelCidr {
  readonly cidr: Cidr;

  constructor(cidr: Cidr) {
    this.cidr = cidr;
  }

  equals(other: unknown): boolean {
    return other instanceof CelCidr && other.toString() === this.toString();
  }

  toString(): string {
    return `${formatIp(this.cidr.ip)}/${this.cidr.prefix}`;
  }
}

class IpNamespace {}

const IP = "net.IP";
const CIDR = "net.CIDR";

export function registerNetworkTypes(env: Environment): void {
  registerIp(env);
  registerCidr(env);
}

const within = (network: string) => {
  const cidr = parseCidr(network);
  return ({ ip }: CelIp) => cidr !== undefined && contains(cidr, ip);
};

const isLoopback = either(within("127.0.0.0/8"), within("::1/128"));
const isLinkLocal = either(within("169.254.0.0/16"), within("fe80::/10"));
const isLinkLocalMulticast = either(within("224.0.0.0/24"), within("ff02::/16"));
const isMulticast = either(within("224.0.0.0/4"), within("ff00::/8"));
const isUnspecified = ({ ip }: CelIp) => ip.value === 0n;
const isBroadcast = within("255.255.255.255/32");

function either(a: (ip: CelIp) => boolean, b: (ip: CelIp) => boolean): (ip: CelIp) => boolean {
  return (ip) => a(ip) || b(ip);
}

function registerIp(env: Environment): void {
  env.registerType(IP, CelIp);
  env.registerType("IpNamespace", IpNamespace);
  env.registerConstant("ip", "IpNamespace", new IpNamespace());
  env.registerOperator(`${IP} == ${IP}`, (a: CelIp, b: CelIp) => a.equals(b));
  define(env, `ip(string): ${IP}`, (text: string) => new CelIp(mustParseIp(text)));
  define(env, "isIP(string): bool", (text: string) => parseIp(text) !== undefined);
  define(
    env,
    "IpNamespace.isCanonical(string): bool",
    (_: unknown, text: string) => formatIp(mustParseIp(text)) === text,
  );
  define(env, `string(${IP}): string`, String);
  define(env, `${IP}.family(): int`, ({ ip }: CelIp) => BigInt(ip.family));
  define(env, `${IP}.isUnspecified(): bool`, isUnspecified);
  define(env, `${IP}.isLoopback(): bool`, isLoopback);
  define(env, `${IP}.isLinkLocalMulticast(): bool`, isLinkLocalMulticast);
  define(env, `${IP}.isLinkLocalUnicast(): bool`, isLinkLocal);
  define(
    env,
    `${IP}.isGlobalUnicast(): bool`,
    (ip: CelIp) => ![isUnspecified, isLoopback, isMulticast, isLinkLocal, isBroadcast].some((is) => is(ip)),
  );
}

function registerCidr(env: Environment): void {
  env.registerType(CIDR, CelCidr);
  env.registerOperator(`${CIDR} == ${CIDR}`, (a: CelCidr, b: CelCidr) => a.equals(b));
  define(env, `cidr(string): ${CIDR}`, (text: string) => new CelCidr(mustParseCidr(text)));
  define(env, "isCIDR(string): bool", (text: string) => parseCidr(text) !== undefined);
  define(env, `string(${CIDR}): string`, String);
  define(env, `${CIDR}.containsIP(${IP}): bool`, ({ cidr }: CelCidr, { ip }: CelIp) => contains(cidr, ip));
  define(env, `${CIDR}.containsIP(string): bool`, ({ cidr }: CelCidr, text: string) =>
    contains(cidr, mustParseIp(text)),
  );
  const containsCidr = (outer: Cidr, inner: Cidr) => inner.prefix >= outer.prefix && contains(outer, inner.ip);
  define(env, `${CIDR}.containsCIDR(${CIDR}): bool`, (a: CelCidr, b: CelCidr) => containsCidr(a.cidr, b.cidr));
  define(env, `${CIDR}.containsCIDR(string): bool`, (a: CelCidr, b: string) => containsCidr(a.cidr, mustParseCidr(b)));
  define(env, `${CIDR}.ip(): ${IP}`, ({ cidr }: CelCidr) => new CelIp(cidr.ip));
  define(env, `${CIDR}.masked(): ${CIDR}`, ({ cidr }: CelCidr) => new CelCidr({ ...cidr, ip: masked(cidr) }));
  define(env, `${CIDR}.prefixLength(): int`, ({ cidr }: CelCidr) => BigInt(cidr.prefix));
}

function mustParseIp(text: string): Ip {
  const ip = parseIp(text);
  if (!ip) throw new RangeError(`IP Address ${JSON.stringify(text)} parse error during conversion from string`);
  return ip;
}

function mustParseCidr(text: string): Cidr {
  const cidr = parseCidr(text);
  if (!cidr) throw new RangeError(`network address parse error during conversion from string: ${text}`);
  return cidr;
}
