/**
 * What `apply` sends: a patch that brings `current` to what the manifest says, and removes what an earlier manifest said
 * and this one no longer does. Whatever neither of the two mentions (defaults, status, other people's labels) stays.
 *
 *  - I1: applying the patch's result again plans nothing.
 *  - I2: a field is removed only if the last applied manifest had it.
 *
 * Lists with a merge key are merged item by item, as the schema says; without a schema a list is replaced as a whole, and
 * the patch is then a plain JSON merge patch.
 */
import { deepEqual } from "../../api/equal.ts";
import { fieldOf, type Field } from "../../api/schema.ts";
import type { ApiObject } from "../../api/object.ts";
import { own } from "../../util/keys.ts";

export const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

type Json = Record<string, unknown>;

export interface ApplyInput {
  /** What the annotation of the live object holds: the manifest applied last. */
  readonly original: ApiObject | undefined;
  /** The manifest, with the annotation for the next time. */
  readonly modified: ApiObject;
  readonly current: ApiObject;
  /** The kind's type in the schema; undefined for kinds we have no schema of. */
  readonly schema: string | undefined;
}

/** Undefined when nothing needs to change. */
export function planApply(i: ApplyInput): Json | undefined {
  const context = { schema: i.schema !== undefined };
  const patch = diffObject(asJson(i.original), asJson(i.modified), asJson(i.current), { ...context, type: i.schema });
  return patch && Object.keys(patch).length > 0 ? patch : undefined;
}

interface Context {
  /** Strategic directives may be used. */
  readonly schema: boolean;
  /** The object's type, where it has one. */
  readonly type: string | undefined;
}

/** apiVersion and kind are in the address already; status is not the user's to say. */
const NOT_OURS = new Set(["status", "apiVersion", "kind"]);

function diffObject(original: Json, modified: Json, current: Json, c: Context): Json | undefined {
  const patch: Json = {};
  const isRoot = "apiVersion" in modified && "kind" in modified && "metadata" in modified;
  for (const key of new Set([...Object.keys(modified), ...Object.keys(original)])) {
    if (isRoot && NOT_OURS.has(key)) continue;
    const wanted = own(modified, key);
    const actual = own(current, key);
    if (wanted === undefined || wanted === null) {
      // Said to be null, or said before and no longer.
      if (actual !== undefined && actual !== null) patch[key] = null;
      continue;
    }
    diffField({ patch, key, original: own(original, key), wanted, actual, c });
  }
  return Object.keys(patch).length > 0 ? patch : undefined;
}

interface FieldDiff {
  readonly patch: Json;
  readonly key: string;
  readonly original: unknown;
  readonly wanted: unknown;
  readonly actual: unknown;
  readonly c: Context;
}

function diffField({ patch, key, original, wanted, actual, c }: FieldDiff): void {
  const field = c.type === undefined ? undefined : fieldOf(c.type, key);
  const strategy = field?.merge.strategy ?? [];
  if (isJson(wanted) && isJson(actual) && !strategy.includes("replace")) {
    const inner = diffObject(asJson(original), wanted, actual, { ...c, type: typeOf(field) });
    if (inner) patch[key] = strategy.includes("retainKeys") ? { $retainKeys: Object.keys(wanted), ...inner } : inner;
    return;
  }
  if (Array.isArray(wanted) && Array.isArray(actual) && c.schema && strategy.includes("merge")) {
    const lists = { original: Array.isArray(original) ? original : [], wanted, actual };
    Object.assign(patch, field?.merge.mergeKey ? diffItems(key, lists, field) : diffSet(key, lists));
    return;
  }
  if (!deepEqual(wanted, actual)) patch[key] = wanted;
}

interface Lists {
  readonly original: readonly unknown[];
  readonly wanted: readonly unknown[];
  readonly actual: readonly unknown[];
}

/** A list of objects told apart by their merge key. */
function diffItems(key: string, lists: Lists, field: Field): Json {
  const mergeKey = field.merge.mergeKey ?? "name";
  const find = (list: readonly unknown[], id: unknown) => list.find((x) => asJson(x)[mergeKey] === id);
  const retain = field.merge.strategy?.includes("retainKeys");
  const items: Json[] = [];
  for (const item of lists.wanted.map(asJson)) {
    const id = item[mergeKey];
    const actual = find(lists.actual, id);
    if (actual === undefined) {
      items.push(item);
      continue;
    }
    const inner = diffObject(asJson(find(lists.original, id)), item, asJson(actual), {
      schema: true,
      type: typeOf(field),
    });
    if (inner) items.push({ ...(retain && { $retainKeys: Object.keys(item) }), ...inner, [mergeKey]: id });
  }
  for (const item of lists.original.map(asJson)) {
    const id = item[mergeKey];
    const gone = find(lists.wanted, id) === undefined && find(lists.actual, id) !== undefined;
    if (gone) items.push({ $patch: "delete", [mergeKey]: id });
  }
  if (items.length === 0) return {};
  const order = lists.wanted.map((item) => ({ [mergeKey]: asJson(item)[mergeKey] }));
  return { [`$setElementOrder/${key}`]: order, [key]: items };
}

/** A list of scalars that is a set (finalizers). */
function diffSet(key: string, lists: Lists): Json {
  const added = lists.wanted.filter((v) => !lists.actual.includes(v));
  const removed = lists.original.filter((v) => !lists.wanted.includes(v) && lists.actual.includes(v));
  return {
    ...(added.length > 0 && { [key]: added }),
    ...(removed.length > 0 && { [`$deleteFromPrimitiveList/${key}`]: removed }),
  };
}

function typeOf(field: Field | undefined): string | undefined {
  let type = field?.type;
  while (type?.kind === "list") type = type.of;
  return type?.kind === "object" ? type.type : undefined;
}

const isJson = (v: unknown): v is Json => typeof v === "object" && v !== null && !Array.isArray(v);
const asJson = (v: unknown): Json => (isJson(v) ? v : {});

/** The manifest as it is sent: with itself in the annotation, so that the next apply knows what this one said. */
export function withLastApplied(manifest: ApiObject, namespace: string | undefined): ApiObject {
  const { [LAST_APPLIED]: _, ...annotations } = manifest.metadata.annotations ?? {};
  // kubectl notes the annotations and the namespace even where the manifest leaves them out.
  const metadata = { ...manifest.metadata, annotations, ...(namespace !== undefined && { namespace }) };
  const noted = `${goJson({ ...manifest, metadata })}\n`;
  return { ...manifest, metadata: { ...metadata, annotations: { ...annotations, [LAST_APPLIED]: noted } } };
}

/** What the last apply noted; undefined if there was none, or somebody garbled it. */
export function lastApplied(current: ApiObject): ApiObject | undefined {
  const noted = current.metadata.annotations?.[LAST_APPLIED];
  if (!noted) return undefined;
  try {
    return JSON.parse(noted) as ApiObject;
  } catch {
    return undefined;
  }
}

/** JSON to the byte as Go writes it, so that mini-kube and kubectl take turns without a difference. */
export function goJson(value: unknown): string {
  const sorted = JSON.stringify(value, (_, v: unknown) =>
    isJson(v) ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1))) : v,
  );
  return sorted.replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
