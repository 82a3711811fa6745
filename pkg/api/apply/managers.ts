/** The entries of `metadata.managedFields`: who owns which fields, by which kind of write, since when. */
import type { ManagedFieldsEntry } from "../object.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { EMPTY, type FieldSet, difference, interned, isEmpty, readFieldSet, sorted, union } from "./field-set.ts";

export type Entry = DeepReadonly<ManagedFieldsEntry>;

/** Who writes, and how: entries of the same owner are one entry. */
export interface Owner {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  /** "" for the object itself. */
  readonly subresource: string;
}

/** More of them, and the oldest become one. Managers that apply are never merged: they could not tell their own any more. */
const MAX_UPDATERS = 10;
const ANCIENT = "ancient-changes";

export function fieldsIn(entry: Entry | undefined): FieldSet {
  return (entry?.fieldsV1 ?? EMPTY) as FieldSet;
}

/** The same entries, with sets of fields that equal ones share: for what was just read from the store. */
export function withSharedFields(entries: readonly Entry[]): readonly Entry[] {
  return entries.map((entry) => (entry.fieldsV1 ? { ...entry, fieldsV1: interned(fieldsIn(entry)) } : entry));
}

/** A manager that applies stays the same whatever version it uses. */
export function isOf(entry: Entry, owner: Owner): boolean {
  return (
    entry.manager === owner.manager &&
    entry.operation === owner.operation &&
    (entry.subresource ?? "") === owner.subresource &&
    (owner.operation === "Apply" || entry.apiVersion === owner.apiVersion)
  );
}

export function makeEntry(owner: Owner, fields: FieldSet, time: string): Entry {
  const { manager, operation, apiVersion, subresource } = owner;
  return {
    manager,
    operation,
    apiVersion,
    time,
    fieldsType: "FieldsV1",
    fieldsV1: interned(sorted(fields)),
    ...(subresource && { subresource }),
  };
}

/** The entries without these fields, and without those that have none left. */
export function without(entries: readonly Entry[], fields: FieldSet): Entry[] {
  return entries.flatMap((entry) => {
    const left = difference(fieldsIn(entry), fields);
    if (left === entry.fieldsV1) return [entry];
    return isEmpty(left) ? [] : [{ ...entry, fieldsV1: left }];
  });
}

/** In Kubernetes' order: by operation, time, manager. */
export function inOrder(entries: readonly Entry[]): Entry[] {
  return entries.toSorted(
    (a, b) =>
      order(a.operation, b.operation) ||
      order(a.time, b.time) ||
      order(a.manager, b.manager) ||
      order(a.apiVersion, b.apiVersion) ||
      order(a.subresource, b.subresource),
  );
}

const order = (a = "", b = "") => (a < b ? -1 : a > b ? 1 : 0);

/** With the oldest updaters of a version merged into one, as long as there are too many of them. */
export function capped(entries: readonly Entry[]): readonly Entry[] {
  const updaters = inOrder(entries.filter((e) => e.operation === "Update"));
  let excess = updaters.length - MAX_UPDATERS;
  if (excess <= 0) return entries;
  const merged = new Set<Entry>();
  const ancient = new Map<string, Entry>();
  // What was merged before is the oldest of all.
  for (const entry of updaters.toSorted((a, b) => Number(b.manager === ANCIENT) - Number(a.manager === ANCIENT))) {
    if (excess === 0) break;
    const { apiVersion = "" } = entry;
    const first = ancient.get(apiVersion);
    if (first) excess--;
    ancient.set(apiVersion, first ? joined(first, entry) : entry);
    merged.add(entry);
  }
  return [...entries.filter((e) => !merged.has(e)), ...ancient.values()];
}

function joined(old: Entry, newer: Entry): Entry {
  const owner = { manager: ANCIENT, operation: "Update", apiVersion: old.apiVersion ?? "", subresource: "" } as const;
  return makeEntry(owner, union(fieldsIn(old), fieldsIn(newer)), newer.time ?? "");
}

/** What a client sends as managedFields, if it can be read. */
export function readEntries(given: readonly Entry[]): readonly Entry[] | undefined {
  const read: Entry[] = [];
  for (const entry of given) {
    const { operation, apiVersion, fieldsType, fieldsV1 = EMPTY } = entry;
    const fields = readFieldSet(fieldsV1);
    const known = operation === "Apply" || operation === "Update";
    if (!known || !apiVersion || fieldsType !== "FieldsV1" || !fields) return undefined;
    if (!isEmpty(fields)) read.push({ ...entry, fieldsV1: fields });
  }
  return read;
}

/** `"kubectl-edit" using apps/v1`, `"hpa" with subresource "scale"`. */
export function describe({ manager, operation, apiVersion, subresource }: Entry): string {
  const who = JSON.stringify(manager ?? "") + (subresource ? ` with subresource ${JSON.stringify(subresource)}` : "");
  return operation === "Update" ? `${who} using ${apiVersion ?? ""}` : who;
}
