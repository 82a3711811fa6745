/** Filters beside Liquid's own (`sort`, `where`, `map`, `json`, `join`, `default`, `base64_encode`, …). */
import { own } from "../../util/keys.ts";

interface Labelled {
  readonly metadata?: { readonly labels?: Readonly<Record<string, string>> };
}

/** `pods | labelled: "app", "web"`; without a value: those that have the label. */
export function labelled(list: unknown, key: string, value?: string): unknown[] {
  const all = Array.isArray(list) ? (list as Labelled[]) : [];
  return all.filter((o) => {
    const found = own(o.metadata?.labels, key);
    return found !== undefined && (value === undefined || found === value);
  });
}
