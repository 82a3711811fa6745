import { keep } from "../../equal.ts";
import type { ResourceQuota } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { validateQuota, validateQuotaStatus } from "../../validation/quota.ts";
import { canonicalize } from "../../validation/resources.ts";
import { AGE, NAME } from "../columns.ts";
import { statusPart } from "../parts.ts";

export const resourceQuotas: ResourceDef<ResourceQuota> = {
  group: "",
  version: "v1",
  kind: "ResourceQuota",
  plural: "resourcequotas",
  singular: "resourcequota",
  shortNames: ["quota"],
  categories: [],
  namespaced: true,
  generations: false,
  schema: "ResourceQuota",
  setDefaults(o) {
    o.spec ??= {};
    for (const list of [o.spec.hard, o.status?.hard, o.status?.used]) canonicalize(list);
  },
  prepareForCreate(o) {
    o.status = {};
  },
  prepareForUpdate: (next, old) => keep(next, old, "status"),
  validate: validateQuota,
  subresources: { status: statusPart<ResourceQuota>(validateQuotaStatus) },
  selectableFields: {},
  columns: [
    NAME,
    {
      name: "Request",
      type: "string",
      description: "Request represents a minimum amount of cpu/memory that a container may consume.",
      cell: (o) => usage(o, (name) => !isLimit(name)),
    },
    {
      name: "Limit",
      type: "string",
      description:
        "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node.",
      cell: (o) => usage(o, isLimit),
    },
    AGE,
  ],
};

const isLimit = (name: string) => name.startsWith("limits.");

/** `pods: 3/10, requests.cpu: 500m/2` */
function usage(o: DeepReadonly<ResourceQuota>, show: (name: string) => boolean): string {
  const { hard = {}, used = {} } = o.status ?? {};
  return Object.keys(hard)
    .filter(show)
    .sort()
    .map((name) => `${name}: ${used[name] ?? "0"}/${hard[name]}`)
    .join(", ");
}
