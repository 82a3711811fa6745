/** What the cluster's own names stand for, by the Kubernetes DNS specification 1.1. Pure. */
import type { EndpointSlice, Service } from "../../api/generated/types.ts";
import { nameOf, namespaceOf } from "../../api/object.ts";
import { isHeadless } from "../../api/service.ts";
import { familyOf } from "../../api/validation/ip.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { Answer, Question, ResourceRecord } from "./message.ts";
import { addressOfDashed, addressOfReverse, canonical, dashed, labelsOf, prefixIn } from "./names.ts";

type ReadonlyService = DeepReadonly<Service>;
type ReadonlySlice = DeepReadonly<EndpointSlice>;
type Endpoint = NonNullable<ReadonlySlice["endpoints"]>[number];

/** What is looked at, as it is now. Every look costs the same however large the cluster is. */
export interface Zone {
  /** `cluster.local` */
  readonly domain: string;
  /** Where this very zone is served. */
  readonly dnsAddress: string;
  /** Grows with every change. */
  readonly serial: number;
  hasNamespace(name: string): boolean;
  service(namespace: string, name: string): ReadonlyService | undefined;
  slices(namespace: string, service: string): Iterable<ReadonlySlice>;
  /** The Service of this ClusterIP. */
  serviceAt(ip: string): ReadonlyService | undefined;
  /** The slices that list this address. */
  slicesAt(ip: string): Iterable<ReadonlySlice>;
}

/** Where nothing else is said. */
export const CLUSTER_DOMAIN = "cluster.local";

/** Seconds that clients may keep an answer, and that there is none. */
export const TTL = 30;
export const NEGATIVE_TTL = 5;
const SCHEMA_VERSION = "1.1.0";
export const SERVICE_NAME = "kubernetes.io/service-name";

type Data = DistributiveOmit<ResourceRecord, "name" | "ttl">;
type DistributiveOmit<T, K extends string> = T extends unknown ? Omit<T, K> : never;

/** The answer, if the name is the cluster's to answer. An alias is answered as such; to follow it is the caller's. */
export function answerFrom(zone: Zone, question: Question): Answer | undefined {
  const name = canonical(question.name);
  const prefix = prefixIn(name, zone.domain);
  const data = prefix === undefined ? reverseData(zone, name) : dataAt(zone, labelsOf(prefix));
  if (prefix === undefined && data === undefined) return undefined;
  if (data === undefined) return { rcode: "NXDOMAIN", authoritative: true, answers: [], authorities: [soa(zone)] };
  const fitting = data.filter((d) => d.type === question.type || d.type === "CNAME");
  const answers = fitting.map((d): ResourceRecord => ({ ...d, name: question.name, ttl: TTL }));
  const additionals = fitting.flatMap((d) => (d.type === "SRV" ? addressesOf(zone, d.data.target) : []));
  const authorities = answers.length === 0 ? [soa(zone)] : [];
  return { rcode: "NOERROR", authoritative: true, answers, authorities, additionals };
}

/** Everything of a name in the zone, of all types; none: there is something below it; undefined: there is no such name. */
function dataAt(zone: Zone, labels: readonly string[]): readonly Data[] | undefined {
  const [kind, ...rest] = labels.toReversed();
  switch (kind) {
    case undefined:
      return [{ type: "NS", data: `ns.dns.${zone.domain}` }, soaData(zone)];
    case "dns-version":
      return rest.length === 0 ? [{ type: "TXT", data: SCHEMA_VERSION }] : undefined;
    case "dns":
      if (rest.length === 0) return [];
      return rest.length === 1 && rest[0] === "ns" ? [address(zone.dnsAddress)] : undefined;
    case "svc":
      return serviceData(zone, rest);
    case "pod":
      return podData(zone, rest);
    default:
      return undefined;
  }
}

/** `labels` from the right: namespace, service, then an endpoint, or a protocol and a port. */
function serviceData(zone: Zone, labels: readonly string[]): readonly Data[] | undefined {
  const [namespace, name, third, fourth, ...rest] = labels;
  if (rest.length > 0) return undefined;
  if (namespace === undefined) return [];
  if (name === undefined) return zone.hasNamespace(namespace) ? [] : undefined;
  const service = zone.service(namespace, name);
  const spec = service?.spec;
  if (!spec) return undefined;
  if (spec.type === "ExternalName") {
    const target = canonical(spec.externalName ?? "");
    return third === undefined && target !== "" ? [{ type: "CNAME", data: target }] : undefined;
  }
  if (fourth !== undefined) return nonEmpty(portData(zone, service, { protocol: third, port: fourth }));
  if (third?.startsWith("_")) return spec.ports?.some((p) => isOf(p, third)) ? [] : undefined;
  const ready = () => [...zone.slices(namespace, name)].flatMap(readyIn);
  const of = (endpoints: readonly Endpoint[]) =>
    nonEmpty([...new Set(endpoints.flatMap((e) => e.addresses))].map(address));
  if (third !== undefined) return of(ready().filter((e) => hostnameOf(e) === third));
  return isHeadless(spec) ? of(ready()) : (spec.clusterIPs ?? []).map(address);
}

