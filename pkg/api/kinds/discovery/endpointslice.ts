import type { DiscoveryV1EndpointPort, Endpoint, EndpointSlice } from "../../generated/types.ts";
import { dnsLabel, qualifiedName } from "../../names.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { validateFullyQualifiedDomain } from "../../validation/domain.ts";
import {
  checked,
  each,
  type FieldErrors,
  IMMUTABLE,
  invalidValue,
  oneOf,
  required,
  tooMany,
  duplicate,
} from "../../validation/field.ts";
import { validateIp, validateNonSpecialIp } from "../../validation/ip.ts";
import { validateLabels } from "../../validation/meta.ts";
import { PROTOCOLS } from "../../validation/service.ts";
import { AGE, NAME } from "../columns.ts";
import { firstThree } from "../format.ts";

const ADDRESS_TYPES = ["FQDN", "IPv4", "IPv6"];
const MAX_ENDPOINTS = 1000;
const MAX_ADDRESSES = 100;
const MAX_PORTS = 20_000;
const MAX_ZONES = 8;

export const endpointSlices: ResourceDef<EndpointSlice> = {
  group: "discovery.k8s.io",
  version: "v1",
  kind: "EndpointSlice",
  plural: "endpointslices",
  singular: "endpointslice",
  shortNames: [],
  categories: [],
  namespaced: true,
  generations: true,
  schema: "EndpointSlice",
  setDefaults(o) {
    for (const p of o.ports ?? []) {
      p.name ??= "";
      p.protocol ||= "TCP";
    }
  },
  validate: (next, old) => [
    ...oneOf("addressType", next.addressType, ADDRESS_TYPES),
    ...validateEndpoints(next),
    ...validatePorts(next.ports ?? []),
    ...(old && old.addressType !== next.addressType ? [invalidValue("addressType", next.addressType, IMMUTABLE)] : []),
  ],
  subresources: {},
  selectableFields: {},
  columns: [
    NAME,
    { name: "AddressType", type: "string", cell: (o) => o.addressType ?? "" },
    { name: "Ports", type: "string", cell: (o) => firstThree((o.ports ?? []).map(portText), "<unset>") },
    {
      name: "Endpoints",
      type: "string",
      cell: (o) =>
        firstThree(
          (o.endpoints ?? []).flatMap((e) => e.addresses ?? []),
          "<unset>",
        ),
    },
    AGE,
  ],
};

function portText(p: DeepReadonly<DiscoveryV1EndpointPort>): string {
  return p.port === undefined ? (p.name ?? "*") : String(p.port);
}

function validateEndpoints({ addressType, endpoints = [] }: DeepReadonly<EndpointSlice>): FieldErrors {
  if (endpoints.length > MAX_ENDPOINTS) return [tooMany("endpoints", endpoints.length, MAX_ENDPOINTS)];
  return each("endpoints", endpoints, (e, at) => validateEndpoint(e, at, addressType));
}

function validateEndpoint(e: DeepReadonly<Endpoint>, at: string, type: string): FieldErrors {
  const addresses = e.addresses ?? [];
  const zones = e.hints?.forZones ?? [];
  return [
    ...(addresses.length ? [] : [required(`${at}.addresses`, "must contain at least 1 address")]),
    ...(addresses.length > MAX_ADDRESSES ? [tooMany(`${at}.addresses`, addresses.length, MAX_ADDRESSES)] : []),
    ...each(`${at}.addresses`, addresses, (a, i) => validateAddress(a, i, type)),
    ...validateLabels(e.deprecatedTopology, `${at}.deprecatedTopology`),
    ...(e.hostname === undefined ? [] : checked(`${at}.hostname`, e.hostname, dnsLabel)),
    ...(zones.length > MAX_ZONES ? [tooMany(`${at}.hints.forZones`, zones.length, MAX_ZONES)] : []),
  ];
}

function validateAddress(address: string, at: string, type: string): FieldErrors {
  if (type === "IPv4" || type === "IPv6") {
    return [...validateIp(address, at, type), ...validateNonSpecialIp(address, at)];
  }
  return type === "FQDN" ? validateFullyQualifiedDomain(address, at) : [];
}

function validatePorts(ports: readonly DeepReadonly<DiscoveryV1EndpointPort>[]): FieldErrors {
  if (ports.length > MAX_PORTS) return [tooMany("ports", ports.length, MAX_PORTS)];
  const names = new Set<string>();
  return each("ports", ports, ({ name = "", protocol, appProtocol }, at) => {
    // A port without a name is one too: there may be only one.
    const again = names.has(name);
    names.add(name);
    return [
      ...(name ? checked(`${at}.name`, name, dnsLabel) : []),
      ...(again ? [duplicate(`${at}.name`, name)] : []),
      ...oneOf(`${at}.protocol`, protocol, PROTOCOLS),
      ...(appProtocol ? checked(`${at}.appProtocol`, appProtocol, qualifiedName) : []),
    ];
  });
}
