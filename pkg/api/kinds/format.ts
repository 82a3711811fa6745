/** How `kubectl get` shows lists, labels and selectors in one cell. */
import type { LabelSelector } from "../generated/types.ts";
import type { DeepReadonly } from "../../util/types.ts";

/** The first three, and how many there are beyond. */
export function firstThree(all: readonly string[], none: string): string {
  const shown = all.slice(0, 3).join(",");
  if (all.length > 3) return `${shown} + ${all.length - 3} more...`;
  return shown === "" ? none : shown;
}

export function formatLabels(labels: Readonly<Record<string, string>> | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([k, v]) => `${k}=${v}`);
  return pairs.sort().join(",") || "<none>";
}

const SYMBOLS: Readonly<Record<string, (key: string, values: string) => string>> = {
  In: (key, values) => `${key} in (${values})`,
  NotIn: (key, values) => `${key} notin (${values})`,
  Exists: (key) => key,
  DoesNotExist: (key) => `!${key}`,
};

/** `app=web,tier in (a,b),!old`, by key; no selector and an empty one look the same. */
export function formatSelector(s: DeepReadonly<LabelSelector> | undefined): string {
  const terms: readonly (readonly [key: string, text: string])[] = [
    ...Object.entries(s?.matchLabels ?? {}).map(([k, v]) => [k, `${k}=${v}`] as const),
    ...(s?.matchExpressions ?? []).map((e) => {
      const values = [...(e.values ?? [])].sort().join(",");
      return [e.key, SYMBOLS[e.operator]?.(e.key, values) ?? ""] as const;
    }),
  ];
  const sorted = terms.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return sorted.map(([, text]) => text).join(",") || "<none>";
}
