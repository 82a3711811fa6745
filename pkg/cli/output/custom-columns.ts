/** `-o custom-columns=NAME:.metadata.name,IMAGES:.spec.containers[*].image` */
import type { ApiObject } from "../../api/object.ts";
import { UsageError } from "../io.ts";
import { valueText } from "../../api/jsonpath/jsonpath.ts";
import { parsePath } from "./jsonpath.ts";

export interface CustomColumn {
  readonly header: string;
  readonly values: (data: unknown) => unknown[];
}

export function parseCustomColumns(spec: string): CustomColumn[] {
  const parts = splitOutsideBrackets(spec);
  if (parts.length === 0) throw new UsageError("-o custom-columns needs columns, for example: NAME:.metadata.name");
  return parts.map((part) => {
    const colon = part.indexOf(":");
    if (colon <= 0) throw new UsageError(`unexpected custom-columns spec: ${part}, expected <header>:<json-path-expr>`);
    return { header: part.slice(0, colon), values: parsePath(part.slice(colon + 1)) };
  });
}

export function customRow(columns: readonly CustomColumn[], object: ApiObject): string[] {
  return columns.map((c) => {
    const values = c.values(object);
    return values.length === 0 ? "<none>" : values.map(cellText).join(",");
  });
}

const cellText = (value: unknown) => (value === null ? "<none>" : valueText(value));

/** Commas inside `[…]` belong to the path. */
function splitOutsideBrackets(spec: string): string[] {
  return spec.match(/(?:\[[^\]]*\]|[^,[])+/g) ?? [];
}
