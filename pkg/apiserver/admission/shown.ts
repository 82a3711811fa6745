/** A request's objects as webhooks and policies see them: in the version they know, and a facet (`scale`) as what it is. */
import { decodeObject } from "../../api/decode.ts";
import { deepClone } from "../../api/equal.ts";
import { type ApiObject, apiVersionOf } from "../../api/object.ts";
import type { ResourceDef, Subresource } from "../../api/resource.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { AdmissionRequest } from "../admission.ts";
import { toStored, viewed } from "../view.ts";

export interface Shown {
  readonly object: DeepReadonly<ApiObject> | undefined;
  readonly old: DeepReadonly<ApiObject> | undefined;
}

type Facet = Extract<Subresource<ApiObject>, { type: "facet" }>;

function facetIn(def: ResourceDef, r: AdmissionRequest): Facet | undefined {
  const sub = def.subresources[r.subresource];
  return sub?.type === "facet" ? sub : undefined;
}

/** What the objects are. */
export function kindShown(def: ResourceDef, r: AdmissionRequest): { group: string; version: string; kind: string } {
  const { group, version, kind } = refShown(def, r);
  return { group, version, kind };
}

function refShown(def: ResourceDef, r: AdmissionRequest): Pick<ResourceDef, "group" | "version" | "kind"> {
  const sub = def.subresources[r.subresource];
  switch (sub?.type) {
    case "facet":
      return sub.of;
    case "action":
    case "call":
      return sub.input;
    case "connect":
      return { group: "", version: "v1", kind: r.object?.kind ?? "" };
    case "part":
    case undefined:
      return def;
  }
}

export function shownAs(def: ResourceDef, r: AdmissionRequest): Shown {
  const facet = facetIn(def, r);
  const show = (o: DeepReadonly<ApiObject>) => {
    if (facet) return readFacet(facet, viewed(def, o));
    return isOther(def, r) ? o : viewed(def, o);
  };
  return { object: r.object && show(r.object), old: r.old && show(r.old) };
}

/** An input of another kind (`Binding`, `Eviction`, `PodExecOptions`): it is no view of anything. */
function isOther(def: ResourceDef, r: AdmissionRequest): boolean {
  const type = def.subresources[r.subresource]?.type;
  return type === "action" || type === "call" || type === "connect";
}

function readFacet(facet: Facet, o: DeepReadonly<ApiObject>): ApiObject {
  return { ...facet.read(o), apiVersion: apiVersionOf(facet.of), kind: facet.of.kind };
}

/** The stored form of the request's object after somebody made `wanted` of what he was shown. Throws ApiError. */
export function unshown(def: ResourceDef, r: AdmissionRequest, object: ApiObject, wanted: unknown): ApiObject {
  if (isOther(def, r)) return wanted as ApiObject;
  const facet = facetIn(def, r);
  const decoded = decodeObject<ApiObject>(facet?.of ?? def, wanted, "Ignore").object;
  if (!facet) return toStored(def, decoded);
  const next = deepClone(viewed(def, object));
  facet.write(next, decoded);
  return toStored(def, next);
}
