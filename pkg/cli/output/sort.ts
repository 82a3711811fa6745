/** `--sort-by=.metadata.creationTimestamp`: numbers and quantities by value, all else as text, what is missing first. */
import { compareQuantities, isQuantity } from "../../api/quantity.ts";
import { valueText } from "../../api/jsonpath/jsonpath.ts";
import { parsePath } from "./jsonpath.ts";

export function sortBy<T>(items: readonly T[], path: string, objectOf: (item: T) => unknown): T[] {
  const values = parsePath(path);
  const keyed = items.map((item) => ({ item, key: values(objectOf(item))[0] }));
  return keyed.sort((a, b) => compareKeys(a.key, b.key)).map((k) => k.item);
}

function compareKeys(a: unknown, b: unknown): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined);
  if (typeof a === "number" && typeof b === "number") return a - b;
  const [x, y] = [valueText(a), valueText(b)];
  if (isQuantity(x) && isQuantity(y)) return compareQuantities(x, y);
  return x < y ? -1 : x > y ? 1 : 0;
}
