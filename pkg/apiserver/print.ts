/** What `kubectl get` shows: a Table built from the kind's columns; cells are humanised here, not by the client. */
import type { ApiObject, ListMeta } from "../api/object.ts";
import type { ResourceDef } from "../api/resource.ts";
import type { DeepReadonly } from "../util/types.ts";

export type IncludeObject = "None" | "Metadata" | "Object";

export interface TableOptions {
  readonly now: number;
  readonly include: IncludeObject;
  /** `v1` or `v1beta1`, as the client asked. */
  readonly version: string;
  /** A watch says what the columns are only once. */
  readonly columns: boolean;
}

export function partialObject(o: DeepReadonly<ApiObject>, version = "v1"): object {
  return { kind: "PartialObjectMetadata", apiVersion: `meta.k8s.io/${version}`, metadata: o.metadata };
}

export function tableOf(
  def: ResourceDef,
  objects: readonly DeepReadonly<ApiObject>[],
  metadata: DeepReadonly<ListMeta>,
  o: TableOptions,
): object {
  return {
    kind: "Table",
    apiVersion: `meta.k8s.io/${o.version}`,
    metadata,
    columnDefinitions: o.columns ? def.columns.map(columnDefinition) : [],
    rows: objects.map((object) => ({
      cells: def.columns.map((column) => column.cell(object, o.now)),
      ...rowObject(object, o),
    })),
  };
}

function columnDefinition(column: ResourceDef["columns"][number]) {
  const { name, type, format = "", description = "", wide } = column;
  return { name, type, format, description, priority: wide ? 1 : 0 };
}

function rowObject(object: DeepReadonly<ApiObject>, o: TableOptions): { object?: object } {
  switch (o.include) {
    case "None":
      return {};
    case "Metadata":
      return { object: partialObject(object, o.version) };
    case "Object":
      return { object };
  }
}
