/**
 * Whether a schema is structural, and says nothing that cannot be kept: the checks a CRD's schema must pass, in the words
 * of Kubernetes. Defaults must fit their own schema; rules must compile.
 */
import { own } from "../../util/keys.ts";
import { newBudget } from "../cel/budget.ts";
import { compileRegexp, RegexpError } from "../../util/regexp.ts";
import { deepEqual } from "../equal.ts";
import type { FieldError } from "../status.ts";
import { forbidden, invalidValue, required } from "../validation/field.ts";
import { applyDefaults } from "./defaults.ts";
import { checkExtensions } from "./check-extensions.ts";
import { validateInvariants } from "./invariants.ts";
import { prune } from "./prune.ts";
import { compileRules } from "./rules.ts";
import { childOf, preservesUnknown, type Schema } from "./schema.ts";
import { validateValue } from "./validate.ts";

type Errors = FieldError[];
type Level = "root" | "item" | "field";

/** `path`: `spec.versions[0].schema.openAPIV3Schema`. */
export function checkSchema(schema: Schema, path: string): readonly FieldError[] {
  const structural: Errors = [];
  checkStructure(schema, "root", path, structural);
  checkCompleteness(schema, path, structural);
  const extensions: Errors = [];
  checkExtensions(schema, path, extensions);
  const errors = [...structural, ...extensions];
  if (errors.length > 0) return errors;
  // What follows evaluates the schema, so it must be sound by now.
  const defaults: Errors = [];
  checkDefaults(schema, path, defaults);
  return [...defaults, ...compileRules(schema, path).errors];
}

const NO_TYPE: Readonly<Record<Level, string>> = {
  root: "must not be empty at the root",
  item: "must not be empty for specified array items",
  field: "must not be empty for specified object fields",
};

function checkStructure(s: Schema, level: Level, path: string, errors: Errors): void {
  const embedded = s["x-kubernetes-embedded-resource"] === true;
  const intOrString = s["x-kubernetes-int-or-string"] === true;
  if (s.type === "array" && !s.items) errors.push(required(`${path}.items`, "must be specified"));
  if (s.items) checkStructure(s.items, "item", `${path}.items`, errors);
  for (const [name, child] of Object.entries(s.properties ?? {})) {
    checkStructure(child, "field", `${path}.properties[${name}]`, errors);
  }
  checkAdditional(s, level, path, errors);
  if (intOrString && preservesUnknown(s)) {
    errors.push(
      invalidValue(
        `${path}.x-kubernetes-preserve-unknown-fields`,
        true,
        "must be false if x-kubernetes-int-or-string is true",
      ),
    );
  }
  if (intOrString && embedded) {
    errors.push(
      invalidValue(
        `${path}.x-kubernetes-embedded-resource`,
        true,
        "must be false if x-kubernetes-int-or-string is true",
      ),
    );
  }
  checkValues(
    s,
    { skipAnyOf: isIntOrString(s.anyOf), skipFirstAllOf: isIntOrString(s.allOf?.[0]?.anyOf) },
    path,
    errors,
  );
  if (embedded && s.type !== "object") {
    const why = "must be object if x-kubernetes-embedded-resource is true";
    errors.push(s.type ? invalidValue(`${path}.type`, s.type, why) : required(`${path}.type`, why));
  } else if (!s.type && !intOrString && !preservesUnknown(s)) {
    errors.push(required(`${path}.type`, NO_TYPE[level]));
  }
  if (level === "root" && s.type && s.type !== "object") {
    errors.push(invalidValue(`${path}.type`, s.type, "must be object at the root"));
  }
  checkMeta(s, level, path, errors);
}

function checkAdditional(s: Schema, level: Level, path: string, errors: Errors): void {
  const at = `${path}.additionalProperties`;
  if (s.additionalProperties === undefined) return;
  if (level === "root") errors.push(forbidden(at, "must not be used at the root"));
  if (s["x-kubernetes-embedded-resource"]) {
    errors.push(forbidden(at, "must not be used if x-kubernetes-embedded-resource is set"));
  }
  if (typeof s.additionalProperties === "object") checkStructure(s.additionalProperties, "field", at, errors);
}

/** apiVersion, kind and metadata are what they are everywhere: a schema may restrict no more than the name. */
function checkMeta(s: Schema, level: Level, path: string, errors: Errors): void {
  const embedded = s["x-kubernetes-embedded-resource"] === true;
  if (level !== "root" && !embedded) return;
  for (const name of ["kind", "apiVersion"]) {
    const type = childOf(s, name)?.type;
    if (s.properties?.[name] && type !== "string") {
      errors.push(invalidValue(`${path}.properties[${name}].type`, type ?? "", "must be string"));
    }
  }
  const metadata = s.properties?.["metadata"];
  const at = `${path}.properties[metadata]`;
  if (metadata && metadata.type !== "object")
    errors.push(invalidValue(`${at}.type`, metadata.type ?? "", "must be object"));
  if (metadata && level === "root") {
    const { type: _, properties = {}, description: __, ...more } = metadata;
    if (Object.keys(more).length > 0 || Object.keys(properties).some((k) => k !== "name" && k !== "generateName")) {
      errors.push(
        forbidden(
          at,
          "must not specify anything other than name and generateName, but metadata is implicitly specified",
        ),
      );
    }
  }
  if (embedded && !preservesUnknown(s) && Object.keys(s.properties ?? {}).length === 0) {
    errors.push(
      required(
        `${path}.properties`,
        "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
      ),
    );
  }
}

const isIntOrString = (anyOf: readonly Schema[] | undefined) =>
  deepEqual(anyOf, [{ type: "integer" }, { type: "string" }]);

