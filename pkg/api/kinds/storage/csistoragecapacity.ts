import { semanticEqual } from "../../equal.ts";
import type { CSIStorageCapacity } from "../../generated/types.ts";
import { dnsSubdomain } from "../../names.ts";
import type { ResourceDef } from "../../resource.ts";
import { checkedRequired, IMMUTABLE, invalidValue } from "../../validation/field.ts";
import { validateQuantities } from "../../validation/resources.ts";
import { validateLabelSelector } from "../../validation/selector.ts";
import { NAME } from "../columns.ts";

export const csiStorageCapacities: ResourceDef<CSIStorageCapacity> = {
  group: "storage.k8s.io",
  version: "v1",
  kind: "CSIStorageCapacity",
  plural: "csistoragecapacities",
  singular: "csistoragecapacity",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: "CSIStorageCapacity",
  validate: (next, old) => [
    ...validateLabelSelector(next.nodeTopology, "nodeTopology"),
    ...checkedRequired("storageClassName", next.storageClassName, dnsSubdomain),
    ...(["capacity", "maximumVolumeSize"] as const).flatMap((f) =>
      // One quantity is a list of one, but for its path.
      validateQuantities(next[f] === undefined ? {} : { [f]: next[f] }, "").map((e) => ({ ...e, field: f })),
    ),
    ...(["nodeTopology", "storageClassName"] as const).flatMap((f) =>
      old && !semanticEqual(next[f], old[f]) ? [invalidValue(f, next[f], IMMUTABLE)] : [],
    ),
  ],
  subresources: {},
  selectableFields: {},
  columns: [
    NAME,
    { name: "StorageClassName", type: "string", cell: (o) => o.storageClassName ?? "" },
    { name: "Capacity", type: "string", cell: (o) => o.capacity ?? "<unset>" },
  ],
};
