/** The frame of the Services' rules: which maps and chains there are, and how a packet goes through them. Pure. */
import type { Chain, Ruleset } from "../nft/ruleset.ts";

/**
 * Who asks, and by which door: at an address of the Service (`cluster` from inside the cluster, `external` and `local` from
 * outside, by the policy of the Service) or at a port of the node.
 */
export type View = "cluster" | "external" | "local" | "node-cluster" | "node-external" | "node-local" | "loopback";

export type Protocol = "tcp" | "udp" | "sctp";

const ADDRESS = "ip daddr . meta l4proto . th dport";
const NODE_PORT = "meta l4proto . th dport";
const FRONTS = "type ipv4_addr . inet_proto . inet_service : verdict";
const NODE_FRONTS = "type inet_proto . inet_service : verdict";

/** Where packets are sent on by a map of verdicts. */
const FRONT_MAPS = {
  /** ClusterIPs; and addresses open to the outside whose policy is Local, as those inside see them. */
  "inside-services": FRONTS,
  "outside-services": FRONTS,
  "inside-node-ports": NODE_FRONTS,
  "outside-node-ports": NODE_FRONTS,
  /** Node ports at 127.0.0.1, where only this node's endpoints can be reached from. */
  "loopback-node-ports": NODE_FRONTS,
  /** Fronts without an endpoint. */
  unserved: FRONTS,
  "unserved-node-ports": NODE_FRONTS,
} as const;

/** `cluster-tcp`: from front and number to endpoint. A number's type has no name, so these are declared by example. */
type EndpointDoor = "cluster" | "external" | "node-cluster" | "node-external" | "loopback";
const ENDPOINT_KEYS: Readonly<Record<EndpointDoor, (p: Protocol) => string>> = {
  cluster: (p) => `ip daddr . ${p} dport . numgen random mod`,
  external: (p) => `ip daddr . ${p} dport . numgen random mod`,
  "node-cluster": (p) => `${p} dport . numgen random mod`,
  "node-external": (p) => `${p} dport . numgen random mod`,
  loopback: (p) => `${p} dport . numgen random mod`,
};

export type MapName = keyof typeof FRONT_MAPS | `${EndpointDoor}-${Protocol}`;

const PROTOCOLS: readonly Protocol[] = ["tcp", "udp", "sctp"];
const OF: readonly (readonly [name: MapName, of: string])[] = [
  ...(Object.entries(FRONT_MAPS) as [keyof typeof FRONT_MAPS, string][]),
  ...(Object.entries(ENDPOINT_KEYS) as [EndpointDoor, (p: Protocol) => string][]).flatMap(([door, key]) =>
    PROTOCOLS.map((p) => [`${door}-${p}`, `typeof ${key(p)} 1 : ip daddr . ${p} dport`] as const),
  ),
];

export const MAP_DECLARATIONS = OF.map(([name, of]) => [name, { of }] as const);

const SETS = {
  "cluster-ips": { of: "type ipv4_addr" },
  /** Of endpoints on this node: a Pod that its own Service sent to itself. */
  hairpin: { of: "type ipv4_addr . ipv4_addr" },
  "source-limited": { of: "type ipv4_addr . inet_proto . inet_service" },
  "source-allowed": { of: "type ipv4_addr . inet_proto . inet_service . ipv4_addr", options: "flags interval" },
} as const;
export type SetName = keyof typeof SETS;
export const SET_DECLARATIONS = Object.entries(SETS) as readonly [
  name: SetName,
  declaration: { of: string; options?: string },
][];

/** As kube-proxy's. */
const MARK = "0x4000";
const SET_MARK = `meta mark set meta mark or ${MARK}`;
const MARK_FROM_NODE = `fib saddr type local ${SET_MARK}`;

interface ViewRow {
  readonly fronts: keyof typeof FRONT_MAPS;
  readonly endpoints: EndpointDoor;
  /** Undefined: the kernel itself refuses what goes to nobody. */
  readonly unserved: "unserved" | "unserved-node-ports" | undefined;
  /** The answer must come back this way where the client is not known to the endpoint's node, or is this node itself. */
  readonly masquerade: readonly string[];
}

