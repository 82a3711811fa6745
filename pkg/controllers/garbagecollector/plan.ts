/** What follows for one object from what it belongs to and what belongs to it. Pure. */
import type { ObjectMeta, OwnerReference } from "../../api/object.ts";
import type { DeepReadonly } from "../../util/types.ts";

/** Set on a deleted object that waits for its dependents to be gone. */
export const FOREGROUND = "foregroundDeletion";
/** Set on a deleted object whose dependents are to be let go first. */
export const ORPHAN = "orphan";

export type Meta = DeepReadonly<ObjectMeta>;

/**
 *  - `solid`: it is there; whoever belongs to it stays.
 *  - `absent`: it is not, as the server itself says.
 *  - `waiting`: it is being deleted in the foreground, and waits for those who block it.
 */
export type OwnerState = "solid" | "absent" | "waiting";

export type GcAction =
  | { readonly type: "delete"; readonly propagation: "Background" | "Foreground" | "Orphan" }
  /** The references to these owners are taken out of the object. */
  | { readonly type: "disown"; readonly owners: readonly string[] }
  /** The references to this object are taken out of its dependents; then the finalizer goes. */
  | { readonly type: "release" }
  | { readonly type: "dropFinalizer"; readonly finalizer: string }
  /** Its dependents are to be looked at: each must go before it can. */
  | { readonly type: "pursue" };

/** `owners` by uid. */
export function planObject(
  object: Meta,
  owners: ReadonlyMap<string, OwnerState>,
  dependents: readonly Meta[],
): readonly GcAction[] {
  if (object.deletionTimestamp !== undefined) return planDeleted(object, dependents);
  const references = object.ownerReferences ?? [];
  if (references.length === 0) return [];
  const inState = (state: OwnerState) => references.filter((r) => owners.get(r.uid) === state);
  const gone = [...inState("absent"), ...inState("waiting")].map((r) => r.uid);
  if (gone.length === 0) return [];
  // One owner that stays is reason enough to stay; the others are forgotten.
  if (gone.length < references.length) return [{ type: "disown", owners: gone }];
  return [{ type: "delete", propagation: propagationOf(object, inState("waiting").length > 0, dependents) }];
}

function planDeleted(object: Meta, dependents: readonly Meta[]): readonly GcAction[] {
  const finalizers = object.finalizers ?? [];
  if (finalizers.includes(ORPHAN)) return [{ type: "release" }];
  if (!finalizers.includes(FOREGROUND)) return [];
  return dependents.some((d) => blocks(d, object.uid))
    ? [{ type: "pursue" }]
    : [{ type: "dropFinalizer", finalizer: FOREGROUND }];
}

/** Whether the owner must wait for this dependent. */
export function blocks(dependent: Meta, owner: string | undefined): boolean {
  return referenceTo(dependent, owner)?.blockOwnerDeletion === true;
}

function referenceTo(dependent: Meta, owner: string | undefined): DeepReadonly<OwnerReference> | undefined {
  return dependent.ownerReferences?.find((r) => r.uid === owner);
}

/** What a user asked for when deleting it before holds; below an owner that waits, its own dependents go first too. */
function propagationOf(object: Meta, ownerWaits: boolean, dependents: readonly Meta[]) {
  const finalizers = object.finalizers ?? [];
  if (finalizers.includes(ORPHAN)) return "Orphan";
  if (finalizers.includes(FOREGROUND) || (ownerWaits && dependents.length > 0)) return "Foreground";
  return "Background";
}
