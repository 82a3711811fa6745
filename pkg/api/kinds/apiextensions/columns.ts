/** The columns of custom objects: what JSON paths find, as the column's type. */
import { humanAge } from "../../duration.ts";
import type { CustomResourceColumnDefinition } from "../../generated/types.ts";
import { parsePath, valueText } from "../../jsonpath/jsonpath.ts";
import { JsonPathError } from "../../jsonpath/parser.ts";
import type { ApiObject } from "../../object.ts";
import type { Column } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { AGE, NAME } from "../columns.ts";

type Definition = DeepReadonly<CustomResourceColumnDefinition>;

/** Whoever names columns gets those and no others. */
export function customColumns(definitions: readonly Definition[] | undefined): readonly Column<ApiObject>[] {
  if (!definitions?.length) return [NAME, { ...AGE, type: "date" }];
  return [NAME, ...definitions.map(column)];
}

function column({ name, type, description, jsonPath, priority = 0 }: Definition): Column<ApiObject> {
  const find = finder(jsonPath);
  return {
    name,
    type: type as Column<ApiObject>["type"],
    description: description || `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    ...(priority > 0 && { wide: true }),
    // Of several values the first is shown, as in Kubernetes.
    cell: (o, now) => cell(type, find(o)[0], now),
  };
}

/** A path that was accepted once and can no longer be read finds nothing. */
function finder(path: string): (o: unknown) => readonly unknown[] {
  try {
    return parsePath(path);
  } catch (error) {
    if (error instanceof JsonPathError) return () => [];
    throw error;
  }
}

function cell(type: string, value: unknown, now: number): string | number | boolean {
  if (value === undefined || value === null) return "";
  switch (type) {
    case "string":
      return valueText(value);
    case "integer":
      return typeof value === "number" ? Math.trunc(value) : "";
    case "number":
      return typeof value === "number" ? value : "";
    case "boolean":
      return typeof value === "boolean" ? value : "";
    case "date":
      return typeof value !== "string" ? "" : Number.isNaN(Date.parse(value)) ? "<invalid>" : humanAge(value, now);
    default:
      return "";
  }
}
