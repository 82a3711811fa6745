/** Checks of what a version of a CRD shows of its objects: columns, selectable fields, scale. */
import type {
  CustomResourceColumnDefinition,
  CustomResourceSubresources,
  SelectableField,
} from "../../generated/types.ts";
import { parsePath } from "../../jsonpath/jsonpath.ts";
import { JsonPathError } from "../../jsonpath/parser.ts";
import { parseFieldPath } from "../../structural/field-path.ts";
import type { Schema } from "../../structural/schema.ts";
import type { FieldError } from "../../status.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { duplicate, type FieldErrors, invalidValue, required } from "../../validation/field.ts";

const COLUMN_TYPES = "boolean,date,integer,number,string";
const COLUMN_FORMATS = "byte,date,date-time,double,float,int32,int64,password";

export function validateColumns(c: DeepReadonly<CustomResourceColumnDefinition>, at: string): FieldErrors {
  const among = (list: string, value: string) => list.split(",").includes(value);
  return [
    ...(c.name ? [] : [required(`${at}.name`)]),
    ...(c.type ? [] : [required(`${at}.type`, `must be one of ${COLUMN_TYPES}`)]),
    ...(c.type && !among(COLUMN_TYPES, c.type)
      ? [invalidValue(`${at}.type`, c.type, `must be one of ${COLUMN_TYPES}`)]
      : []),
    ...(c.format && !among(COLUMN_FORMATS, c.format)
      ? [invalidValue(`${at}.format`, c.format, `must be one of ${COLUMN_FORMATS}`)]
      : []),
    ...(c.jsonPath ? simplePath(c.jsonPath, `${at}.JSONPath`) : [required(`${at}.JSONPath`)]),
  ];
}

function simplePath(path: string, field: string): FieldErrors {
  if (!path.startsWith(".")) return [invalidValue(field, path, "must be a simple json path starting with .")];
  try {
    parsePath(path);
    return [];
  } catch (error) {
    if (!(error instanceof JsonPathError)) throw error;
    return [invalidValue(field, path, error.message)];
  }
}

/** Scale reads and writes these: fields by name, nothing that could be several. */
const DOTTED = /^(\.[A-Za-z_][\w-]*)+$/;

export function validateSubresources(s: DeepReadonly<CustomResourceSubresources> | undefined, at: string): FieldErrors {
  if (!s?.scale) return [];
  const { specReplicasPath, statusReplicasPath, labelSelectorPath } = s.scale;
  const check = (name: string, path: string | undefined, roots: readonly string[], where: string): FieldErrors => {
    const field = `${at}.scale.${name}`;
    if (!path) return [required(field)];
    const simple = simplePath(path, field);
    if (simple.length > 0) return simple;
    if (!roots.some((root) => path.startsWith(root)))
      return [invalidValue(field, path, `should be a json path under ${where}`)];
    return DOTTED.test(path) ? [] : [invalidValue(field, path, "must be a json path in the dot notation")];
  };
  return [
    ...check("specReplicasPath", specReplicasPath, [".spec."], ".spec"),
    ...check("statusReplicasPath", statusReplicasPath, [".status."], ".status"),
    ...(labelSelectorPath
      ? check("labelSelectorPath", labelSelectorPath, [".spec.", ".status."], "either .spec or .status")
      : []),
  ];
}

const MAX_SELECTABLE = 8;

export function validateSelectableFields(
  fields: readonly DeepReadonly<SelectableField>[],
  schema: Schema,
  at: string,
): FieldErrors {
  const seen = new Set<string>();
  const errors = fields.flatMap(({ jsonPath }, i): FieldError[] => {
    const field = `${at}[${i}].jsonPath`;
    if (!jsonPath) return [required(field)];
    const path = jsonPath.includes("[") ? { error: "array notation is not allowed" } : parseFieldPath(jsonPath, schema);
    if (path.error !== undefined) return [invalidValue(field, jsonPath, `is an invalid path: ${path.error}`)];
    const repeated = seen.has(path.text);
    seen.add(path.text);
    const simple = ["string", "boolean", "integer"].includes(path.schema?.type ?? "");
    const kinds =
      "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.";
    return [
      ...(path.steps[0] === "metadata" ? [invalidValue(field, jsonPath, "must not point to fields in metadata")] : []),
      ...(simple ? [] : [invalidValue(field, jsonPath, kinds)]),
      ...(repeated ? [duplicate(field, jsonPath)] : []),
    ];
  });
  if (seen.size <= MAX_SELECTABLE) return errors;
  const detail = `must have at most ${MAX_SELECTABLE} items`;
  return [...errors, { type: "TooMany", field: at, value: seen.size, detail }];
}
