/** Keeps `metadata.managedFields` true: who wrote what stands in an object. */
import { deepClone, deepEqual } from "../equal.ts";
import type { ApiObject } from "../object.ts";
import type { ResourceDef } from "../resource.ts";
import { rfc3339 } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { compare } from "./compare.ts";
import { difference, type FieldSet, isEmpty, union } from "./field-set.ts";
import {
  capped,
  type Entry,
  fieldsIn,
  inOrder,
  isOf,
  makeEntry,
  type Owner,
  readEntries,
  without,
} from "./managers.ts";
import type { MergeType } from "./merge-type.ts";

export type Content = Readonly<Record<string, unknown>> & { readonly metadata: Readonly<Record<string, unknown>> };

type Policy = Pick<ResourceDef, "subresources">;

/** Where status has an address of its own, writes to the object reset it: nobody comes to own it by them. */
export function resetsStatus(def: Policy, subresource: string): boolean {
  return subresource !== "status" && def.subresources["status"]?.type === "part";
}

export function withoutStatus<T extends object>(o: T): Omit<T, "status"> {
  const { status: _, ...rest } = o as T & { status?: unknown };
  return rest;
}

/** An object of the kind before anything is in it. */
export const NOTHING: Content = { metadata: {} };

/** The object without what belongs to the system: that is never owned. */
export function contentOf(o: DeepReadonly<ApiObject>): Content {
  const { apiVersion: _, kind: __, metadata, ...rest } = o;
  const {
    name: _name,
    namespace: _namespace,
    uid: _uid,
    resourceVersion: _resourceVersion,
    generation: _generation,
    creationTimestamp: _creationTimestamp,
    managedFields: _managedFields,
    selfLink: _selfLink,
    ...owned
  } = metadata;
  return { metadata: owned, ...rest };
}

/** A copy that may be changed. Entries of managedFields are shared, as nobody changes them. */
export function copyOf(o: DeepReadonly<ApiObject>): ApiObject {
  const { managedFields, ...metadata } = o.metadata;
  const copy = deepClone({ ...o, metadata }) as ApiObject;
  setEntries(copy, managedFields ?? []);
  return copy;
}

export interface Update {
  readonly def: Policy;
  /** Of `def`. */
  readonly type: MergeType;
  /** Undefined: the object is new. */
  readonly old: DeepReadonly<ApiObject> | undefined;
  /** What the client wants; its metadata.managedFields are as the client sent them. */
  readonly next: ApiObject;
  readonly manager: string;
  /** The version that the client used. */
  readonly apiVersion: string;
  /** "" for the object itself. */
  readonly subresource: string;
  readonly now: number;
}

/**
 * Sets `next.metadata.managedFields` for a create, update or patch, and says what they would be had it changed nothing
 * (for {@link settleUpdate}):
 *  - The manager owns what it changed, from now on alone; others lose that and what is gone.
 *  - A client may send managedFields of its own, and then those count; an empty list forgets all owners.
 *  - A write that changes nothing changes no times either, so that it stays no write.
 *  - An object whose owners were forgotten is not tracked before it is applied again.
 */
export function trackUpdate(o: Update): readonly Entry[] {
  const entries = claimed(o);
  setEntries(o.next, entries.length === 0 && o.old ? entries : updated(entries, o));
  return entries;
}

/** When the object is final: what the client wanted may have been reset since, and then nobody changed anything. */
export function settleUpdate(next: ApiObject, old: DeepReadonly<ApiObject>, unchanged: readonly Entry[]): void {
  if (next.metadata.managedFields !== unchanged && deepEqual(contentOf(old), contentOf(next))) {
    setEntries(next, unchanged);
  }
}

/** After a server-side apply that gave `entries`: an apply that changed nothing leaves the times alone. */
export function trackApply(next: ApiObject, old: DeepReadonly<ApiObject> | undefined, entries: readonly Entry[]): void {
  const before = old?.metadata.managedFields ?? [];
  const same = old && deepEqual(inOrder(entries.map(timeless)), inOrder(before.map(timeless)));
  setEntries(next, same && deepEqual(contentOf(old), contentOf(next)) ? before : entries);
}

function timeless(entry: Entry): Entry {
  const { time: _, ...rest } = entry;
  return rest;
}

/** Entries are shared with the old object; nobody changes either. */
function setEntries(next: ApiObject, entries: readonly Entry[]): void {
  if (entries.length === 0) delete next.metadata.managedFields;
  else next.metadata.managedFields = entries as NonNullable<ApiObject["metadata"]["managedFields"]>;
}

/** What the managers own as the client tells it, else as it was. */
function claimed({ old, next, subresource }: Update): readonly Entry[] {
  const before = old?.metadata.managedFields ?? [];
  const given: readonly Entry[] | undefined = next.metadata.managedFields;
  if (given === undefined || subresource !== "") return before;
  if (isReset(given)) return [];
  if (deepEqual(given, before)) return before;
  const read = readEntries(given) ?? [];
  return read.length === 0 ? before : read;
}

/** `[]` or `[{}]` */
function isReset(given: readonly Entry[]): boolean {
  return given.length === 0 || (given.length === 1 && Object.keys(given[0] ?? {}).length === 0);
}

function updated(entries: readonly Entry[], o: Update): readonly Entry[] {
  const reach = resetsStatus(o.def, o.subresource) ? withoutStatus : <T>(all: T) => all;
  const [old, next] = [reach(o.old ? contentOf(o.old) : NOTHING), reach(contentOf(o.next))];
  const { added, modified, removed } = compare(o.type, old, next);
  const written = union(added, modified);
  if (isEmpty(written) && isEmpty(removed)) return entries;
  const owner: Owner = { ...o, operation: "Update" };
  const mine = isEmpty(written) ? undefined : entries.find((e) => isOf(e, owner));
  const others = without(mine ? entries.filter((e) => e !== mine) : entries, union(written, removed));
  if (isEmpty(written)) return others;
  const fields: FieldSet = union(difference(fieldsIn(mine), removed), written);
  return inOrder(capped([...others, makeEntry(owner, fields, rfc3339(o.now))]));
}
