/** The Service by which Pods find the API server: `kubernetes` in `default`, and where it really is. */
import { deepEqual } from "../api/equal.ts";
import type { Endpoints, EndpointSlice, Service } from "../api/generated/types.ts";
import { endpoints } from "../api/kinds/core/endpoints.ts";
import { endpointSlices } from "../api/kinds/discovery/endpointslice.ts";
import type { ApiObject } from "../api/object.ts";
import { isReason } from "../api/status.ts";
import type { Client, ResourceClient } from "../client/client.ts";
import type { DeepReadonly } from "../util/types.ts";

const NAME = "kubernetes";
const NAMESPACE = "default";
/** The first of the range that Services' addresses are from (admission/service-addresses.ts). */
export const KUBERNETES_SERVICE_IP = "10.96.0.1";
const HTTPS = { name: "https", protocol: "TCP" };

/** Its endpoints are no Pods, so it selects none. */
export const KUBERNETES_SERVICE: ApiObject & Service = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: NAME, namespace: NAMESPACE, labels: { component: "apiserver", provider: NAME } },
  spec: {
    type: "ClusterIP",
    clusterIP: KUBERNETES_SERVICE_IP,
    clusterIPs: [KUBERNETES_SERVICE_IP],
    ports: [{ ...HTTPS, port: 443, targetPort: 6443 }],
    sessionAffinity: "None",
  },
};

export interface PublishOptions {
  /** As the API server itself. */
  readonly client: Client;
  /** Reachable from Pods: no loopback. */
  readonly address: string;
  readonly port: number;
}

/** Says where this API server listens. Idempotent; both objects are this server's alone. */
export async function publishEndpoint({ client, address, port }: PublishOptions): Promise<void> {
  const ports = [{ ...HTTPS, port }];
  const list: Endpoints = {
    metadata: {
      name: NAME,
      namespace: NAMESPACE,
      labels: { "endpointslice.kubernetes.io/skip-mirror": "true" },
    },
    subsets: [{ addresses: [{ ip: address }], ports }],
  };
  const slice: EndpointSlice = {
    metadata: { name: NAME, namespace: NAMESPACE, labels: { "kubernetes.io/service-name": NAME } },
    addressType: address.includes(":") ? "IPv6" : "IPv4",
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
    ports,
  };
  await Promise.all([
    ensure(client.resource<Endpoints>(endpoints, NAMESPACE), list, (o) => [o.subsets, o.metadata.labels]),
    ensure(client.resource<EndpointSlice>(endpointSlices, NAMESPACE), slice, (o) => [o.endpoints, o.ports]),
  ]);
}

async function ensure<T extends ApiObject>(
  api: ResourceClient<T>,
  wanted: T,
  said: (o: DeepReadonly<T>) => unknown,
): Promise<void> {
  const found = await api.get(NAME).catch((error: unknown) => {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  });
  const next = wanted as DeepReadonly<T>;
  if (!found) await api.create(next);
  else if (!deepEqual(said(found), said(next))) {
    // The address type of a slice never changes.
    await api.delete(NAME);
    await api.create(next);
  }
}
