/** ValidatingAdmissionPolicy: rules in CEL that the server evaluates itself, bound to where they hold. */
import { toDynamic } from "../../../api/cel/values.ts";
import {
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
} from "../../../api/kinds/admissionregistration/admissionpolicy.ts";
import type {
  MatchResources,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from "../../../api/generated/types.ts";
import { nameOf } from "../../../api/object.ts";
import type { ResourceDef } from "../../../api/resource.ts";
import { ApiError } from "../../../api/status.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import type { AdmissionPlugin, AdmissionRequest, ClusterView } from "../../admission.ts";
import { bindingsOf } from "../expressions.ts";
import { type Criteria, type Equivalents, isExempt, matched } from "../matching.ts";
import { forbidden } from "../refuse.ts";
import { shownAs } from "../shown.ts";
import { type Violation, violationsOf } from "./evaluate.ts";
import { paramsOf } from "./params.ts";

type Policy = DeepReadonly<ValidatingAdmissionPolicy>;
type Binding = DeepReadonly<ValidatingAdmissionPolicyBinding>;

export interface PolicyOptions {
  readonly resources: () => readonly ResourceDef[];
  readonly equivalents: Equivalents;
}

export function validatingPolicy(o: PolicyOptions): AdmissionPlugin {
  return {
    name: "ValidatingAdmissionPolicy",
    validate(r, view) {
      if (isExempt(r)) return;
      const all = [...view.list(validatingAdmissionPolicies)];
      if (all.length === 0) return;
      const bound = [...view.list(validatingAdmissionPolicyBindings)];
      const refusals = all.flatMap((policy) => {
        const own = bound.filter((b) => b.spec?.policyName === nameOf(policy));
        return own.length > 0 ? check(policy, own, r, view, o) : [];
      });
      // All have warned by now.
      if (refusals[0]) throw refusals[0];
    },
  };
}

function check(
  policy: Policy,
  bound: readonly Binding[],
  r: AdmissionRequest,
  view: ClusterView,
  o: PolicyOptions,
): readonly ApiError[] {
  const { spec } = policy;
  const def = spec && matched(criteria(spec.matchConstraints), r, view, o.equivalents);
  if (!def) return [];
  const here = bound.filter((b) => holdsHere(b, r, view, o));
  return here.flatMap((b) => found(policy, b, def, r, view, o).flatMap((violation) => act(policy, b, violation, r)));
}

function criteria(m: DeepReadonly<MatchResources> | undefined): Criteria {
  return { ...m, rules: m?.resourceRules ?? [], exclude: m?.excludeResourceRules ?? [] };
}

const ANY = { operations: ["*"], apiGroups: ["*"], apiVersions: ["*"], resources: ["*/*"] };

/** A binding narrows its policy down; one that names no resources leaves them. */
function holdsHere({ spec }: Binding, r: AdmissionRequest, view: ClusterView, o: PolicyOptions): boolean {
  const m = spec?.matchResources;
  if (!m) return true;
  const c = criteria(m);
  return matched(c.rules.length ? c : { ...c, rules: [ANY] }, r, view, o.equivalents) !== undefined;
}

function found(
  { spec }: Policy,
  binding: Binding,
  def: ResourceDef,
  r: AdmissionRequest,
  view: ClusterView,
  o: PolicyOptions,
): readonly Violation[] {
  if (!spec) return [];
  const bindings = bindingsOf(r, def, shownAs(def, r), view);
  try {
    const where = { namespace: r.namespace, view, kinds: o.resources() };
    const params = paramsOf(spec.paramKind, binding.spec?.paramRef, where);
    return params.flatMap((p) => violationsOf(spec, { ...bindings, params: toDynamic(p ?? null) }));
  } catch (error) {
    if (spec.failurePolicy === "Ignore") return [];
    return [{ message: `failed to configure binding: ${(error as Error).message}`, reason: "Invalid" }];
  }
}

/** As the binding says: told, refused, or both. */
function act(
  policy: Policy,
  binding: Binding,
  { message, reason }: Violation,
  r: AdmissionRequest,
): readonly ApiError[] {
  const who = `ValidatingAdmissionPolicy '${nameOf(policy)}' with binding '${nameOf(binding)}'`;
  const actions = binding.spec?.validationActions ?? [];
  if (actions.includes("Warn")) r.warn(`Validation failed for ${who}: ${message}`);
  if (!actions.includes("Deny")) return [];
  const why = `${who} denied request: ${message}`;
  const refusal = forbidden(r, why, reason);
  return [new ApiError(reason, refusal.message, { ...refusal.details, causes: [{ message: why }] })];
}
