/** A configuration over the live state, and out of it what nobody wants any more. Neither argument is changed. */
import { define, own } from "../../util/keys.ts";
import {
  fieldType,
  hasFields,
  hasItems,
  isDeclared,
  isEmptyContainer,
  isList,
  itemType,
  type Json,
} from "./containers.ts";
import { fieldElement, itemElement } from "./elements.ts";
import { type Element, EMPTY, type FieldSet, isMember } from "./field-set.ts";
import type { MergeType } from "./merge-type.ts";

type List = Extract<MergeType, { kind: "list" | "set" }>;

/** Leaves as applied, all else that is live kept. Null empties a leaf, and says nothing of what has parts. */
export function merge(type: MergeType, live: unknown, applied: unknown): unknown {
  if (applied === undefined) return live;
  if (applied === null && (hasFields(type, live) || hasItems(type, live)) && !isEmptyContainer(live)) return live;
  if (hasFields(type, live) && hasFields(type, applied)) return mergeFields(type, live, applied);
  if (isList(type) && hasItems(type, live) && hasItems(type, applied)) return mergeItems(type, live, applied);
  return applied;
}

function mergeFields(type: MergeType, live: Json, applied: Json): Json {
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(live)) define(result, name, value);
  for (const [name, value] of Object.entries(applied)) {
    const old = own(live, name);
    define(result, name, merge(fieldType(type, name), old, value));
  }
  return result;
}

/**
 * The items of the configuration in its order; those that only the live list has stay where they were, before the item
 * that came next there.
 */
function mergeItems(type: List, live: readonly unknown[], applied: readonly unknown[]): unknown[] {
  const own = live.map((item): [Element, unknown] => [itemElement(type, item), item]);
  const byElement = new Map(own.toReversed());
  const wanted = applied.map((item): [Element, unknown] => [itemElement(type, item), item]);
  const wantedElements = new Set(wanted.map(([element]) => element));
  const result: unknown[] = [];
  let at = 0;
  /** Live items up to the next one that is `stop`; others of the configuration have or get their place there. */
  const keepUpTo = (stop: Element | undefined) => {
    for (; at < own.length; at++) {
      const [element, item] = own[at] ?? ["", undefined];
      if (element === stop) return;
      if (!wantedElements.has(element)) result.push(item);
    }
  };
  for (const [i, [element, item]] of wanted.entries()) {
    const shared = byElement.has(element);
    keepUpTo(shared ? element : wanted.slice(i).find(([e]) => byElement.has(e))?.[0]);
    if (own[at]?.[0] === element) at++;
    result.push(merge(itemType(type), shared ? byElement.get(element) : undefined, item));
  }
  keepUpTo(undefined);
  return result;
}

/**
 * `merged` without what is in `last` (a manager's fields before) and in nobody's fields now. What a struct or list loses
 * its last field with goes too.
 */
export function prune(type: MergeType, merged: unknown, last: FieldSet, owned: FieldSet): unknown {
  if (hasFields(type, merged)) {
    const kept: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(merged)) {
      const at = { declared: isDeclared(type, name), last: last[fieldElement(name)], owned: owned[fieldElement(name)] };
      const left = pruned(fieldType(type, name), value, at);
      if (left !== undefined) define(kept, name, left);
    }
    return isEmptyContainer(kept) && !isEmptyContainer(merged) ? undefined : kept;
  }
  if (isList(type) && hasItems(type, merged)) {
    const kept = merged.flatMap((item) => {
      const element = itemElement(type, item);
      const left = pruned(itemType(type), item, { declared: false, last: last[element], owned: owned[element] });
      return left === undefined ? [] : [left];
    });
    return kept.length === 0 && merged.length > 0 ? undefined : kept;
  }
  return merged;
}

interface Place {
  readonly declared: boolean;
  readonly last: FieldSet | undefined;
  readonly owned: FieldSet | undefined;
}

function pruned(type: MergeType, value: unknown, { declared, last, owned }: Place): unknown {
  if (last === undefined) return value;
  const [before, now] = declared ? [true, owned !== undefined] : [isMember(last), isMember(owned)];
  return before && !now ? undefined : prune(type, value, last, owned ?? EMPTY);
}
