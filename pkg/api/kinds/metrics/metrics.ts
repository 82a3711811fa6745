/** What nodes and Pods use at the moment of the request. Nothing of it is stored. */
import type { NodeMetrics, PodMetrics } from "../../generated/types.ts";
import { addQuantities, formatQuantity, parseQuantity, type Quantity } from "../../quantity.ts";
import type { Column, ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { NAME } from "../columns.ts";

export const nodeMetrics: ResourceDef<NodeMetrics> = {
  group: "metrics.k8s.io",
  version: "v1beta1",
  kind: "NodeMetrics",
  plural: "nodes",
  singular: "",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: "NodeMetrics",
  verbs: ["get", "list"],
  virtual: true,
  subresources: {},
  selectableFields: {},
  columns: usageColumns<NodeMetrics>((o) => [o.usage ?? {}]),
};

export const podMetrics: ResourceDef<PodMetrics> = {
  group: "metrics.k8s.io",
  version: "v1beta1",
  kind: "PodMetrics",
  plural: "pods",
  singular: "",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: "PodMetrics",
  verbs: ["get", "list"],
  virtual: true,
  subresources: {},
  selectableFields: {},
  columns: usageColumns<PodMetrics>((o) => (o.containers ?? []).map((c) => c.usage ?? {})),
};

type Usage = Readonly<Record<string, string>>;

function usageColumns<T extends NodeMetrics | PodMetrics>(
  usages: (o: DeepReadonly<T>) => readonly Usage[],
): readonly Column<T>[] {
  const sum = (resource: string) => (o: DeepReadonly<T>) => {
    const zero: Quantity = { nano: 0n, format: "DecimalSI" };
    const all = usages(o).map((u) => parseQuantity(u[resource] ?? "0"));
    return formatQuantity(all.reduce(addQuantities, zero));
  };
  return [
    NAME,
    { name: "cpu", type: "string", cell: sum("cpu") },
    { name: "memory", type: "string", cell: sum("memory") },
    { name: "Window", type: "string", cell: (o) => windowOf(o) },
  ];
}

const windowOf = (o: { readonly window?: string }) => o.window ?? "";
