/** What of a Service's Pods becomes an endpoint: which Pods, at which ports, in which state. Pure. */
import type { ObjectReference, Pod, Service, ServicePort } from "../../api/generated/types.ts";
import { nameOf, namespaceOf, uidOf } from "../../api/object.ts";
import { condition, isReady, isRestartableInit, isTerminal } from "../../api/pod.ts";
import { isHeadless } from "../../api/service.ts";
import type { DeepReadonly } from "../../util/types.ts";

export type ReadonlyService = DeepReadonly<Service>;
type ReadonlyPod = DeepReadonly<Pod>;

/** Says when what led to the present addresses happened: who watches them can tell how long it took to come about. */
export const TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time";
/** Clients get addresses of Pods where DNS is asked for the Service. */
export const HEADLESS = "service.kubernetes.io/headless";

/** What is found by selector; the endpoints of all other Services are somebody else's to write. */
export function hasEndpoints({ spec, metadata }: ReadonlyService): boolean {
  return spec?.selector !== undefined && spec.type !== "ExternalName" && metadata.deletionTimestamp === undefined;
}

export interface TargetPort {
  readonly name?: string;
  readonly port: number;
  readonly protocol: string;
  readonly appProtocol?: string;
}

/** The Service's ports as this Pod has them; one that names a port which the Pod has not is left out. */
export function targetPorts({ spec }: ReadonlyService, pod: ReadonlyPod): readonly TargetPort[] {
  return (spec?.ports ?? []).flatMap((p) => {
    const port = portNumber(p, pod);
    const { name, appProtocol, protocol = "TCP" } = p;
    return port === undefined ? [] : [{ ...(name && { name }), port, protocol, ...(appProtocol && { appProtocol }) }];
  });
}

function portNumber({ targetPort, port, protocol }: DeepReadonly<ServicePort>, pod: ReadonlyPod): number | undefined {
  if (typeof targetPort === "number") return targetPort || port;
  if (!targetPort) return port;
  const sidecars = (pod.spec?.initContainers ?? []).filter(isRestartableInit);
  const named = [...(pod.spec?.containers ?? []), ...sidecars]
    .flatMap((c) => c.ports ?? [])
    .find((p) => p.name === targetPort && (p.protocol ?? "TCP") === (protocol ?? "TCP"));
  return named?.containerPort;
}

/** A Service that has ports is of no use where none of them is; a headless one may have none at all. */
export function isTarget(service: ReadonlyService, pod: ReadonlyPod): boolean {
  if (isTerminal(pod) || addressOf(pod) === undefined) return false;
  const { spec } = service;
  return targetPorts(service, pod).length > 0 || (!spec?.ports?.length && spec !== undefined && isHeadless(spec));
}

export function addressOf({ status }: ReadonlyPod, family = "IPv4"): string | undefined {
  const all = status?.podIPs?.map((p) => p.ip) ?? [];
  return [...all, status?.podIP].find((ip) => ip !== undefined && ip !== "" && familyOf(ip) === family);
}

export function familyOf(ip: string): "IPv4" | "IPv6" {
  return ip.includes(":") ? "IPv6" : "IPv4";
}

/** Pods of a StatefulSet are known by name within its Service. */
export function hostnameOf(service: ReadonlyService, { spec }: ReadonlyPod): string | undefined {
  return spec?.hostname && spec.subdomain === nameOf(service) ? spec.hostname : undefined;
}

export function targetRef(pod: ReadonlyPod): ObjectReference {
  return { kind: "Pod", namespace: namespaceOf(pod), name: nameOf(pod), uid: uidOf(pod) };
}

/** When the Pod last became what it is now for those who look for endpoints. */
export function changedAt(pod: ReadonlyPod): string | undefined {
  const ready = condition(pod.status?.conditions, "Ready")?.lastTransitionTime;
  const times = [pod.metadata.deletionTimestamp, ready].filter((t) => t !== undefined);
  return times.toSorted().at(-1) ?? pod.metadata.creationTimestamp;
}

export function earliest(times: readonly (string | undefined)[]): string | undefined {
  return times.filter((t) => t !== undefined).toSorted()[0];
}

/** All of a Pod that shows in any endpoint: as long as it stays, no Service needs another look. */
export function visible(pod: ReadonlyPod): unknown {
  const { labels, deletionTimestamp } = pod.metadata;
  const { nodeName, hostname, subdomain, containers = [], initContainers = [] } = pod.spec ?? {};
  const { podIP, podIPs } = pod.status ?? {};
  const ports = [...containers, ...initContainers].map((c) => c.ports);
  const state = [deletionTimestamp !== undefined, isTerminal(pod), isReady(pod)];
  return [labels, nodeName, hostname, subdomain, ports, podIP, podIPs, state];
}
