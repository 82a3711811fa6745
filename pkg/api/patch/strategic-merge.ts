/**
 * Strategic merge patch, `application/strategic-merge-patch+json`: a merge patch that knows its schema, so that lists
 * merge by the name of their items, with directives where that is not enough:
 *
 *  - `$patch: replace | delete | merge` in an object; in an item of a merged list, `delete` removes the item of that
 *    name and `replace` makes the patch's other items the whole list.
 *  - `$retainKeys: [a, b]` drops the object's other keys (volumes: a changed source must not leave the old one).
 *  - `$setElementOrder/ports: [{containerPort: 80}, …]` says in which order the items shall stand.
 *  - `$deleteFromPrimitiveList/finalizers: [a]` removes scalars from a merged list.
 *
 * As upstream's `strategicpatch`, which kubectl computes its patches with (see list-order.ts for the order of items).
 */
import { define, has } from "../../util/keys.ts";
import { deepClone } from "../equal.ts";
import { type Field, fieldOf, type FieldType } from "../schema.ts";
import { badRequest } from "../status.ts";
import { inOrder, sameItem } from "./list-order.ts";

/** What the schema says of a field; undefined for one it does not have, whose lists are replaced. */
export type PatchMeta = (typeName: string, field: string) => Pick<Field, "type" | "merge"> | undefined;

type Json = Record<string, unknown>;
type List = readonly unknown[];

const PATCH = "$patch";
const RETAIN_KEYS = "$retainKeys";
const SET_ORDER = "$setElementOrder/";
const DELETE_FROM = "$deleteFromPrimitiveList/";

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isDirective(key: string): boolean {
  return key === PATCH || key === RETAIN_KEYS || key.startsWith(SET_ORDER) || key.startsWith(DELETE_FROM);
}

/**
 * `typeName` is the document's type in the schema. Neither argument is changed, and the result shares nothing with them.
 * Throws BadRequest for a patch that cannot be understood.
 */
export function applyStrategicMergePatch(
  document: unknown,
  patch: unknown,
  typeName: string,
  meta: PatchMeta = fieldOf,
): unknown {
  if (!isObject(patch)) throw badRequest("error decoding patch: a strategic merge patch must be an object");
  const original: unknown = deepClone(document);
  return new Merge(meta).object(isObject(original) ? original : {}, deepClone(patch), {
    kind: "object",
    type: typeName,
  });
}

/** What is known of a field while merging it. */
interface Target {
  readonly type: FieldType | undefined;
  readonly merges: boolean;
  readonly replaces: boolean;
  readonly mergeKey: string | undefined;
}

const UNKNOWN: Target = { type: undefined, merges: false, replaces: false, mergeKey: undefined };

/** Builds new objects and lists; the leaves are those of its arguments. */
class Merge {
  readonly #meta: PatchMeta;

  constructor(meta: PatchMeta) {
    this.#meta = meta;
  }

  object(original: Json, patch: Json, type: FieldType | undefined): Json {
    switch (patch[PATCH]) {
      case "replace":
        return withoutDirectives(patch);
      case "delete":
        return {};
      case "merge":
      case undefined:
        return this.#fields(retainKeys(original, patch), patch, type);
      default:
        throw unknownDirective(patch, "map");
    }
  }

  #fields(result: Json, patch: Json, type: FieldType | undefined): Json {
    const ordered = new Set<string>();
    for (const [key, order] of Object.entries(patch)) {
      if (!key.startsWith(SET_ORDER)) continue;
      const field = key.slice(SET_ORDER.length);
      ordered.add(field);
      this.#orderedList(result, field, patch, expectList(order, key), type);
    }
    for (const [key, value] of Object.entries(patch)) {
      if (key.startsWith(DELETE_FROM)) deleteScalars(result, key, expectList(value, key));
    }
    for (const [key, value] of Object.entries(patch)) {
      if (isDirective(key) || ordered.has(key)) continue;
      if (value === null) delete result[key];
      else define(result, key, this.#value(has(result, key) ? result[key] : undefined, value, this.#target(type, key)));
    }
    return result;
  }

