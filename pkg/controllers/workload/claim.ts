/** Which objects are an owner's: what it has, what it takes on, what it lets go. Pure. */
import type { ApiObject } from "../../api/object.ts";
import { controllerOf, uidOf } from "../../api/object.ts";
import { matchesLabels, type Selector } from "../../api/selectors.ts";
import type { DeepReadonly } from "../../util/types.ts";

export interface Claim<T> {
  /** Managed by the owner and meant by its selector. */
  readonly owned: readonly T[];
  /** Managed by nobody, but meant: to become its own. */
  readonly adopt: readonly T[];
  /** Managed by the owner, but meant no more: to become nobody's. */
  readonly release: readonly T[];
}

/**
 * An object has at most one owner that manages it, so two owners whose selectors overlap never fight over one: who has it
 * keeps it. An owner that is being deleted takes nothing on and lets nothing go.
 */
export function claim<T extends DeepReadonly<ApiObject>>(
  owner: DeepReadonly<ApiObject>,
  selector: Selector | undefined,
  objects: Iterable<T>,
): Claim<T> {
  const [owned, adopt, release]: [T[], T[], T[]] = [[], [], []];
  const leaving = owner.metadata.deletionTimestamp !== undefined;
  for (const o of objects) {
    const manager = controllerOf(o);
    const meant = selector !== undefined && matchesLabels(selector, o.metadata.labels);
    if (manager?.uid === uidOf(owner)) {
      if (meant) owned.push(o);
      else if (!leaving) release.push(o);
    } else if (!manager && meant && !leaving && o.metadata.deletionTimestamp === undefined) adopt.push(o);
  }
  return { owned, adopt, release };
}
