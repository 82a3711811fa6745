/** Endpoints: the old list of a Service's addresses, in one object. EndpointSlices are what is read nowadays. */
import type { CoreV1EndpointPort, EndpointAddress, Endpoints, EndpointSubset } from "../../generated/types.ts";
import { dnsLabel, dnsSubdomain, portNumber, qualifiedName } from "../../names.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { checked, each, type FieldErrors, invalidValue, oneOf, required } from "../../validation/field.ts";
import { validateIp, validateNonSpecialIp } from "../../validation/ip.ts";
import { PROTOCOLS } from "../../validation/service.ts";
import { AGE, NAME } from "../columns.ts";
import { firstThree } from "../format.ts";

export const endpoints: ResourceDef<Endpoints> = {
  group: "",
  version: "v1",
  kind: "Endpoints",
  plural: "endpoints",
  singular: "endpoints",
  shortNames: ["ep"],
  categories: [],
  namespaced: true,
  schema: "Endpoints",
  setDefaults(o) {
    for (const s of o.subsets ?? []) for (const p of s.ports ?? []) p.protocol ||= "TCP";
  },
  validate: (next) => each("subsets", next.subsets, validateSubset),
  subresources: {},
  selectableFields: {},
  columns: [
    NAME,
    {
      name: "Endpoints",
      type: "string",
      cell: (o) => firstThree((o.subsets ?? []).flatMap(hostPorts), o.subsets?.length ? "" : "<none>"),
    },
    AGE,
  ],
};

function hostPorts({ addresses, ports }: DeepReadonly<EndpointSubset>): string[] {
  const ips = (addresses ?? []).map((a) => a.ip ?? "");
  if (!ports?.length) return ips;
  return ports.flatMap((p) => ips.map((ip) => (ip.includes(":") ? `[${ip}]:${p.port}` : `${ip}:${p.port}`)));
}

function validateSubset(s: DeepReadonly<EndpointSubset>, at: string): FieldErrors {
  const any = (s.addresses?.length ?? 0) + (s.notReadyAddresses?.length ?? 0) > 0;
  const needsName = (s.ports ?? []).length > 1;
  return [
    ...(any ? [] : [required(at, "must specify `addresses` or `notReadyAddresses`")]),
    ...each(`${at}.addresses`, s.addresses, validateAddress),
    ...each(`${at}.notReadyAddresses`, s.notReadyAddresses, validateAddress),
    ...each(`${at}.ports`, s.ports, (p, i) => validatePort(p, i, needsName)),
  ];
}

function validateAddress(a: DeepReadonly<EndpointAddress>, at: string): FieldErrors {
  return [
    ...validateIp(a.ip, `${at}.ip`),
    ...validateNonSpecialIp(a.ip, `${at}.ip`),
    ...(a.hostname ? checked(`${at}.hostname`, a.hostname, dnsLabel) : []),
    ...(a.nodeName ? checked(`${at}.nodeName`, a.nodeName, dnsSubdomain) : []),
  ];
}

function validatePort(p: DeepReadonly<CoreV1EndpointPort>, at: string, needsName: boolean): FieldErrors {
  return [
    ...(p.name ? checked(`${at}.name`, p.name, dnsLabel) : needsName ? [required(`${at}.name`)] : []),
    ...portNumber(p.port).map((why) => invalidValue(`${at}.port`, p.port, why)),
    ...oneOf(`${at}.protocol`, p.protocol, PROTOCOLS),
    ...(p.appProtocol ? checked(`${at}.appProtocol`, p.appProtocol, qualifiedName) : []),
  ];
}
