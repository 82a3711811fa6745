/**
 * What of this machine's routes, devices and firewall lets the Pods of a node meet those of the others; as data, compared
 * with what is there. Pure: the commands are for the kernel's own programs.
 */
import { formatCidr, formatIpv4, type Ipv4Cidr, parseIpv4 } from "../../util/ipv4.ts";
import type { Member, Way } from "./peers.ts";

/** Marks our routes; together with a metric of the cluster's own, so that two clusters on one machine keep apart. */
export const ROUTE_PROTOCOL = 109;
/** Of VXLAN, as Linux and flannel have it. */
const VXLAN_PORT = 8472;

export interface Cluster {
  /** The Pods' bridge on this node. */
  readonly bridge: string;
  readonly vxlanDevice: string;
  /** In comments of iptables' rules. */
  readonly mark: string;
  readonly metric: number;
  readonly podCidr: Ipv4Cidr;
}

/** All that derives from the cluster's id: what a crashed process left behind is found by it. */
export function clusterNames(clusterId: string): Omit<Cluster, "podCidr"> {
  const id = clusterId.slice(0, 8);
  const metric = 1024 + (Number.parseInt(id, 16) % 65_536 || 0);
  return { bridge: `mk-${id}`, vxlanDevice: `mkv-${id}`, mark: `mini-kube-${id}`, metric };
}

export interface Vxlan {
  readonly id: number;
  readonly local: string;
  readonly mac: string;
  readonly mtu: number;
  /** Of its own end, so that packets which the node itself sends have a source that others can answer. */
  readonly address: string;
}

/** What should be there, or is. Each entry is one line of the program that makes it. */
export interface Links {
  readonly vxlan: Vxlan | undefined;
  /** `10.244.1.0/24 via 192.168.1.11` */
  readonly routes: ReadonlySet<string>;
  /** `10.244.1.0 lladdr 0a:58:0a:f4:01:00` */
  readonly neighbours: ReadonlySet<string>;
  /** `0a:58:0a:f4:01:00 dst 192.168.2.11` */
  readonly forwarding: ReadonlySet<string>;
  /** As `iptables -S` shows them, without the chain. */
  readonly accepts: ReadonlySet<string>;
}

export const NO_LINKS: Links = {
  vxlan: undefined,
  routes: new Set(),
  neighbours: new Set(),
  forwarding: new Set(),
  accepts: new Set(),
};

export interface LinksInput {
  readonly cluster: Cluster;
  readonly self: Member;
  readonly peers: readonly (Member & { readonly way: Way })[];
  /** Of the device that VXLAN's packets leave by. */
  readonly uplinkMtu: number;
}

export function planLinks({ cluster, self, peers, uplinkMtu }: LinksInput): Links {
  const tunnels = peers.filter((p) => p.way === "vxlan");
  const direct = peers.filter((p) => p.way === "route");
  const end = (m: Member) => formatIpv4(m.podCidr.base);
  const vxlan = {
    // Within the cluster's range: no two clusters of a machine have the same.
    id: Math.floor(cluster.podCidr.base / 256),
    local: self.ip,
    mac: macOf(end(self)),
    mtu: uplinkMtu - 50,
    address: end(self),
  };
  return {
    vxlan: tunnels.length > 0 ? vxlan : undefined,
    routes: new Set([
      ...direct.map((p) => `${formatCidr(p.podCidr)} via ${p.ip}`),
      ...tunnels.map((p) => `${formatCidr(p.podCidr)} via ${end(p)} dev ${cluster.vxlanDevice} onlink`),
    ]),
    neighbours: new Set(tunnels.map((p) => `${end(p)} lladdr ${macOf(end(p))}`)),
    forwarding: new Set(tunnels.map((p) => `${macOf(end(p))} dst ${p.ip}`)),
    accepts: new Set([
      // Docker keeps its bridges apart and drops what others forward: Pods are to meet all the same.
      accept(`-s ${formatCidr(cluster.podCidr)} -d ${formatCidr(cluster.podCidr)}`, cluster),
      // What a Service leads here, whoever asked.
      accept(`-o ${cluster.bridge} -m conntrack --ctstate DNAT`, cluster),
      // A node reaches all Pods.
      ...[...direct, ...tunnels].map((p) => accept(`-s ${p.ip}/32 -d ${formatCidr(self.podCidr)}`, cluster)),
    ]),
  };
}

