/** From a change of an owned object to the owners that must look again. */
import type { ApiObject } from "../../api/object.ts";
import { controllerOf, keyOf, makeKey, namespaceOf, parseApiVersion } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { matchesLabels, type Selector } from "../../api/selectors.ts";
import type { Informer } from "../../informer/informer.ts";
import { orphansOf } from "../../informer/informers.ts";
import type { WorkQueue } from "../../reconcile/workqueue.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { type Claim, claim } from "./claim.ts";

export interface Ownership<O extends ApiObject, T extends ApiObject> {
  readonly ref: ResourceRef<O>;
  readonly owners: Informer<O>;
  readonly owned: Informer<T>;
  /** Which objects the owner means; undefined: none. */
  readonly selector: (owner: DeepReadonly<O>) => Selector | undefined;
}

/** Every change of an owner, or of what it has or could adopt, adds the owner's key. */
export function enqueueOwners<O extends ApiObject, T extends ApiObject>(q: WorkQueue, o: Ownership<O, T>): void {
  o.owners.onChange((key) => q.add(key));
  o.owned.onChange((_, now, old) => {
    const keys = new Set([...managers(o, now), ...managers(o, old)]);
    if (now && !controllerOf(now)) for (const key of adopters(o, now)) keys.add(key);
    for (const key of keys) q.add(key);
  });
}

function managers<O extends ApiObject, T extends ApiObject>(
  { ref }: Ownership<O, T>,
  object: DeepReadonly<T> | undefined,
): string[] {
  const manager = object && controllerOf(object);
  if (!manager || manager.kind !== ref.kind || parseApiVersion(manager.apiVersion).group !== ref.group) return [];
  return [makeKey(namespaceOf(object), manager.name)];
}

function adopters<O extends ApiObject, T extends ApiObject>(
  { owners, selector }: Ownership<O, T>,
  object: DeepReadonly<T>,
): string[] {
  return owners.byIndex("namespace", namespaceOf(object)).flatMap((owner) => {
    const meant = selector(owner);
    return meant && matchesLabels(meant, object.metadata.labels) ? [keyOf(owner)] : [];
  });
}

/** What the owner has, takes on and lets go, as the cache shows it now. */
export function claimOf<O extends ApiObject, T extends ApiObject>(
  o: Ownership<O, T>,
  owner: DeepReadonly<O>,
): Claim<DeepReadonly<T>> {
  const mine = o.owned.byIndex("controller", owner.metadata.uid ?? "");
  const orphans = o.owned.byIndex("controller", orphansOf(namespaceOf(owner)));
  return claim(owner, o.selector(owner), [...mine, ...orphans]);
}
