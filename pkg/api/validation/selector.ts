/** The selector objects of specs. */
import type { DeepReadonly } from "../../util/types.ts";
import type { LabelSelector, NodeSelectorRequirement, NodeSelectorTerm } from "../generated/types.ts";
import { labelValue, qualifiedName } from "../names.ts";
import { checked, each, type FieldErrors, forbidden, invalidValue, required } from "./field.ts";
import { validateLabels } from "./meta.ts";

const NOT_AN_OPERATOR = "not a valid selector operator";

export function validateLabelSelector(s: DeepReadonly<LabelSelector> | undefined, field: string): FieldErrors {
  return [
    ...validateLabels(s?.matchLabels, `${field}.matchLabels`),
    ...each(`${field}.matchExpressions`, s?.matchExpressions, (e, at) => [
      ...validateSetOperator(e, at),
      ...checked(`${at}.key`, e.key ?? "", qualifiedName),
      ...each(`${at}.values`, e.values, (v, valueAt) => checked(valueAt, v, labelValue)),
    ]),
  ];
}

interface Expression {
  readonly operator: string;
  readonly values?: readonly string[];
}

function validateSetOperator(e: Expression, at: string): FieldErrors {
  const given = (e.values ?? []).length;
  switch (e.operator) {
    case "In":
    case "NotIn":
      return given ? [] : [required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'")];
    case "Exists":
    case "DoesNotExist":
      return given
        ? [forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")]
        : [];
    default:
      return [invalidValue(`${at}.operator`, e.operator, NOT_AN_OPERATOR)];
  }
}

export function validateNodeSelectorTerm(t: DeepReadonly<NodeSelectorTerm>, field: string): FieldErrors {
  return [
    ...each(`${field}.matchExpressions`, t.matchExpressions, (e, at) => [
      ...validateNodeOperator(e, at),
      ...checked(`${at}.key`, e.key ?? "", qualifiedName),
    ]),
    ...each(`${field}.matchFields`, t.matchFields, validateFieldTerm),
  ];
}

function validateNodeOperator(e: DeepReadonly<NodeSelectorRequirement>, at: string): FieldErrors {
  if (e.operator !== "Gt" && e.operator !== "Lt") return validateSetOperator(e, at);
  return e.values?.length === 1
    ? []
    : [required(`${at}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'")];
}

function validateFieldTerm(e: DeepReadonly<NodeSelectorRequirement>, at: string): FieldErrors {
  const operator =
    e.operator === "In" || e.operator === "NotIn" ? [] : [invalidValue(`${at}.operator`, e.operator, NOT_AN_OPERATOR)];
  const one =
    e.values?.length === 1
      ? []
      : [required(`${at}.values`, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector")];
  const known = e.key === "metadata.name" ? [] : [invalidValue(`${at}.key`, e.key, "not a valid field selector key")];
  return [...operator, ...one, ...known];
}
