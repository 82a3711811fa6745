/** Requests and a cluster for tests of one plugin alone. */
import type { ApiObject } from "../../../api/object.ts";
import type { ResourceDef, ResourceRef } from "../../../api/resource.ts";
import { ApiError } from "../../../api/status.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import type { AdmissionPlugin, AdmissionRequest, ClusterView } from "../../admission.ts";
import { Entry } from "../../entry.ts";
import { keyFor } from "../../keys.ts";

export const NOW = Date.UTC(2026, 0, 1);

export type Asked = Partial<Omit<AdmissionRequest, "def">> & {
  readonly group?: string;
  readonly version?: string;
  readonly kind?: string;
  readonly plural: string;
  readonly namespaced?: boolean;
};

/** A request to create, unless it says otherwise, in the namespace `default`. */
export function request(asked: Asked): AdmissionRequest & { readonly warnings: string[] } {
  const { group = "", version = "v1", kind = "", plural, namespaced = true, ...rest } = asked;
  const warnings: string[] = [];
  return {
    operation: "CREATE",
    def: { group, version, kind, plural, namespaced, subresources: {} } as unknown as ResourceDef,
    namespace: namespaced ? "default" : "",
    name: rest.object?.metadata.name ?? rest.old?.metadata.name ?? "",
    subresource: "",
    object: undefined,
    old: undefined,
    user: { name: "alice", groups: [] },
    now: NOW,
    dryRun: false,
    options: {},
    warn: (message) => warnings.push(message),
    warnings,
    ...rest,
  };
}

/** An object of a kind. */
export type Placed = readonly [Pick<ResourceRef, "group" | "plural" | "namespaced">, ApiObject];

/** A cluster of these objects. */
export function viewOf(...objects: readonly Placed[]): ClusterView {
  const entries = objects.map(([ref, o]) => new Entry(keyFor(ref, o.metadata.namespace, o.metadata.name ?? ""), o, 1n));
  const find = (ref: ResourceRef, namespace: string, name: string) =>
    entries.find((e) => e.key === keyFor(ref, namespace, name));
  return {
    get: <T extends ApiObject>(ref: ResourceRef<T>, namespace: string, name: string) =>
      find(ref as ResourceRef, namespace, name)?.object as DeepReadonly<T> | undefined,
    changedAt: () => 1n,
    list: <T extends ApiObject>(ref: ResourceRef<T>, namespace = "") => {
      const prefix = keyFor(ref as ResourceRef, namespace, "");
      return entries.filter((e) => e.key.startsWith(prefix)).map((e) => e.object as DeepReadonly<T>);
    },
    fresh: <T extends ApiObject>(ref: ResourceRef<T>, namespace: string, name: string) => {
      const entry = find(ref as ResourceRef, namespace, name);
      return Promise.resolve(entry && { object: entry.object as DeepReadonly<T>, entry });
    },
  };
}

/** Mutates and validates; why it was refused, if it was. */
export async function admit(
  plugin: AdmissionPlugin,
  r: AdmissionRequest,
  view: ClusterView,
): Promise<string | undefined> {
  try {
    await plugin.mutate?.(r, view);
    await plugin.validate?.(r, view, 1);
    return undefined;
  } catch (error) {
    if (error instanceof ApiError) return error.message;
    throw error;
  }
}
