/** What the kinds that make Pods have in common: defaults of the template, and columns that show it. */
import { own } from "../../util/keys.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { LabelSelector, PodTemplateSpec } from "../generated/types.ts";
import type { ApiObject } from "../object.ts";
import type { Column } from "../resource.ts";
import { defaultPodSpec } from "./core/pod-defaults.ts";

export function defaultPodTemplate(t: PodTemplateSpec): void {
  t.spec ??= { containers: [] };
  defaultPodSpec(t.spec);
}

type Getter<T extends ApiObject, V> = (o: DeepReadonly<T>) => V;
type Template = DeepReadonly<PodTemplateSpec> | undefined;

/** `CONTAINERS` and `IMAGES`. */
export function containerColumns<T extends ApiObject>(template: Getter<T, Template>): readonly Column<T>[] {
  const list = (key: "name" | "image") => (o: DeepReadonly<T>) =>
    (template(o)?.spec?.containers ?? []).map((c) => c[key] ?? "").join(",");
  return [
    {
      name: "Containers",
      type: "string",
      description: "Names of each container in the template.",
      cell: list("name"),
    },
    {
      name: "Images",
      type: "string",
      description: "Images referenced by each container in the template.",
      cell: list("image"),
    },
  ];
}

/** What `-o wide` adds. */
export function templateColumns<T extends ApiObject>(
  template: Getter<T, Template>,
  selector?: Getter<T, string>,
): readonly Column<T>[] {
  const columns: Column<T>[] = containerColumns(template).map((c) => ({ ...c, wide: true }));
  if (!selector) return columns;
  const description = "Label selector of the pods.";
  return [...columns, { name: "Selector", type: "string", wide: true, description, cell: selector }];
}

type Labels = Readonly<Record<string, string>> | undefined;

const byCode = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** `a=1,b=2`, in the order of keys. */
export function labelsText(labels: Labels): string {
  return Object.entries(labels ?? {})
    .map(([k, v]) => `${k}=${v}`)
    .sort(byCode)
    .join(",");
}

const OPERATORS: Readonly<Record<string, (key: string, values: string) => string>> = {
  In: (key, values) => `${key} in (${values})`,
  NotIn: (key, values) => `${key} notin (${values})`,
  Exists: (key) => key,
  DoesNotExist: (key) => `!${key}`,
};

/**
 * A selector in words that a list request understands, in the order of keys. Columns and Scale show it so; it is not
 * what selectors.ts formats: an `In` of one value stays an `in`.
 */
export function selectorText(s: DeepReadonly<LabelSelector> | undefined): string {
  const labels = Object.entries(s?.matchLabels ?? {}).map(([key, v]) => ({ key, text: `${key}=${v}` }));
  const expressions = (s?.matchExpressions ?? []).map(({ key, operator, values }) => ({
    key,
    text: own(OPERATORS, operator)?.(key, [...(values ?? [])].sort(byCode).join(",")) ?? "<error>",
  }));
  return [...labels, ...expressions]
    .sort((a, b) => byCode(a.key, b.key))
    .map((r) => r.text)
    .join(",");
}

/** Printers say `<none>` where nothing is selected. */
export const orNone = (text: string) => text || "<none>";
