/** What a Template makes of the objects there are. Pure. */
import { deepEqual } from "../../api/equal.ts";
import type { ConfigMap, Secret } from "../../api/generated/types.ts";
import { type ApiObject, keyOf, nameOf, namespaceOf, uidOf } from "../../api/object.ts";
import { compileTemplate, TemplateError } from "../../api/template/engine.ts";
import {
  splitResource,
  type TemplateCondition,
  type TemplateObject,
  templates,
  type TemplateWatch,
} from "../../api/template/kind.ts";
import type { DeepReadonly } from "../../util/types.ts";

export type ReadonlyTemplate = DeepReadonly<TemplateObject>;
export type Output = ConfigMap & Secret;

export interface Failure {
  readonly reason: "TemplateError" | "OutputConflict" | "UnknownResource" | "SecretsRefused";
  readonly message: string;
}

export type Rendered = { readonly data: Readonly<Record<string, string>> } | { readonly failure: Failure };

/** Whoever may read a ConfigMap may not read Secrets. */
export function refusedWatch({ spec }: ReadonlyTemplate): Failure | undefined {
  const reads = (spec.watch ?? []).some((w) => w.resource === "secrets");
  if (!reads || spec.output.kind === "Secret") return undefined;
  return { reason: "SecretsRefused", message: "Secrets may only be watched where the output is a Secret" };
}

/** `list`: all objects of the kind in the Template's namespace. */
export function render(
  t: ReadonlyTemplate,
  list: (w: DeepReadonly<TemplateWatch>) => readonly DeepReadonly<ApiObject>[],
): Rendered {
  const lists = (t.spec.watch ?? []).map((w) => [w.as ?? splitResource(w.resource).plural, chosen(w, list(w))]);
  const scope: Record<string, unknown> = { values: t.spec.values ?? {}, ...Object.fromEntries(lists) };
  const data: Record<string, string> = {};
  for (const [key, text] of Object.entries(t.spec.data)) {
    try {
      data[key] = compileTemplate(text).render(scope);
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      return { failure: { reason: "TemplateError", message: error.at(key) } };
    }
  }
  return { data };
}

function chosen(w: DeepReadonly<TemplateWatch>, all: readonly DeepReadonly<ApiObject>[]) {
  const labels = Object.entries(w.labels ?? {});
  const fits = (o: DeepReadonly<ApiObject>) => labels.every(([key, value]) => o.metadata.labels?.[key] === value);
  return all.filter(fits).toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

export type Write =
  | { readonly type: "none" }
  | { readonly type: "create"; readonly object: Output }
  | { readonly type: "replace"; readonly object: DeepReadonly<Output> }
  | { readonly type: "refuse"; readonly failure: Failure };

/** How the output comes to hold the data: what somebody else has made is not touched. */
export function writeOf(
  t: ReadonlyTemplate,
  texts: Readonly<Record<string, string>>,
  old: DeepReadonly<Output> | undefined,
): Write {
  const { kind = "ConfigMap", name } = t.spec.output;
  const data = kind === "Secret" ? base64(texts) : texts;
  if (!old) return { type: "create", object: newOutput(t, data) };
  if (!old.metadata.ownerReferences?.some((o) => o.uid === uidOf(t))) {
    const message = `${kind} ${name} is there already, and was not made by this Template`;
    return { type: "refuse", failure: { reason: "OutputConflict", message } };
  }
  return deepEqual(old.data ?? {}, data) ? { type: "none" } : { type: "replace", object: { ...old, data } };
}

function newOutput(t: ReadonlyTemplate, data: Readonly<Record<string, string>>): Output {
  const { group, version, kind } = templates;
  const owner = { apiVersion: `${group}/${version}`, kind, name: nameOf(t), uid: uidOf(t), controller: true };
  const metadata = { name: t.spec.output.name, namespace: namespaceOf(t), ownerReferences: [owner] };
  return { metadata, data: { ...data } };
}

/** UTF-8 by hand: this runs in browsers, too. */
function base64(texts: Readonly<Record<string, string>>): Record<string, string> {
  const encode = (text: string) =>
    btoa(Array.from(new TextEncoder().encode(text), (b) => String.fromCharCode(b)).join(""));
  return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, encode(text)]));
}

export function conditionOf(t: ReadonlyTemplate, failure: Failure | undefined): TemplateCondition {
  const { generation: observedGeneration = 0 } = t.metadata;
  const keys = Object.keys(t.spec.data).length;
  return failure
    ? { type: "Ready", status: "False", ...failure, observedGeneration }
    : { type: "Ready", status: "True", reason: "Rendered", message: `${keys} rendered`, observedGeneration };
}
