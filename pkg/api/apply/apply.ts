/**
 * Server-side apply: a client says what it wants of an object, all of it each time, and the server works out what that
 * changes. What a manager applied before and applies no more is removed, unless others want it too; what others own is
 * theirs, unless the values agree or it is taken by force.
 */
import type { ApiObject } from "../object.ts";
import { apiVersionOf } from "../object.ts";
import type { ResourceDef } from "../resource.ts";
import { ApiError } from "../status.ts";
import { rfc3339 } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { mergeTypeOf } from "./built-in.ts";
import { compare } from "./compare.ts";
import { type Conflict, conflictError } from "./conflicts.ts";
import { isObject, type Json } from "./containers.ts";
import { extract } from "./extract.ts";
import { checkKind } from "./kind.ts";
import { difference, type FieldSet, EMPTY, intersection, isEmpty, union } from "./field-set.ts";
import { fieldsOfLastApplied, KUBECTL, LAST_APPLIED, lastAppliedText } from "./last-applied.ts";
import { type Entry, fieldsIn, inOrder, isOf, makeEntry, type Owner, without } from "./managers.ts";
import { merge, prune } from "./merge.ts";
import type { MergeType } from "./merge-type.ts";
import { type Content, contentOf, NOTHING, resetsStatus, withoutStatus } from "./track.ts";

export interface Apply {
  readonly def: Pick<ResourceDef, "group" | "version" | "kind" | "schema" | "custom" | "subresources">;
  /** In the same version as `applied`; undefined: there is none yet. */
  readonly live: DeepReadonly<ApiObject> | undefined;
  /** As the client sent it. */
  readonly applied: unknown;
  readonly manager: string;
  /** Take what others own. */
  readonly force: boolean;
  /** "" for the object itself. */
  readonly subresource: string;
  readonly now: number;
}

export interface Applied {
  /** As a patch's result: to be decoded, defaulted and validated. */
  readonly object: Json;
  /** For {@link trackApply}, when the object is otherwise final. */
  readonly managedFields: readonly Entry[];
}

/** Always there, and nobody's. */
const METADATA: FieldSet = { "f:metadata": EMPTY };

/** Throws ApiError: Conflict with the owners named; BadRequest for what is no configuration of this kind. */
export function applyConfiguration(o: Apply): Applied {
  const applied = checkKind(o.def, o.applied);
  const type = mergeTypeOf(o.def);
  const owner: Owner = { ...o, operation: "Apply", apiVersion: apiVersionOf(o.def) };
  const wanted = contentOf(withinReach(o, applied));
  const { fields: mentioned, errors } = extract(type, wanted);
  if (errors.length > 0) throw unfit(o.def, applied, errors);
  const fields = difference(mentioned, METADATA);

  const entries = entriesOf(type, o, owner);
  const live = o.live ? contentOf(o.live) : NOTHING;
  const others = entries.filter((e) => !isOf(e, owner));
  const last = fieldsIn(entries.find((e) => isOf(e, owner)));
  const owned = others.reduce((all, e) => union(all, fieldsIn(e)), union(fields, METADATA));
  const merged = { ...NOTHING, ...(prune(type, merge(type, live, wanted), last, owned) as Json | undefined) };

  const { added, modified, removed } = compare(type, live, merged);
  const taken = union(added, modified);
  refuseConflicts(type, o, owner, conflictsOf(others, taken));
  const left = without(others, union(taken, removed));
  const mine = isEmpty(fields) ? [] : [makeEntry(owner, fields, rfc3339(o.now))];
  return { object: assembled(o, applied, merged), managedFields: inOrder([...left, ...mine]) };
}

/** Only what this endpoint may change: nobody comes to own what is reset anyway. */
function withinReach({ def, subresource }: Apply, applied: ApiObject & Json): ApiObject {
  if (resetsStatus(def, subresource)) return withoutStatus<ApiObject>(applied);
  if (subresource !== "status") return applied;
  const { metadata, status } = applied;
  return status === undefined ? { metadata } : Object.assign({ metadata }, { status });
}

function unfit(def: Apply["def"], { metadata }: ApiObject, errors: readonly string[]): ApiError {
  const name = `${metadata.namespace ?? ""}/${metadata.name ?? ""}`;
  const why = errors.length === 1 ? errors[0] : ["errors:", ...errors.map((e) => `  ${e}`)].join("\n");
  const gvk = `${def.group}/${def.version}, Kind=${def.kind}`;
  return new ApiError("Unknown", `failed to create typed patch object (${name}; ${gvk}): ${why}`);
}

/** An object that nobody owns anything of was made before its first apply; what stands in it is nobody's to lose quietly. */
function entriesOf(type: MergeType, { def, live, now }: Apply, { apiVersion }: Owner): readonly Entry[] {
  const entries = live?.metadata.managedFields ?? [];
  if (!live || entries.length > 0) return entries;
  const content = contentOf(live);
  const { added } = compare(type, NOTHING, resetsStatus(def, "") ? withoutStatus(content) : content);
  const before: Owner = { manager: "before-first-apply", operation: "Update", apiVersion, subresource: "" };
  return isEmpty(added) ? [] : [makeEntry(before, added, rfc3339(now))];
}

function conflictsOf(others: readonly Entry[], taken: FieldSet): Conflict[] {
  return others
    .map((owner) => ({ owner, fields: intersection(fieldsIn(owner), taken) }))
    .filter((c) => !isEmpty(c.fields));
}

function refuseConflicts(type: MergeType, o: Apply, { manager, apiVersion }: Owner, conflicts: Conflict[]): void {
  if (o.force || conflicts.length === 0) return;
  const allowed = manager === KUBECTL && o.live ? fieldsOfLastApplied(type, o.live, apiVersion) : EMPTY;
  const left = conflicts
    .map((c) => ({ ...c, fields: difference(c.fields, allowed) }))
    .filter((c) => !isEmpty(c.fields));
  if (left.length > 0) throw conflictError(left);
}

/** With the system's metadata as it was; what the client expects of it (uid, resourceVersion) is checked later. */
function assembled({ live, manager, def }: Apply, applied: ApiObject & Json, merged: Content): Json {
  const { uid, resourceVersion, name, namespace } = applied.metadata;
  const { managedFields: _, resourceVersion: __, ...system } = live?.metadata ?? {};
  const changed = merged.metadata;
  const owned = Object.keys(contentOf({ metadata: system }).metadata);
  const kept = Object.fromEntries(Object.entries(system).filter(([k]) => !owned.includes(k)));
  const metadata: Record<string, unknown> = {
    ...kept,
    ...changed,
    ...(name !== undefined && { name }),
    ...(namespace !== undefined && { namespace }),
    ...(uid !== undefined && { uid }),
    ...(resourceVersion !== undefined && { resourceVersion }),
  };
  const annotations = changed["annotations"];
  if (manager === KUBECTL && isObject(annotations) && annotations[LAST_APPLIED]) {
    metadata["annotations"] = { ...annotations, [LAST_APPLIED]: lastAppliedText(applied) };
  }
  return { apiVersion: apiVersionOf(def), kind: def.kind, ...merged, metadata };
}