  #value(original: unknown, patch: unknown, target: Target): unknown {
    if (isObject(original) && isObject(patch)) {
      return target.replaces ? withoutDirectives(patch) : this.object(original, patch, target.type);
    }
    if (Array.isArray(original) && Array.isArray(patch)) return this.#list(original, patch, target);
    return withoutNulls(dropDirectives(patch));
  }

  /** The list named by a `$setElementOrder`, merged if the patch has items for it, and put in order. */
  #orderedList(result: Json, field: string, patch: Json, order: List, type: FieldType | undefined): void {
    const target = this.#target(type, field);
    const original = has(result, field) && Array.isArray(result[field]) ? (result[field] as List) : undefined;
    const items = has(patch, field) ? patch[field] : undefined;
    if (items === null) {
      delete result[field];
      return;
    }
    if (items !== undefined) checkOrder(expectList(items, field), order, target.mergeKey, field);
    if (original === undefined && items === undefined) return;
    const merged = items === undefined ? original : this.#value(original, items, target);
    define(result, field, inOrder(expectList(merged, field), order, original ?? [], target.mergeKey));
  }

  #list(original: List, patch: List, target: Target): List {
    if (!target.merges) return patch.map(dropDirectives);
    if (!patch.some(isObject) && !original.some(isObject)) {
      const merged = [...new Set([...original, ...patch])];
      return inOrder(merged, patch, original, undefined);
    }
    const key = target.mergeKey;
    if (key === undefined) throw badRequest("cannot merge a list of objects without a merge key");
    return this.#keyedList(original, patch, key, target.type);
  }

  #keyedList(original: List, patch: List, key: string, listType: FieldType | undefined): List {
    const itemType = listType?.kind === "list" ? listType.of : undefined;
    const { items, removed, replace } = readItems(patch, key);
    if (replace) return items.map(dropDirectives);
    const merged: unknown[] = original.filter((o) => !removed.some((r) => sameItem(o, r, key)));
    for (const item of items) {
      const at = merged.findIndex((m) => sameItem(m, item, key));
      const old = merged[at];
      if (isObject(old)) merged[at] = this.object(old, item, itemType);
      else merged.push(withoutNulls(dropDirectives(item)));
    }
    return inOrder(merged, items, original, key);
  }

  #target(type: FieldType | undefined, field: string): Target {
    if (type?.kind === "map") return { ...UNKNOWN, type: type.of };
    const found = type?.kind === "object" ? this.#meta(type.type, field) : undefined;
    if (!found) return UNKNOWN;
    const strategy = found.merge.strategy ?? [];
    return {
      type: found.type,
      merges: strategy.includes("merge"),
      replaces: strategy.includes("replace"),
      mergeKey: found.merge.mergeKey,
    };
  }
}

function unknownDirective(patch: Json, where: string) {
  const directive = patch[PATCH];
  const said = typeof directive === "string" ? directive : JSON.stringify(directive);
  return badRequest(`unknown patch type: ${said} in ${where}: ${JSON.stringify(patch)}`);
}

function expectList(value: unknown, where: string): List {
  if (Array.isArray(value)) return value;
  throw badRequest(`error decoding patch: ${where} must be a list, got ${JSON.stringify(value)}`);
}

/** A copy of `original`, of those keys only that `$retainKeys` names, if it is there. */
function retainKeys(original: Json, patch: Json): Json {
  if (!has(patch, RETAIN_KEYS)) return { ...original };
  const keep = expectList(patch[RETAIN_KEYS], RETAIN_KEYS);
  const outside = Object.entries(patch).find(([k, v]) => v !== null && !isDirective(k) && !keep.includes(k));
  if (outside) throw badRequest(`the keys of the patch must all be in ${RETAIN_KEYS}: "${outside[0]}" is not`);
  return Object.fromEntries(Object.entries(original).filter(([k]) => keep.includes(k)));
}

function deleteScalars(result: Json, key: string, values: List): void {
  const field = key.slice(DELETE_FROM.length);
  const list = has(result, field) ? result[field] : undefined;
  if (Array.isArray(list))
    define(
      result,
      field,
      (list as List).filter((v) => !values.includes(v)),
    );
}

/** Every item the patch changes must have a place. Deleted ones have none. */
function checkOrder(items: List, order: List, mergeKey: string | undefined, field: string): void {
  const lost = items.find((i) => !(isObject(i) && has(i, PATCH)) && !order.some((o) => sameItem(o, i, mergeKey)));
  if (lost !== undefined) {
    throw badRequest(
      `the order in patch list doesn't match ${SET_ORDER}${field}: ${JSON.stringify(lost)} is not in it`,
    );
  }
}

/** Sorts a patch's items by their `$patch`. */
function readItems(patch: List, key: string): { items: Json[]; removed: Json[]; replace: boolean } {
  const items: Json[] = [];
  const removed: Json[] = [];
  let replace = false;
  for (const item of patch) {
    if (!isObject(item)) throw badRequest(`cannot merge ${JSON.stringify(item)} into a list of objects`);
    const directive = item[PATCH];
    if (directive === "replace") replace = true;
    else if (directive !== undefined && directive !== "delete") {
      throw unknownDirective(item, "list");
    } else if (item[key] === undefined) {
      throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
    } else if (directive === "delete") removed.push(item);
    else items.push(item);
  }
  return { items, removed, replace };
}

/** What a patch says where there is nothing to merge with. */
function dropDirectives(value: unknown): unknown {
  if (Array.isArray(value)) {
    return (value as List)
      .filter((v) => !(isObject(v) && (v[PATCH] === "delete" || v[PATCH] === "replace")))
      .map(dropDirectives);
  }
  return isObject(value) ? withoutDirectives(value) : value;
}

function withoutDirectives(patch: Json): Json {
  const result: Json = {};
  for (const [k, v] of Object.entries(patch)) if (!isDirective(k)) define(result, k, dropDirectives(v));
  return result;
}

/** Deletes what is not there: nothing. In lists nulls are values. */
function withoutNulls(value: unknown): unknown {
  if (!isObject(value)) return value;
  const result: Json = {};
  for (const [k, v] of Object.entries(value)) if (v !== null) define(result, k, withoutNulls(v));
  return result;
}
