/** {@link ClusterView} over the watch cache and the store. */
import type { ApiObject } from "../api/object.ts";
import type { ResourceDef, ResourceRef } from "../api/resource.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { ClusterView } from "./admission.ts";
import { keyFor } from "./keys.ts";
import type { Storage } from "./storage.ts";
import type { WatchCache } from "./watchcache.ts";

/** A ref of a kind that is stored here; one of another kind has no objects. */
export function clusterView(cache: WatchCache, storage: Storage): ClusterView {
  return {
    get<T extends ApiObject>(ref: ResourceRef<T>, namespace: string, name: string) {
      const def = ref as unknown as ResourceDef;
      if (!cache.has(def)) return undefined;
      return cache.newest(def, keyFor(def, namespace, name))?.object as DeepReadonly<T> | undefined;
    },
    changedAt(ref: ResourceRef) {
      const def = ref as unknown as ResourceDef;
      return cache.has(def) ? cache.resource(def).changedAt : 0n;
    },
    *list<T extends ApiObject>(ref: ResourceRef<T>, namespace = "") {
      const def = ref as unknown as ResourceDef;
      if (!cache.has(def)) return;
      for (const entry of cache.resource(def).sorted(namespace)) yield entry.object as DeepReadonly<T>;
    },
    async fresh<T extends ApiObject>(ref: ResourceRef<T>, namespace: string, name: string) {
      const def = ref as unknown as ResourceDef;
      const entry = await storage.read(def, keyFor(def, namespace, name));
      return entry && { object: entry.object as DeepReadonly<T>, entry };
    },
  };
}
