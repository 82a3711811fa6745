/** The part of docs/api.md that the code can say itself. `npm run docs` writes it; a test compares. */
import { NOT_HONOURED, resourceName } from "../../pkg/api/not-honoured.ts";
import { apiVersionOf } from "../../pkg/api/object.ts";
import type { ResourceDef, Verb } from "../../pkg/api/resource.ts";
import type { FieldType } from "../../pkg/api/schema.ts";
import { refusedFields, unsupportedFields } from "../../pkg/api/unsupported.ts";
import { positions, wrap } from "../fuzz/objects.ts";

export const BEGIN = "<!-- begin: written by npm run docs -->";
export const END = "<!-- end -->";

const VERBS: readonly Verb[] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

/** The page with its tables made anew. */
export function withTables(page: string, defs: readonly ResourceDef[]): string {
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error("the page has lost its marks");
  return `${before}${BEGIN}\n\n${tables(defs)}\n${END}${after}`;
}

function tables(defs: readonly ResourceDef[]): string {
  const versions = [...new Set(defs.map(apiVersionOf))];
  const sections = versions.map((v) =>
    section(
      v,
      defs.filter((d) => apiVersionOf(d) === v),
    ),
  );
  return [
    ...sections,
    `### Fields of Pods that are not honoured\n\n${podFields()
      .map((f) => `- \`${f}\``)
      .join("\n")}\n`,
  ].join("\n");
}

function section(version: string, defs: readonly ResourceDef[]): string {
  const head = ["kind", "resource", ...VERBS, "below it", "selected by", "not honoured: warns"];
  const rows = [head, head.map(() => "---"), ...defs.map(row)];
  return `### ${version}\n\n${rows.map((cells) => `| ${cells.join(" | ")} |`).join("\n")}\n`;
}

function row(def: ResourceDef): string[] {
  const served = new Set<Verb>(def.verbs ?? VERBS);
  const code = (words: readonly string[]) => words.map((w) => `\`${w}\``).join(" ");
  return [
    def.kind,
    code([def.plural, ...def.shortNames]) + (def.namespaced ? "" : " (cluster)"),
    ...VERBS.map((v) => (served.has(v) ? "✓" : "405")),
    code(Object.keys(def.subresources).toSorted()),
    code(Object.keys(def.selectableFields).toSorted()),
    NOT_HONOURED[resourceName(def)] ?? "",
  ];
}

/** Found by asking: a Pod with that one field set, whatever it is set to. */
export function podFields(): string[] {
  const found = new Set<string>();
  for (const { path, type } of positions("PodSpec", 7)) {
    for (const value of valuesOf(type)) {
      const spec = wrap(path, value) as object;
      const pod = { spec: { containers: [], ...spec } };
      for (const field of unsupportedFields(pod)) found.add(field.replaceAll("[0]", "[]"));
      for (const field of refusedFields(pod)) found.add(`${field.replaceAll("[0]", "[]")} (the Pod does not start)`);
    }
  }
  return [...found].toSorted();
}

function valuesOf(type: FieldType): readonly unknown[] {
  if (type.kind === "list") return [[], [{}]];
  if (type.kind !== "scalar") return [{}];
  return type.scalar === "bool" ? [true, false] : type.scalar === "string" ? ["x", "FallbackToLogsOnError"] : [1];
}
