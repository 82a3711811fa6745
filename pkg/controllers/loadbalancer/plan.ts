/**
 * Which address a Service of type LoadBalancer has: those of the nodes, whose proxies listen there for it. Pure.
 *
 *  L1  Two Services never have the same port of the same protocol at the nodes' addresses: the older keeps it.
 *  L2  One that cannot have its ports there gets its ClusterIP as its address, and is told: it is never left pending.
 */
import type { EndpointSlice, LoadBalancerIngress, Node, Service } from "../../api/generated/types.ts";
import { keyOf, type ObjectKey } from "../../api/object.ts";
import { condition } from "../../api/pod.ts";
import { isLoadBalancer } from "../../api/service.ts";
import type { DeepReadonly } from "../../util/types.ts";

type ReadonlyService = DeepReadonly<Service>;

/** What is ours among the classes; and whatever names none. */
export const LOAD_BALANCER_CLASS = "mini-kube.io/node";
const EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers";

export interface LoadBalancerPlan {
  readonly service: ReadonlyService;
  readonly ingress: readonly LoadBalancerIngress[];
  /** Why it did not get the nodes' addresses. */
  readonly refused?: string;
}

export interface LoadBalancerFacts {
  readonly services: readonly ReadonlyService[];
  readonly nodes: readonly DeepReadonly<Node>[];
  readonly slicesOf: (service: ReadonlyService) => readonly DeepReadonly<EndpointSlice>[];
  /** `TCP/6443` → who has it already. */
  readonly taken: ReadonlyMap<string, string>;
}

/** Those whose status is not as it should be. */
export function planLoadBalancers(f: LoadBalancerFacts): readonly LoadBalancerPlan[] {
  const ours = f.services.filter((s) => isOurs(s)).toSorted(bySeniority);
  const holders = new Map(f.taken);
  const plans = ours.map((service) => planOne(service, f, holders));
  const former = f.services.filter((s) => !isLoadBalancer(s.spec ?? {})).map((service) => ({ service, ingress: [] }));
  return [...plans, ...former].filter(({ service, ingress }) => !sameIngress(service, ingress));
}

function isOurs({ spec = {}, metadata }: ReadonlyService): boolean {
  const ofClass = spec.loadBalancerClass ?? LOAD_BALANCER_CLASS;
  return isLoadBalancer(spec) && ofClass === LOAD_BALANCER_CLASS && metadata.deletionTimestamp === undefined;
}

function planOne(service: ReadonlyService, f: LoadBalancerFacts, holders: Map<string, string>): LoadBalancerPlan {
  const { spec = {} } = service;
  const wanted = (spec.ports ?? []).map((p) => `${p.protocol ?? "TCP"}/${p.port}`);
  const held = wanted.find((port) => holders.has(port));
  if (held !== undefined) {
    const refused = `port ${held} of the nodes' addresses is used by ${holders.get(held)}; reachable at its ClusterIP only`;
    return { service, ingress: spec.clusterIP ? [virtual(spec.clusterIP)] : [], refused };
  }
  for (const port of wanted) holders.set(port, keyOf(service));
  const addresses = [...new Set(f.nodes.filter((n) => serves(n, service, f)).flatMap((n) => addressOf(n) ?? []))];
  const asked = addresses.filter((a) => a === spec.loadBalancerIP);
  return { service, ingress: (asked.length > 0 ? asked : addresses.toSorted()).map(virtual) };
}

const virtual = (ip: string): LoadBalancerIngress => ({ ip, ipMode: "VIP" });

/** Where traffic must stay on the node it comes to, only nodes with an endpoint are worth an address. */
function serves(node: DeepReadonly<Node>, service: ReadonlyService, f: LoadBalancerFacts): boolean {
  const alive = condition(node.status?.conditions, "Ready")?.status === "True";
  if (!alive || node.metadata.labels?.[EXCLUDED] !== undefined) return false;
  if (service.spec?.externalTrafficPolicy !== "Local") return true;
  const endpoints = f.slicesOf(service).flatMap((s) => s.endpoints ?? []);
  return endpoints.some((e) => e.nodeName === node.metadata.name && e.conditions?.ready !== false);
}

function addressOf(node: DeepReadonly<Node>): string | undefined {
  const of = (type: string) =>
    node.status?.addresses?.find((a) => a.type === type && !a.address.includes(":"))?.address;
  return of("ExternalIP") ?? of("InternalIP");
}

/** Who has an address of the nodes already comes first. */
function bySeniority(a: ReadonlyService, b: ReadonlyService): number {
  return seniority(a) < seniority(b) ? -1 : 1;
}

function seniority(s: ReadonlyService): string {
  const held = s.status?.loadBalancer?.ingress?.some((i) => i.ip !== s.spec?.clusterIP) ?? false;
  return `${held ? 0 : 1} ${s.metadata.creationTimestamp ?? ""} ${keyOf(s)}`;
}

function sameIngress(service: ReadonlyService, wanted: readonly LoadBalancerIngress[]): boolean {
  const text = (all: DeepReadonly<LoadBalancerIngress[]>) => all.map((i) => `${i.ip ?? i.hostname} ${i.ipMode}`).join();
  return text(service.status?.loadBalancer?.ingress ?? []) === text(wanted);
}

/** What the cluster itself listens on at the nodes' addresses. */
export function takenPorts(
  nodes: readonly DeepReadonly<Node>[],
  apiServers: readonly DeepReadonly<EndpointSlice>[],
): ReadonlyMap<ObjectKey, string> {
  const agents = nodes.flatMap((n) => n.status?.daemonEndpoints?.kubeletEndpoint?.Port ?? []);
  const servers = apiServers.flatMap((s) => (s.ports ?? []).flatMap((p) => p.port ?? []));
  return new Map([
    ...agents.map((port) => [`TCP/${port}`, "the node's agent"] as const),
    ...servers.map((port) => [`TCP/${port}`, "the API server"] as const),
  ]);
}
