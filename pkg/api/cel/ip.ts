/** IP addresses and networks as numbers. */

export interface Ip {
  readonly family: 4 | 6;
  readonly value: bigint;
}

export interface Cidr {
  readonly ip: Ip;
  readonly prefix: number;
}

export const bitsOf = (family: 4 | 6) => (family === 4 ? 32 : 128);

/** Undefined unless it is an address as Go's netip reads it: no zone, no leading zeros, no IPv4 within IPv6. */
export function parseIp(text: string): Ip | undefined {
  if (!text.includes(":")) {
    const value = parseIp4(text);
    return value === undefined ? undefined : { family: 4, value };
  }
  const value = parseIp6(text);
  return value === undefined ? undefined : { family: 6, value };
}

export function parseCidr(text: string): Cidr | undefined {
  const [, address = "", length = ""] = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
  const ip = parseIp(address);
  const prefix = Number(length);
  return ip && length !== "" && prefix <= bitsOf(ip.family) ? { ip, prefix } : undefined;
}

function parseIp4(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((p) => /^(0|[1-9]\d{0,2})$/.test(p) && Number(p) < 256)) return undefined;
  return parts.reduce((n, p) => n * 256n + BigInt(p), 0n);
}

function parseIp6(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const groups = halves.map((half) => (half === "" ? [] : half.split(":")));
  const all = groups.flat();
  if (!all.every((g) => /^[0-9a-fA-F]{1,4}$/.test(g))) return undefined;
  if (halves.length === 1 ? all.length !== 8 : all.length > 7) return undefined;
  const [head = [], tail = []] = groups;
  const full = [...head, ...Array<string>(8 - all.length).fill("0"), ...tail];
  return full.reduce((n, g) => n * 65536n + BigInt(`0x${g}`), 0n);
}

/** Canonical: the longest run of zeros is `::`. */
export function formatIp({ family, value }: Ip): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join(".");
  const groups = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  const runs = [...groups.join(":").matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].map((m) => m[0]);
  const zeros = (run: string) => run.replaceAll(":", "").length;
  const longest = runs.toSorted((a, b) => zeros(b) - zeros(a))[0];
  return longest === undefined ? groups.join(":") : groups.join(":").replace(longest, "::").replace(":::", "::");
}

/** The network's first address. */
export function masked({ ip, prefix }: Cidr): Ip {
  const host = BigInt(bitsOf(ip.family) - prefix);
  return { family: ip.family, value: (ip.value >> host) << host };
}

export function contains(network: Cidr, ip: Ip): boolean {
  return network.ip.family === ip.family && masked(network).value === masked({ ip, prefix: network.prefix }).value;
}
