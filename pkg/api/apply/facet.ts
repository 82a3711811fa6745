/** Applying a facet (`scale`) is applying that part of the object which the facet is a view of. */
import { deepClone } from "../equal.ts";
import type { ApiObject } from "../object.ts";
import type { ResourceDef, Subresource } from "../resource.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { mergeTypeOf } from "./built-in.ts";
import { compare } from "./compare.ts";
import { isObject, type Json } from "./containers.ts";
import { type FieldSet, isMember, union } from "./field-set.ts";
import { checkKind } from "./kind.ts";
import { contentOf } from "./track.ts";

type Facet = Extract<Subresource<ApiObject>, { type: "facet" }>;
type Spec = Json & { readonly spec?: unknown };

/**
 * The configuration of the object that says what `applied` says of its facet. Which fields those are shows itself: they
 * are the ones that change when the facet's numbers do.
 */
export function configurationOf(
  def: Pick<ResourceDef, "schema" | "custom">,
  facet: Facet,
  live: DeepReadonly<ApiObject>,
  applied: unknown,
): Json {
  const wanted = checkKind(facet.of, applied);
  const now = facet.read(live) as ApiObject & Spec;
  const spec = { ...(isObject(now.spec) && now.spec), ...(isObject(wanted["spec"]) && wanted["spec"]) };
  const next = contentOf(written(facet, live, { ...now, spec }));
  const other = contentOf(
    written(facet, live, { ...now, spec: Object.fromEntries(Object.entries(spec).map(oneMore)) }),
  );
  const { added, modified } = compare(mergeTypeOf(def), other, next);
  const { apiVersion = "", kind = "" } = live;
  return { ...pick(next, union(added, modified)), apiVersion, kind, metadata: wanted.metadata };
}

const oneMore = ([key, value]: [string, unknown]) => [key, typeof value === "number" ? value + 1 : value];

function written(facet: Facet, live: DeepReadonly<ApiObject>, wanted: ApiObject & Spec): ApiObject {
  const copy = deepClone(live) as ApiObject;
  facet.write(copy, wanted);
  return copy;
}

/** Only these fields of a value. Facets stand for plain fields, never for items of lists. */
function pick(value: Json, fields: FieldSet): Json {
  const result: Record<string, unknown> = {};
  for (const [element, below] of Object.entries(fields)) {
    const name = element.slice(2);
    const found = value[name];
    if (found !== undefined) result[name] = isMember(below) || !isObject(found) ? found : pick(found, below);
  }
  return result;
}
