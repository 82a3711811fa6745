/** Admission policies in CEL, and what binds them. Whether expressions compile is for their evaluator to say. */
import { own } from "../../util/keys.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type {
  AuditAnnotation,
  MutatingAdmissionPolicyBindingSpec,
  MutatingAdmissionPolicySpec,
  Mutation,
  ValidatingAdmissionPolicyBindingSpec,
  ValidatingAdmissionPolicySpec,
  Validation,
  Variable,
} from "../generated/types.ts";
import { dnsSubdomain, qualifiedName } from "../names.ts";
import {
  FAILURE_POLICIES,
  REINVOCATION_POLICIES,
  validateMatchConditions,
  validateMatchResources,
  validateParamKind,
  validateParamRef,
} from "./admission-rules.ts";
import {
  checked,
  checkedRequired,
  each,
  type FieldErrors,
  invalidValue,
  notSupported,
  oneOf,
  required,
  unique,
} from "./field.ts";
import { byteLength } from "./meta.ts";

const MAX_AUDIT_ANNOTATIONS = 20;
const MAX_VALUE_EXPRESSION_BYTES = 5 * 1024;
const REASONS = ["Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"];
const ACTIONS = ["Audit", "Deny", "Warn"];
const RESERVED =
  /^(true|false|null|in|as|break|const|continue|else|for|function|if|import|let|loop|package|namespace|return|var|void|while)$/;

export function validateValidatingPolicy(
  spec: DeepReadonly<ValidatingAdmissionPolicySpec>,
  policyName: string,
): FieldErrors {
  const { validations = [], auditAnnotations: annotations = [] } = spec;
  const why = "validations or auditAnnotations must contain at least one item";
  return [
    ...validatePolicy(spec),
    ...(validations.length || annotations.length
      ? []
      : ["validations", "auditAnnotations"].map((f) => required(`spec.${f}`, why))),
    ...each("spec.validations", validations, validateValidation),
    ...(annotations.length > MAX_AUDIT_ANNOTATIONS
      ? [
          invalidValue(
            "spec.auditAnnotations",
            annotations,
            `must not have more than ${MAX_AUDIT_ANNOTATIONS} auditAnnotations`,
          ),
        ]
      : []),
    ...each("spec.auditAnnotations", annotations, (a, at) => validateAnnotation(a, at, policyName)),
    ...unique("spec.auditAnnotations", annotations, (a) => a.key, ".key"),
  ];
}

export function validateMutatingPolicy(spec: DeepReadonly<MutatingAdmissionPolicySpec>): FieldErrors {
  return [
    ...validatePolicy(spec),
    ...(spec.mutations?.length ? [] : [required("spec.mutations", "mutations must contain at least one item")]),
    ...each("spec.mutations", spec.mutations, validateMutation),
    ...oneOf("spec.reinvocationPolicy", spec.reinvocationPolicy, REINVOCATION_POLICIES),
  ];
}

/** What both kinds have. */
function validatePolicy(
  spec: DeepReadonly<ValidatingAdmissionPolicySpec> | DeepReadonly<MutatingAdmissionPolicySpec>,
): FieldErrors {
  const field = "spec.matchConstraints";
  return [
    ...oneOf("spec.failurePolicy", spec.failurePolicy, FAILURE_POLICIES),
    ...validateParamKind(spec.paramKind, "spec.paramKind"),
    ...(spec.matchConstraints ? [] : [required(field)]),
    ...validateMatchResources(spec.matchConstraints, field),
    // Without one nobody could tell the type of `object`.
    ...(spec.matchConstraints && !spec.matchConstraints.resourceRules?.length
      ? [required(`${field}.resourceRules`)]
      : []),
    ...validateMatchConditions(spec.matchConditions, "spec.matchConditions"),
    ...each("spec.variables", spec.variables, validateVariable),
    ...unique("spec.variables", spec.variables, (v) => v.name, ".name"),
  ];
}

