/**
 * Two judges of a packet that must agree: what the rules of a table do to it, read as the kernel reads them, and what the
 * NetworkPolicies say, read as Kubernetes' documentation of them.
 */
import { namespaceOf } from "../../../api/object.ts";
import { includes, parseIpv4, parseIpv4Cidr } from "../../../util/ipv4.ts";
import type { Ruleset } from "../../nft/ruleset.ts";
import type { Labels, PolicyInput, PolicyPod, ReadonlyPolicy } from "../selection.ts";

export interface Packet {
  readonly from: string;
  readonly to: string;
  readonly protocol: "tcp" | "udp" | "icmp";
  /** 0 for icmp. */
  readonly port: number;
}

type Verdict = "accept" | "drop" | "return";

const number = (ip: string) => parseIpv4(ip) ?? -1;

function within(value: number, text: string, read: (t: string) => number): boolean {
  const [first = "", last = first] = text.split("-");
  return value >= read(first) && value <= read(last);
}

/** A new connection's first packet in this chain. Throws for a rule it does not know: then it judges nothing. */
export function judge(r: Partial<Ruleset>, chain: string, p: Packet): Verdict {
  for (const rule of r.chains?.[chain]?.rules ?? []) {
    const verdict = apply(r, rule.replace(/ comment "[^"]*"$/, ""), p);
    if (verdict) return verdict;
  }
  return r.chains?.[chain]?.hook ? "accept" : "return";
}

function apply(r: Partial<Ruleset>, rule: string, p: Packet): Verdict | undefined {
  if (rule === "ct state established,related accept") return undefined; // it is the first one
  const map = /^ip (saddr|daddr) vmap @(\S+)$/.exec(rule);
  if (map) {
    const [, side, name = ""] = map;
    const target = r.maps?.[name]?.elements.get(side === "saddr" ? p.from : p.to);
    const verdict = target === undefined ? "return" : judge(r, target.replace(/^jump /, ""), p);
    return verdict === "return" ? undefined : verdict;
  }
  const [, conditions = "", verdict = ""] = /^(.*?) ?(accept|drop|return)$/.exec(rule) ?? [];
  if (verdict === "") throw new Error(`what does this rule do? ${rule}`);
  return fits(r, conditions, p) ? (verdict as Verdict) : undefined;
}

function fits(r: Partial<Ruleset>, conditions: string, p: Packet): boolean {
  const fields: Readonly<Record<string, string>> = {
    "ip saddr": p.from,
    "ip daddr": p.to,
    "meta l4proto": p.protocol,
    "th dport": `${p.port}`,
  };
  let rest = conditions;
  const take = (pattern: RegExp) => {
    const found = pattern.exec(rest);
    if (found) rest = rest.slice(found[0].length).trim();
    return found;
  };
  while (rest !== "") {
    const set = take(
      /^((?:ip saddr|ip daddr|meta l4proto|th dport)(?: \. (?:ip saddr|ip daddr|meta l4proto|th dport))*) @(\S+)/,
    );
    const protocol = set ? null : take(/^meta l4proto (tcp|udp|sctp)/);
    const ports = set || protocol ? null : take(/^(tcp|udp|sctp) dport \{ ([^}]*) \}/);
    if (set) {
      const key = (set[1] ?? "").split(" . ").map((field) => fields[field] ?? "?");
      const { elements, options } = r.sets?.[set[2] ?? ""] ?? { elements: new Set<string>() };
      const held = options?.includes("interval")
        ? [...elements].some((e) => within(number(key[0] ?? ""), e, number))
        : elements.has(key.join(" . "));
      if (!held) return false;
    } else if (protocol) {
      if (protocol[1] !== p.protocol) return false;
    } else if (ports) {
      const some = (ports[2] ?? "").split(", ").some((span) => within(p.port, span, Number));
      if (ports[1] !== p.protocol || !some) return false;
    } else throw new Error(`what does this match? ${rest}`);
  }
  return true;
}

/** By the words of the NetworkPolicy API alone. */
export function allowed(input: PolicyInput, p: Packet): boolean {
  if (p.from === p.to) return true;
  const podAt = (ip: string) => input.pods.find((pod) => pod.ip === ip);
  return passes(input, "egress", podAt(p.from), p) && passes(input, "ingress", podAt(p.to), p);
}

const selects = (selector: { matchLabels?: Labels } | undefined, labels: Labels) =>
  Object.entries(selector?.matchLabels ?? {}).every(([key, value]) => labels[key] === value);

function passes(input: PolicyInput, direction: "ingress" | "egress", pod: PolicyPod | undefined, p: Packet): boolean {
  if (!pod?.local) return true;
  const types = (s: ReadonlyPolicy["spec"]) => s?.policyTypes ?? (s?.egress ? ["Ingress", "Egress"] : ["Ingress"]);
  const own = input.policies.filter(
    (n) =>
      namespaceOf(n) === pod.namespace &&
      selects(n.spec?.podSelector, pod.labels) &&
      types(n.spec).includes(direction === "ingress" ? "Ingress" : "Egress"),
  );
  if (own.length === 0) return true;
  return own.some((policy) => {
    const rules =
      direction === "ingress"
        ? (policy.spec?.ingress ?? []).map((r) => ({ ports: r.ports, peers: r.from }))
        : (policy.spec?.egress ?? []).map((r) => ({ ports: r.ports, peers: r.to }));
    return rules.some(({ ports = [], peers = [] }) => {
      const other = direction === "ingress" ? p.from : p.to;
      const peerFits = peers.length === 0 || peers.some((peer) => isPeer(input, policy, peer, other));
      return peerFits && (ports.length === 0 || ports.some((port) => isPort(input, port, p)));
    });
  });
}

type Rule = NonNullable<NonNullable<ReadonlyPolicy["spec"]>["ingress"]>[number];

function isPeer(
  input: PolicyInput,
  policy: ReadonlyPolicy,
  peer: NonNullable<Rule["from"]>[number],
  ip: string,
): boolean {
  if (peer.ipBlock) {
    const inside = (cidr: string) => {
      const block = parseIpv4Cidr(cidr);
      return block !== undefined && includes(block, number(ip));
    };
    return inside(peer.ipBlock.cidr) && !(peer.ipBlock.except ?? []).some(inside);
  }
  const pod = input.pods.find((other) => other.ip === ip);
  if (!pod) return false;
  const inNamespace = peer.namespaceSelector
    ? selects(peer.namespaceSelector, input.namespaces.get(pod.namespace) ?? {})
    : pod.namespace === namespaceOf(policy);
  return inNamespace && (!peer.podSelector || selects(peer.podSelector, pod.labels));
}

function isPort(input: PolicyInput, port: NonNullable<Rule["ports"]>[number], p: Packet): boolean {
  if ((port.protocol ?? "TCP").toLowerCase() !== p.protocol) return false;
  if (port.port === undefined) return true;
  if (typeof port.port === "number") return p.port >= port.port && p.port <= (port.endPort ?? port.port);
  const target = input.pods.find((pod) => pod.ip === p.to);
  return (
    target?.ports.some((t) => t.name === port.port && t.port === p.port && t.protocol.toLowerCase() === p.protocol) ??
    false
  );
}
