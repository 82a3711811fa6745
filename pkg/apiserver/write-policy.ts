/**
 * What a write makes of an object, as pure functions over the kind's own policy: Kubernetes' BeforeCreate, BeforeUpdate
 * and BeforeDelete. The order is always: system metadata, defaults, the kind's preparation, validation.
 */
import { copyOf } from "../api/apply/track.ts";
import { deepEqual } from "../api/equal.ts";
import type { ApiObject, ObjectMeta } from "../api/object.ts";
import { apiVersionOf } from "../api/object.ts";
import type { RequestContext, ResourceDef, Subresource } from "../api/resource.ts";
import { type FieldError, badRequest, conflict, invalid } from "../api/status.ts";
import { validateMetadata } from "../api/validation/meta.ts";
import { type Random, rfc3339 } from "../util/clock.ts";
import { own } from "../util/keys.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { Entry } from "./entry.ts";
import type { Decision } from "./storage.ts";

export type Settled = Exclude<Decision, { verdict: "keep" }>;

export type Part = Extract<Subresource<ApiObject>, { type: "part" }>;

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

/** A version 4 UUID from the injected chance. */
export function newUid(random: Random): string {
  const hex = (digits: number) => Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join("");
  const variant = (8 + Math.floor(random() * 4)).toString(16);
  return `${hex(8)}-${hex(4)}-4${hex(3)}-${variant}${hex(3)}-${hex(12)}`;
}

/** Kind and namespace as the address says; a body that contradicts it is refused. */
export function fitToAddress(def: ResourceDef, o: ApiObject, at: { namespace: string; name?: string }): void {
  const apiVersion = apiVersionOf(def);
  if (o.apiVersion && o.apiVersion !== apiVersion) {
    throw badRequest(
      `the API version in the data (${o.apiVersion}) does not match the expected API version (${apiVersion})`,
    );
  }
  if (o.kind && o.kind !== def.kind) {
    throw badRequest(`${o.kind} in version "${apiVersion}" cannot be handled as a ${def.kind}`);
  }
  o.apiVersion = apiVersion;
  o.kind = def.kind;
  const meta = o.metadata;
  if (def.namespaced) {
    if (meta.namespace && meta.namespace !== at.namespace) {
      throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
    }
    meta.namespace = at.namespace;
  }
  if (at.name === undefined) return;
  if (meta.name && meta.name !== at.name) {
    throw badRequest(`the name of the object (${meta.name}) does not match the name on the URL (${at.name})`);
  }
  meta.name = at.name;
}

/** Fills in `o`, which has its name by now: what admission sees. Throws BadRequest. */
export function beginCreate(def: ResourceDef, o: ApiObject, c: RequestContext, uid: string): void {
  const meta = o.metadata;
  if (meta.resourceVersion) throw badRequest("resourceVersion should not be set on objects to be created");
  delete meta.selfLink;
  delete meta.deletionTimestamp;
  delete meta.deletionGracePeriodSeconds;
  delete meta.generation;
  meta.uid = uid;
  meta.creationTimestamp = rfc3339(c.now);
  if (countsGenerations(def)) meta.generation = 1;
  def.setDefaults?.(o);
}

/** After admission, which may have left gaps. Throws Invalid. */
export function finishCreate(def: ResourceDef, o: ApiObject, c: RequestContext): void {
  def.setDefaults?.(o);
  def.prepareForCreate?.(o, c);
  refuseIf(def, o, [...validateMetadata(def, o), ...(def.validate?.(o) ?? [])]);
}

/** Puts back what no client may change and fills in defaults. Throws Conflict unless the client means this state. */
export function beginUpdate(def: ResourceDef, current: Entry, next: ApiObject): void {
  checkPreconditions(def, current, next.metadata);
  keepSystemMetadata(next.metadata, current.object.metadata);
  def.setDefaults?.(next);
}

/** After admission: with `part` all else is reset. Throws Invalid. */
export function finishUpdate(def: ResourceDef, current: Entry, next: ApiObject, c: RequestContext, part?: Part): void {
  const old = current.object;
  def.setDefaults?.(next);
  if (part) part.prepareForUpdate(next, old, c);
  else def.prepareForUpdate?.(next, old, c);
  if (countsGenerations(def) && !deepEqual(desired(next), desired(old))) bumpGeneration(next.metadata);
  const validate = part ? part.validate : def.validate;
  refuseIf(def, next, [...validateMetadata(def, next, old), ...(validate?.(next, old) ?? [])]);
}