function validateVariable(v: DeepReadonly<Variable>, at: string): FieldErrors {
  const identifier = /^[_a-zA-Z][_a-zA-Z0-9]*$/.test(v.name ?? "") && !RESERVED.test(v.name);
  return [
    ...(v.name?.trim()
      ? identifier
        ? []
        : [invalidValue(`${at}.name`, v.name, "name is not a valid CEL identifier")]
      : [required(`${at}.name`, "name is not specified")]),
    ...needsExpression(v.expression, `${at}.expression`, "expression"),
  ];
}

function needsExpression(text: string | undefined, field: string, what: string): FieldErrors {
  return text?.trim() ? [] : [required(field, `${what} is not specified`)];
}

function validateValidation(v: DeepReadonly<Validation>, at: string): FieldErrors {
  const { message, messageExpression } = v;
  return [
    ...needsExpression(v.expression, `${at}.expression`, "expression"),
    ...(messageExpression && !messageExpression.trim()
      ? [invalidValue(`${at}.messageExpression`, messageExpression, "must be non-empty if specified")]
      : []),
    ...(message && !message.trim()
      ? [invalidValue(`${at}.message`, message, "message must be non-empty if specified")]
      : []),
    ...(/[\n\r]/.test(message?.trim() ?? "")
      ? [invalidValue(`${at}.message`, message, "message must not contain line breaks")]
      : []),
    ...(v.reason && !REASONS.includes(v.reason) ? [notSupported(`${at}.reason`, v.reason, REASONS)] : []),
  ];
}

function validateAnnotation(a: DeepReadonly<AuditAnnotation>, at: string, policyName: string): FieldErrors {
  const field = `${at}.valueExpression`;
  const bytes = byteLength((a.valueExpression ?? "").trim());
  return [
    ...checked(`${at}.key`, `${policyName}/${a.key}`, qualifiedName),
    ...needsExpression(a.valueExpression, field, "valueExpression"),
    ...(bytes > MAX_VALUE_EXPRESSION_BYTES
      ? [required(field, `must not exceed ${MAX_VALUE_EXPRESSION_BYTES} bytes in length`)]
      : []),
  ];
}

/** The patch types, and the field that each takes. */
const PATCHES = { ApplyConfiguration: "applyConfiguration", JSONPatch: "jsonPatch" } as const;

function validateMutation(m: DeepReadonly<Mutation>, at: string): FieldErrors {
  const part = own(PATCHES, m.patchType);
  if (!part) return oneOf(`${at}.patchType`, m.patchType, Object.keys(PATCHES));
  const other = part === "jsonPatch" ? "applyConfiguration" : "jsonPatch";
  return [
    ...(m[part]
      ? needsExpression(m[part].expression, `${at}.${part}.expression`, "expression")
      : [required(`${at}.${part}`)]),
    ...(m[other] ? [invalidValue(`${at}.${other}`, m[other], `not allowed when patchType is ${m.patchType}`)] : []),
  ];
}

export function validateBinding(
  spec: DeepReadonly<ValidatingAdmissionPolicyBindingSpec> | DeepReadonly<MutatingAdmissionPolicyBindingSpec>,
): FieldErrors {
  return [
    ...checkedRequired("spec.policyName", spec.policyName, dnsSubdomain),
    ...validateParamRef(spec.paramRef, "spec.paramRef"),
    // The path is misspelt upstream, too: clients print it.
    ...validateMatchResources(spec.matchResources, "spec.matchResouces"),
  ];
}

export function validateActions(actions: readonly string[] | undefined, field: string): FieldErrors {
  const why =
    "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
  return [
    ...each(field, actions, (a, at) => oneOf(at, a, ACTIONS)),
    ...unique(field, actions, (a) => a),
    ...(actions?.includes("Deny") && actions.includes("Warn") ? [invalidValue(field, actions, why)] : []),
    ...(actions?.length ? [] : [required(field, "at least one validation action is required")]),
  ];
}
