/** Which requests a webhook or a policy is about. */
import type { RuleWithOperations } from "../../api/generated/types.ts";
import { namespaces } from "../../api/kinds/core/namespace.ts";
import type { ApiObject } from "../../api/object.ts";
import type { ResourceDef } from "../../api/resource.ts";
import { fromLabelSelector, type LabelSelectorObject, matchesLabels } from "../../api/selectors.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { AdmissionRequest, ClusterView } from "../admission.ts";
import { isResource } from "./refuse.ts";

export type Rule = DeepReadonly<RuleWithOperations & { resourceNames?: string[] }>;

export interface Criteria {
  readonly rules: readonly Rule[];
  readonly exclude?: readonly Rule[];
  readonly matchPolicy?: string | undefined;
  readonly namespaceSelector?: DeepReadonly<LabelSelectorObject> | undefined;
  readonly objectSelector?: DeepReadonly<LabelSelectorObject> | undefined;
}

/** The versions and groups of one kind: the others under which the same objects are served. */
export type Equivalents = (def: ResourceDef) => readonly ResourceDef[];

export function equivalentsIn(all: () => readonly ResourceDef[]): Equivalents {
  const stored = (d: ResourceDef) => d.view?.of ?? d;
  return (def) => all().filter((d) => d !== def && stored(d) === stored(def));
}

/**
 * The kind under which a webhook is to see the request: the client's own if a rule names it, else (matchPolicy
 * Equivalent, the default) another version that a rule names. Undefined: it is not about this request.
 */
export function matched(
  c: Criteria,
  r: AdmissionRequest,
  view: ClusterView,
  equivalents: Equivalents,
): ResourceDef | undefined {
  const kinds = c.matchPolicy === "Exact" ? [r.def] : [r.def, ...equivalents(r.def)];
  if (c.exclude?.some((rule) => kinds.some((def) => matchesRule(rule, r, def)))) return undefined;
  const def = kinds.find((kind) => c.rules.some((rule) => matchesRule(rule, r, kind)));
  return def && inNamespace(c.namespaceSelector, r, view) && hasLabels(c.objectSelector, r) ? def : undefined;
}

/** Nobody may lock themselves out of changing what locks them out. */
export function isExempt(r: AdmissionRequest): boolean {
  return r.def.group === "admissionregistration.k8s.io";
}

function matchesRule(rule: Rule, r: AdmissionRequest, def: ResourceDef): boolean {
  const names = rule.resourceNames ?? [];
  return (
    inScope(rule.scope, r) &&
    includes(rule.operations, r.operation) &&
    includes(rule.apiGroups, def.group) &&
    includes(rule.apiVersions, def.version) &&
    (rule.resources ?? []).some((text) => namesResource(text, def.plural, r.subresource)) &&
    (names.length === 0 || names.includes(r.name))
  );
}

function includes(list: readonly string[] | undefined, wanted: string): boolean {
  return (list ?? []).some((item) => item === "*" || item === wanted);
}

/** `pods`, `pods/status`, `pods/*` …: without a slash no subresource is meant. */
function namesResource(text: string, plural: string, subresource: string): boolean {
  const [resource, sub = ""] = text.split("/", 2);
  return (resource === "*" || resource === plural) && (sub === "*" || sub === subresource);
}

/** A Namespace counts as a thing of the cluster. */
function inScope(scope: string | undefined, r: AdmissionRequest): boolean {
  if (scope === "Namespaced") return r.namespace !== "";
  return scope !== "Cluster" || r.namespace === "";
}

type LabelSelector = DeepReadonly<LabelSelectorObject> | undefined;

function inNamespace(selector: LabelSelector, r: AdmissionRequest, view: ClusterView): boolean {
  const parsed = fromLabelSelector(selector) ?? [];
  if (parsed.length === 0) return true;
  const itself = isResource(r, "", "namespaces");
  if (!itself && r.namespace === "") return true;
  const namespace = itself ? (r.object ?? r.old) : view.get(namespaces, "", r.namespace);
  return matchesLabels(parsed, (namespace as DeepReadonly<ApiObject> | undefined)?.metadata.labels);
}

/** Before or after: so nothing escapes by taking its label off. */
function hasLabels(selector: LabelSelector, r: AdmissionRequest): boolean {
  const parsed = fromLabelSelector(selector) ?? [];
  if (parsed.length === 0) return true;
  return [r.object, r.old].some((o) => o !== undefined && matchesLabels(parsed, o.metadata.labels));
}
