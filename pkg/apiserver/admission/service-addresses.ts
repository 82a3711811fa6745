/**
 * Gives a Service its ClusterIP and its node ports. What is given out is written down in the transaction that writes the
 * Service, under a key that must not exist yet: so no two Services ever have the same, however many servers there are.
 * A ClusterIP is an IPAddress object, as in Kubernetes; a node port is a key of its own.
 */
import type { Service, ServicePort, ServiceSpec } from "../../api/generated/types.ts";
import { services } from "../../api/kinds/core/service.ts";
import { ipAddresses } from "../../api/kinds/networking/ipaddress.ts";
import { type ApiObject, apiVersionOf, nameOf, namespaceOf } from "../../api/object.ts";
import type { ResourceDef } from "../../api/resource.ts";
import { isHeadless, needsClusterIp, needsHealthCheckPort, needsNodePorts, NODE_PORTS } from "../../api/service.ts";
import { type FieldError, invalid } from "../../api/status.ts";
import { type Cidr, contains, parseCidr, parseIp } from "../../api/validation/ip.ts";
import { type Random, rfc3339 } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { TxnOp } from "../../store/store.ts";
import type { AdmissionPlugin, AdmissionRequest, Alongside, ClusterView } from "../admission.ts";
import { encodeStored } from "../entry.ts";
import { keyFor, ROOT } from "../keys.ts";
import { newUid } from "../write-policy.ts";
import { isResource } from "./refuse.ts";

/** Kubernetes' default is a /12; this one leaves more of 10/8 to others, and is room for 65,000 Services. */
export const SERVICE_CIDR = "10.96.0.0/16";
/** The lower part is left to Services that ask for an address, while there is another. */
const FIRST_DYNAMIC = 256n;
const PORT_KEY = `${ROOT}ranges/nodeports/`;

interface Held {
  readonly ips: readonly string[];
  readonly ports: readonly number[];
}

/** The one that the Service `kubernetes` has. */
export function firstServiceIp(cidr: string): string {
  return ipv4((parseCidr(cidr)?.bits ?? 0n) + 1n);
}

export function serviceAddresses(o: { random: Random; cidr?: string }): AdmissionPlugin {
  const text = o.cidr ?? SERVICE_CIDR;
  const cidr = parseCidr(text);
  if (!cidr) throw new Error(`${text} is no CIDR`);
  return {
    name: "ServiceAddresses",
    // After the kind's own policy, which keeps what an update does not mention; so no manager owns what is given out.
    validate(r, view, attempt) {
      if (!isResource(r, "", "services") || r.subresource !== "" || !r.object) return undefined;
      const service = r.object as Service;
      const before = heldBy(r.old as DeepReadonly<Service> | undefined);
      const taken = takenIn(view, service);
      allocateIp(service, { cidr, text, taken: taken.ips, random: o.random, attempt });
      allocatePorts(service, taken.ports, o.random);
      return exchange(r, before, heldBy(service), o.random);
    },
    removed: (def, last) => (isServices(def) ? released(heldBy(last as DeepReadonly<Service>)) : undefined),
  };
}

const isServices = (def: ResourceDef) => def.group === "" && def.plural === "services";

function heldBy(service: DeepReadonly<Service> | undefined): Held {
  const spec = service?.spec;
  if (!spec) return { ips: [], ports: [] };
  const ips = needsClusterIp(spec) && !isHeadless(spec) ? (spec.clusterIPs ?? []) : [];
  const ports = needsNodePorts(spec) ? (spec.ports ?? []).flatMap((p) => p.nodePort || []) : [];
  const health = needsHealthCheckPort(spec) && spec.healthCheckNodePort ? [spec.healthCheckNodePort] : [];
  return { ips, ports: [...new Set([...ports, ...health])] };
}

/** What other Services have, as far as this server knows: enough to choose by; the transaction decides. */
function takenIn(view: ClusterView, own: Service): { ips: Set<string>; ports: Set<number> } {
  const [ips, ports] = [new Set<string>(), new Set<number>()];
  for (const other of view.list(services)) {
    if (other.metadata.uid === own.metadata.uid) continue;
    const held = heldBy(other);
    for (const ip of held.ips) ips.add(ip);
    for (const port of held.ports) ports.add(port);
  }
  return { ips, ports };
}

function allocateIp(
  service: Service,
  o: { cidr: Cidr; text: string; taken: ReadonlySet<string>; random: Random; attempt: number },
): void {
  const { spec } = service;
  if (!spec || !needsClusterIp(spec) || isHeadless(spec)) return;
  refuseOtherFamilies(service, spec, o.cidr);
  const given = spec.clusterIP;
  if (!given) {
    const ip = freeIp(o.cidr, o.taken, o.random);
    if (ip === undefined) throw refuse(service, "spec.clusterIPs", undefined, `range ${o.text} is full`);
    spec.clusterIP = ip;
    spec.clusterIPs = [ip];
    return;
  }
  const at = "spec.clusterIPs";
  const parsed = parseIp(given);
  if (!parsed || !contains(o.cidr, { ...parsed, prefix: 32 })) {
    const why = `the provided network does not match the current range. The range of valid IPs is ${o.text}`;
    throw refuse(service, at, [given], `failed to allocate IP ${given}: ${why}`);
  }
  if (o.taken.has(given)) throw refuse(service, at, [given], alreadyAllocated(`IP ${given}`, "provided IP"));
}

