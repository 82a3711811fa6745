import { deepEqual } from "../../equal.ts";
import type { CSINode, CSINodeDriver } from "../../generated/types.ts";
import { qualifiedName } from "../../names.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import {
  checkedRequired,
  each,
  type FieldErrors,
  IMMUTABLE,
  invalidValue,
  notNegative,
  required,
  unique,
} from "../../validation/field.ts";
import { validateDriverName } from "../../validation/storage.ts";
import { AGE, NAME } from "../columns.ts";

const FIELD = "spec.drivers";

export const csiNodes: ResourceDef<CSINode> = {
  group: "storage.k8s.io",
  version: "v1",
  kind: "CSINode",
  plural: "csinodes",
  singular: "csinode",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: "CSINode",
  setDefaults(o) {
    o.spec ??= { drivers: [] };
    o.spec.drivers ??= [];
  },
  validate: (next, old) => [
    ...each(FIELD, next.spec.drivers, (d, at) => validateDriver(d, at)),
    ...unique(FIELD, next.spec.drivers, (d) => d.name, ".name"),
    ...each(FIELD, next.spec.drivers, (d, at) => {
      const before = old?.spec.drivers.find((o) => o.name === d.name);
      return before && !deepEqual(identity(d), identity(before)) ? [invalidValue(at, d, IMMUTABLE)] : [];
    }),
  ],
  subresources: {},
  selectableFields: {},
  columns: [
    NAME,
    {
      name: "Drivers",
      type: "integer",
      description: "Drivers indicates the number of CSI drivers registered on the node",
      cell: (o) => o.spec.drivers.length,
    },
    AGE,
  ],
};

/** How many volumes it can take may change; who it is may not. */
function identity({ name, nodeID, topologyKeys }: DeepReadonly<CSINodeDriver>) {
  return { name, nodeID, topologyKeys };
}

function validateDriver(d: DeepReadonly<CSINodeDriver>, at: string): FieldErrors {
  return [
    ...validateDriverName(d.name, `${at}.name`),
    ...(d.nodeID ? [] : [required(`${at}.nodeID`)]),
    ...notNegative(`${at}.allocatable.count`, d.allocatable?.count),
    ...each(`${at}.topologyKeys`, d.topologyKeys, (key) => checkedRequired(`${at}.topologyKeys`, key, qualifiedName)),
    ...unique(`${at}.topologyKeys`, d.topologyKeys, (key) => key),
  ];
}
