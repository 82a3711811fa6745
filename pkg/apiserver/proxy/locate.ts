/** What a name below `proxy` means, and which Pod answers for it. Pure; in Kubernetes' words. */
import type { Endpoints, EndpointSlice, Pod, Service } from "../../api/generated/types.ts";
import { nameOf, namespaceOf } from "../../api/object.ts";
import { ApiError, badRequest } from "../../api/status.ts";
import type { Random } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";

/** `[SCHEME:]NAME[:PORT]` */
export interface ProxyName {
  readonly scheme: "http" | "https";
  readonly name: string;
  /** A number or, of a Service, a name; empty: none is said. */
  readonly port: string;
}

export interface PodPort {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

/** Throws BadRequest. `what` is the kind, for the error. */
export function parseProxyName(text: string, what: "pod" | "service" | "node"): ProxyName {
  const invalid = badRequest(`invalid ${what} request ${JSON.stringify(text)}`);
  const parts = text.split(":");
  const [first = "", second = "", third = ""] = parts;
  if (parts.length > 3) throw invalid;
  if (parts.length < 3) {
    if (first === "") throw invalid;
    return { scheme: "http", name: first, port: second };
  }
  if ((first !== "" && first !== "http" && first !== "https") || second === "") throw invalid;
  return { scheme: first === "https" ? "https" : "http", name: second, port: third };
}

/** The port named, else the first that a container declares, else the scheme's own. Throws BadRequest. */
export function podPort(pod: DeepReadonly<Pod>, { port, scheme }: ProxyName): PodPort {
  const declared = (pod.spec?.containers ?? []).flatMap((c) => c.ports ?? [])[0]?.containerPort;
  const number = port === "" ? (declared ?? (scheme === "https" ? 443 : 80)) : portNumber(port);
  if (number === undefined) throw badRequest(`invalid pod request ${JSON.stringify(`${nameOf(pod)}:${port}`)}`);
  return { namespace: namespaceOf(pod), pod: nameOf(pod), port: number };
}

export function portNumber(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port > 0 && port < 65536 ? port : undefined;
}

/** One of the Service's ready Pods, drawn by chance. Throws ServiceUnavailable when there is none. */
export function servicePort(
  service: DeepReadonly<Service>,
  asked: ProxyName,
  ends: { slices: readonly DeepReadonly<EndpointSlice>[]; endpoints: DeepReadonly<Endpoints> | undefined },
  random: Random,
): PodPort {
  const portName = servicePortName(service, asked.port);
  const slices = ends.slices.length > 0 ? ends.slices : slicesOf(ends.endpoints);
  const ready = slices.flatMap(({ ports = [], endpoints = [] }) => {
    const port = ports.find((p) => (p.name ?? "") === portName)?.port;
    if (port === undefined) return [];
    return endpoints.flatMap(({ conditions, targetRef }) =>
      conditions?.ready === false || targetRef?.kind !== "Pod" || targetRef.name === undefined
        ? []
        : [{ namespace: targetRef.namespace ?? namespaceOf(service), pod: targetRef.name, port }],
    );
  });
  const chosen = ready[Math.floor(random() * ready.length)];
  if (chosen) return chosen;
  throw unavailable(`no endpoints available for service ${JSON.stringify(nameOf(service))}`);
}

/** Endpoints call ports by the Service's names. */
function servicePortName(service: DeepReadonly<Service>, asked: string): string {
  const ports = service.spec?.ports ?? [];
  const number = portNumber(asked);
  if (number === undefined) return asked;
  const port = ports.find((p) => p.port === number);
  if (port) return port.name ?? "";
  throw unavailable(`no service port ${number} found for service ${JSON.stringify(nameOf(service))}`);
}

/** Endpoints as slices: all their addresses are ready. */
function slicesOf(
  endpoints: DeepReadonly<Endpoints> | undefined,
): Pick<DeepReadonly<EndpointSlice>, "ports" | "endpoints">[] {
  return (endpoints?.subsets ?? []).map(({ addresses = [], ports = [] }) => ({
    ports,
    endpoints: addresses.map((a) => ({ addresses: [a.ip], ...(a.targetRef && { targetRef: a.targetRef }) })),
  }));
}

const unavailable = (message: string) => new ApiError("ServiceUnavailable", message);
