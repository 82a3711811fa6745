import type { RuntimeClass } from "../../generated/types.ts";
import { dnsLabel } from "../../names.ts";
import type { ResourceDef } from "../../resource.ts";
import { checked, IMMUTABLE, invalidValue } from "../../validation/field.ts";
import { validateLabels } from "../../validation/meta.ts";
import { validateTolerations } from "../../validation/placement.ts";
import { canonicalize, validateQuantities } from "../../validation/resources.ts";
import { AGE, NAME } from "../columns.ts";

export const runtimeClasses: ResourceDef<RuntimeClass> = {
  group: "node.k8s.io",
  version: "v1",
  kind: "RuntimeClass",
  plural: "runtimeclasses",
  singular: "runtimeclass",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: "RuntimeClass",
  setDefaults: (o) => canonicalize(o.overhead?.podFixed),
  validate: (next, old) => [
    ...checked("handler", next.handler ?? "", dnsLabel),
    ...validateQuantities(next.overhead?.podFixed, "overhead.podFixed"),
    ...validateLabels(next.scheduling?.nodeSelector, "scheduling.nodeSelector"),
    ...validateTolerations(next.scheduling?.tolerations, "scheduling.tolerations"),
    ...(old && old.handler !== next.handler ? [invalidValue("handler", next.handler, IMMUTABLE)] : []),
  ],
  subresources: {},
  selectableFields: {},
  columns: [NAME, { name: "Handler", type: "string", cell: (o) => o.handler ?? "" }, AGE],
};
