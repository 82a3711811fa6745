/** Kinds that are stored as another one: how what is stored and what a client sees become each other. */
import type { ApiObject } from "../api/object.ts";
import { apiVersionOf } from "../api/object.ts";
import type { ResourceDef } from "../api/resource.ts";
import type { DeepReadonly } from "../util/types.ts";

const policies = new WeakMap<ResourceDef, ResourceDef>();

/**
 * The kind whose objects lie in the store, and the policy by which they are written: for a view the stored kind's, with
 * the subresources of the view, and its validation where it has one (each version of a custom resource has a schema).
 */
export function policyOf(def: ResourceDef): ResourceDef {
  if (!def.view) return def;
  let policy = policies.get(def);
  if (!policy) {
    policy = merged(def, def.view.of);
    policies.set(def, policy);
  }
  return policy;
}

function merged(def: ResourceDef, stored: ResourceDef): ResourceDef {
  const { validate } = def;
  if (!validate) return { ...stored, subresources: def.subresources };
  return {
    ...stored,
    subresources: def.subresources,
    validate: (next, old) => validate(viewed(def, next), old && viewed(def, old)),
  };
}

/** A stored object as `def` shows it: the same object where nothing is to be changed. */
export function viewed(def: ResourceDef, stored: DeepReadonly<ApiObject>): DeepReadonly<ApiObject> {
  const shown = def.view ? def.view.fromStored(stored) : inVersion(def, stored);
  return def.custom ? def.custom.filledIn(shown) : shown;
}

/** It may have been written when another version of a custom resource was the stored one. */
function inVersion(def: ResourceDef, stored: DeepReadonly<ApiObject>): DeepReadonly<ApiObject> {
  const apiVersion = apiVersionOf(def);
  return stored.apiVersion === apiVersion ? stored : { ...stored, apiVersion };
}

/** What a client wrote as `def`, as it is stored. */
export function toStored(def: ResourceDef, o: ApiObject): ApiObject {
  return def.view ? def.view.toStored(o) : o;
}
