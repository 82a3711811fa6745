import type { LimitRange, LimitRangeItem } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import { validateLimits } from "../../validation/limit-range.ts";
import { canonicalize } from "../../validation/resources.ts";
import { NAME } from "../columns.ts";

export const limitRanges: ResourceDef<LimitRange> = {
  group: "",
  version: "v1",
  kind: "LimitRange",
  plural: "limitranges",
  singular: "limitrange",
  shortNames: ["limits"],
  categories: [],
  namespaced: true,
  schema: "LimitRange",
  setDefaults(o) {
    o.spec ??= { limits: [] };
    for (const item of (o.spec.limits ??= [])) setDefaults(item);
  },
  validate: (next) => validateLimits(next.spec?.limits, "spec.limits"),
  subresources: {},
  selectableFields: {},
  columns: [
    NAME,
    {
      name: "Created At",
      type: "date",
      description: "When the limits began to hold.",
      cell: (o) => o.metadata.creationTimestamp ?? "",
    },
  ],
};

/** A container that says nothing gets the most, unless a default is written; a request, what the limit is. */
function setDefaults(item: LimitRangeItem): void {
  for (const list of [item.max, item.min, item.default, item.defaultRequest, item.maxLimitRequestRatio]) {
    canonicalize(list);
  }
  if (item.type !== "Container") return;
  const limits = { ...item.max, ...item.default };
  item.default = limits;
  item.defaultRequest = { ...item.min, ...limits, ...item.defaultRequest };
}
