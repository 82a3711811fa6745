/** A Service's spec and status, beyond what the schema says. */
import type { DeepReadonly } from "../../util/types.ts";
import type { Service, ServicePort, ServiceSpec } from "../generated/types.ts";
import { dnsLabel, dnsSubdomain, portName, portNumber, qualifiedName } from "../names.ts";
import {
  isExternal,
  isHeadless,
  isLoadBalancer,
  needsClusterIp,
  needsHealthCheckPort,
  NODE_PORTS,
} from "../service.ts";
import {
  checked,
  duplicate,
  each,
  type FieldErrors,
  forbidden,
  invalidValue,
  oneOf,
  required,
  unique,
} from "./field.ts";
import { validateCidr, validateIp, validateNonSpecialIp } from "./ip.ts";
import { validateLabels } from "./meta.ts";
import { validateClusterIps, validateClusterIpsUpdate } from "./service-ips.ts";

type Spec = DeepReadonly<ServiceSpec>;

const TYPES = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const DISTRIBUTIONS = ["PreferClose", "PreferSameNode", "PreferSameZone"];
const ONLY_BALANCED = "may only be used when `type` is 'LoadBalancer'";
const MAX_TIMEOUT_SECONDS = 86_400;
const AGENT_PORT = 10_250;

export const PROTOCOLS = ["SCTP", "TCP", "UDP"];

export function validateService({ spec = {} }: DeepReadonly<Service>): FieldErrors {
  const needsPorts = !isHeadless(spec) && spec.type !== "ExternalName";
  return [
    ...(needsPorts && !spec.ports?.length ? [required("spec.ports")] : []),
    ...validateType(spec),
    ...each("spec.ports", spec.ports, (p, at) => validatePort(p, at, (spec.ports ?? []).length > 1)),
    ...validateUniquePorts(spec),
    ...validateLabels(spec.selector, "spec.selector"),
    ...validateAffinity(spec),
    ...validateClusterIps(spec),
    ...each("spec.externalIPs", spec.externalIPs, (ip, at) => [...validateIp(ip, at), ...validateNonSpecialIp(ip, at)]),
    ...oneOf("spec.type", spec.type, TYPES),
    ...validateNodePorts(spec),
    ...validateBalancer(spec),
    ...validateTraffic(spec),
  ];
}

function validateType(spec: Spec): FieldErrors {
  switch (spec.type ?? "") {
    case "LoadBalancer":
      return [
        ...each("spec.ports", spec.ports, ({ port }, at) =>
          port === AGENT_PORT
            ? [invalidValue(at, port, `may not expose port ${AGENT_PORT} externally since it is used by kubelet`)]
            : [],
        ),
        ...notHeadless(spec),
      ];
    case "NodePort":
      return notHeadless(spec);
    case "ExternalName":
      return validateExternalName(spec);
    default:
      return [];
  }
}

function notHeadless(spec: Spec): FieldErrors {
  const why = `may not be set to 'None' for ${spec.type} services`;
  return isHeadless(spec) ? [invalidValue("spec.clusterIPs[0]", "None", why)] : [];
}

function validateExternalName(spec: Spec): FieldErrors {
  const name = (spec.externalName ?? "").replace(/\.$/, "");
  const mayNotBeSet = (["clusterIPs", "ipFamilies", "ipFamilyPolicy"] as const).filter((f) => spec[f]?.length);
  return [
    ...mayNotBeSet.map((f) => forbidden(`spec.${f}`, "may not be set for ExternalName services")),
    ...(name ? checked("spec.externalName", name, dnsSubdomain) : [required("spec.externalName")]),
  ];
}

function validatePort(p: DeepReadonly<ServicePort>, at: string, needsName: boolean): FieldErrors {
  const target = p.targetPort ?? 0;
  return [
    ...(p.name ? checked(`${at}.name`, p.name, dnsLabel) : needsName ? [required(`${at}.name`)] : []),
    ...portNumber(p.port).map((why) => invalidValue(`${at}.port`, p.port, why)),
    ...oneOf(`${at}.protocol`, p.protocol, PROTOCOLS),
    ...(typeof target === "string" ? portName(target) : portNumber(target)).map((why) =>
      invalidValue(`${at}.targetPort`, target, why),
    ),
    ...(p.appProtocol ? checked(`${at}.appProtocol`, p.appProtocol, qualifiedName) : []),
  ];
}

function validateUniquePorts({ ports }: Spec): FieldErrors {
  const seen = new Set<string>();
  return [
    ...unique("spec.ports", ports, (p) => p.name, ".name"),
    ...each("spec.ports", ports, ({ protocol, port }, at) => {
      const key = `${protocol}/${port}`;
      const again = seen.has(key);
      seen.add(key);
      return again ? [duplicate(at, { protocol, port })] : [];
    }),
  ];
}

function validateNodePorts(spec: Spec): FieldErrors {
  const { first, last } = NODE_PORTS;
  const seen = new Set<string>();
  return each("spec.ports", spec.ports, ({ nodePort, protocol }, i) => {
    if (!nodePort) return [];
    const at = `${i}.nodePort`;
    if (spec.type === "ClusterIP") return [forbidden(at, "may not be used when `type` is 'ClusterIP'")];
    const key = `${protocol}/${nodePort}`;
    const again = seen.has(key);
    seen.add(key);
    const why = `provided port is not in the valid range. The range of valid ports is ${first}-${last}`;
    return [
      ...(again ? [duplicate(at, nodePort)] : []),
      ...(nodePort < first || nodePort > last ? [invalidValue(at, nodePort, why)] : []),
    ];
  });
}