interface Exceptions {
  /** The two alternatives of a number or a string may say their types. */
  readonly skipAnyOf: boolean;
  readonly skipFirstAllOf: boolean;
}

const NONE: Exceptions = { skipAnyOf: false, skipFirstAllOf: false };

function checkValues(s: Schema, o: Exceptions, path: string, errors: Errors): void {
  if (!o.skipAnyOf) s.anyOf?.forEach((v, i) => checkNested(v, NONE, `${path}.anyOf[${i}]`, errors));
  s.allOf?.forEach((v, i) => {
    const skipAnyOf = o.skipFirstAllOf && i === 0;
    checkNested(v, { skipAnyOf, skipFirstAllOf: false }, `${path}.allOf[${i}]`, errors);
  });
  s.oneOf?.forEach((v, i) => checkNested(v, NONE, `${path}.oneOf[${i}]`, errors));
  if (s.not) checkNested(s.not, NONE, `${path}.not`, errors);
  if (!s.pattern) return;
  try {
    compileRegexp(s.pattern);
  } catch (error) {
    if (!(error instanceof RegexpError)) throw error;
    const why = `must be a valid regular expression, but isn't: ${error.message}`;
    errors.push(invalidValue(`${path}.pattern`, s.pattern, why));
  }
}

/** What a schema within allOf, anyOf, oneOf and not may not say: it restricts values, it does not shape them. */
const SHAPES = [
  ["type", "must be empty to be structural"],
  ["default", "must be undefined to be structural"],
  ["title", "must be empty to be structural"],
  ["description", "must be empty to be structural"],
  ["nullable", "must be false to be structural"],
  ["x-kubernetes-preserve-unknown-fields", "must be false to be structural"],
  ["x-kubernetes-embedded-resource", "must be false to be structural"],
  ["x-kubernetes-int-or-string", "must be false to be structural"],
  ["x-kubernetes-list-map-keys", "must be empty to be structural"],
  ["x-kubernetes-list-type", "must be undefined to be structural"],
  ["x-kubernetes-map-type", "must be undefined to be structural"],
  ["x-kubernetes-validations", "must be empty to be structural"],
] as const satisfies readonly (readonly [keyof Schema, string])[];

function checkNested(v: Schema, o: Exceptions, path: string, errors: Errors): void {
  checkValues(v, o, path, errors);
  if (v.items) checkNested(v.items, NONE, `${path}.items`, errors);
  for (const [name, child] of Object.entries(v.properties ?? {})) {
    checkNested(child, NONE, `${path}.properties[${name}]`, errors);
  }
  for (const [field, why] of SHAPES) if (v[field]) errors.push(forbidden(`${path}.${field}`, why));
  if (v.additionalProperties !== undefined) {
    errors.push(forbidden(`${path}.additionalProperties`, "must be undefined to be structural"));
  }
  if (v.properties?.["metadata"]) {
    errors.push(forbidden(`${path}.properties[metadata]`, "must not be specified in a nested context"));
  }
}

/** Every field that an alternative names must have its shape outside of it. */
function checkCompleteness(s: Schema, path: string, errors: Errors): void {
  for (const group of ["allOf", "anyOf", "oneOf"] as const) {
    s[group]?.forEach((v, i) => checkCovered(v, s, `${path}.${group}[${i}]`, path, errors));
  }
  if (s.not) checkCovered(s.not, s, `${path}.not`, path, errors);
  if (s.items) checkCompleteness(s.items, `${path}.items`, errors);
  for (const [name, child] of Object.entries(s.properties ?? {})) {
    checkCompleteness(child, `${path}.properties[${name}]`, errors);
  }
  if (typeof s.additionalProperties === "object") {
    checkCompleteness(s.additionalProperties, `${path}.additionalProperties`, errors);
  }
}

function checkCovered(v: Schema, s: Schema | undefined, path: string, structure: string, errors: Errors): void {
  if (!s) {
    const why = `because it is defined in ${path}`;
    errors.push(required(structure, why));
    return;
  }
  for (const group of ["allOf", "anyOf", "oneOf"] as const) {
    v[group]?.forEach((child, i) => checkCovered(child, s, `${path}.${group}[${i}]`, structure, errors));
  }
  if (v.not) checkCovered(v.not, s, `${path}.not`, structure, errors);
  if (v.items) checkCovered(v.items, s.items, `${path}.items`, `${structure}.items`, errors);
  for (const [name, child] of Object.entries(v.properties ?? {})) {
    const at = `properties[${name}]`;
    checkCovered(child, own(s.properties, name), `${path}.${at}`, `${structure}.${at}`, errors);
  }
}

function checkDefaults(s: Schema, path: string, errors: Errors): void {
  if (s.default !== undefined) errors.push(...defaultErrors(s, `${path}.default`));
  if (s.items) checkDefaults(s.items, `${path}.items`, errors);
  for (const [name, child] of Object.entries(s.properties ?? {})) {
    checkDefaults(child, `${path}.properties[${name}]`, errors);
  }
}

function defaultErrors(s: Schema, path: string): readonly FieldError[] {
  const unknown: string[] = [];
  const value = prune(s, s.default, "", unknown);
  if (unknown.length > 0) return [invalidValue(path, s.default, "must not have unknown fields")];
  applyDefaults(s, value);
  const errors = [...validateValue(s, value, { path }), ...validateInvariants(s, value, path)];
  if (errors.length > 0) return errors;
  const rules = compileRules(s, path);
  const below = (field: string) => (field === "" ? path : field.startsWith("[") ? path + field : `${path}.${field}`);
  return rules.check(value, undefined, newBudget()).map((e) => ({ ...e, field: below(e.field) }));
}
