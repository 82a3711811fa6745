import type { Service, ServicePort } from "../../generated/types.ts";
import { dns1035Label } from "../../names.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { validateService, validateServiceStatus, validateServiceUpdate } from "../../validation/service.ts";
import { AGE, NAME } from "../columns.ts";
import { statusPart } from "../parts.ts";
import { labelsText, orNone } from "../pod-template.ts";
import { prepareServiceForCreate, prepareServiceForUpdate, setServiceDefaults } from "./service-defaults.ts";

export const services: ResourceDef<Service> = {
  group: "",
  version: "v1",
  kind: "Service",
  plural: "services",
  singular: "service",
  shortNames: ["svc"],
  categories: ["all"],
  namespaced: true,
  generations: false,
  schema: "Service",
  validateName: dns1035Label,
  setDefaults: setServiceDefaults,
  prepareForCreate: prepareServiceForCreate,
  prepareForUpdate: prepareServiceForUpdate,
  validate: (next, old) => [...(old ? validateServiceUpdate(next, old) : []), ...validateService(next)],
  subresources: {
    status: statusPart<Service>(validateServiceStatus),
    proxy: { type: "connect", verbs: ["get", "create", "update", "patch", "delete"] },
  },
  selectableFields: {
    "spec.clusterIP": (o) => o.spec?.clusterIP ?? "",
    "spec.type": (o) => o.spec?.type ?? "",
  },
  columns: [
    NAME,
    { name: "Type", type: "string", cell: (o) => o.spec?.type ?? "" },
    { name: "Cluster-IP", type: "string", cell: (o) => o.spec?.clusterIPs?.[0] ?? "<none>" },
    { name: "External-IP", type: "string", cell: externalIp },
    { name: "Port(s)", type: "string", cell: (o) => (o.spec?.ports ?? []).map(port).join(",") || "<none>" },
    AGE,
    { name: "Selector", type: "string", wide: true, cell: (o) => orNone(labelsText(o.spec?.selector)) },
  ],
};

/** Where clients outside the cluster find it. */
function externalIp({ spec = {}, status }: DeepReadonly<Service>): string {
  const given = spec.externalIPs ?? [];
  switch (spec.type ?? "") {
    case "ClusterIP":
    case "NodePort":
      return given.join(",") || "<none>";
    case "LoadBalancer": {
      const balancers = (status?.loadBalancer?.ingress ?? []).map((i) => i.ip || (i.hostname ?? ""));
      return [...[...new Set(balancers.filter(Boolean))].sort(), ...given].join(",") || "<pending>";
    }
    case "ExternalName":
      return spec.externalName ?? "";
    default:
      return "<unknown>";
  }
}

function port(p: DeepReadonly<ServicePort>): string {
  return p.nodePort ? `${p.port}:${p.nodePort}/${p.protocol}` : `${p.port}/${p.protocol}`;
}
