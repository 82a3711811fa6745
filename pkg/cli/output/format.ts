/** `-o`: an object, or several, as text. */
import type { ApiObject } from "../../api/object.ts";
import { toYaml } from "../../util/yaml.ts";
import { objectTitle, type KnownResource } from "../discovery.ts";
import { CliError, UsageError } from "../io.ts";
import { type CustomColumn, customRow, parseCustomColumns } from "./custom-columns.ts";
import type { Template } from "../../api/jsonpath/jsonpath.ts";
import { parseTemplate } from "./jsonpath.ts";
import type { TablePrinter } from "./table.ts";

export type Format =
  | { readonly type: "table"; readonly wide: boolean }
  | { readonly type: "json" | "yaml" | "name" }
  | { readonly type: "jsonpath"; readonly template: Template }
  | { readonly type: "custom-columns"; readonly columns: readonly CustomColumn[] };

export const FORMATS = "wide|json|yaml|name|jsonpath=TEMPLATE|custom-columns=HEAD:PATH,…";

export function parseFormat(text: string | undefined): Format {
  if (text === undefined) return { type: "table", wide: false };
  const [name = "", ...rest] = text.split("=");
  const value = rest.join("=");
  switch (name) {
    case "wide":
      return { type: "table", wide: true };
    case "json":
    case "yaml":
    case "name":
      return { type: name };
    case "jsonpath":
      if (!value) throw new UsageError(`-o jsonpath needs a template, for example: -o jsonpath='{.metadata.name}'`);
      return { type: "jsonpath", template: parseTemplate(value.includes("{") ? value : `{${value}}`) };
    case "custom-columns":
      return { type: "custom-columns", columns: parseCustomColumns(value) };
    default:
      throw new CliError(
        `unable to match a printer suitable for the output format ${JSON.stringify(text)}, allowed formats are: ${FORMATS}`,
      );
  }
}

export interface Found {
  readonly resource: KnownResource;
  readonly object: ApiObject;
}

/**
 * The objects in a form other than a table. `list` says that a list was asked for, even if it holds one object: then
 * json, yaml and jsonpath see a List around them.
 */
export function formatObjects(
  format: Format,
  found: readonly Found[],
  o: { list: boolean; printer: TablePrinter; headers: boolean },
): string {
  const objects = found.map((f) => f.object);
  const [only] = objects;
  const whole = o.list || objects.length !== 1 || !only ? listOf(objects) : only;
  switch (format.type) {
    case "json":
      return `${JSON.stringify(whole, null, 4)}\n`;
    case "yaml":
      return toYaml(whole);
    case "name":
      return found.map((f) => `${objectTitle(f.resource, f.object.metadata.name ?? "")}\n`).join("");
    case "jsonpath":
      return format.template.render(whole);
    case "custom-columns": {
      const rows = objects.map((object) => customRow(format.columns, object));
      return o.printer.format({ header: o.headers ? format.columns.map((c) => c.header) : undefined, rows });
    }
    case "table":
      throw new Error("tables are the server's");
  }
}

function listOf(items: readonly ApiObject[]): object {
  return { apiVersion: "v1", items, kind: "List", metadata: { resourceVersion: "" } };
}

/** Without what only the server's bookkeeping needs. */
export function withoutManagedFields<T extends ApiObject>(object: T): T {
  if (!object.metadata?.managedFields) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}
