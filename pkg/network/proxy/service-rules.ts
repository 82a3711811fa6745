/**
 * What one Service adds to the table of a node. Pure.
 *
 * An address and port where clients find a Service is a *front*. Which chain a packet to it goes to, a verdict map tells;
 * the chain (`cluster-tcp-3`) throws a die of three sides and asks a second map which endpoint is behind the front and the
 * number. So a packet costs two look-ups however many Services there are, chains depend on how many endpoints a Service
 * can have but not on which, and a change of endpoints is a change of elements alone.
 */
import type { ServicePort } from "../../api/generated/types.ts";
import { nameOf, namespaceOf } from "../../api/object.ts";
import { isHeadless, isLoadBalancer, needsClusterIp } from "../../api/service.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { Chain, NftSet } from "../nft/ruleset.ts";
import { affinityRules } from "./affinity.ts";
import { type Backend, backendsOf, type NodeFacts, type ReadonlyService, type ReadonlySlice } from "./backends.ts";
import { type Balancer, balancerName, type MapName, type Protocol, type SetName, type View, VIEWS } from "./tables.ts";

export interface ServiceRules {
  readonly maps: Partial<Record<MapName, readonly (readonly [key: string, value: string])[]>>;
  readonly sets: Partial<Record<SetName, readonly string[]>>;
  /** Chains that it shares with other Services. */
  readonly balancers: readonly Balancer[];
  /** Its own, if it has any. */
  readonly chains: Readonly<Record<string, Chain>>;
  readonly dynamicSets: Readonly<Record<string, NftSet>>;
}

export const NO_RULES: ServiceRules = { maps: {}, sets: {}, balancers: [], chains: {}, dynamicSets: {} };

const DEFAULT_AFFINITY_SECONDS = 10_800;
const OTHER_PROXY = "service.kubernetes.io/service-proxy-name";

/** Where packets to a front come from and where they may go. */
interface Front {
  /** Undefined: any address of the node. */
  readonly address: string | undefined;
  readonly port: number;
  readonly protocol: Protocol;
  readonly view: View;
  readonly backends: readonly Backend[];
  /** What becomes of packets where no backend is left. */
  readonly otherwise: "reject" | "drop";
}

export function serviceRules(
  service: ReadonlyService,
  slices: readonly ReadonlySlice[],
  facts: NodeFacts,
): ServiceRules {
  const { spec = {} } = service;
  const proxied = needsClusterIp(spec) && !isHeadless(spec) && service.metadata.labels?.[OTHER_PROXY] === undefined;
  if (!proxied || !spec.clusterIP || spec.clusterIP.includes(":")) return NO_RULES;
  const rules = new Builder(service);
  rules.set("cluster-ips", spec.clusterIP);
  for (const port of spec.ports ?? []) {
    for (const front of frontsOf(service, port, slices, facts)) rules.front(front, port);
    for (const address of externalAddresses(service).balancers) {
      const key = keyOf({ address, port: port.port, protocol: protocolOf(port) });
      rules.limitSources(key, spec.loadBalancerSourceRanges ?? []);
    }
  }
  return rules.done();
}

const protocolOf = (p: DeepReadonly<ServicePort>) => (p.protocol ?? "TCP").toLowerCase() as Protocol;
const keyOf = (f: Pick<Front, "address" | "port" | "protocol">) =>
  f.address === undefined ? `${f.protocol} . ${f.port}` : `${f.address} . ${f.protocol} . ${f.port}`;

/** Every front of a port, once for the Pods and the node itself and, if it is open to others, once for those. */
function frontsOf(
  service: ReadonlyService,
  port: DeepReadonly<ServicePort>,
  slices: readonly ReadonlySlice[],
  facts: NodeFacts,
): readonly Front[] {
  const { spec = {} } = service;
  const { cluster, local, anywhere } = backendsOf(port, slices, facts);
  // Somebody else may have an endpoint and be asked instead: then silence, not a refusal, makes clients look there.
  const otherwise = anywhere ? "drop" : "reject";
  const inside = spec.internalTrafficPolicy === "Local" ? local : cluster;
  const only = spec.externalTrafficPolicy === "Local";
  const outside = only ? local : cluster;
  const { balancers, external } = externalAddresses(service);
  const addresses = [...balancers, ...external];
  const protocol = protocolOf(port);
  const at = (view: View, backends: readonly Backend[]) => (address: string) =>
    ({ address, port: port.port, protocol, view, backends, otherwise }) as const;
  const atNode = (view: View, backends: readonly Backend[]): readonly Front[] =>
    port.nodePort ? [{ address: undefined, port: port.nodePort, protocol, view, backends, otherwise }] : [];
  return [
    ...[spec.clusterIP ?? ""].map(at("cluster", inside)),
    ...addresses.map(at(only ? "local" : "external", outside)),
    ...atNode(only ? "node-local" : "node-external", outside),
    ...atNode("loopback", local),
    // Whoever is inside the cluster reaches all of it by whichever door.
    ...(only ? [...addresses.map(at("cluster", cluster)), ...atNode("node-cluster", cluster)] : []),
  ];
}

