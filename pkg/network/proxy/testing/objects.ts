/** Services and their slices, as the API serves them, for tests of the proxy. */
import type { Endpoint, EndpointSlice, Service, ServicePort, ServiceSpec } from "../../../api/generated/types.ts";
import type { NodeFacts } from "../backends.ts";

export const FACTS: NodeFacts = { nodeName: "n1", zone: "a", podCidrs: ["10.244.0.0/24", "10.244.1.0/24"] };

export function serviceOf(name: string, spec: Partial<ServiceSpec> & { port?: Partial<ServicePort> }): Service {
  const { port, ...rest } = spec;
  const clusterIP = rest.clusterIP ?? "10.96.0.5";
  const ports = rest.ports ?? [{ port: 80, protocol: "TCP", ...port }];
  return {
    metadata: { namespace: "default", name },
    spec: { type: "ClusterIP", clusterIP, clusterIPs: [clusterIP], ...rest, ports },
  };
}

export interface EndpointShorthand {
  readonly node?: string;
  /** Default: ready. */
  readonly state?: "ready" | "unready" | "terminating" | "gone";
  readonly hints?: Endpoint["hints"];
}

const CONDITIONS = {
  ready: { ready: true, serving: true, terminating: false },
  unready: { ready: false, serving: false, terminating: false },
  terminating: { ready: false, serving: true, terminating: true },
  gone: { ready: false, serving: false, terminating: true },
};

export function sliceOf(
  endpoints: Readonly<Record<string, EndpointShorthand>>,
  port: { name?: string; port?: number; protocol?: string } = {},
): EndpointSlice {
  return {
    metadata: { namespace: "default", name: "slice" },
    addressType: "IPv4",
    ports: [{ name: port.name ?? "", port: port.port ?? 8080, protocol: port.protocol ?? "TCP" }],
    endpoints: Object.entries(endpoints).map(([address, { node = "n1", state = "ready", hints }]) => ({
      addresses: [address],
      nodeName: node,
      conditions: CONDITIONS[state],
      ...(hints && { hints }),
    })),
  };
}
