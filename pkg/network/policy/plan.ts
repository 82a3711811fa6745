/**
 * From NetworkPolicies to chains and sets of nftables, for the Pods of one node. Pure.
 *
 * A map leads from a Pod's address to the chain of the policies that isolate it; Pods of the same policies share one. A
 * chain says `return` of what is allowed, and drops the rest. Whom rules speak of stands in sets, so that Pods come and
 * go as elements of them. Packets are seen after a Service's address was translated, with the source they came from.
 *
 *  Y1  A Pod that no policy isolates in a direction is not touched in that direction.
 *  Y2  What a policy of the Pod allows passes, whatever its others say; nothing else does.
 *  Y3  Answers to what was allowed pass; so does what a Pod sends itself, and what its own node sends it (probes).
 *  Y4  The cost of a packet depends on the policies of its two Pods alone.
 */
import { createHash } from "node:crypto";
import type { NetworkPolicyPort } from "../../api/generated/types.ts";
import { keyOf, namespaceOf } from "../../api/object.ts";
import { parseIpv4Cidr } from "../../util/ipv4.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { Chain, NftSet, Ruleset } from "../nft/ruleset.ts";
import { EVERYTHING, formatRange, rangeOf, subtract, union } from "./ranges.ts";
import {
  type Direction,
  directionsOf,
  isolates,
  isPeer,
  type PolicyInput,
  type PolicyPod,
  type ReadonlyPeer,
  type ReadonlyPolicy,
} from "./selection.ts";

type Ports = readonly DeepReadonly<NetworkPolicyPort>[];

interface Rule {
  readonly peers: readonly ReadonlyPeer[];
  readonly ports: Ports;
}

/** Before Docker's rules, after those of Services. */
const PRIORITY = "filter - 4";
const MAX_COMMENT = 100;
const PEER_ADDRESS: Readonly<Record<Direction, string>> = { ingress: "ip saddr", egress: "ip daddr" };
const OWN_ADDRESS: Readonly<Record<Direction, string>> = { ingress: "ip daddr", egress: "ip saddr" };
const ANSWERS = "ct state established,related accept";
const ADDRESSES = "type ipv4_addr";

export function planPolicies(input: PolicyInput): Partial<Ruleset> {
  const local = input.pods.filter((p) => p.local);
  const builder = new Builder(input);
  const maps = (["ingress", "egress"] as const).map((direction) => {
    const policies = input.policies.filter((p) => directionsOf(p).includes(direction));
    const verdicts = local.flatMap((pod) => {
      const own = policies.filter((p) => isolates(p, pod));
      return own.length === 0 ? [] : [[pod.ip, `jump ${builder.chainOf(own, direction)}`] as const];
    });
    return [`policy-${direction}`, { of: "type ipv4_addr : verdict", elements: new Map(verdicts) }] as const;
  });
  if (maps.every(([, m]) => m.elements.size === 0)) return {};
  const lookUp = (d: Direction) => `${OWN_ADDRESS[d]} vmap @policy-${d}`;
  const isolated = new Set(maps.flatMap(([, m]) => [...m.elements.keys()]));
  const self = { of: `${ADDRESSES} . ipv4_addr`, elements: new Set([...isolated].map((ip) => `${ip} . ${ip}`)) };
  const hook = (at: "forward" | "input") => ({ type: "filter", at, priority: PRIORITY }) as const;
  return {
    maps: Object.fromEntries(maps),
    sets: { ...builder.sets, "policy-self": self },
    chains: {
      ...builder.chains,
      "policy-forward": {
        hook: hook("forward"),
        rules: [ANSWERS, "ip saddr . ip daddr @policy-self accept", lookUp("egress"), lookUp("ingress")],
      },
      // To the node itself: its API server, its DNS.
      "policy-input": { hook: hook("input"), rules: [ANSWERS, lookUp("egress")] },
    },
  };
}

/** Names things by what they are made of: equal ones are one, and keep their name. */
class Builder {
  readonly chains: Record<string, Chain> = {};
  readonly sets: Record<string, NftSet> = {};
  readonly #input: PolicyInput;

  constructor(input: PolicyInput) {
    this.#input = input;
  }

