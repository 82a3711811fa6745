/** What a CRD's schema may not use of JSON schema, and how its extensions go together. */
import { own } from "../../util/keys.ts";
import type { FieldError } from "../status.ts";
import { forbidden, invalidValue, notSupported, required } from "../validation/field.ts";
import { parseFieldPath } from "./field-path.ts";
import { mapValues, type Rule, type Schema } from "./schema.ts";

type Errors = FieldError[];

const UNSUPPORTED = ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"] as const;

const SCHEMA_TYPES = ["array", "boolean", "integer", "null", "number", "object", "string"];

interface Context {
  /** Why no default may stand here. */
  readonly noDefaults?: string;
  /** Inside apiVersion, kind or metadata. */
  readonly inMeta?: boolean;
  readonly root?: boolean;
}

export function checkExtensions(s: Schema, path: string, errors: Errors, c: Context = { root: true }): void {
  const before = errors.length;
  checkKeywords(s, path, errors, c);
  checkBelow(s, path, errors, c);
  if (s["x-kubernetes-preserve-unknown-fields"] === false) {
    errors.push(invalidValue(`${path}.x-kubernetes-preserve-unknown-fields`, false, "must be true or undefined"));
  }
  checkMapType(s, path, errors);
  checkListType(s, path, errors);
  s["x-kubernetes-validations"]?.forEach((rule, i) =>
    errors.push(...ruleErrors(rule, s, `${path}.x-kubernetes-validations[${i}]`, errors.length === before)),
  );
}

function checkKeywords(s: Schema, path: string, errors: Errors, c: Context): void {
  if (s.type && !SCHEMA_TYPES.includes(s.type)) errors.push(notSupported(`${path}.type`, s.type, SCHEMA_TYPES));
  if (s.default !== undefined && c.noDefaults)
    errors.push(forbidden(`${path}.default`, `must not be set ${c.noDefaults}`));
  for (const keyword of UNSUPPORTED) {
    const value = s[keyword];
    const empty =
      value === undefined || value === "" || (typeof value === "object" && Object.keys(value ?? {}).length === 0);
    if (!empty) errors.push(forbidden(`${path}.${keyword}`, `${keyword} is not supported`));
  }
  if (s.type === "null") {
    errors.push(forbidden(`${path}.type`, "type cannot be set to null, use nullable as an alternative"));
  }
  if (c.inMeta && s["x-kubernetes-embedded-resource"]) {
    errors.push(forbidden(`${path}.x-kubernetes-embedded-resource`, "must not be used inside of resource meta"));
  }
  if (s.uniqueItems) {
    const why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
    errors.push(forbidden(`${path}.uniqueItems`, why));
  }
  const hasProperties = Object.keys(s.properties ?? {}).length > 0;
  if (hasProperties && s.additionalProperties !== undefined && s.additionalProperties !== true) {
    const why = "additionalProperties and properties are mutual exclusive";
    errors.push(forbidden(`${path}.additionalProperties`, why));
  }
}

const META = new Set(["metadata", "kind", "apiVersion"]);

function checkBelow(s: Schema, path: string, errors: Errors, c: Context): void {
  const { root = false, ...inner } = c;
  if (typeof s.additionalProperties === "object") {
    const why = "inside additionalProperties applying to object metadata";
    const next = c.inMeta ? { ...inner, noDefaults: inner.noDefaults ?? why } : inner;
    checkExtensions(s.additionalProperties, `${path}.additionalProperties`, errors, next);
  }
  mapValues(s.properties ?? {}, (child, name) => {
    const meta = (root || s["x-kubernetes-embedded-resource"] === true) && META.has(name);
    const next = {
      ...inner,
      ...(meta && { inMeta: true }),
      ...(meta && root && { noDefaults: `in top-level ${name}` }),
    };
    checkExtensions(child, `${path}.properties[${name}]`, errors, next);
  });
  if (s.not) checkExtensions(s.not, `${path}.not`, errors, inner);
  for (const group of ["allOf", "oneOf", "anyOf"] as const) {
    s[group]?.forEach((child, i) => checkExtensions(child, `${path}.${group}[${i}]`, errors, inner));
  }
  if (s.items) checkExtensions(s.items, `${path}.items`, errors, inner);
}

function mustBe(type: string, s: Schema, path: string, extension: string): FieldError[] {
  if (s.type === type) return [];
  const why = `must be ${type} if ${extension} is specified`;
  return [s.type ? invalidValue(`${path}.type`, s.type, why) : required(`${path}.type`, why)];
}

function checkMapType(s: Schema, path: string, errors: Errors): void {
  const mapType = s["x-kubernetes-map-type"];
  if (mapType === undefined) return;
  errors.push(...mustBe("object", s, path, "x-kubernetes-map-type"));
  if (mapType !== "atomic" && mapType !== "granular") {
    errors.push(notSupported(`${path}.x-kubernetes-map-type`, mapType, ["atomic", "granular"]));
  }
}

