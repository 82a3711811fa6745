/** In which order the items of a merged list stand. */
import { deepEqual } from "../equal.ts";

type List = readonly unknown[];

/** Items are the same if their merge keys are; without a merge key, if they are equal. */
export function sameItem(a: unknown, b: unknown, mergeKey: string | undefined): boolean {
  if (mergeKey === undefined) return deepEqual(a, b);
  const key = (v: unknown) =>
    typeof v === "object" && v !== null ? (v as Record<string, unknown>)[mergeKey] : undefined;
  return key(a) !== undefined && deepEqual(key(a), key(b));
}

/**
 * `merged` with the items that `wanted` names in its order, and the others between them: each before the first that
 * stood after it in `before`. Upstream's `normalizeElementOrder`: the patch's order wins, the server's fills the gaps;
 * so what nobody placed yet comes first.
 */
export function inOrder(merged: List, wanted: List, before: List, mergeKey: string | undefined): List {
  const place = (list: List, item: unknown) => list.findIndex((o) => sameItem(o, item, mergeKey));
  const placed = merged.filter((m) => place(wanted, m) >= 0).sort((a, b) => place(wanted, a) - place(wanted, b));
  const others = merged.filter((m) => place(wanted, m) < 0).sort((a, b) => place(before, a) - place(before, b));
  const result: unknown[] = [];
  let next = 0;
  for (const item of placed) {
    const at = place(before, item);
    while (next < others.length && at >= 0 && place(before, others[next]) < at && place(before, others[next]) >= 0) {
      result.push(others[next++]);
    }
    result.push(item);
  }
  return [...result, ...others.slice(next)];
}