  chainOf(policies: readonly ReadonlyPolicy[], direction: Direction): string {
    const keys = policies.map(keyOf).toSorted();
    const name = `policy-${direction}-${digest(keys)}`;
    this.chains[name] ??= {
      rules: [
        ...policies
          .toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
          .flatMap((p) => rulesOf(p, direction).flatMap((r) => this.#texts(p, direction, r))),
        "drop",
      ],
    };
    return name;
  }

  /** Each allows a part; what a rule leaves open matches everything. */
  #texts(policy: ReadonlyPolicy, direction: Direction, rule: Rule): readonly string[] {
    const comment = `comment "${keyOf(policy).slice(0, MAX_COMMENT)}"`;
    const peers = rule.peers.length === 0 ? [""] : this.#peers(policy, direction, rule.peers);
    const ports = rule.ports.length === 0 ? [""] : this.#ports(policy, direction, rule.ports);
    return peers.flatMap((peer) =>
      ports.map((port) => [peer, port, "return", comment].filter((word) => word !== "").join(" ")),
    );
  }

  #peers(policy: ReadonlyPolicy, direction: Direction, peers: readonly ReadonlyPeer[]): readonly string[] {
    const selectors = peers.filter((p) => !p.ipBlock);
    const ranges = union(
      peers.flatMap(({ ipBlock }) => {
        const cidr = parseIpv4Cidr(ipBlock?.cidr ?? "");
        const holes = (ipBlock?.except ?? []).flatMap((text) => parseIpv4Cidr(text) ?? []);
        return cidr ? subtract(rangeOf(cidr), holes.map(rangeOf)) : [];
      }),
    );
    if (ranges.some((r) => r.first === EVERYTHING.first && r.last === EVERYTHING.last)) return [""];
    const side = PEER_ADDRESS[direction];
    return [
      ...new Set(selectors.map((peer) => `${side} @${this.#podSet(policy, peer)}`)),
      ...(ranges.length > 0 ? [`${side} @${this.#blockSet(ranges.map(formatRange))}`] : []),
    ];
  }

  #podSet(policy: ReadonlyPolicy, peer: ReadonlyPeer): string {
    const { podSelector, namespaceSelector } = peer;
    const namespace = namespaceOf(policy);
    const name = `policy-pods-${digest([namespaceSelector ?? namespace, podSelector ?? {}])}`;
    if (!this.sets[name]) {
      const { pods, namespaces } = this.#input;
      const ips = pods.filter((pod) => isPeer(peer, pod, { namespace, namespaces })).map((pod) => pod.ip);
      this.sets[name] = { of: ADDRESSES, elements: new Set(ips) };
    }
    return name;
  }

  #blockSet(ranges: readonly string[]): string {
    const name = `policy-blocks-${digest(ranges)}`;
    this.sets[name] ??= { of: ADDRESSES, options: "flags interval", elements: new Set(ranges) };
    return name;
  }

  #ports(policy: ReadonlyPolicy, direction: Direction, ports: Ports): readonly string[] {
    const protocols = [...new Set(ports.map(protocolOf))];
    const numbered = protocols.flatMap((protocol) => {
      const own = ports.filter((p) => protocolOf(p) === protocol && typeof p.port !== "string");
      if (own.length === 0) return [];
      if (own.some((p) => p.port === undefined)) return [`meta l4proto ${protocol}`];
      const spans = union(own.map((p) => ({ first: Number(p.port), last: p.endPort ?? Number(p.port) })));
      const texts = spans.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
      return [`${protocol} dport { ${texts.join(", ")} }`];
    });
    const named = ports.filter((p) => typeof p.port === "string");
    return [
      ...numbered,
      ...named.map((p) => `ip daddr . meta l4proto . th dport @${this.#portSet(policy, direction, p)}`),
    ];
  }

  /** A name is another number with each Pod: of those that are isolated, or that may be talked to. */
  #portSet(policy: ReadonlyPolicy, direction: Direction, port: Ports[number]): string {
    const own = direction === "ingress";
    const whose = own ? keyOf(policy) : "";
    const name = `policy-ports-${digest([whose, protocolOf(port), String(port.port)])}`;
    if (!this.sets[name]) {
      const pods = this.#input.pods.filter((pod) => !own || (pod.local && isolates(policy, pod)));
      const elements = pods.flatMap((pod) =>
        portsNamed(pod, port).map((n) => `${pod.ip} . ${protocolOf(port)} . ${n}`),
      );
      this.sets[name] = { of: "type ipv4_addr . inet_proto . inet_service", elements: new Set(elements) };
    }
    return name;
  }
}

function rulesOf({ spec }: ReadonlyPolicy, direction: Direction): readonly Rule[] {
  return direction === "ingress"
    ? (spec?.ingress ?? []).map((r) => ({ peers: r.from ?? [], ports: r.ports ?? [] }))
    : (spec?.egress ?? []).map((r) => ({ peers: r.to ?? [], ports: r.ports ?? [] }));
}

const protocolOf = (p: { readonly protocol?: string | undefined }) => (p.protocol ?? "TCP").toLowerCase();

const portsNamed = (pod: PolicyPod, wanted: Ports[number]) =>
  pod.ports.filter((p) => p.name === wanted.port && protocolOf(p) === protocolOf(wanted)).map((p) => p.port);

const digest = (of: unknown): string => createHash("sha256").update(JSON.stringify(of)).digest("hex").slice(0, 12);
