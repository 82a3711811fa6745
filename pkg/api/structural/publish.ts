/** Schemas as OpenAPI documents show them. */
import { V2, V3, type Json } from "../openapi-schemas.ts";
import { mapValues, type Schema } from "./schema.ts";

const OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

const API_VERSION = {
  type: "string",
  description:
    "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources",
};
const KIND = {
  type: "string",
  description:
    "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds",
};
const METADATA_TEXT =
  "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

export interface Published {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** The schema of an object: with apiVersion, kind and metadata, which a CRD need not state. */
export function publishObject(schema: Schema, gvk: Published, dialect: "v2" | "v3"): Json {
  const { group, kind, version } = gvk;
  const body = publish(schema, dialect);
  return {
    ...body,
    type: "object",
    properties: { ...metaOf(dialect), ...without(body["properties"] as Json | undefined) },
    "x-kubernetes-group-version-kind": [{ group, kind, version }],
  };
}

function metaOf(dialect: "v2" | "v3"): Json {
  const { refPrefix, wrapRefs } = dialect === "v2" ? V2 : V3;
  const ref = { $ref: refPrefix + OBJECT_META };
  const metadata = wrapRefs ? { description: METADATA_TEXT, allOf: [ref] } : { description: METADATA_TEXT, ...ref };
  return { apiVersion: API_VERSION, kind: KIND, metadata };
}

function without(properties: Json | undefined): Json {
  const { apiVersion: _, kind: __, metadata: ___, ...rest } = properties ?? {};
  return rest;
}

/** v2 can say less: nothing of alternatives and of null, and a number or string has no type there. */
export function publish(schema: Schema, dialect: "v2" | "v3"): Json {
  const { properties, items, additionalProperties, allOf, anyOf, oneOf, not, nullable, ...rest } = schema;
  const below = (s: Schema) => publish(s, dialect);
  const open =
    dialect === "v2" &&
    (rest["x-kubernetes-preserve-unknown-fields"] || rest["x-kubernetes-int-or-string"] || nullable);
  // A v2 reader would refuse null, and refuse fields that are kept: there it is told nothing instead.
  if (open) return { ...(rest.description && { description: rest.description }), ...extensionsOf(rest) };
  return {
    ...rest,
    ...(properties && { properties: mapValues(properties, below) }),
    ...(items && { items: below(items) }),
    ...(additionalProperties !== undefined && {
      additionalProperties:
        typeof additionalProperties === "boolean" ? additionalProperties : below(additionalProperties),
    }),
    ...(dialect === "v3" && {
      ...(nullable !== undefined && { nullable }),
      ...(allOf && { allOf: allOf.map(below) }),
      ...(anyOf && { anyOf: anyOf.map(below) }),
      ...(oneOf && { oneOf: oneOf.map(below) }),
      ...(not && { not: below(not) }),
    }),
  };
}

function extensionsOf(schema: Schema): Json {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key.startsWith("x-kubernetes-")));
}
