/** Which endpoints there should be, from a Service and its Pods, or from Endpoints that a user wrote. Pure. */
import type {
  Endpoint,
  EndpointAddress,
  Endpoints,
  Node,
  Pod,
  DiscoveryV1EndpointPort,
} from "../../api/generated/types.ts";
import { isReady } from "../../api/pod.ts";
import type { DeepReadonly } from "../../util/types.ts";
import {
  addressOf,
  changedAt,
  familyOf,
  hostnameOf,
  isTarget,
  type ReadonlyService,
  targetPorts,
  targetRef,
} from "../endpoints/targets.ts";

type ReadonlyPod = DeepReadonly<Pod>;

export interface WantedEndpoint {
  readonly endpoint: Endpoint;
  /** When it became so, where that is known. */
  readonly since?: string | undefined;
}

/** Endpoints at the same ports: only they may share a slice. */
export interface PortGroup {
  readonly ports: readonly DiscoveryV1EndpointPort[];
  readonly endpoints: readonly WantedEndpoint[];
}

const ZONE = "topology.kubernetes.io/zone";
/** Per subset of hand-written Endpoints. */
const MAX_MIRRORED = 1000;

/** One family's endpoints of a Service. `nodeOf`: undefined for a node that is not (or no longer) there. */
export function fromPods(
  service: ReadonlyService,
  pods: readonly ReadonlyPod[],
  family: string,
  nodeOf: (name: string) => DeepReadonly<Node> | undefined,
): readonly PortGroup[] {
  const groups = new Map<string, { ports: DiscoveryV1EndpointPort[]; endpoints: WantedEndpoint[] }>();
  for (const pod of pods) {
    const ip = addressOf(pod, family);
    const node = nodeOf(pod.spec?.nodeName ?? "");
    // A Pod whose node is gone runs no more, as far as anybody knows.
    const lost = !node && pod.spec?.nodeName !== undefined && !service.spec?.publishNotReadyAddresses;
    if (!isTarget(service, pod) || ip === undefined || lost) continue;
    const ports = targetPorts(service, pod).map((p) => ({ name: p.name ?? "", ...p }));
    const key = portsKey(ports);
    const group = groups.get(key) ?? { ports, endpoints: [] };
    groups.set(key, group);
    group.endpoints.push({ endpoint: endpointOf(service, pod, ip, node), since: changedAt(pod) });
  }
  return [...groups.values()];
}

function endpointOf(
  service: ReadonlyService,
  pod: ReadonlyPod,
  ip: string,
  node: DeepReadonly<Node> | undefined,
): Endpoint {
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const serving = isReady(pod);
  const ready = service.spec?.publishNotReadyAddresses === true || (serving && !terminating);
  const hostname = hostnameOf(service, pod);
  const nodeName = pod.spec?.nodeName;
  const zone = node?.metadata.labels?.[ZONE];
  const hints = ready ? hintsFor(service.spec?.trafficDistribution, zone, nodeName) : undefined;
  return {
    addresses: [ip],
    conditions: { ready, serving, terminating },
    ...(hostname && { hostname }),
    ...(nodeName && { nodeName }),
    ...(zone && { zone }),
    targetRef: targetRef(pod),
    ...(hints && { hints }),
  };
}

/** Clients of a Service that wants its traffic kept near should take this endpoint. */
function hintsFor(wish: string | undefined, zone: string | undefined, node: string | undefined): Endpoint["hints"] {
  const near = wish === "PreferClose" || wish === "PreferSameZone" || wish === "PreferSameNode";
  if (!near) return undefined;
  const forNodes = wish === "PreferSameNode" && node ? [{ name: node }] : undefined;
  const forZones = zone ? [{ name: zone }] : undefined;
  return forNodes || forZones ? { ...(forZones && { forZones }), ...(forNodes && { forNodes }) } : undefined;
}

/** One family's endpoints of Endpoints that a user keeps by hand. */
export function fromEndpoints({ subsets = [] }: DeepReadonly<Endpoints>, family: string): readonly PortGroup[] {
  const groups = new Map<string, { ports: DiscoveryV1EndpointPort[]; endpoints: WantedEndpoint[] }>();
  for (const s of subsets) {
    const ports = (s.ports ?? []).map((p) => ({ ...p, name: p.name ?? "", protocol: p.protocol ?? "TCP" }));
    const key = portsKey(ports);
    const group = groups.get(key) ?? { ports, endpoints: [] };
    const all = [
      ...(s.addresses ?? []).map((a) => mirrored(a, true)),
      ...(s.notReadyAddresses ?? []).map((a) => mirrored(a, false)),
    ];
    const own = all.filter(({ endpoint }) => familyOf(endpoint.addresses[0] ?? "") === family).slice(0, MAX_MIRRORED);
    if (own.length === 0) continue;
    group.endpoints.push(...own);
    groups.set(key, group);
  }
  return [...groups.values()];
}

function mirrored(a: DeepReadonly<EndpointAddress>, ready: boolean): WantedEndpoint {
  const { ip, hostname, nodeName, targetRef: target } = a;
  return {
    endpoint: {
      addresses: [ip],
      conditions: { ready },
      ...(hostname && { hostname }),
      ...(nodeName && { nodeName }),
      ...(target && { targetRef: { ...target } }),
    },
  };
}

/** The same for the same ports, in whatever order they are written. */
export function portsKey(ports: DeepReadonly<DiscoveryV1EndpointPort[]> | undefined): string {
  const texts = (ports ?? []).map((p) => JSON.stringify([p.name ?? "", p.protocol ?? "TCP", p.port, p.appProtocol]));
  return texts.toSorted().join();
}
