/**
 * From which addresses Pods and Services of a cluster have theirs, so that several clusters fit on one machine. Pure.
 *
 * A range is free when no route of the machine is as narrow as it and overlaps it: a wider one (a VPN's 10.0.0.0/8) gives
 * way, for the narrower route counts.
 */
import { formatCidr, type Ipv4Cidr, overlaps, parseIpv4Cidr } from "../../util/ipv4.ts";

export interface Ranges {
  /** `10.244.0.0/16` */
  readonly podCidr: string;
  readonly serviceCidr: string;
}

export interface Route {
  readonly to: Ipv4Cidr;
  readonly device: string;
}

const CLUSTERS = 32;
/** As Kubernetes' tools have it, and what follows: 10.244 to 10.255, then 10.224 to 10.243. */
export const CANDIDATES: readonly Ranges[] = Array.from({ length: CLUSTERS }, (_, i) => ({
  podCidr: `10.${224 + ((20 + i) % CLUSTERS)}.0.0/16`,
  serviceCidr: `10.${96 + i}.0.0/16`,
}));

/** A node has room for 253 Pods. */
const NODE_PREFIX = 24;
const NARROWEST = 28;

/** The size of a node's share of the Pods' range. */
export const nodePrefix = (cluster: Ipv4Cidr): number => Math.max(NODE_PREFIX, cluster.prefix);

/** Throws what is wrong with it, for the one who typed it. */
export function checkedRange(text: string, flag: string): Ipv4Cidr {
  const cidr = parseIpv4Cidr(text);
  if (!cidr) throw new Error(`${flag} ${text}: a range of IPv4 addresses is needed, like 10.244.0.0/16`);
  if (cidr.prefix > NARROWEST)
    throw new Error(`${flag} ${text}: too narrow; a prefix of at most /${NARROWEST} is needed`);
  return cidr;
}

/** The route that stands in the way of the range; undefined: it is free. */
export function inTheWay(range: Ipv4Cidr, routes: readonly Route[]): Route | undefined {
  return routes.find(({ to }) => to.prefix >= range.prefix && overlaps(to, range));
}

/**
 * What was asked for, and for the rest the first candidate that is free. Throws why there is none. `isHeld`: another
 * cluster of this machine has the range, though no route of it is there yet.
 */
export function chooseRanges(
  wish: Partial<Ranges>,
  o: { routes: readonly Route[]; isHeld: (podCidr: string) => boolean },
): Ranges {
  const asked = askedFor(wish, o.routes);
  const free = (text: string) => inTheWay(checkedRange(text, "range"), o.routes) === undefined;
  for (const candidate of CANDIDATES) {
    const ranges = { ...candidate, ...asked };
    const fresh = [candidate.podCidr, candidate.serviceCidr].every(free) && !o.isHeld(candidate.podCidr);
    if (asked.podCidr !== undefined && asked.serviceCidr !== undefined) return ranges;
    if (
      fresh &&
      !overlaps(checkedRange(ranges.podCidr, "--pod-cidr"), checkedRange(ranges.serviceCidr, "--service-cidr"))
    )
      return ranges;
  }
  throw new Error(
    "no range of addresses is free for Pods and Services; choose some with --pod-cidr and --service-cidr",
  );
}

function askedFor(wish: Partial<Ranges>, routes: readonly Route[]): Partial<Ranges> {
  const flags = [
    ["podCidr", "--pod-cidr"],
    ["serviceCidr", "--service-cidr"],
  ] as const;
  const asked = flags.flatMap(([key, flag]) => {
    const text = wish[key];
    if (text === undefined) return [];
    const range = checkedRange(text, flag);
    const taken = inTheWay(range, routes);
    if (taken)
      throw new Error(`${flag} ${text} overlaps with ${formatCidr(taken.to)}, which is routed to ${taken.device}`);
    return [[key, range] as const];
  });
  const [a, b] = asked;
  if (a && b && overlaps(a[1], b[1])) throw new Error(`${wish.podCidr} and ${wish.serviceCidr} overlap`);
  return Object.fromEntries(asked.map(([key, range]) => [key, formatCidr(range)]));
}

/** /proc/net/route: numbers in hexadecimal, least significant byte first. The default route is in nobody's way. */
export function parseProcRoutes(text: string): readonly Route[] {
  return text
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [device = "", to = "", , , , , , mask = ""] = line.trim().split(/\s+/);
      const [base, bits] = [littleEndian(to), littleEndian(mask)];
      if (base === undefined || bits === undefined || bits === 0) return [];
      return [{ device, to: { base, prefix: 32 - Math.log2(2 ** 32 - bits) } }];
    });
}

function littleEndian(hex: string): number | undefined {
  if (!/^[0-9A-F]{8}$/i.test(hex)) return undefined;
  return [6, 4, 2, 0].reduce((sum, at) => sum * 256 + Number.parseInt(hex.slice(at, at + 2), 16), 0);
}
