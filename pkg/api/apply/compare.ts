/** What one state of an object changes in another, as sets of fields. */
import { has } from "../../util/keys.ts";
import { deepEqual } from "../equal.ts";
import { fieldType, hasFields, hasItems, isEmptyContainer, isList, itemType, type Json } from "./containers.ts";
import { fieldElement, itemElement } from "./elements.ts";
import { type Element, type FieldSet, SetBuilder } from "./field-set.ts";
import type { MergeType } from "./merge-type.ts";

/** No field is in two of them; all are empty if and only if the states are equal but for the order of keyed items. */
export interface Comparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

/** What holds added fields counts as added too, unless it is always there; what holds removed ones, as removed. */
export function compare(type: MergeType, old: unknown, next: unknown): Comparison {
  const walk = new Walk();
  walk.both(type, old, next);
  return { added: walk.added.set, modified: walk.modified.set, removed: walk.removed.set };
}

type List = Extract<MergeType, { kind: "list" | "set" }>;

class Walk {
  readonly added = new SetBuilder();
  readonly modified = new SetBuilder();
  readonly removed = new SetBuilder();
  readonly #path: Element[] = [];

  both(type: MergeType, a: unknown, b: unknown): void {
    if (a === b) return;
    if (hasFields(type, a) && hasFields(type, b)) this.#fields(type, a, b);
    else if (deepEqual(a, b)) return;
    else if (isList(type) && hasItems(type, a) && hasItems(type, b)) this.#items(type, a, b);
    else this.#replaced(type, a, b);
  }

  /** A leaf by another, or by something with parts. */
  #replaced(type: MergeType, a: unknown, b: unknown): void {
    this.modified.add(this.#path);
    this.#below(this.removed, type, a);
    this.#below(this.added, type, b);
  }

  #fields(type: MergeType, a: Json, b: Json): void {
    for (const name in a) {
      const [x, y] = [a[name], has(b, name) ? b[name] : undefined];
      if (x !== y) this.#pair(fieldElement(name), fieldType(type, name), x, y);
    }
    for (const name in b) {
      if (!has(a, name) || a[name] === undefined)
        this.#pair(fieldElement(name), fieldType(type, name), undefined, b[name]);
    }
  }

  #pair(element: Element, type: MergeType, x: unknown, y: unknown): void {
    this.#path.push(element);
    if (x === undefined) {
      if (y !== undefined) this.#all(this.added, type, y);
    } else if (y === undefined) this.#all(this.removed, type, x);
    else this.both(type, x, y);
    this.#path.pop();
  }

  #items(type: List, a: readonly unknown[], b: readonly unknown[]): void {
    const [old, next] = [grouped(type, a), grouped(type, b)];
    for (const [element, xs] of old) this.#pairs(type, element, xs, next.get(element) ?? []);
    for (const [element, ys] of next) if (!old.has(element)) this.#pairs(type, element, [], ys);
  }

  /** Items of one key. More than one is a single thing, whatever is in them. */
  #pairs(type: List, element: Element, xs: readonly unknown[], ys: readonly unknown[]): void {
    const of = itemType(type);
    if (xs.length <= 1 && ys.length <= 1) return this.#pair(element, of, xs[0], ys[0]);
    if (deepEqual(xs, ys)) return;
    const into = xs.length <= 1 ? this.added : ys.length <= 1 ? this.removed : this.modified;
    if (xs.length === 1) this.#pair(element, of, xs[0], undefined);
    if (ys.length === 1) this.#pair(element, of, undefined, ys[0]);
    into.add([...this.#path, element]);
  }

  #all(into: SetBuilder, type: MergeType, value: unknown): void {
    const leaf = (!hasFields(type, value) && !hasItems(type, value)) || isEmptyContainer(value);
    this.#below(into, type, value);
    if (leaf || into === this.removed || !isAlways(type)) into.add(this.#path);
  }

  #below(into: SetBuilder, type: MergeType, value: unknown): void {
    if (hasFields(type, value)) {
      for (const name in value) this.#one(into, fieldElement(name), fieldType(type, name), value[name]);
    } else if (isList(type) && hasItems(type, value)) {
      for (const [element, items] of grouped(type, value)) {
        if (items.length === 1) this.#one(into, element, itemType(type), items[0]);
        else into.add([...this.#path, element]);
      }
    }
  }

  #one(into: SetBuilder, element: Element, type: MergeType, value: unknown): void {
    if (value === undefined) return;
    this.#path.push(element);
    this.#all(into, type, value);
    this.#path.pop();
  }
}

function isAlways(type: MergeType): boolean {
  return (type.kind === "object" || type.kind === "list") && type.always === true;
}

function grouped(type: List, list: readonly unknown[]): Map<Element, unknown[]> {
  const groups = new Map<Element, unknown[]>();
  for (const item of list) {
    const element = itemElement(type, item);
    const group = groups.get(element);
    if (group) group.push(item);
    else groups.set(element, [item]);
  }
  return groups;
}