const LIST_TYPES = ["atomic", "set", "map"];

function checkListType(s: Schema, path: string, errors: Errors): void {
  const listType = s["x-kubernetes-list-type"];
  const keys = s["x-kubernetes-list-map-keys"] ?? [];
  if (listType !== undefined) errors.push(...mustBe("array", s, path, "x-kubernetes-list-type"));
  if (listType === "set" && s.type === "array") checkSetItems(s.items, `${path}.items`, errors);
  if (listType !== undefined && !LIST_TYPES.includes(listType)) {
    errors.push(notSupported(`${path}.x-kubernetes-list-type`, listType, LIST_TYPES));
  }
  if (keys.length > 0 && listType !== "map") {
    const why = "must be map if x-kubernetes-list-map-keys is non-empty";
    const at = `${path}.x-kubernetes-list-type`;
    errors.push(listType === undefined ? required(at, why) : invalidValue(at, listType, why));
  }
  if (listType === "map") checkKeys(s, keys, path, errors);
  if ((listType === "map" || listType === "set") && s.items?.nullable) {
    errors.push(forbidden(`${path}.items.nullable`, `cannot be nullable when x-kubernetes-list-type is ${listType}`));
  }
}

/** Items of a set are compared as a whole, so nobody may own a part of one. */
function checkSetItems(items: Schema | undefined, path: string, errors: Errors): void {
  const why = "must be atomic as item of a list with x-kubernetes-list-type=set";
  const [listType, mapType] = [items?.["x-kubernetes-list-type"], items?.["x-kubernetes-map-type"]];
  if (items?.type === "array" && listType !== undefined && listType !== "atomic") {
    errors.push(invalidValue(`${path}.x-kubernetes-list-type`, listType, why));
  }
  if (items?.type === "object" && mapType !== "atomic") {
    errors.push(invalidValue(`${path}.x-kubernetes-map-type`, listType ?? null, why));
  }
}

function checkKeys(s: Schema, keys: readonly string[], path: string, errors: Errors): void {
  const at = `${path}.x-kubernetes-list-map-keys`;
  const { items } = s;
  if (keys.length === 0) errors.push(required(at, "must not be empty if x-kubernetes-list-type is map"));
  if (!items) errors.push(required(`${path}.items`, "must have a schema if x-kubernetes-list-type is map"));
  if (items && items.type !== "object") {
    const why = "must be object if parent array's x-kubernetes-list-type is map";
    errors.push(invalidValue(`${path}.items.type`, items.type ?? "", why));
  }
  if (items?.type !== "object") return;
  for (const [i, key] of keys.entries()) {
    const field = own(items.properties, key);
    const fieldPath = `${path}.items.properties[${key}]`;
    if (!field) errors.push(invalidValue(at, keys, "entries must all be names of item properties"));
    if (field?.type === "array" || field?.type === "object") {
      const why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
      errors.push(invalidValue(`${fieldPath}.type`, items.type, why));
    }
    if (keys.indexOf(key) < i) errors.push(invalidValue(at, keys, "must not contain duplicate entries"));
    if (field && !items.required?.includes(key) && field.default === undefined) {
      const why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
      errors.push(required(`${fieldPath}.default`, why));
    }
    if (field?.nullable) {
      const why = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
      errors.push(forbidden(`${fieldPath}.nullable`, why));
    }
  }
}

const REASONS = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];
const LINE_BREAK = /[\n\r]/;

function ruleErrors(rule: Rule, s: Schema, path: string, sound: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const message = rule.message?.trim() ?? "";
  const expression = (rule.rule ?? "").trim();
  if (expression === "") errors.push(required(`${path}.rule`, "rule is not specified"));
  else if (rule.message && message === "") {
    errors.push(invalidValue(`${path}.message`, rule.message, "must be non-empty if specified"));
  } else if (LINE_BREAK.test(message)) {
    errors.push(invalidValue(`${path}.message`, rule.message, "must not contain line breaks"));
  } else if (LINE_BREAK.test(expression) && message === "") {
    errors.push(required(`${path}.message`, "message must be specified if rule contains line breaks"));
  }
  if (rule.messageExpression && rule.messageExpression.trim() === "") {
    errors.push(required(`${path}.messageExpression`, "messageExpression must be non-empty if specified"));
  }
  if (rule.reason !== undefined && !REASONS.includes(rule.reason)) {
    errors.push(notSupported(`${path}.reason`, rule.reason, REASONS));
  }
  if (!rule.fieldPath) return errors;
  const at = `${path}.fieldPath`;
  if (rule.fieldPath.trim() === "") errors.push(invalidValue(at, rule.fieldPath, "must be non-empty if specified"));
  if (LINE_BREAK.test(rule.fieldPath)) errors.push(invalidValue(at, rule.fieldPath, "must not contain line breaks"));
  if (sound && parseFieldPath(rule.fieldPath, s).error !== undefined) {
    errors.push(invalidValue(at, rule.fieldPath, "must be a valid path"));
  }
  return errors;
}
