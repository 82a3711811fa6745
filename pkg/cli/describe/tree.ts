/** The layout of `describe`: labels with values, nested by two spaces, the values of one block under each other. */
import { TablePrinter } from "../output/table.ts";

export type Entry =
  | { readonly label: string; readonly value: string | readonly string[] }
  | { readonly label: string; readonly children: readonly Entry[] }
  /** A table under a heading, its columns underlined. */
  | { readonly label: string; readonly header: readonly string[]; readonly rows: readonly (readonly string[])[] };

export const row = (label: string, value: unknown): Entry => ({ label, value: text(value) });
export const block = (label: string, children: readonly (Entry | undefined)[]): Entry => ({
  label,
  children: compact(children),
});

/** Leaves out what is undefined: a row that has nothing to say. */
export function compact(entries: readonly (Entry | undefined)[]): Entry[] {
  return entries.filter((e) => e !== undefined);
}

function text(value: unknown): string | readonly string[] {
  if (Array.isArray(value)) return value.length === 0 ? "<none>" : value.map(String);
  if (value === undefined || value === null || value === "") return "<none>";
  return typeof value === "object" ? JSON.stringify(value) : String(value as string | number | boolean);
}

/** What tools note for themselves only blurs the picture. */
export function annotations(map: Readonly<Record<string, string>> | undefined): string[] {
  const { "kubectl.kubernetes.io/last-applied-configuration": _, ...shown } = map ?? {};
  return pairs(shown, ": ");
}

/** `a=1` lines, sorted. */
export function pairs(map: Readonly<Record<string, unknown>> | undefined, separator = "="): string[] {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([k, v]) => `${k}${separator}${String(v)}`);
}

export function renderTree(entries: readonly Entry[], indent = 0): string {
  const pad = " ".repeat(indent);
  const width = Math.max(0, ...entries.map((e) => ("value" in e ? e.label.length + 1 : 0)));
  return entries
    .map((e) => {
      if ("children" in e) {
        return e.children.length === 0
          ? `${pad}${e.label}:  <none>\n`
          : `${pad}${e.label}:\n${renderTree(e.children, indent + 2)}`;
      }
      if ("rows" in e) return renderRows(e, pad, width);
      const lines = typeof e.value === "string" ? e.value.split("\n") : e.value;
      const [first = "", ...more] = lines;
      const head = `${pad}${`${e.label}:`.padEnd(width)}  ${first}`;
      return [head, ...more.map((l) => `${pad}${" ".repeat(width)}  ${l}`)].map((l) => `${l.trimEnd()}\n`).join("");
    })
    .join("");
}

function renderRows(e: Extract<Entry, { rows: unknown }>, pad: string, width: number): string {
  if (e.rows.length === 0) return `${pad}${`${e.label}:`.padEnd(width)}  <none>\n`;
  const underlines = e.header.map((h) => "-".repeat(h.length));
  const printed = new TablePrinter((_, t) => t, 2).format({ header: e.header, rows: [underlines, ...e.rows] });
  const lines = printed.split("\n").filter((l) => l !== "");
  return `${pad}${e.label}:\n${lines.map((l) => `${pad}  ${l}\n`).join("")}`;
}
