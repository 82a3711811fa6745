/** All that a schema does for its objects, behind one door. */
import type { MergeType } from "../apply/merge-type.ts";
import { newBudget } from "../cel/budget.ts";
import type { CustomSchema } from "../custom-schema.ts";
import { deepClone } from "../equal.ts";
import type { ApiObject } from "../object.ts";
import type { FieldError } from "../status.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { applyDefaults, lacksDefaults } from "./defaults.ts";
import { validateInvariants } from "./invariants.ts";
import { mergeTypeOf } from "./merge-type.ts";
import { decodeCustom } from "./prune.ts";
import { publishObject, type Published } from "./publish.ts";
import { compileRules, hasRules, type Rules } from "./rules.ts";
import { type Schema, someSchema } from "./schema.ts";
import { NO_FIELD, validateValue } from "./validate.ts";

/** `metadata`: how metadata merges on server-side apply. */
export function customSchema(schema: Schema, gvk: Published, metadata: MergeType): CustomSchema {
  const { metadata: _, ...properties } = schema.properties ?? {};
  // An object's metadata has defaults of nobody but the server.
  const defaulted: Schema = { ...schema, properties };
  const embedded: Schema = { ...schema, type: "object", "x-kubernetes-embedded-resource": true };
  const presets = someSchema(defaulted, (s) => s.default !== undefined);
  const ruled = hasRules(schema);
  let rules: Rules | undefined;
  return {
    decode: (input) => decodeCustom(schema, input),
    setDefaults: (o) => applyDefaults(defaulted, o),
    filledIn(o) {
      if (!presets || !lacksDefaults(defaulted, o)) return o;
      const filled = deepClone(o) as ApiObject;
      applyDefaults(defaulted, filled);
      return filled;
    },
    validate: (next, old) => validate(next, old).map(named),
    mergeType: mergeTypeOf(embedded, metadata),
    openApi: (dialect) => publishObject(schema, gvk, dialect),
  };

  function validate(next: DeepReadonly<ApiObject>, old?: DeepReadonly<ApiObject>): readonly FieldError[] {
    const errors = [
      ...validateValue(schema, next, { path: "", ...(old && { old }) }),
      ...validateInvariants(schema, next, ""),
    ];
    if (!ruled) return errors;
    if (errors.some((e) => BLOCKING.has(e.type))) return [...errors, RULES_SKIPPED];
    // Compiled when first asked: most kinds of a cluster are never written.
    rules ??= compileRules(schema, "");
    return [...errors, ...rules.errors, ...rules.check(next, old, newBudget())];
  }
}

/** Of the object as a whole there is no path, and Kubernetes says so. */
const named = (e: FieldError): FieldError => (e.field === "" ? { ...e, field: NO_FIELD } : e);

/** A rule relies on what these say is not so: a field that is missing, or of another type. */
const BLOCKING: ReadonlySet<FieldError["type"]> = new Set([
  "NotSupported",
  "Required",
  "TooLong",
  "TooMany",
  "TypeInvalid",
]);

const RULES_SKIPPED: FieldError = {
  type: "Invalid",
  field: NO_FIELD,
  value: null,
  detail:
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
};
