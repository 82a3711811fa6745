/** The objects with which a binding fills in a policy: the same rule is asked once for each of them. */
import type { ParamKind, ParamRef } from "../../../api/generated/types.ts";
import { type ApiObject, apiVersionOf } from "../../../api/object.ts";
import type { ResourceDef } from "../../../api/resource.ts";
import { fromLabelSelector, matchesLabels } from "../../../api/selectors.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import type { ClusterView } from "../../admission.ts";

type Param = DeepReadonly<ApiObject> | undefined;

/** [undefined] for a policy without parameters. Throws an Error when the binding cannot be meant so. */
export function paramsOf(
  kind: DeepReadonly<ParamKind> | undefined,
  ref: DeepReadonly<ParamRef> | undefined,
  where: { readonly namespace: string; readonly view: ClusterView; readonly kinds: readonly ResourceDef[] },
): readonly Param[] {
  if (!kind || !ref) return [undefined];
  const def = where.kinds.find((d) => apiVersionOf(d) === kind.apiVersion && d.kind === kind.kind);
  if (!def) throw new Error(`paramKind kind \`${kind.apiVersion ?? ""}, Kind=${kind.kind ?? ""}\` not known`);
  if (!def.namespaced && ref.namespace) {
    throw new Error("paramRef.namespace must not be provided for a cluster-scoped `paramKind`");
  }
  const namespace = def.namespaced ? ref.namespace || where.namespace : "";
  if (def.namespaced && namespace === "") {
    throw new Error("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources");
  }
  const found = select(def, ref, namespace, where.view);
  if (found.length === 0 && ref.parameterNotFoundAction === "Deny") {
    throw new Error("no params found for policy binding with `Deny` parameterNotFoundAction");
  }
  return found;
}

function select(def: ResourceDef, ref: DeepReadonly<ParamRef>, namespace: string, view: ClusterView): readonly Param[] {
  if (ref.name && ref.selector) throw new Error("paramRef.name and paramRef.selector are mutually exclusive");
  if (ref.name) {
    const one = view.get(def, namespace, ref.name);
    return one ? [one] : [];
  }
  const selector = fromLabelSelector(ref.selector);
  if (!selector) throw new Error("one of name or selector must be provided");
  return [...view.list(def, namespace)].filter((o) => matchesLabels(selector, o.metadata.labels));
}
