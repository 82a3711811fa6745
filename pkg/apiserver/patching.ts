/** From a patch to the object that a client wants, and from a write to who owns what. */
import { applyConfiguration, type Applied } from "../api/apply/apply.ts";
import { mergeTypeOf } from "../api/apply/built-in.ts";
import type { Entry as ManagedFields } from "../api/apply/managers.ts";
import { settleUpdate, trackApply, trackUpdate } from "../api/apply/track.ts";
import type { ApiObject } from "../api/object.ts";
import { apiVersionOf } from "../api/object.ts";
import { applyJsonPatch } from "../api/patch/json-patch.ts";
import { applyMergePatch } from "../api/patch/merge-patch.ts";
import { applyStrategicMergePatch } from "../api/patch/strategic-merge.ts";
import type { ResourceDef } from "../api/resource.ts";
import { ApiError } from "../api/status.ts";
import type { PatchType } from "../client/transport.ts";
import type { DeepReadonly } from "../util/types.ts";
import { viewed } from "./view.ts";
import type { Part } from "./write-policy.ts";

export interface ApplyPatch {
  readonly type: "application/apply-patch+yaml";
  readonly body: unknown;
}

export interface PlainPatch {
  readonly type: Exclude<PatchType, ApplyPatch["type"]>;
  readonly body: unknown;
}

export type Patch = ApplyPatch | PlainPatch;

export function isApply(patch: Patch): patch is ApplyPatch {
  return patch.type === "application/apply-patch+yaml";
}

/** Who writes, as far as it matters to whom fields belong. */
interface Writer {
  readonly manager: string;
  readonly force: boolean;
  readonly now: number;
}

/** The patches that need to know nothing but the object and (strategic ones) its schema. */
export function applyPlainPatch(object: object, patch: PlainPatch, schema: Pick<ResourceDef, "schema" | "custom">) {
  switch (patch.type) {
    case "application/json-patch+json":
      return applyJsonPatch(object, patch.body);
    case "application/merge-patch+json":
      return applyMergePatch(object, patch.body);
    case "application/strategic-merge-patch+json":
      if (schema.custom) throw notStrategic();
      return applyStrategicMergePatch(object, patch.body, schema.schema);
  }
}

function notStrategic(): ApiError {
  const accepted = ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];
  return new ApiError(
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`,
  );
}

/** `live` as `def` shows it; undefined: there is none yet. */
export function applyTo(
  def: ResourceDef,
  live: DeepReadonly<ApiObject> | undefined,
  applied: unknown,
  { manager, force, now }: Writer,
  subresource: string,
): Applied {
  return applyConfiguration({ def, live, applied, manager, force, subresource, now });
}

/** A create, or (with `old`) an update. */
export interface Write {
  readonly old?: DeepReadonly<ApiObject>;
  readonly next: ApiObject;
  readonly c: Writer;
  /** "" for the object itself. */
  readonly subresource: string;
  /** All but this part of `next` is reset in the end. */
  readonly part?: Part | undefined;
  readonly applied?: Applied | undefined;
}

/**
 * Before admission: who owns the fields that the client wants. What plugins add is nobody's, so that nobody is taken to
 * want it removed again. The second half is {@link settleFields}; give it what this one gives.
 */
export function trackFields(def: ResourceDef, write: Write): readonly ManagedFields[] | undefined {
  return write.part || write.applied ? undefined : track(def, write);
}

/** When the object is final. */
export function settleFields(def: ResourceDef, write: Write, tracked: readonly ManagedFields[] | undefined): void {
  if (write.applied) trackApply(write.next, write.old, write.applied.managedFields);
  else if (!tracked) track(def, write);
  else if (write.old) settleUpdate(write.next, write.old, tracked);
}

/** Field ownership is told in the version that the client used. */
function track(def: ResourceDef, write: Write): readonly ManagedFields[] {
  const { manager, now } = write.c;
  const { subresource } = write;
  const old = write.old && viewed(def, write.old);
  const next = viewed(def, write.next) as ApiObject;
  const apiVersion = apiVersionOf(def);
  const before = trackUpdate({ def, type: mergeTypeOf(def), old, next, manager, apiVersion, subresource, now });
  const { managedFields } = next.metadata;
  if (managedFields) write.next.metadata.managedFields = managedFields;
  else delete write.next.metadata.managedFields;
  return before;
}