/** Where clients outside find it: given by a load balancer, and given by its owner. */
function externalAddresses({ spec = {}, status }: ReadonlyService) {
  const ingress = isLoadBalancer(spec) ? (status?.loadBalancer?.ingress ?? []) : [];
  const given = ingress.flatMap((i) => (i.ip && i.ipMode !== "Proxy" ? [i.ip] : []));
  const own = (ips: readonly string[]) => [...new Set(ips)].filter((ip) => !ip.includes(":") && ip !== spec.clusterIP);
  const balancers = own(given);
  return { balancers, external: own(spec.externalIPs ?? []).filter((ip) => !balancers.includes(ip)) };
}

class Builder {
  readonly #service: ReadonlyService;
  readonly #maps: Partial<Record<MapName, (readonly [string, string])[]>> = {};
  readonly #sets: Partial<Record<SetName, string[]>> = {};
  readonly #balancers = new Map<string, Balancer>();
  #chains: Record<string, Chain> = {};
  #dynamicSets: Record<string, NftSet> = {};

  constructor(service: ReadonlyService) {
    this.#service = service;
  }

  done(): ServiceRules {
    const [maps, sets] = [this.#maps, this.#sets];
    return {
      maps,
      sets,
      balancers: [...this.#balancers.values()],
      chains: this.#chains,
      dynamicSets: this.#dynamicSets,
    };
  }

  set(name: SetName, element: string): void {
    (this.#sets[name] ??= []).push(element);
  }

  front(front: Front, port: DeepReadonly<ServicePort>): void {
    const { view, protocol, backends } = front;
    const { fronts, endpoints, unserved } = VIEWS[view];
    const key = keyOf(front);
    const size = backends.length;
    for (const b of backends) if (b.local) this.set("hairpin", `${b.address} . ${b.address}`);
    if (size === 0) {
      if (unserved) this.#map(unserved, key, front.otherwise === "drop" ? "drop" : "goto refuse");
      return;
    }
    if (this.#service.spec?.sessionAffinity === "ClientIP") return this.#sticky(front, port);
    const balancer = { view, protocol, size };
    this.#balancers.set(balancerName(balancer), balancer);
    this.#map(fronts, key, `goto ${balancerName(balancer)}`);
    const numbered = [...(front.address === undefined ? [] : [front.address]), front.port].join(" . ");
    backends.forEach((b, i) => this.#map(`${endpoints}-${protocol}`, `${numbered} . ${i}`, `${b.address} . ${b.port}`));
  }

  #sticky(front: Front, port: DeepReadonly<ServicePort>): void {
    const { view, protocol, backends } = front;
    const name = `${namespaceOf(this.#service)}/${nameOf(this.#service)}/${protocol}/${port.port}`;
    const seconds = this.#service.spec?.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? DEFAULT_AFFINITY_SECONDS;
    const own = affinityRules({ name, view, backends, protocol, seconds });
    this.#chains = { ...this.#chains, ...own.chains };
    this.#dynamicSets = { ...this.#dynamicSets, ...own.sets };
    this.#map(VIEWS[view].fronts, keyOf(front), `goto ${own.entry}`);
  }

  /** Packets to a load balancer's address from elsewhere are dropped. */
  limitSources(key: string, ranges: readonly string[]): void {
    const own = ranges.map((r) => r.trim()).filter((r) => r !== "" && !r.includes(":"));
    if (own.length === 0) return;
    this.set("source-limited", key);
    for (const range of own) this.set("source-allowed", `${key} . ${range}`);
  }

  #map(name: MapName, key: string, value: string): void {
    (this.#maps[name] ??= []).push([key, value]);
  }
}
