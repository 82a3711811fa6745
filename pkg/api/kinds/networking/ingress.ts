import { keep } from "../../equal.ts";
import type { Ingress } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { validateIngress, validateIngressStatus } from "../../validation/ingress.ts";
import { AGE, NAME } from "../columns.ts";
import { statusPart } from "../parts.ts";

export const ingresses: ResourceDef<Ingress> = {
  group: "networking.k8s.io",
  version: "v1",
  kind: "Ingress",
  plural: "ingresses",
  singular: "ingress",
  shortNames: ["ing"],
  categories: [],
  namespaced: true,
  schema: "Ingress",
  setDefaults(o) {
    o.spec ??= {};
  },
  prepareForCreate(o) {
    o.status = { loadBalancer: {} };
  },
  prepareForUpdate: (next, old) => keep(next, old, "status"),
  validate: validateIngress,
  subresources: { status: statusPart<Ingress>(validateIngressStatus) },
  selectableFields: {},
  columns: [
    NAME,
    {
      name: "Class",
      type: "string",
      description: "The name of the IngressClass resource that should be used for additional configuration",
      cell: (o) => o.spec?.ingressClassName ?? "<none>",
    },
    {
      name: "Hosts",
      type: "string",
      description: "Hosts that incoming requests are matched against before the ingress rule",
      cell: hosts,
    },
    {
      name: "Address",
      type: "string",
      description: "Address is a list containing ingress points for the load-balancer",
      cell: addresses,
    },
    {
      name: "Ports",
      type: "string",
      description: "Ports of TLS configurations that open",
      cell: (o) => (o.spec?.tls?.length ? "80, 443" : "80"),
    },
    AGE,
  ],
};

/** Rules without a host count, too, where more than three are cut. */
function hosts({ spec }: DeepReadonly<Ingress>): string {
  const rules = spec?.rules ?? [];
  const named = rules.flatMap((r) => r.host || []);
  if (named.length === 0) return "*";
  const shown = named.slice(0, 3).join(",");
  return rules.length > 3 && named.length >= 3 ? `${shown} + ${rules.length - 3} more...` : shown;
}

function addresses({ status }: DeepReadonly<Ingress>): string {
  const all = (status?.loadBalancer?.ingress ?? []).flatMap((i) => i.ip || i.hostname || []);
  return [...new Set(all)].sort().join(",");
}
