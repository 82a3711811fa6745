/** A zone for tests: whatever objects they say. */
import type { EndpointSlice, Service } from "../../../api/generated/types.ts";
import { nameOf, namespaceOf } from "../../../api/object.ts";
import { SERVICE_NAME, type Zone } from "../zone.ts";

export interface ZoneObjects {
  readonly namespaces?: readonly string[];
  readonly services?: readonly Service[];
  readonly slices?: readonly EndpointSlice[];
}

export function zoneOf({ namespaces = ["default"], services = [], slices = [] }: ZoneObjects): Zone {
  return {
    domain: "cluster.local",
    dnsAddress: "10.96.0.10",
    serial: 42,
    hasNamespace: (name) => namespaces.includes(name),
    service: (namespace, name) => services.find((s) => nameOf(s) === name && namespaceOf(s) === namespace),
    slices: (namespace, name) =>
      slices.filter((s) => s.metadata.labels?.[SERVICE_NAME] === name && namespaceOf(s) === namespace),
    serviceAt: (ip) => services.find((s) => s.spec?.clusterIPs?.includes(ip)),
    slicesAt: (ip) => slices.filter((s) => s.endpoints?.some((e) => e.addresses.includes(ip))),
  };
}

type ServiceSpec = NonNullable<Service["spec"]>;

export const service = (name: string, spec: ServiceSpec, namespace = "default"): Service => ({
  metadata: { name, namespace },
  spec: { ...(spec.clusterIP !== undefined && { clusterIPs: [spec.clusterIP] }), ...spec },
});

export const slice = (
  of: string,
  endpoints: NonNullable<EndpointSlice["endpoints"]>,
  ports: NonNullable<EndpointSlice["ports"]> = [],
): EndpointSlice => ({
  addressType: "IPv4",
  metadata: { name: `${of}-1`, namespace: "default", labels: { [SERVICE_NAME]: of } },
  endpoints,
  ports,
});
