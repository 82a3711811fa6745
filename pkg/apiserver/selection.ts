/** Which objects of a kind a list or watch wants: namespace, name, label and field selectors in one predicate. */
import type { ApiObject } from "../api/object.ts";
import type { ResourceDef } from "../api/resource.ts";
import {
  type FieldRequirement,
  compileFieldSelector,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
} from "../api/selectors.ts";
import { badRequest } from "../api/status.ts";
import { has } from "../util/keys.ts";
import type { DeepReadonly } from "../util/types.ts";
import { policyOf } from "./view.ts";

export interface Selection {
  /** "" means all namespaces. */
  readonly namespace: string;
  readonly matches: (o: DeepReadonly<ApiObject>) => boolean;
  /** Something beyond the namespace is asked for: how many match cannot be told without looking at each. */
  readonly selective: boolean;
  /** An equality that every match satisfies: by it an event finds its watchers, instead of asking each of them. */
  readonly index: { readonly field: string; readonly value: string } | undefined;
}

/** Throws BadRequest for a selector that cannot be parsed or a field the kind does not offer. */
export function select(
  asked: ResourceDef,
  o: { namespace?: string | undefined; labelSelector?: string | undefined; fieldSelector?: string | undefined },
): Selection {
  const labels = parseLabelSelector(o.labelSelector ?? "");
  const def = policyOf(asked);
  const fields = parseFieldSelector(o.fieldSelector ?? "").map((f) => ({ ...f, field: storedLabel(asked, f.field) }));
  const byFields = compileFieldSelector(fields, def);
  const namespace = def.namespaced ? (o.namespace ?? "") : "";
  return {
    namespace,
    selective: labels.length > 0 || fields.length > 0,
    index: indexOf(fields, namespace),
    matches: (object) =>
      (namespace === "" || object.metadata.namespace === namespace) &&
      byFields(object) &&
      (labels.length === 0 || matchesLabels(labels, object.metadata.labels)),
  };
}

/** What the stored kind calls a field that a view has its own name for. */
function storedLabel({ view }: ResourceDef, field: string): string {
  const labels = view?.fieldLabels;
  if (!labels || field === "metadata.name" || field === "metadata.namespace") return field;
  if (has(labels, field)) return labels[field] ?? field;
  throw badRequest(`field label not supported: ${field}`);
}

/** The most selective first: a name, then any other field, then the namespace. */
function indexOf(fields: readonly FieldRequirement[], namespace: string): Selection["index"] {
  const equal = fields.filter((f) => f.equal);
  const best = equal.find((f) => f.field === "metadata.name") ?? equal[0];
  if (best) return { field: best.field, value: best.value };
  return namespace === "" ? undefined : { field: "metadata.namespace", value: namespace };
}

/** The value of a selectable field; what {@link Selection.index} is compared with. */
export function fieldValue(def: ResourceDef, field: string, o: DeepReadonly<ApiObject>): string {
  if (field === "metadata.name") return o.metadata.name ?? "";
  if (field === "metadata.namespace") return o.metadata.namespace ?? "";
  return def.selectableFields[field]?.(o) ?? "";
}