/** There is one range, so there is one family. */
function refuseOtherFamilies(service: Service, spec: ServiceSpec, { family }: Cidr): void {
  if (spec.ipFamilyPolicy === "RequireDualStack") {
    const why = "this cluster is not configured for dual-stack services";
    throw refuse(service, "spec.ipFamilyPolicy", spec.ipFamilyPolicy, why);
  }
  const other = (spec.ipFamilies ?? []).findIndex((f) => f !== family);
  if (other < 0) return;
  throw refuse(service, `spec.ipFamilies[${other}]`, spec.ipFamilies?.[other], "not configured on this cluster");
}

/** A random one, then the next free one: what was used lately is not given out at once again. */
function freeIp(cidr: Cidr, taken: ReadonlySet<string>, random: Random): string | undefined {
  const size = 1n << BigInt(32 - cidr.prefix);
  const first = size > 2n * FIRST_DYNAMIC ? FIRST_DYNAMIC : 1n;
  const count = size - first - 1n;
  const start = BigInt(Math.floor(random() * Number(count)));
  for (let i = 0n; i < count; i++) {
    const ip = ipv4(cidr.bits + first + ((start + i) % count));
    if (!taken.has(ip)) return ip;
  }
  return undefined;
}

function ipv4(bits: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => ((bits >> shift) & 255n).toString()).join(".");
}

function allocatePorts(service: Service, taken: ReadonlySet<number>, random: Random): void {
  const { spec } = service;
  if (!spec) return;
  const own = needsNodePorts(spec) ? allocateNodePorts(service, spec, taken, random) : new Map<number, ServicePort>();
  if (!needsHealthCheckPort(spec)) return;
  // Where balancers ask whether this node has a Pod of the Service.
  const asked = spec.healthCheckNodePort;
  if (asked && taken.has(asked)) {
    throw refuse(service, "spec.healthCheckNodePort", asked, "provided port is already allocated");
  }
  spec.healthCheckNodePort = asked || freePort(taken, own, random);
}

function allocateNodePorts(
  service: Service,
  spec: ServiceSpec,
  taken: ReadonlySet<number>,
  random: Random,
): ReadonlyMap<number, ServicePort> {
  const own = new Map<number, ServicePort>();
  (spec.ports ?? []).forEach((p, i) => {
    if (!p.nodePort) return;
    const at = `spec.ports[${i}].nodePort`;
    if (taken.has(p.nodePort)) throw refuse(service, at, p.nodePort, "provided port is already allocated");
    own.set(p.nodePort, p);
  });
  for (const p of spec.ports ?? []) {
    if (p.nodePort) continue;
    // TCP and UDP of the same port may share a number, as clients of DNS expect.
    const sibling = (spec.ports ?? []).find(
      (q) => q !== p && q.port === p.port && q.protocol !== p.protocol && q.nodePort,
    );
    p.nodePort = sibling?.nodePort ?? freePort(taken, own, random);
    own.set(p.nodePort, p);
  }
  return own;
}

function freePort(taken: ReadonlySet<number>, own: ReadonlyMap<number, unknown>, random: Random): number {
  const count = NODE_PORTS.last - NODE_PORTS.first + 1;
  const start = Math.floor(random() * count);
  for (let i = 0; i < count; i++) {
    const port = NODE_PORTS.first + ((start + i) % count);
    if (!taken.has(port) && !own.has(port)) return port;
  }
  throw refuse({ metadata: {} }, "spec.ports[0].nodePort", undefined, "range is full");
}

/** What the Service has now and had not before is taken, what it had and has no more is given back. */
function exchange(r: AdmissionRequest, before: Held, now: Held, random: Random): Alongside | undefined {
  const taking = {
    ips: now.ips.filter((ip) => !before.ips.includes(ip)),
    ports: now.ports.filter((port) => !before.ports.includes(port)),
  };
  const leaving = {
    ips: before.ips.filter((ip) => !now.ips.includes(ip)),
    ports: before.ports.filter((port) => !now.ports.includes(port)),
  };
  const owner = r.object;
  if (!owner) return undefined;
  const ops: TxnOp[] = [
    ...taking.ips.map((ip) => ({
      op: "put" as const,
      key: ipKey(ip),
      value: encodeStored(addressObject(ip, owner, r, random)),
    })),
    ...taking.ports.map((port) => ({ op: "put" as const, key: portKey(port), value: holder(owner) })),
  ];
  const expect = ops.map(({ key }) => ({ key, modRevision: 0n }));
  const all = [...ops, ...released(leaving)];
  return all.length > 0 ? { expect, ops: all } : undefined;
}

function released(held: Held): TxnOp[] {
  return [...held.ips.map(ipKey), ...held.ports.map(portKey)].map((key) => ({ op: "delete", key }));
}

const ipKey = (ip: string) => keyFor(ipAddresses, "", ip);
const portKey = (port: number) => `${PORT_KEY}${port}`;
const holder = (o: ApiObject) => new TextEncoder().encode(JSON.stringify(`${namespaceOf(o)}/${nameOf(o)}`));

function addressObject(ip: string, service: ApiObject, r: AdmissionRequest, random: Random): ApiObject {
  const parentRef = { group: "", resource: "services", namespace: namespaceOf(service), name: nameOf(service) };
  const labels = {
    "ipaddress.kubernetes.io/ip-family": "IPv4",
    "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
  };
  const metadata = { name: ip, uid: newUid(random), labels, creationTimestamp: rfc3339(r.now) };
  const object = { apiVersion: apiVersionOf(ipAddresses), kind: ipAddresses.kind, metadata, spec: { parentRef } };
  return object;
}

const alreadyAllocated = (what: string, which: string) => `failed to allocate ${what}: ${which} is already allocated`;

function refuse(service: Service, field: string, value: unknown, detail: string) {
  const error: FieldError = { type: "Invalid", field, value, detail };
  return invalid({ group: "", kind: "Service" }, nameOf(service), [error]);
}
