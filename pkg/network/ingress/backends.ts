/** Which addresses stand behind a Service's port. Pure. */
import type { EndpointSlice, IngressServiceBackend, Service } from "../../api/generated/types.ts";
import { namespaceOf } from "../../api/object.ts";
import type { DeepReadonly } from "../../util/types.ts";

/** One address that answers requests. */
export interface Endpoint {
  /** `10.244.1.7:8080`, what its connections and its load are kept under. */
  readonly key: string;
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
}

export interface Backend {
  /** `default/web:http` */
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
  /** Why there are none: what a client is answered. */
  readonly missing?: string;
}

export const SERVICE_LABEL = "kubernetes.io/service-name";

/** Under which an EndpointSlice is found from the Service that it is of. */
export const serviceKeyOf = (s: DeepReadonly<EndpointSlice>): string =>
  `${namespaceOf(s)}/${s.metadata.labels?.[SERVICE_LABEL] ?? ""}`;

export interface BackendView {
  readonly service: (key: string) => DeepReadonly<Service> | undefined;
  readonly slices: (serviceKey: string) => readonly DeepReadonly<EndpointSlice>[];
}

export function backendOf(namespace: string, b: DeepReadonly<IngressServiceBackend>, view: BackendView): Backend {
  const key = `${namespace}/${b.name}`;
  const name = `${key}:${b.port?.name ?? b.port?.number ?? ""}`;
  const none = (missing: string): Backend => ({ name, endpoints: [], missing });
  const service = view.service(key);
  if (!service) return none(`service "${key}" not found`);
  if (service.spec?.type === "ExternalName") return none(`service "${key}" is an ExternalName, which is not routed to`);
  const port = (service.spec?.ports ?? []).find((p) =>
    b.port?.name === undefined ? p.port === b.port?.number : p.name === b.port.name,
  );
  if (!port) return none(`service "${key}" has no port ${b.port?.name ?? b.port?.number ?? ""}`);
  const tls = /^(https|kubernetes\.io\/wss)$/i.test(port.appProtocol ?? "");
  const endpoints = endpointsOf(view.slices(key), port.name ?? "", tls);
  return endpoints.length > 0 ? { name, endpoints } : none(`service "${key}" has no ready endpoints`);
}

/** Those that are ready; where none is, those on their way out that still serve. Each address once, in order. */
function endpointsOf(slices: readonly DeepReadonly<EndpointSlice>[], portName: string, tls: boolean): Endpoint[] {
  const [ready, leaving] = [new Map<string, Endpoint>(), new Map<string, Endpoint>()];
  for (const slice of slices) {
    const port = slice.ports?.find((p) => (p.name ?? "") === portName && (p.protocol ?? "TCP") === "TCP")?.port;
    if (port === undefined || slice.addressType === "FQDN") continue;
    for (const { addresses, conditions: c } of slice.endpoints ?? []) {
      const isReady = c?.ready ?? true;
      if (!isReady && !(c?.serving && c.terminating)) continue;
      const host = addresses[0] ?? "";
      const key = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
      (isReady ? ready : leaving).set(key, { key, host, port, tls });
    }
  }
  const chosen = ready.size > 0 ? ready : leaving;
  return [...chosen.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}
