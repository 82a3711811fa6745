/** The server's Tables (`meta.k8s.io/v1`): rows already humanised, and which of their columns to show. */
import type { ApiObject, ListMeta } from "../../api/object.ts";
import { valueText } from "../../api/jsonpath/jsonpath.ts";
import { own } from "../../util/keys.ts";
import type { TextTable } from "./table.ts";

export const TABLE_ACCEPT = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

export interface ServerTable {
  kind: "Table";
  metadata?: ListMeta;
  columnDefinitions: { name: string; type: string; format?: string; priority?: number }[];
  rows: { cells: unknown[]; object?: ApiObject }[];
}

export interface TableView {
  readonly wide: boolean;
  readonly headers: boolean;
  /** A first column with the namespace: several are listed. */
  readonly namespaces: boolean;
  /** `pod/` before each name: several kinds are listed. */
  readonly namePrefix?: string | undefined;
  readonly showLabels: boolean;
  readonly labelColumns: readonly string[];
}

export function viewTable(table: ServerTable, view: TableView): TextTable {
  const shown = table.columnDefinitions.map((c) => view.wide || !c.priority);
  const header = [
    ...(view.namespaces ? ["NAMESPACE"] : []),
    ...table.columnDefinitions.filter((_, i) => shown[i]).map((c) => c.name.toUpperCase()),
    ...view.labelColumns.map((l) => (l.split("/").at(-1) ?? l).toUpperCase()),
    ...(view.showLabels ? ["LABELS"] : []),
  ];
  const rows = table.rows.map((row) => {
    const labels = row.object?.metadata.labels ?? {};
    const cells = row.cells.map((cell, i) =>
      i === 0 && view.namePrefix ? view.namePrefix + cellText(cell) : cellText(cell),
    );
    return [
      ...(view.namespaces ? [row.object?.metadata.namespace ?? ""] : []),
      ...cells.filter((_, i) => shown[i] ?? true),
      ...view.labelColumns.map((l) => own(labels, l) ?? ""),
      ...(view.showLabels ? [labelsText(labels)] : []),
    ];
  });
  return { header: view.headers ? header : undefined, rows };
}

export function labelsText(labels: Readonly<Record<string, string>> | undefined): string {
  const pairs = Object.entries(labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return pairs.length === 0 ? "<none>" : pairs.map(([k, v]) => `${k}=${v}`).join(",");
}

/** A cell never breaks its line. */
const cellText = (cell: unknown) => valueText(cell ?? "<none>").replace(/[\r\n]+/g, " ");
