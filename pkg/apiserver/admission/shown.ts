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
  const { group, version, kind } = facetIn(def, r)?.of ?? def;
  return { group, version, kind };
}

export function shownAs(def: ResourceDef, r: AdmissionRequest): Shown {
  const facet = facetIn(def, r);
  const show = (o: DeepReadonly<ApiObject>) => (facet ? readFacet(facet, viewed(def, o)) : viewed(def, o));
  return { object: r.object && show(r.object), old: r.old && show(r.old) };
}

function readFacet(facet: Facet, o: DeepReadonly<ApiObject>): ApiObject {
  return { ...facet.read(o), apiVersion: apiVersionOf(facet.of), kind: facet.of.kind };
}

/** The stored form of the request's object after somebody made `wanted` of what he was shown. Throws ApiError. */
export function unshown(def: ResourceDef, r: AdmissionRequest, object: ApiObject, wanted: unknown): ApiObject {
  const facet = facetIn(def, r);
  const decoded = decodeObject<ApiObject>(facet?.of ?? def, wanted, "Ignore").object;
  if (!facet) return toStored(def, decoded);
  const next = deepClone(viewed(def, object));
  facet.write(next, decoded);
  return toStored(def, next);
}
