/** The addresses behind a Service, as a template wants them. */
import type { EndpointSlice } from "../generated/types.ts";
import type { DeepReadonly } from "../../util/types.ts";

export interface TemplateEndpoint {
  readonly address: string;
  readonly port: number;
  readonly node: string;
  readonly zone: string;
  /** The Pod's name. */
  readonly pod: string;
}

const SERVICE = "kubernetes.io/service-name";

/**
 * `endpointslices | endpoints: "web", "http"`: the ready endpoints of the Service `web`, at its port of that name (any
 * name: the first port), each once, in the order of their addresses.
 */
export function endpointsOf(list: unknown, service: string, portName?: string): TemplateEndpoint[] {
  const slices = (Array.isArray(list) ? list : []) as readonly DeepReadonly<EndpointSlice>[];
  const found = new Map<string, TemplateEndpoint>();
  for (const slice of slices) {
    if (slice.metadata?.labels?.[SERVICE] !== service) continue;
    const port = slice.ports?.find((p) => portName === undefined || (p.name ?? "") === portName)?.port;
    if (port === undefined) continue;
    for (const e of slice.endpoints ?? []) {
      const [address] = e.addresses;
      if (address === undefined || e.conditions?.ready === false) continue;
      const { nodeName: node = "", zone = "", targetRef } = e;
      found.set(`${address}:${port}`, { address, port, node, zone, pod: targetRef?.name ?? "" });
    }
  }
  const inOrder = (a: TemplateEndpoint, b: TemplateEndpoint) =>
    a.address === b.address ? a.port - b.port : a.address < b.address ? -1 : 1;
  return [...found.values()].sort(inOrder);
}
