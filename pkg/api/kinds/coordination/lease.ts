import type { Lease } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import { invalidValue, notNegative, positive } from "../../validation/field.ts";
import { AGE, NAME } from "../columns.ts";

export const leases: ResourceDef<Lease> = {
  group: "coordination.k8s.io",
  version: "v1",
  kind: "Lease",
  plural: "leases",
  singular: "lease",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: "Lease",
  validate: ({ spec }) => [
    ...positive("spec.leaseDurationSeconds", spec?.leaseDurationSeconds),
    ...notNegative("spec.leaseTransitions", spec?.leaseTransitions),
    ...(spec?.holderIdentity === "" ? [invalidValue("spec.holderIdentity", "", "must not be empty")] : []),
  ],
  subresources: {},
  selectableFields: {},
  columns: [
    NAME,
    {
      name: "Holder",
      type: "string",
      description: "The identity of the holder of the lease.",
      cell: (o) => o.spec?.holderIdentity ?? "",
    },
    AGE,
  ],
};
