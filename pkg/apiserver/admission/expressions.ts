/** CEL over a request: what expressions of webhooks and policies may speak of. */
import { newBudget, type Budget } from "../../api/cel/budget.ts";
import { namespaces } from "../../api/kinds/core/namespace.ts";
import {
  CelCompileError,
  CelEvaluationError,
  compileIn,
  environmentWith,
  newEnvironment,
  type Program,
} from "../../api/cel/cel.ts";
import { toDynamic } from "../../api/cel/values.ts";
import type { MatchCondition } from "../../api/generated/types.ts";
import type { ResourceDef } from "../../api/resource.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { AdmissionRequest, ClusterView } from "../admission.ts";
import { AUTHORIZER_TYPE, authorizerOf, registerAuthorizer } from "./authorizer.ts";
import { isResource } from "./refuse.ts";
import { kindShown, type Shown } from "./shown.ts";

const VARIABLES = {
  object: "dyn",
  oldObject: "dyn",
  request: "dyn",
  params: "dyn",
  namespaceObject: "dyn",
  variables: "dyn",
  authorizer: AUTHORIZER_TYPE,
} as const;

export type Returns = "bool" | "string" | "dyn";

export type Bindings = Readonly<Partial<Record<keyof typeof VARIABLES, unknown>>>;

/** Programs that are kept, or why there is none, by their text. */
const compiled = new Map<string, Program | CelCompileError>();
const KEPT = 2_000;

let environment: ReturnType<typeof newEnvironment> | undefined;

/** Why the expression cannot be evaluated, if so. */
export function whyNot(expression: string, returns: Returns): string | undefined {
  try {
    programOf(expression, returns);
    return undefined;
  } catch (error) {
    if (error instanceof CelCompileError) return error.message;
    throw error;
  }
}

/** Throws {@link CelCompileError}. */
function programOf(expression: string, returns: Returns): Program {
  const key = `${returns} ${expression}`;
  let found = compiled.get(key);
  if (!found) {
    found = tryCompile(expression, returns);
    if (compiled.size >= KEPT) compiled.clear();
    compiled.set(key, found);
  }
  if (found instanceof CelCompileError) throw found;
  return found;
}

function tryCompile(expression: string, returns: Returns): Program | CelCompileError {
  try {
    environment ??= environmentWith(VARIABLES, registerAuthorizer(newEnvironment()));
    return compileIn(environment, expression, returns);
  } catch (error) {
    if (error instanceof CelCompileError) return error;
    throw error;
  }
}

/** `object` and `oldObject` are as `def` shows them. */
export function bindingsOf(r: AdmissionRequest, def: ResourceDef, shown: Shown, view: ClusterView): Bindings {
  const cluster = isResource(r, "", "namespaces") || r.namespace === "";
  const namespace = cluster ? undefined : view.get(namespaces, "", r.namespace);
  return {
    object: toDynamic(shown.object ?? null),
    oldObject: toDynamic(shown.old ?? null),
    request: toDynamic(requestOf(r, def)),
    namespaceObject: toDynamic(namespace ?? null),
    params: null,
    authorizer: authorizerOf(r, view),
  };
}

/** `admission.k8s.io/v1` AdmissionRequest, but for the objects and its uid. */
export function requestOf(r: AdmissionRequest, def: ResourceDef) {
  const resourceOf = (d: ResourceDef) => ({ group: d.group, version: d.version, resource: d.plural });
  const { name: username, ...user } = r.user;
  // A Namespace counts as being in itself.
  const namespace = isResource(r, "", "namespaces") ? r.name : r.namespace;
  return {
    kind: kindShown(def, r),
    resource: resourceOf(def),
    ...(r.subresource && { subResource: r.subresource }),
    requestKind: kindShown(r.def, r),
    requestResource: resourceOf(r.def),
    ...(r.subresource && { requestSubResource: r.subresource }),
    name: r.name,
    ...(namespace && { namespace }),
    operation: r.operation,
    userInfo: { username, ...user },
    dryRun: r.dryRun,
    options: { kind: OPTIONS[r.operation], apiVersion: "meta.k8s.io/v1", ...r.options },
  };
}

const OPTIONS: Readonly<Record<AdmissionRequest["operation"], string>> = {
  CREATE: "CreateOptions",
  UPDATE: "UpdateOptions",
  DELETE: "DeleteOptions",
  CONNECT: "GetOptions",
};

/** The value; an Error that quotes the expression when it has none. BudgetError passes. */
export function evaluate(expression: string, returns: Returns, bindings: Bindings, budget: Budget): unknown {
  try {
    return programOf(expression, returns).evaluate(bindings, budget);
  } catch (error) {
    if (error instanceof CelCompileError) throw new Error(`compilation error: ${error.message}`, { cause: error });
    if (!(error instanceof CelEvaluationError)) throw error;
    throw new Error(`expression '${expression.trim()}' resulted in error: ${error.message}`, { cause: error });
  }
}

/**
 * Whether all conditions hold. One that is false decides, whatever else fails; without one, the first failure is thrown.
 */
export function conditionsHold(
  conditions: readonly DeepReadonly<MatchCondition>[] | undefined,
  bindings: Bindings,
  budget: Budget = newBudget(),
): boolean {
  let failure: unknown;
  for (const { expression } of conditions ?? []) {
    try {
      if (evaluate(expression, "bool", bindings, budget) !== true) return false;
    } catch (error) {
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  return true;
}
