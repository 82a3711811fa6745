/** What components say of their health; asked at the moment of the request. */
import type { ComponentStatus } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { NAME } from "../columns.ts";

export const componentStatuses: ResourceDef<ComponentStatus> = {
  group: "",
  version: "v1",
  kind: "ComponentStatus",
  plural: "componentstatuses",
  singular: "componentstatus",
  shortNames: ["cs"],
  categories: [],
  namespaced: false,
  schema: "ComponentStatus",
  verbs: ["get", "list"],
  virtual: true,
  subresources: {},
  selectableFields: {},
  columns: [
    NAME,
    { name: "Status", type: "string", description: "Status of the component conditions", cell: status },
    {
      name: "Message",
      type: "string",
      description: "Message of the component conditions",
      cell: (o) => health(o)?.message ?? "",
    },
    {
      name: "Error",
      type: "string",
      description: "Error of the component conditions",
      cell: (o) => health(o)?.error ?? "",
    },
  ],
};

function health(o: DeepReadonly<ComponentStatus>) {
  return o.conditions?.find((c) => c.type === "Healthy");
}

function status(o: DeepReadonly<ComponentStatus>): string {
  const said = health(o)?.status;
  return said === undefined ? "Unknown" : said === "True" ? "Healthy" : "Unhealthy";
}
