/**
 * What a Service says where its author is silent. Addresses and node ports are allocated elsewhere; here it is seen to
 * that an update which does not mention them keeps them, and that they go when the type no longer needs them.
 */
import { deepClone, deepEqual, keep } from "../../equal.ts";
import type { Service, ServiceSpec } from "../../generated/types.ts";
import { isExternal, isLoadBalancer, needsClusterIp, needsHealthCheckPort, needsNodePorts } from "../../service.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { familyOf } from "../../validation/ip.ts";

type Spec = DeepReadonly<ServiceSpec>;

const CLIENT_IP_TIMEOUT_SECONDS = 10_800;

export function setServiceDefaults(o: Service): void {
  const spec = (o.spec ??= {});
  spec.type ||= "ClusterIP";
  spec.sessionAffinity ||= "None";
  if (spec.sessionAffinity === "None") delete spec.sessionAffinityConfig;
  if (spec.sessionAffinity === "ClientIP") {
    const timeoutSeconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? CLIENT_IP_TIMEOUT_SECONDS;
    spec.sessionAffinityConfig = { clientIP: { timeoutSeconds } };
  }
  for (const p of spec.ports ?? []) {
    p.protocol ||= "TCP";
    p.targetPort ||= p.port;
  }
  if (isExternal(spec)) spec.externalTrafficPolicy ||= "Cluster";
  if (needsClusterIp(spec)) spec.internalTrafficPolicy ||= "Cluster";
  if (isLoadBalancer(spec)) spec.allocateLoadBalancerNodePorts ??= true;
  for (const i of o.status?.loadBalancer?.ingress ?? []) if (i.ip) i.ipMode ||= "VIP";
}

export function prepareServiceForCreate(o: Service): void {
  o.status = { loadBalancer: {} };
  const spec = o.spec ?? {};
  if (spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP];
  defaultFamilies(spec);
}

export function prepareServiceForUpdate(next: Service, old: DeepReadonly<Service>): void {
  keep(next, old, "status");
  if (!next.spec || !old.spec) return;
  keepAllocated(next.spec, old.spec);
  syncClusterIps(next.spec, old.spec);
  dropUnneeded(next.spec, old.spec);
  defaultFamilies(next.spec, old.spec);
}

/** A client that sends what it created from may not know what was allocated. */
function keepAllocated(next: ServiceSpec, old: Spec): void {
  if (needsClusterIp(next) && needsClusterIp(old)) {
    if (!next.clusterIP && old.clusterIP) next.clusterIP = old.clusterIP;
    if (!next.clusterIPs?.length && next.clusterIP === old.clusterIP) keep(next, old, "clusterIPs");
  }
  if (needsNodePorts(next) && needsNodePorts(old)) keepNodePorts(next, old);
  if (needsHealthCheckPort(next) && needsHealthCheckPort(old) && !next.healthCheckNodePort) {
    keep(next, old, "healthCheckNodePort");
  }
}

/** By name: all else of a port may have changed. */
function keepNodePorts(next: ServiceSpec, old: Spec): void {
  const byName = new Map((old.ports ?? []).map((p) => [p.name ?? "", p.nodePort]));
  const taken = new Set((next.ports ?? []).map((p) => p.nodePort));
  for (const p of next.ports ?? []) {
    const before = byName.get(p.name ?? "");
    if (!p.nodePort && before && !taken.has(before)) p.nodePort = before;
  }
}

/** clusterIP and clusterIPs[0] are one field: who changes only the first means both. */
function syncClusterIps(next: ServiceSpec, old: Spec): void {
  const untouched = !next.clusterIPs?.length || deepEqual(next.clusterIPs, old.clusterIPs);
  if (next.clusterIP && next.clusterIP !== old.clusterIP && untouched) next.clusterIPs = [next.clusterIP];
}

/** Fields that only some types have. */
const DEPENDENT: readonly (readonly [needed: (s: Spec) => boolean, fields: readonly (keyof ServiceSpec)[]])[] = [
  [needsClusterIp, ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"]],
  [needsHealthCheckPort, ["healthCheckNodePort"]],
  [isLoadBalancer, ["loadBalancerClass", "allocateLoadBalancerNodePorts"]],
  [isExternal, ["externalTrafficPolicy"]],
];

/** Who changes only the type need not take back by hand what the old type had; what he changed himself is his error. */
function dropUnneeded(next: ServiceSpec, old: Spec): void {
  const before = deepClone(next);
  for (const [needed, fields] of DEPENDENT) {
    if (!needed(old) || needed(before)) continue;
    for (const f of fields) if (deepEqual(next[f], old[f])) delete next[f];
  }
  const nodePorts = (s: Spec) => (s.ports ?? []).map((p) => p.nodePort ?? 0);
  if (needsNodePorts(old) && !needsNodePorts(before) && deepEqual(nodePorts(next), nodePorts(old))) {
    for (const p of next.ports ?? []) delete p.nodePort;
  }
}

function defaultFamilies(next: ServiceSpec, old?: Spec): void {
  if (!needsClusterIp(next)) return;
  if (!next.ipFamilies?.length) {
    const given = (next.clusterIPs ?? []).flatMap((ip) => familyOf(ip) ?? []);
    next.ipFamilies = given.length ? given : [...(old?.ipFamilies ?? ["IPv4"])];
  }
  next.ipFamilyPolicy ||= next.ipFamilies.length > 1 ? "RequireDualStack" : "SingleStack";
}
