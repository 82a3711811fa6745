/** From a patch to the object that a client wants, and from a write to who owns what. */
import { applyConfiguration, type Applied } from "../api/apply/apply.ts";
import { mergeTypeOf } from "../api/apply/built-in.ts";
import { trackApply, trackUpdate } from "../api/apply/track.ts";
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

/**
 * Keeps metadata.managedFields of a write that is otherwise final. Field ownership is told in the version that the client
 * used.
 */
export function trackFields(
  def: ResourceDef,
  o: {
    readonly old?: DeepReadonly<ApiObject>;
    readonly next: ApiObject;
    readonly c: Writer;
    readonly subresource?: string;
    readonly applied?: Applied | undefined;
  },
): void {
  const old = o.old && viewed(def, o.old);
  const next = viewed(def, o.next) as ApiObject;
  if (o.applied) trackApply(next, old, o.applied.managedFields);
  else {
    const { manager, now } = o.c;
    const apiVersion = apiVersionOf(def);
    const { subresource = "" } = o;
    trackUpdate({ def, type: mergeTypeOf(def), old, next, manager, apiVersion, subresource, now });
  }
  const { managedFields } = next.metadata;
  if (managedFields) o.next.metadata.managedFields = managedFields;
  else delete o.next.metadata.managedFields;
}