const accept = (match: string, { mark }: Cluster) => `${match} -m comment --comment ${mark} -j ACCEPT`;

/** A locally administered address that nobody needs to be told: both ends know the other's share of the addresses. */
export function macOf(ip: string): string {
  const bits = parseIpv4(ip) ?? 0;
  return ["0a", "58", ...[24, 16, 8, 0].map((s) => ((bits >>> s) & 255).toString(16).padStart(2, "0"))].join(":");
}

export interface LinkCommands {
  /** Lines of `ip -batch`. */
  readonly ip: readonly string[];
  /** Lines of `bridge -batch`. */
  readonly bridge: readonly string[];
  /** Arguments of `iptables`, without the chain: `-I` or `-D`, and the rule. */
  readonly iptables: readonly (readonly [verb: "-I" | "-D", rule: string])[];
}

/** `before` + the commands = `after`. In an order in which no packet is sent where nobody takes it. */
export function linkCommands(before: Links, after: Links, c: Omit<Cluster, "podCidr">): LinkCommands {
  const dev = c.vxlanDevice;
  const remade = before.vxlan !== undefined && !sameVxlan(before.vxlan, after.vxlan);
  const kept: Links = remade ? { ...before, vxlan: undefined, neighbours: new Set(), forwarding: new Set() } : before;
  const ours = `proto ${ROUTE_PROTOCOL} metric ${c.metric}`;
  const gone = (key: "routes" | "neighbours" | "forwarding" | "accepts") =>
    [...kept[key]].filter((x) => !after[key].has(x));
  const fresh = (key: "routes" | "neighbours" | "forwarding" | "accepts") =>
    [...after[key]].filter((x) => !kept[key].has(x));
  const viaDevice = (route: string) => route.includes(` dev ${dev} `);
  // The routes through a device go with it.
  const routesGone = gone("routes").filter((r) => !(remade && viaDevice(r)));
  const routesFresh = [
    ...fresh("routes"),
    ...(remade ? [...after.routes].filter((r) => kept.routes.has(r) && viaDevice(r)) : []),
  ];
  return {
    ip: [
      ...routesGone.map((r) => `route del ${r} ${ours}`),
      ...(remade ? [`link del ${dev}`] : []),
      ...(after.vxlan && !kept.vxlan ? makeVxlan(dev, after.vxlan) : []),
      ...(after.vxlan ? gone("neighbours").map((n) => `neigh del ${n.split(" ")[0]} dev ${dev}`) : []),
      ...fresh("neighbours").map((n) => `neigh replace ${n} dev ${dev} nud permanent`),
      ...routesFresh.map((r) => `route replace ${r} ${ours}`),
    ],
    bridge: [
      ...(after.vxlan ? gone("forwarding").map((f) => `fdb del ${f} dev ${dev}`) : []),
      ...fresh("forwarding").map((f) => `fdb replace ${f} dev ${dev} self permanent`),
    ],
    iptables: [
      ...fresh("accepts").map((rule) => ["-I", rule] as const),
      ...gone("accepts").map((rule) => ["-D", rule] as const),
    ],
  };
}

function makeVxlan(dev: string, v: Vxlan): string[] {
  return [
    `link add ${dev} address ${v.mac} mtu ${v.mtu} type vxlan id ${v.id} local ${v.local} dstport ${VXLAN_PORT} nolearning`,
    `addr add ${v.address}/32 dev ${dev}`,
    `link set ${dev} up`,
  ];
}

function sameVxlan(a: Vxlan, b: Vxlan | undefined): boolean {
  return b !== undefined && a.id === b.id && a.local === b.local && a.mac === b.mac && a.mtu === b.mtu;
}