/** `_http._tcp`: where to find a named port. */
function portData(
  zone: Zone,
  service: ReadonlyService,
  wanted: { readonly protocol: string | undefined; readonly port: string },
): readonly Data[] {
  const [namespace, name] = [namespaceOf(service), nameOf(service)];
  const own = `${name}.${namespace}.svc.${zone.domain}`;
  const named = (p: { readonly name?: string | undefined; readonly protocol?: string | undefined }) =>
    p.name !== undefined && p.name !== "" && `_${p.name}` === wanted.port && isOf(p, wanted.protocol ?? "");
  const srv = (port: number, target: string): Data => ({
    type: "SRV",
    data: { priority: 0, weight: 100, port, target },
  });
  if (!service.spec || !isHeadless(service.spec)) {
    return (service.spec?.ports ?? []).filter(named).map((p) => srv(p.port, own));
  }
  return [...zone.slices(namespace, name)].flatMap((slice) =>
    (slice.ports ?? []).filter(named).flatMap(({ port }) => {
      const hosts = new Set(readyIn(slice).map(hostnameOf));
      return port === undefined ? [] : [...hosts].map((host) => srv(port, `${host}.${own}`));
    }),
  );
}

const isOf = (p: { readonly protocol?: string | undefined }, label: string) =>
  `_${(p.protocol ?? "TCP").toLowerCase()}` === label;

/** `10-244-0-7.default.pod`: in a namespace that is there, any address has its name, as CoreDNS does it by default. */
function podData(zone: Zone, [namespace, label, ...rest]: readonly string[]): readonly Data[] | undefined {
  if (namespace === undefined) return [];
  if (!zone.hasNamespace(namespace) || rest.length > 0) return undefined;
  if (label === undefined) return [];
  const ip = addressOfDashed(label);
  return ip === undefined ? undefined : [address(ip)];
}

/** Of addresses that are not the cluster's, somebody else may know. */
function reverseData(zone: Zone, name: string): readonly Data[] | undefined {
  const ip = addressOfReverse(name);
  if (ip === undefined) return undefined;
  const pointer = (...labels: string[]): Data => ({ type: "PTR", data: `${labels.join(".")}.svc.${zone.domain}` });
  const service = zone.serviceAt(ip);
  if (service) return [pointer(nameOf(service), namespaceOf(service))];
  const found = [...zone.slicesAt(ip)].flatMap((slice) => {
    const [namespace, name] = [namespaceOf(slice), slice.metadata.labels?.[SERVICE_NAME] ?? ""];
    const spec = zone.service(namespace, name)?.spec;
    if (!spec || !isHeadless(spec)) return [];
    const here = readyIn(slice).filter((e) => e.addresses.includes(ip));
    return here.map((e) => pointer(hostnameOf(e), name, namespace));
  });
  return found.length > 0 ? found : undefined;
}

function addressesOf(zone: Zone, target: string): readonly ResourceRecord[] {
  const data = dataAt(zone, labelsOf(prefixIn(target, zone.domain) ?? "")) ?? [];
  return data
    .filter((d) => d.type === "A" || d.type === "AAAA")
    .map((d): ResourceRecord => ({ ...d, name: target, ttl: TTL }));
}

/** With publishNotReadyAddresses, slices call everything ready. */
const readyIn = (slice: ReadonlySlice) => (slice.endpoints ?? []).filter((e) => e.conditions?.ready !== false);
const hostnameOf = (e: Endpoint) => e.hostname || dashed(e.addresses[0] ?? "");
const address = (ip: string): Data => ({ type: familyOf(ip) === "IPv6" ? "AAAA" : "A", data: ip });
const nonEmpty = (data: readonly Data[]) => (data.length > 0 ? data : undefined);

function soaData(zone: Zone): Extract<Data, { type: "SOA" }> {
  const { domain, serial } = zone;
  const times = { refresh: 7200, retry: 1800, expire: 86_400, minimum: NEGATIVE_TTL };
  return { type: "SOA", data: { mname: `ns.dns.${domain}`, rname: `hostmaster.${domain}`, serial, ...times } };
}

const soa = (zone: Zone): ResourceRecord => ({ ...soaData(zone), name: zone.domain, ttl: NEGATIVE_TTL });
