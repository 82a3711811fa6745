/** Objects as a cluster would have them, for tables of routes. */
import type { EndpointSlice, Ingress, IngressBackend, Service } from "../../../api/generated/types.ts";
import { keyOf } from "../../../api/object.ts";
import { serviceKeyOf } from "../backends.ts";
import { buildTable, type Table } from "../table.ts";

export const toService = (name: string, port: number | string = 80): IngressBackend => ({
  service: { name, port: typeof port === "number" ? { number: port } : { name: port } },
});

/** `["example.com", "/api", "api"]`, the path's type before it where it is not Prefix: `"Exact /api"`. */
export type Rule = readonly [host: string, path: string, service: string];

export function ingress(name: string, rules: readonly Rule[], more: Partial<Ingress> = {}): Ingress {
  const { spec, metadata } = more;
  return {
    metadata: { namespace: "default", name, uid: name, creationTimestamp: "2026-01-01T00:00:00Z", ...metadata },
    spec: {
      ingressClassName: "mini-kube",
      rules: rules.map(([host, text, service]) => {
        const [path = "/", pathType = "Prefix"] = text.split(" ").toReversed();
        return { ...(host && { host }), http: { paths: [{ path, pathType, backend: toService(service) }] } };
      }),
      ...spec,
    },
  };
}

export const service = (name: string): Service => ({
  metadata: { namespace: "default", name },
  spec: { ports: [{ name: "http", port: 80, targetPort: "web" }] },
});

export type Condition = "ready" | "leaving" | "dead" | "starting";

const CONDITIONS = {
  ready: { ready: true, serving: true, terminating: false },
  leaving: { ready: false, serving: true, terminating: true },
  dead: { ready: false, serving: false, terminating: true },
  starting: { ready: false, serving: false, terminating: false },
};

/** `{ "10.0.0.1": "ready" }` */
export const slice = (of: string, endpoints: Readonly<Record<string, Condition>>, port = 8080): EndpointSlice => ({
  metadata: { namespace: "default", name: `${of}-x`, labels: { "kubernetes.io/service-name": of } },
  addressType: "IPv4",
  endpoints: Object.entries(endpoints).map(([address, c]) => ({ addresses: [address], conditions: CONDITIONS[c] })),
  ports: [{ name: "http", port, protocol: "TCP" }],
});

export interface Objects {
  readonly ingresses: readonly Ingress[];
  readonly services?: readonly Service[];
  readonly slices?: readonly EndpointSlice[];
  /** Keys of Secrets that are missing. */
  readonly missing?: readonly string[];
}

export function tableOf({ ingresses, services = [], slices = [], missing = [] }: Objects): Table {
  return buildTable({
    ingresses,
    service: (key) => services.find((s) => keyOf(s) === key),
    slices: (key) => slices.filter((s) => serviceKeyOf(s) === key),
    secretProblem: (key) => (missing.includes(key) ? `secret "${key}" not found` : undefined),
  });
}
