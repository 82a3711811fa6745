/** Arithmetic on IPv4 addresses and networks. An address is a number from 0 to 2³² - 1. */

export interface Ipv4Cidr {
  /** The first address; no bits are set where hosts are counted. */
  readonly base: number;
  readonly prefix: number;
}

const OCTETS = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

/** Undefined for what is none; leading zeros, which programs read differently, included. */
export function parseIpv4(text: string): number | undefined {
  const octets = OCTETS.exec(text)?.slice(1);
  if (!octets?.every((o) => Number(o) < 256 && String(Number(o)) === o)) return undefined;
  return octets.reduce((bits, o) => bits * 256 + Number(o), 0);
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}

export function sizeOf(prefix: number): number {
  return 2 ** (32 - prefix);
}

/** The network of that size that the address is in. */
export function networkOf(address: number, prefix: number): Ipv4Cidr {
  return { base: address - (address % sizeOf(prefix)), prefix };
}

/** `10.244.0.0/16`. Undefined for what is none, or has bits set beyond its prefix. */
export function parseIpv4Cidr(text: string): Ipv4Cidr | undefined {
  const [, ip = "", length = ""] = /^([\d.]+)\/(0|[1-9]\d?)$/.exec(text) ?? [];
  const address = parseIpv4(ip);
  const prefix = Number(length);
  if (address === undefined || length === "" || prefix > 32) return undefined;
  return address % sizeOf(prefix) === 0 ? { base: address, prefix } : undefined;
}

export function formatCidr(c: Ipv4Cidr): string {
  return `${formatIpv4(c.base)}/${c.prefix}`;
}

export function includes(c: Ipv4Cidr, address: number): boolean {
  return address >= c.base && address < c.base + sizeOf(c.prefix);
}

/** Of two networks that overlap one holds the other. */
export function overlaps(a: Ipv4Cidr, b: Ipv4Cidr): boolean {
  return a.prefix <= b.prefix ? includes(a, b.base) : includes(b, a.base);
}

/** `nthAddress("10.244.1.0/24", 1)` is the address that a node's bridge has. */
export function nthAddress(c: Ipv4Cidr, n: number): string {
  return formatIpv4(c.base + n);
}
