/**
 * Where objects lie in the store: `/registry/{plural}/{namespace}/{name}` for the core group,
 * `/registry/{group}/{plural}/{namespace}/{name}` for the others, without the namespace for kinds that have none. The
 * version is left out: two versions of a kind are two views of one object.
 */
import type { ResourceRef } from "../api/resource.ts";

export const ROOT = "/registry/";

type Place = Pick<ResourceRef, "group" | "plural" | "namespaced">;

/** Of all objects of a kind, or of those in one namespace. */
export function prefixOf(def: Place, namespace?: string): string {
  const kind = `${ROOT}${def.group ? `${def.group}/` : ""}${def.plural}/`;
  return def.namespaced && namespace ? `${kind}${namespace}/` : kind;
}

export function keyFor(def: Place, namespace: string | undefined, name: string): string {
  return prefixOf(def, namespace) + name;
}

/** `pods` or `coordination.k8s.io/leases`: the part of the key that names the resource, for each reading of it. */
export function resourcesOfKey(key: string): readonly [core: string, grouped: string] {
  const first = key.indexOf("/", ROOT.length);
  const second = key.indexOf("/", first + 1);
  return [key.slice(ROOT.length, first), key.slice(ROOT.length, second)];
}

/** The name under which {@link resourcesOfKey} finds a kind. */
export function resourceKey(def: Place): string {
  return def.group ? `${def.group}/${def.plural}` : def.plural;
}
