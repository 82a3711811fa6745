/** What a Service's spec asks for: who allocates, proxies and validates it must agree. */
import type { DeepReadonly } from "../util/types.ts";
import type { ServiceSpec } from "./generated/types.ts";

type Spec = DeepReadonly<ServiceSpec>;

/** Those that a user may ask for, and from which one is picked. */
export const NODE_PORTS = { first: 30_000, last: 32_767 } as const;

export const needsClusterIp = (s: Spec) => s.type !== "ExternalName";
export const isLoadBalancer = (s: Spec) => s.type === "LoadBalancer";
export const needsNodePorts = (s: Spec) =>
  s.type === "NodePort" || (isLoadBalancer(s) && s.allocateLoadBalancerNodePorts !== false);
export const needsHealthCheckPort = (s: Spec) => isLoadBalancer(s) && s.externalTrafficPolicy === "Local";
/** Clients outside the cluster reach it. */
export const isExternal = (s: Spec) =>
  isLoadBalancer(s) || s.type === "NodePort" || (s.type === "ClusterIP" && (s.externalIPs ?? []).length > 0);
/** Clients get the addresses of the Pods themselves. */
export const isHeadless = (s: Spec) => s.clusterIPs?.length === 1 && s.clusterIPs[0] === "None";
