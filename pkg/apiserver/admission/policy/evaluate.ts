/** What the rules of a ValidatingAdmissionPolicy say of one request. */
import { type Budget, newBudget } from "../../../api/cel/budget.ts";
import type { ValidatingAdmissionPolicySpec, Validation } from "../../../api/generated/types.ts";
import type { StatusReason } from "../../../api/status.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { type Bindings, conditionsHold, evaluate } from "../expressions.ts";

type Spec = DeepReadonly<ValidatingAdmissionPolicySpec>;

export interface Violation {
  readonly message: string;
  readonly reason: StatusReason;
}

/** A message longer than this is not the one that was meant. */
const MAX_MESSAGE = 5 * 1024;

/** Empty: the request passes. What cannot be evaluated is a violation, unless failurePolicy says Ignore. */
export function violationsOf(spec: Spec, bindings: Bindings): readonly Violation[] {
  const budget = newBudget();
  try {
    if (!conditionsHold(spec.matchConditions, bindings, budget)) return [];
    const all = { ...bindings, variables: variablesOf(spec, bindings, budget) };
    return (spec.validations ?? []).flatMap((v) => violationOf(v, spec, all, budget));
  } catch (error) {
    return unlessIgnored(spec, error);
  }
}

function violationOf(
  v: DeepReadonly<Validation>,
  spec: Spec,
  bindings: Bindings,
  budget: Budget,
): readonly Violation[] {
  try {
    if (evaluate(v.expression, "bool", bindings, budget) === true) return [];
  } catch (error) {
    return unlessIgnored(spec, error);
  }
  const message = messageOf(v, bindings, budget) || v.message?.trim() || `failed expression: ${v.expression.trim()}`;
  return [{ message, reason: (v.reason || "Invalid") as StatusReason }];
}

/** One line of text, or nothing. */
function messageOf(v: DeepReadonly<Validation>, bindings: Bindings, budget: Budget): string {
  if (!v.messageExpression) return "";
  try {
    const value = evaluate(v.messageExpression, "string", bindings, budget);
    const text = typeof value === "string" ? value.trim() : "";
    return text.length > MAX_MESSAGE || text.includes("\n") ? "" : text;
  } catch {
    return "";
  }
}

function unlessIgnored(spec: Spec, error: unknown): readonly Violation[] {
  return spec.failurePolicy === "Ignore" ? [] : [{ message: (error as Error).message, reason: "Invalid" }];
}

/** Each may use those before it. One without a value is an error only for who uses it: it is not there. */
function variablesOf(spec: Spec, bindings: Bindings, budget: Budget): ReadonlyMap<string, unknown> {
  const variables = new Map<string, unknown>();
  for (const { name, expression } of spec.variables ?? []) {
    try {
      variables.set(name, evaluate(expression, "dyn", { ...bindings, variables }, budget));
    } catch {
      variables.delete(name);
    }
  }
  return variables;
}
