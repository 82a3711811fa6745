/** From names, values and keys to path elements, and from those to what people read. */
import { has } from "../../util/keys.ts";
import { isObject } from "./containers.ts";
import type { Element } from "./field-set.ts";
import type { ListKey, MergeType } from "./merge-type.ts";

export type KeyedList = Extract<MergeType, { kind: "list" }>;

export function fieldElement(name: string): Element {
  return `f:${name}`;
}

export function itemElement(type: KeyedList | { readonly kind: "set" }, item: unknown): Element {
  if (type.kind === "set") return `v:${JSON.stringify(item)}`;
  const keys = keysOf(type, item).map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  return `k:{${keys.join(",")}}`;
}

/** Why an item has no place in the list of this type, in the words of structured-merge-diff. */
export function itemError(type: KeyedList | { readonly kind: "set" }, item: unknown): string | undefined {
  if (type.kind === "set") {
    if (isObject(item)) return "associative list without keys has an element that's a map type";
    if (Array.isArray(item)) return "not supported: associative list with lists as elements";
    return item === null ? "associative list without keys has an element that's an explicit null" : undefined;
  }
  if (item === null) return "associative list with keys may not have a null element";
  if (!isObject(item)) return "associative list with keys may not have non-map elements";
  if (keysOf(type, item).length > 0) return undefined;
  const names = type.keys.map((k) => JSON.stringify(k.name)).join(" ");
  const why = "and doesn't have default values for any key fields";
  return `associative list with keys has an element that omits all key fields [${names}] (${why})`;
}

const orders = new WeakMap<KeyedList, readonly ListKey[]>();

/** A key that an item leaves out and that has no default is none of its keys. */
function keysOf(type: KeyedList, item: unknown): [string, unknown][] {
  let keys = orders.get(type);
  if (!keys) {
    keys = type.keys.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    orders.set(type, keys);
  }
  const found: [string, unknown][] = [];
  for (const key of keys) {
    const value = (isObject(item) && has(item, key.name) ? item[key.name] : undefined) ?? key.default;
    if (value !== undefined) found.push([key.name, value]);
  }
  return found;
}

/** `.spec.containers[name="web"].ports[containerPort=80,protocol="TCP"].name`, `.metadata.finalizers[="x"]` */
export function pathText(path: readonly Element[]): string {
  return path.map(elementText).join("");
}

export function elementText(element: Element): string {
  const content = element.slice(2);
  if (element.startsWith("f:")) return `.${content}`;
  if (element.startsWith("v:")) return `[=${content}]`;
  if (!element.startsWith("k:")) return `[${content}]`;
  const keys = Object.entries(JSON.parse(content) as object);
  return `[${keys.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(",")}]`;
}
