/** Which endpoints get the traffic of a Service's port on this node, as Kubernetes' proxies choose them. Pure. */
import type { Endpoint, EndpointSlice, Node, Service, ServicePort } from "../../api/generated/types.ts";
import type { DeepReadonly } from "../../util/types.ts";

export type ReadonlyService = DeepReadonly<Service>;
export type ReadonlySlice = DeepReadonly<EndpointSlice>;
type ReadonlyEndpoint = DeepReadonly<Endpoint>;

/** What the choice depends on of the node that makes it. */
export interface NodeFacts {
  readonly nodeName: string;
  readonly zone: string | undefined;
  /** The CIDRs of Pods. Empty: not known; then whoever asks counts as a Pod. */
  readonly podCidrs: readonly string[];
}

export interface Backend {
  readonly address: string;
  readonly port: number;
  /** On this node. */
  readonly local: boolean;
}

export interface Backends {
  /** For traffic that may go to any node. */
  readonly cluster: readonly Backend[];
  /** For traffic that must stay on this node. */
  readonly local: readonly Backend[];
  /** Some node has one, be it that this one has none. */
  readonly anywhere: boolean;
}

const ZONE = "topology.kubernetes.io/zone";

export function nodeFacts(nodeName: string, nodes: readonly DeepReadonly<Node>[]): NodeFacts {
  const own = nodes.find((n) => n.metadata.name === nodeName);
  const cidrs = nodes.flatMap((n) => n.spec?.podCIDRs ?? (n.spec?.podCIDR ? [n.spec.podCIDR] : []));
  const podCidrs = [...new Set(cidrs.filter((c) => !c.includes(":")))].toSorted();
  return { nodeName, zone: own?.metadata.labels?.[ZONE], podCidrs };
}

export function backendsOf(
  port: DeepReadonly<ServicePort>,
  slices: readonly ReadonlySlice[],
  facts: NodeFacts,
): Backends {
  const candidates = candidatesOf(port, slices, facts);
  const local = usable(candidates.filter((c) => c.backend.local));
  const cluster = usable(candidates, (ready) => nearby(ready, facts));
  return { cluster: sorted(cluster), local: sorted(local), anywhere: cluster.length > 0 };
}

interface Candidate {
  readonly endpoint: ReadonlyEndpoint;
  readonly backend: Backend;
}

/** By address and port: while an endpoint moves from slice to slice, it may be in two. */
function candidatesOf(
  port: DeepReadonly<ServicePort>,
  slices: readonly ReadonlySlice[],
  facts: NodeFacts,
): readonly Candidate[] {
  const found = new Map<string, Candidate>();
  for (const slice of slices) {
    if (slice.addressType !== "IPv4") continue;
    const number = slice.ports?.find((p) => (p.name ?? "") === (port.name ?? ""))?.port;
    if (number === undefined) continue;
    for (const endpoint of slice.endpoints ?? []) {
      const address = endpoint.addresses[0];
      if (address === undefined) continue;
      const key = `${address}:${number}`;
      const earlier = found.get(key);
      if (earlier && isReady(earlier.endpoint)) continue;
      found.set(key, {
        endpoint,
        backend: { address, port: number, local: endpoint.nodeName === facts.nodeName },
      });
    }
  }
  return [...found.values()];
}

const isReady = (e: ReadonlyEndpoint) => e.conditions?.ready !== false;
const servesStill = (e: ReadonlyEndpoint) => e.conditions?.terminating === true && e.conditions.serving !== false;

/** Those that are ready; where there is none, those on their way out that still answer: better than to refuse. */
function usable(
  candidates: readonly Candidate[],
  prefer: (ready: readonly Candidate[]) => readonly Candidate[] = (ready) => ready,
): readonly Candidate[] {
  const ready = candidates.filter((c) => isReady(c.endpoint));
  return ready.length > 0 ? prefer(ready) : candidates.filter((c) => servesStill(c.endpoint));
}

/** By the hints, if all endpoints have them and one is meant for us: half a set of hints would overload some. */
function nearby(ready: readonly Candidate[], { nodeName, zone }: NodeFacts): readonly Candidate[] {
  const nodesOf = (c: Candidate) => (c.endpoint.hints?.forNodes ?? []).map((n) => n.name);
  const zonesOf = (c: Candidate) => (c.endpoint.hints?.forZones ?? []).map((z) => z.name);
  for (const [hints, own] of [
    [nodesOf, nodeName],
    [zonesOf, zone],
  ] as const) {
    if (own === undefined || ready.some((c) => hints(c).length === 0)) continue;
    const meant = ready.filter((c) => hints(c).includes(own));
    if (meant.length > 0) return meant;
  }
  return ready;
}

/** The same endpoints in the same order, whatever order they came in: so that nothing changes where nothing did. */
const sorted = (candidates: readonly Candidate[]): readonly Backend[] =>
  candidates
    .map((c) => c.backend)
    .toSorted((a, b) => (a.address === b.address ? a.port - b.port : a.address < b.address ? -1 : 1));
