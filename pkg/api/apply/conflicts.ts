/** When an apply wants what others own: how that is said. */
import { ApiError } from "../status.ts";
import { pathText } from "./elements.ts";
import { type FieldSet, paths } from "./field-set.ts";
import { describe, type Entry } from "./managers.ts";

export interface Conflict {
  readonly owner: Entry;
  readonly fields: FieldSet;
}

/** 409; clients branch on the causes' reason and print the message. */
export function conflictError(conflicts: readonly Conflict[]): ApiError {
  const each = conflicts
    .map(({ owner, fields }) => ({ who: describe(owner), paths: paths(fields).map(pathText) }))
    .toSorted((a, b) => (a.who < b.who ? -1 : 1));
  const causes = each.flatMap(({ who, paths: fields }) =>
    fields.map((field) => ({ reason: "FieldManagerConflict", message: `conflict with ${who}`, field })),
  );
  const [only] = causes;
  const text =
    causes.length === 1 && only
      ? `1 conflict: ${only.message}: ${only.field}`
      : `${causes.length} conflicts: ${each.flatMap(lines).join("\n")}`;
  return new ApiError("Conflict", `Apply failed with ${text}`, { causes });
}

function lines({ who, paths: fields }: { who: string; paths: readonly string[] }): string[] {
  return [`conflicts with ${who}:`, ...fields.map((field) => `- ${field}`)];
}
