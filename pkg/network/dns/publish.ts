/**
 * DNS as a Service like any other: `kube-dns` in `kube-system`, with one endpoint a node, and traffic that stays on its
 * node. So the service proxy leads every Pod, and the host itself, to the node's own server.
 */
import { deepEqual } from "../../api/equal.ts";
import type { EndpointSlice, Service } from "../../api/generated/types.ts";
import { services } from "../../api/kinds/core/service.ts";
import { endpointSlices } from "../../api/kinds/discovery/endpointslice.ts";
import { isReason } from "../../api/status.ts";
import { DNS_NAMESPACE, DNS_SERVICE, dnsSliceName } from "../../api/traffic.ts";
import type { Client, ResourceClient } from "../../client/client.ts";
import type { ApiObject } from "../../api/object.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { SERVICE_NAME } from "./zone.ts";

/** By which network policies of others find the cluster's DNS. */
export const DNS_LABELS = { "k8s-app": DNS_SERVICE };
const MANAGER = "dns.mini-kube.io";

/** The Service's. */
export const DNS_PORTS = [
  { name: "dns", protocol: "UDP", port: 53 },
  { name: "dns-tcp", protocol: "TCP", port: 53 },
  { name: "metrics", protocol: "TCP", port: 9153 },
] as const;

export interface PublishedDns {
  readonly nodeName: string;
  /** The node's server listens there, and there are its metrics. */
  readonly address: string;
  readonly port: number;
  readonly metricsPort: number;
  /** Of the Service: what Pods have in their resolv.conf. */
  readonly serviceAddress: string;
}

/** Idempotent. The slice goes with its node. */
export async function publishDns(client: Client, o: PublishedDns, signal: AbortSignal): Promise<void> {
  const there = await missingIs(undefined, () => client.resource(services, DNS_NAMESPACE).get(DNS_SERVICE, signal));
  if (!there) await unlessThere(client.resource(services, DNS_NAMESPACE).create(serviceFor(o)));
  await ensureSlice(client.resource(endpointSlices, DNS_NAMESPACE), sliceFor(o), signal);
}

export function serviceFor({ serviceAddress }: Pick<PublishedDns, "serviceAddress">): ApiObject & Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: DNS_SERVICE,
      namespace: DNS_NAMESPACE,
      labels: { ...DNS_LABELS, "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS" },
    },
    spec: {
      clusterIP: serviceAddress,
      clusterIPs: [serviceAddress],
      internalTrafficPolicy: "Local",
      ports: DNS_PORTS.map((p) => ({ ...p, targetPort: p.port })),
    },
  };
}

export function sliceFor(o: Omit<PublishedDns, "serviceAddress">): ApiObject & EndpointSlice {
  const portOf = { dns: o.port, "dns-tcp": o.port, metrics: o.metricsPort };
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: dnsSliceName(o.nodeName),
      namespace: DNS_NAMESPACE,
      labels: { ...DNS_LABELS, [SERVICE_NAME]: DNS_SERVICE, "endpointslice.kubernetes.io/managed-by": MANAGER },
    },
    addressType: o.address.includes(":") ? "IPv6" : "IPv4",
    endpoints: [{ addresses: [o.address], conditions: { ready: true }, nodeName: o.nodeName }],
    ports: DNS_PORTS.map(({ name, protocol }) => ({ name, protocol, port: portOf[name] })),
  };
}

async function ensureSlice(
  slices: ResourceClient<EndpointSlice>,
  wanted: ApiObject & EndpointSlice,
  signal: AbortSignal,
): Promise<void> {
  const name = wanted.metadata.name ?? "";
  const there = await missingIs(undefined, () => slices.get(name, signal));
  if (!there) return unlessThere(slices.create(wanted));
  const says = ({ endpoints, ports }: DeepReadonly<EndpointSlice>) => ({ endpoints, ports });
  if (deepEqual(says(there), says(wanted))) return;
  await slices.patch(name, "application/merge-patch+json", says(wanted));
}

async function missingIs<T>(absent: T, get: () => Promise<T>): Promise<T> {
  try {
    return await get();
  } catch (error) {
    if (isReason(error, "NotFound")) return absent;
    throw error;
  }
}

async function unlessThere(created: Promise<unknown>): Promise<void> {
  await created.catch((error: unknown) => {
    if (!isReason(error, "AlreadyExists")) throw error;
  });
}
