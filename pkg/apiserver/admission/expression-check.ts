/** Expressions of policies and webhooks are compiled when they are written: who wrote them learns what is wrong. */
import type { MatchCondition, ValidatingAdmissionPolicySpec, ValidatingWebhook } from "../../api/generated/types.ts";
import type { ApiObject } from "../../api/object.ts";
import { type FieldError, invalid } from "../../api/status.ts";
import { each, invalidValue } from "../../api/validation/field.ts";
import { own } from "../../util/keys.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../admission.ts";
import { type Returns, whyNot } from "./expressions.ts";

type Errors = readonly FieldError[];
type WithRules = DeepReadonly<{ spec?: ValidatingAdmissionPolicySpec; webhooks?: ValidatingWebhook[] }>;

const CHECKS: Readonly<Record<string, (o: WithRules, skip: ReadonlySet<string>) => Errors>> = {
  validatingadmissionpolicies: ({ spec }, skip) => (spec ? ofPolicy(spec, skip) : []),
  mutatingadmissionpolicies: ({ spec }, skip) => (spec ? ofPolicy(spec, skip) : []),
  validatingwebhookconfigurations: ofWebhooks,
  mutatingwebhookconfigurations: ofWebhooks,
};

export const expressionCheck: AdmissionPlugin = {
  name: "ExpressionCheck",
  validate(r) {
    if (r.def.group !== "admissionregistration.k8s.io" || r.subresource || !writes(r) || !r.object) return;
    if (r.def.plural === "mutatingadmissionpolicies") {
      r.warn("MutatingAdmissionPolicy is stored, but not evaluated yet: use a mutating webhook");
    }
    // What was let in before stays: an upgrade must not make an object unwritable.
    const known = new Set(r.old ? expressionsIn(r.old) : []);
    const errors = own(CHECKS, r.def.plural)?.(r.object as ApiObject & WithRules, known) ?? [];
    if (errors.length) throw invalid(r.def, r.name, errors);
  },
};

function writes({ operation }: AdmissionRequest): boolean {
  return operation === "CREATE" || operation === "UPDATE";
}

/** Every string anywhere in it that is an expression's text, and others that do no harm. */
function expressionsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(expressionsIn) : [];
}

function ofPolicy(spec: DeepReadonly<ValidatingAdmissionPolicySpec>, skip: ReadonlySet<string>): Errors {
  return [
    ...ofConditions(spec.matchConditions, "spec.matchConditions", skip),
    ...each("spec.variables", spec.variables, (v, at) => compiled(v.expression, "dyn", `${at}.expression`, skip)),
    ...each("spec.validations", spec.validations, (v, at) => [
      ...compiled(v.expression, "bool", `${at}.expression`, skip),
      ...compiled(v.messageExpression, "string", `${at}.messageExpression`, skip),
    ]),
  ];
}

function ofWebhooks({ webhooks }: WithRules, skip: ReadonlySet<string>): Errors {
  return each("webhooks", webhooks, (h, at) => ofConditions(h.matchConditions, `${at}.matchConditions`, skip));
}

function ofConditions(
  list: DeepReadonly<MatchCondition[]> | undefined,
  field: string,
  skip: ReadonlySet<string>,
): Errors {
  return each(field, list, (c, at) => compiled(c.expression, "bool", `${at}.expression`, skip));
}

function compiled(text: string | undefined, returns: Returns, at: string, skip: ReadonlySet<string>): Errors {
  if (!text || skip.has(text)) return [];
  const why = whyNot(text, returns);
  return why === undefined ? [] : [invalidValue(at, text, why)];
}