/** The write or, when a deleted object has nothing left that holds it, its removal. */
export function settled(def: ResourceDef, next: ApiObject): Settled {
  return isFinished(def, next) ? { verdict: "remove", last: next } : { verdict: "write", object: next };
}

export function beforeDelete(def: ResourceDef, current: Entry, o: DeleteOptions, c: RequestContext): Settled {
  checkPreconditions(def, current, o.preconditions ?? {});
  const next = copyOf(current.object);
  const meta = next.metadata;
  const grace = Math.max(0, def.gracePeriodSeconds?.(current.object, o.gracePeriodSeconds) ?? 0);
  setPropagation(def, meta, o.propagationPolicy);
  if (meta.deletionTimestamp === undefined) {
    meta.deletionTimestamp = rfc3339(c.now + grace * 1000);
    meta.deletionGracePeriodSeconds = grace;
    if (meta.generation) bumpGeneration(meta);
    def.prepareForDelete?.(next, c);
    return settled(def, next);
  }
  // Deleted before: the grace may only get shorter, counted from the first deletion.
  const before = meta.deletionGracePeriodSeconds ?? 0;
  if (o.gracePeriodSeconds !== undefined && grace < before) {
    meta.deletionTimestamp = rfc3339(Date.parse(meta.deletionTimestamp) - (before - grace) * 1000);
    meta.deletionGracePeriodSeconds = grace;
  }
  return settled(def, next);
}

const COLLECTOR_FINALIZERS = { Orphan: "orphan", Foreground: "foregroundDeletion", Background: undefined } as const;

/**
 * What becomes of dependents is written down as a finalizer that the garbage collector works off; none is needed where
 * they may go after their owner. Where the client does not say, what was decided before holds, then the kind's default.
 */
function setPropagation(def: ResourceDef, meta: ObjectMeta, asked: DeleteOptions["propagationPolicy"]): void {
  const finalizers = meta.finalizers ?? [];
  const others = finalizers.filter((f) => f !== "orphan" && f !== "foregroundDeletion");
  const policy = asked ?? (others.length === finalizers.length ? def.defaultPropagation : undefined);
  if (!policy) return;
  const finalizer = own(COLLECTOR_FINALIZERS, policy);
  const next = finalizer ? [...others, finalizer] : others;
  if (next.length > 0) meta.finalizers = next;
  else delete meta.finalizers;
}

/** Throws Conflict unless the object is still the one the client means. */
export function checkPreconditions(
  def: ResourceDef,
  current: Entry,
  expected: Pick<ObjectMeta, "uid" | "resourceVersion">,
): void {
  const name = current.object.metadata.name ?? "";
  const resource = { group: def.group, resource: def.plural };
  const uid = current.object.metadata.uid ?? "";
  if (expected.uid && expected.uid !== uid) {
    const why = `Precondition failed: UID in precondition: ${expected.uid}, UID in object meta: ${uid}`;
    throw conflict(resource, name, why);
  }
  if (expected.resourceVersion && expected.resourceVersion !== current.revision.toString()) {
    throw conflict(resource, name);
  }
}

function isFinished(def: ResourceDef, o: ApiObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = o.metadata;
  return (
    deletionTimestamp !== undefined &&
    (deletionGracePeriodSeconds ?? 0) === 0 &&
    (finalizers ?? []).length === 0 &&
    !def.heldBack?.(o)
  );
}

/** Only kinds that report a status, and a few others that clients expect it of. */
function countsGenerations(def: ResourceDef): boolean {
  return def.generations ?? (def.custom !== undefined || def.subresources["status"]?.type === "part");
}

function bumpGeneration(meta: ObjectMeta): void {
  meta.generation = (meta.generation ?? 0) + 1;
}

/** All but metadata and status. */
function desired(o: DeepReadonly<ApiObject>): object {
  const { metadata: _, ...rest } = o as DeepReadonly<ApiObject> & { status?: unknown };
  delete rest.status;
  return rest;
}

const SYSTEM_FIELDS = [
  "uid",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "generation",
  "generateName",
] as const;

function keepSystemMetadata(meta: ObjectMeta, old: DeepReadonly<ObjectMeta>): void {
  delete meta.selfLink;
  delete meta.resourceVersion;
  const target = meta as Record<string, unknown>;
  for (const field of SYSTEM_FIELDS) {
    if (old[field] === undefined) delete target[field];
    else target[field] = old[field];
  }
}

/** Throws Invalid with all errors. */
export function refuseIf(def: Pick<ResourceDef, "group" | "kind">, o: ApiObject, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalid(def, o.metadata.name ?? "", errors);
}
