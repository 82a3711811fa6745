import type { ServiceAccount } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import { TOKEN_REQUEST } from "../authentication/tokenrequest.ts";
import { AGE, NAME } from "../columns.ts";

export const serviceAccounts: ResourceDef<ServiceAccount> = {
  group: "",
  version: "v1",
  kind: "ServiceAccount",
  plural: "serviceaccounts",
  singular: "serviceaccount",
  shortNames: ["sa"],
  categories: [],
  namespaced: true,
  schema: "ServiceAccount",
  subresources: { token: { type: "call", input: TOKEN_REQUEST } },
  selectableFields: {},
  columns: [
    NAME,
    {
      name: "Secrets",
      type: "string",
      description: "How many secrets pods that use this account may mount.",
      cell: (o) => o.secrets?.length ?? 0,
    },
    AGE,
  ],
};
