/** The two columns that all kinds share. */
import { humanAge } from "../duration.ts";
import type { ApiObject, ObjectMeta } from "../object.ts";
import type { Column } from "../resource.ts";
import type { DeepReadonly } from "../../util/types.ts";

const metaOf = (o: { readonly metadata: DeepReadonly<ObjectMeta> }) => o.metadata;

export const NAME = {
  name: "Name",
  type: "string",
  format: "name",
  description:
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically.",
  cell: (o) => metaOf(o).name ?? "",
} as const satisfies Column<ApiObject>;

export const AGE = {
  name: "Age",
  type: "string",
  description: "How long ago the object was created.",
  cell: (o, now) => humanAge(metaOf(o).creationTimestamp, now),
} as const satisfies Column<ApiObject>;