function validateAffinity({ sessionAffinity, sessionAffinityConfig: config }: Spec): FieldErrors {
  const field = "spec.sessionAffinityConfig";
  const errors = oneOf("spec.sessionAffinity", sessionAffinity, ["ClientIP", "None"]);
  if (sessionAffinity === "None" && config) {
    return [...errors, forbidden(field, "must not be set when session affinity is None")];
  }
  if (sessionAffinity !== "ClientIP") return errors;
  const seconds = config?.clientIP?.timeoutSeconds;
  const at = `${field}.clientIP.timeoutSeconds`;
  if (seconds === undefined) return [...errors, required(at)];
  const why = `must be greater than 0 and less than ${MAX_TIMEOUT_SECONDS}`;
  return seconds <= 0 || seconds > MAX_TIMEOUT_SECONDS ? [...errors, invalidValue(at, seconds, why)] : errors;
}

function validateBalancer(spec: Spec): FieldErrors {
  const ranges = "spec.LoadBalancerSourceRanges";
  const only = (field: string, given: boolean) =>
    given && !isLoadBalancer(spec) ? [forbidden(field, ONLY_BALANCED)] : [];
  return [
    ...only(ranges, (spec.loadBalancerSourceRanges ?? []).length > 0),
    ...each(ranges, spec.loadBalancerSourceRanges, (cidr, at) => validateCidr(cidr.trim(), at)),
    ...only("spec.allocateLoadBalancerNodePorts", spec.allocateLoadBalancerNodePorts !== undefined),
    ...only("spec.loadBalancerClass", spec.loadBalancerClass !== undefined),
    ...(isLoadBalancer(spec) && spec.loadBalancerClass !== undefined
      ? checked("spec.loadBalancerClass", spec.loadBalancerClass, qualifiedName)
      : []),
  ];
}

function validateTraffic(spec: Spec): FieldErrors {
  const policies = ["Cluster", "Local"];
  const { externalTrafficPolicy: external, internalTrafficPolicy: internal, healthCheckNodePort: health } = spec;
  const field = "spec.externalTrafficPolicy";
  const onlyLocal = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
  return [
    ...(isExternal(spec)
      ? oneOf(field, external, policies)
      : external
        ? [invalidValue(field, external, "may only be set for externally-accessible services")]
        : []),
    ...(health && !needsHealthCheckPort(spec)
      ? [invalidValue("spec.healthCheckNodePort", health, onlyLocal)]
      : health
        ? portNumber(health).map((why) => invalidValue("spec.healthCheckNodePort", health, why))
        : []),
    ...(internal || needsClusterIp(spec) ? oneOf("spec.internalTrafficPolicy", internal, policies) : []),
    ...(spec.trafficDistribution ? oneOf("spec.trafficDistribution", spec.trafficDistribution, DISTRIBUTIONS) : []),
  ];
}

export function validateServiceUpdate(next: DeepReadonly<Service>, old: DeepReadonly<Service>): FieldErrors {
  const [a, b] = [old.spec ?? {}, next.spec ?? {}];
  const classField = "spec.loadBalancerClass";
  return [
    ...validateClusterIpsUpdate(b, a),
    ...(isLoadBalancer(a) && isLoadBalancer(b) && a.loadBalancerClass !== b.loadBalancerClass
      ? [invalidValue(classField, b.loadBalancerClass, "may not change once set")]
      : []),
    ...(needsHealthCheckPort(a) &&
    needsHealthCheckPort(b) &&
    a.healthCheckNodePort &&
    a.healthCheckNodePort !== b.healthCheckNodePort
      ? [forbidden("spec.healthCheckNodePort", "field is immutable")]
      : []),
  ];
}

export function validateServiceStatus(next: DeepReadonly<Service>): FieldErrors {
  const at = "status.loadBalancer.ingress";
  const ingress = next.status?.loadBalancer?.ingress ?? [];
  if (ingress.length && !isLoadBalancer(next.spec ?? {})) {
    return [forbidden(at, "may only be used when `spec.type` is 'LoadBalancer'")];
  }
  return each(at, ingress, (i, field) => [
    ...(i.ip ? validateIp(i.ip, `${field}.ip`) : []),
    ...(i.ipMode && !i.ip ? [forbidden(`${field}.ipMode`, "may not be specified when `ip` is not set")] : []),
    ...(i.ipMode && i.ip ? oneOf(`${field}.ipMode`, i.ipMode, ["Proxy", "VIP"]) : []),
    ...(i.hostname ? validateHostname(i.hostname, `${field}.hostname`) : []),
  ]);
}

/** A name, where an address would be taken for one. */
export function validateHostname(name: string, field: string): FieldErrors {
  return [
    ...checked(field, name, dnsSubdomain),
    ...(validateIp(name, field).length ? [] : [invalidValue(field, name, "must be a DNS name, not an IP address")]),
  ];
}
