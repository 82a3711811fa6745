/** An Ingress, beyond what the schema says. */
import type { DeepReadonly } from "../../util/types.ts";
import type { HTTPIngressPath, Ingress, IngressBackend, IngressRule, IngressSpec } from "../generated/types.ts";
import { dns1035Label, dnsSubdomain, portName, portNumber } from "../names.ts";
import { hostPattern, pathSegment } from "./domain.ts";
import { checked, checkedRequired, each, type FieldErrors, invalidValue, notSupported, required } from "./field.ts";
import { parseIp, validateIp } from "./ip.ts";
import { validateHostname } from "./service.ts";

type Spec = DeepReadonly<IngressSpec>;

const CLASS_ANNOTATION = "kubernetes.io/ingress.class";
const PATH_TYPES = ["Exact", "ImplementationSpecific", "Prefix"];
/** What a path could hide another one behind. */
const SEQUENCES = ["//", "/./", "/../", "%2f", "%2F"];
const SUFFIXES = ["/..", "/."];

export function validateIngress(next: DeepReadonly<Ingress>, old?: DeepReadonly<Ingress>): FieldErrors {
  const spec = next.spec ?? {};
  const either = "either `defaultBackend` or `rules` must be specified";
  return [
    ...(spec.rules?.length || spec.defaultBackend ? [] : [invalidValue("spec", spec.rules ?? [], either)]),
    ...(spec.defaultBackend ? validateBackend(spec.defaultBackend, "spec.defaultBackend") : []),
    ...each("spec.rules", spec.rules, validateRule),
    ...each("spec.tls", spec.tls, (t, at) => [
      ...each(`${at}.hosts`, t.hosts, (host, i) => checked(i, host, hostPattern)),
      ...(t.secretName ? checked(`${at}.secretName`, t.secretName, dnsSubdomain) : []),
    ]),
    ...(spec.ingressClassName !== undefined
      ? checked("spec.ingressClassName", spec.ingressClassName, dnsSubdomain)
      : []),
    ...(old ? [] : validateClass(next, spec)),
  ];
}

/** The annotation is older than the field. */
function validateClass(o: DeepReadonly<Ingress>, spec: Spec): FieldErrors {
  const annotation = o.metadata.annotations?.[CLASS_ANNOTATION];
  if (annotation === undefined || spec.ingressClassName === undefined || annotation === spec.ingressClassName) {
    return [];
  }
  const why = "must match `ingressClassName` when both are specified";
  return [invalidValue(`annotations.${CLASS_ANNOTATION}`, annotation, why)];
}

function validateRule(r: DeepReadonly<IngressRule>, at: string): FieldErrors {
  const paths = r.http?.paths;
  return [
    ...(r.host && parseIp(r.host) ? [invalidValue(`${at}.host`, r.host, "must be a DNS name, not an IP address")] : []),
    ...(r.host ? checked(`${at}.host`, r.host, hostPattern) : []),
    ...(r.http && !paths?.length ? [required(`${at}.http.paths`)] : []),
    ...each(`${at}.http.paths`, paths, validatePath),
  ];
}

function validatePath(p: DeepReadonly<HTTPIngressPath>, at: string): FieldErrors {
  if (!p.pathType) return [required(`${at}.pathType`, "pathType must be specified")];
  return [...validatePathText(p, at), ...validateBackend(p.backend ?? {}, `${at}.backend`)];
}

function validatePathText({ path = "", pathType }: DeepReadonly<HTTPIngressPath>, at: string): FieldErrors {
  if (!PATH_TYPES.includes(pathType)) return [notSupported(`${at}.pathType`, pathType, PATH_TYPES)];
  const wrong = (why: string) => invalidValue(`${at}.path`, path, why);
  const free = pathType === "ImplementationSpecific";
  return [
    ...(path.startsWith("/") || (free && path === "") ? [] : [wrong("must be an absolute path")]),
    ...(free ? [] : SEQUENCES.filter((s) => path.includes(s)).map((s) => wrong(`must not contain '${s}'`))),
    ...(free ? [] : SUFFIXES.filter((s) => path.endsWith(s)).map((s) => wrong(`cannot end with '${s}'`))),
  ];
}

function validateBackend({ resource, service }: DeepReadonly<IngressBackend>, at: string): FieldErrors {
  if (resource && service) return [invalidValue(at, "", "cannot set both resource and service backends")];
  if (resource) {
    return [
      ...(resource.apiGroup ? checked(`${at}.resource.apiGroup`, resource.apiGroup, dnsSubdomain) : []),
      ...checkedRequired(`${at}.resource.kind`, resource.kind, pathSegment),
      ...checkedRequired(`${at}.resource.name`, resource.name, pathSegment),
    ];
  }
  if (!service) return [invalidValue(at, "", "resource or service backend is required")];
  return [
    ...checkedRequired(`${at}.service.name`, service.name, dns1035Label),
    ...validateBackendPort(service.port ?? {}, at),
  ];
}

function validateBackendPort({ name, number }: { name?: string; number?: number }, at: string): FieldErrors {
  if (name && number) return [invalidValue(at, "", "cannot set both port name & port number")];
  if (name) return checked(`${at}.service.port.name`, name, portName);
  if (number) return portNumber(number).map((why) => invalidValue(`${at}.service.port.number`, number, why));
  return [required(at, "port name or number is required")];
}

export function validateIngressStatus(next: DeepReadonly<Ingress>): FieldErrors {
  return each("status.loadBalancer.ingress", next.status?.loadBalancer?.ingress, (i, at) => [
    ...(i.ip ? validateIp(i.ip, `${at}.ip`) : []),
    ...(i.hostname ? validateHostname(i.hostname, `${at}.hostname`) : []),
  ]);
}