export const VIEWS: Readonly<Record<View, ViewRow>> = {
  cluster: {
    fronts: "inside-services",
    endpoints: "cluster",
    unserved: "unserved",
    masquerade: [MARK_FROM_NODE],
  },
  external: { fronts: "outside-services", endpoints: "external", unserved: "unserved", masquerade: [SET_MARK] },
  local: { fronts: "outside-services", endpoints: "external", unserved: "unserved", masquerade: [] },
  "node-cluster": {
    fronts: "inside-node-ports",
    endpoints: "node-cluster",
    unserved: "unserved-node-ports",
    masquerade: [MARK_FROM_NODE],
  },
  "node-external": {
    fronts: "outside-node-ports",
    endpoints: "node-external",
    unserved: "unserved-node-ports",
    masquerade: [SET_MARK],
  },
  "node-local": {
    fronts: "outside-node-ports",
    endpoints: "node-external",
    unserved: "unserved-node-ports",
    masquerade: [],
  },
  loopback: { fronts: "loopback-node-ports", endpoints: "loopback", unserved: undefined, masquerade: [SET_MARK] },
};

export interface Balancer {
  readonly view: View;
  readonly protocol: Protocol;
  readonly size: number;
}

/** `cluster-tcp-3`: one of three, with equal chances. */
export const balancerName = (b: Balancer) => `${b.view}-${b.protocol}-${b.size}`;

export function balancerChain({ view, protocol, size }: Balancer): Chain {
  const { endpoints, masquerade } = VIEWS[view];
  const oneOf = (n: number) => `dnat ip to ${ENDPOINT_KEYS[endpoints](protocol)} ${n} map @${endpoints}-${protocol}`;
  // When there are fewer while a packet is on its way through here, the last numbers are gone; the first one is there.
  return { rules: [...masquerade, oneOf(size), ...(size > 1 ? [oneOf(1)] : [])] };
}

/** `podCidrs` empty: Pods cannot be told from others, and all are let in by the inner door. */
export function frame(podCidrs: readonly string[]): Pick<Ruleset, "chains"> {
  const isPod = podCidrs.length > 0 ? `ip saddr { ${podCidrs.join(", ")} } ` : "";
  const refuse = "ct state new jump unserved";
  return {
    chains: {
      // Before Docker's own: a packet is translated once.
      "services-prerouting": {
        hook: { type: "nat", at: "prerouting", priority: "dstnat - 5" },
        rules: [
          `${isPod}jump services-inside`,
          `${ADDRESS} vmap @outside-services`,
          `fib daddr type local ${NODE_PORT} vmap @outside-node-ports`,
        ],
      },
      "services-output": {
        hook: { type: "nat", at: "output", priority: -105 },
        rules: [
          "jump services-inside",
          `${ADDRESS} vmap @outside-services`,
          `ip daddr 127.0.0.0/8 ${NODE_PORT} vmap @loopback-node-ports`,
          `ip daddr != 127.0.0.0/8 fib daddr type local ${NODE_PORT} vmap @outside-node-ports`,
        ],
      },
      "services-inside": {
        rules: [`${ADDRESS} vmap @inside-services`, `fib daddr type local ${NODE_PORT} vmap @inside-node-ports`],
      },
      "services-postrouting": {
        hook: { type: "nat", at: "postrouting", priority: "srcnat - 5" },
        rules: [
          `meta mark and ${MARK} == ${MARK} meta mark set meta mark xor ${MARK} masquerade`,
          "ct status dnat ip saddr . ip daddr @hairpin masquerade",
        ],
      },
      // What is still addressed to a Service here was translated to no endpoint.
      "services-sources": {
        hook: { type: "filter", at: "prerouting", priority: "dstnat - 10" },
        rules: [
          // The bridge's replies to 127.0.0.1 are let in (see localhost.ts); what others send there is not.
          'iifname != "lo" ip daddr 127.0.0.0/8 drop',
          `ct state new ${ADDRESS} @source-limited ${ADDRESS} . ip saddr != @source-allowed drop`,
        ],
      },
      "services-input": { hook: { type: "filter", at: "input", priority: "filter - 5" }, rules: [refuse] },
      "services-forward": { hook: { type: "filter", at: "forward", priority: "filter - 5" }, rules: [refuse] },
      "services-to": { hook: { type: "filter", at: "output", priority: "filter - 5" }, rules: [refuse] },
      unserved: {
        rules: [
          `${ADDRESS} vmap @unserved`,
          `ip daddr != 127.0.0.0/8 fib daddr type local ${NODE_PORT} vmap @unserved-node-ports`,
          "ip daddr @cluster-ips goto refuse",
        ],
      },
      // The kernel limits how many ICMP messages it sends; resets it does not.
      refuse: { rules: ["meta l4proto tcp reject with tcp reset", "reject"] },
    },
  };
}
