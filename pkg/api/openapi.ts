/**
 * OpenAPI documents of the kinds in the table: what `kubectl explain`, `apply` and client generators read.
 * Pure functions of the table and the schema; callers that serve them keep the results.
 */
import { apiVersionOf } from "./object.ts";
import { pathsOf } from "./openapi-paths.ts";
import {
  listTypeOf,
  SchemaCollector,
  V2,
  V3,
  type CustomTypes,
  type Descriptions,
  type Dialect,
  type GroupVersionKind,
  type Json,
} from "./openapi-schemas.ts";
import type { ResourceDef } from "./resource.ts";

const VERSION = "v1.36.0+mini-kube";
const INFO: Json = { title: "mini-kube", version: VERSION };

/**
 * /openapi/v3: where each group version's document is. Clients keep a document for good under its address, so the address
 * carries a hash of what is in it (without the descriptions, which change only along with the schema they come from).
 */
export function openApiV3Index(defs: readonly ResourceDef[]): Json {
  const paths = groupVersions(defs).map(({ path, defs: members }) => {
    return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hashOf(members)}` }] as const;
  });
  return { paths: Object.fromEntries(paths) };
}

/** By their first kind: custom kinds come and go, and the index is made anew each time. */
const hashes = new WeakMap<ResourceDef, { readonly members: readonly ResourceDef[]; readonly hash: string }>();

function hashOf(members: readonly ResourceDef[]): string {
  const [first] = members;
  const known = first && hashes.get(first);
  if (known && known.members.length === members.length && known.members.every((d, i) => d === members[i])) {
    return known.hash;
  }
  const hash = fnv1a(JSON.stringify(document(members, {})));
  if (first) hashes.set(first, { members, hash });
  return hash;
}

/** /openapi/v3/api/v1, /openapi/v3/apis/apps/v1: undefined if the group version has no kinds. */
export async function openApiV3(
  gv: { readonly group: string; readonly version: string },
  defs: readonly ResourceDef[],
): Promise<Json | undefined> {
  const members = defs.filter((d) => d.group === gv.group && d.version === gv.version);
  if (members.length === 0) return undefined;
  return document(members, await loadDescriptions());
}

/** /openapi/v2 as JSON: all group versions in one document. */
export async function openApiV2(defs: readonly ResourceDef[]): Promise<Json> {
  const schemas = collector(V2, await loadDescriptions(), defs);
  const paths = Object.assign({}, ...defs.map((d) => pathsOf(d, schemas))) as Record<string, Record<string, unknown>>;
  return {
    swagger: "2.0",
    info: INFO,
    paths: Object.fromEntries(Object.entries(paths).map(([path, item]) => [path, pathItemV2(item)])),
    definitions: schemas.schemas(),
  };
}

/** Three times the schema's size, and needed only here. */
async function loadDescriptions(): Promise<Descriptions> {
  return (await import("./generated/descriptions.ts")).descriptions;
}

function document(defs: readonly ResourceDef[], descriptions: Descriptions): Json {
  const schemas = collector(V3, descriptions, defs);
  const paths = Object.assign({}, ...defs.map((d) => pathsOf(d, schemas))) as Json;
  return { openapi: "3.0.0", info: INFO, paths, components: { schemas: schemas.schemas() } };
}

function collector(dialect: Dialect, descriptions: Descriptions, defs: readonly ResourceDef[]): SchemaCollector {
  const kinds = new Map<string, GroupVersionKind[]>();
  const add = (type: string, { group, version, kind }: GroupVersionKind) => {
    const gvk = { group, kind, version };
    kinds.set(type, [...(kinds.get(type) ?? []), gvk]);
  };
  for (const def of defs) {
    add(def.schema, def);
    const list = listTypeOf(def);
    if (list) add(list, { ...def, kind: `${def.kind}List` });
    for (const sub of Object.values(def.subresources)) {
      const body = sub.type === "facet" ? sub.of : sub.type === "action" || sub.type === "call" ? sub.input : undefined;
      if (body && !kinds.has(body.schema)) add(body.schema, body);
    }
  }
  add("DeleteOptions", { group: "", version: "v1", kind: "DeleteOptions" });
  add("Status", { group: "", version: "v1", kind: "Status" });
  return new SchemaCollector(dialect, descriptions, kinds, customTypes(dialect, defs));
}

/** The objects of custom resources, and their lists. */
function customTypes(dialect: Dialect, defs: readonly ResourceDef[]): CustomTypes {
  return new Map(
    defs.flatMap(({ custom, group, version, kind, schema }) => {
      if (!custom) return [];
      const object = (schemas: SchemaCollector) => {
        schemas.ref("ObjectMeta");
        return custom.openApi(dialect === V2 ? "v2" : "v3");
      };
      const list = (schemas: SchemaCollector): Json => ({
        description: `${kind}List is a list of ${kind}`,
        type: "object",
        required: ["items"],
        properties: {
          apiVersion: { type: "string" },
          items: { type: "array", items: schemas.ref(schema) },
          kind: { type: "string" },
          metadata: schemas.ref("ListMeta"),
        },
        "x-kubernetes-group-version-kind": [{ group, kind: `${kind}List`, version }],
      });
      return [
        [schema, object],
        [`${schema}List`, list],
      ] as const;
    }),
  );
}

function groupVersions(defs: readonly ResourceDef[]): { path: string; defs: ResourceDef[] }[] {
  const byPath = new Map<string, ResourceDef[]>();
  for (const def of defs) {
    const path = `${def.group ? "apis" : "api"}/${apiVersionOf(def)}`;
    byPath.set(path, [...(byPath.get(path) ?? []), def]);
  }
  return [...byPath].map(([path, members]) => ({ path, defs: members }));
}

/** v2 has no `content`: a body is a parameter, and types stand beside the operation. */
function pathItemV2(item: Record<string, unknown>): Json {
  return Object.fromEntries(
    Object.entries(item).map(([key, value]) =>
      key === "parameters" ? [key, (value as Json[]).map(parameterV2)] : [key, operationV2(value as OperationV3)],
    ),
  );
}

type Content = Record<string, { schema: Json }>;
interface OperationV3 {
  parameters: Json[];
  requestBody?: { required: boolean; content: Content };
  responses: Record<string, { description: string; content: Content }>;
}

function operationV2({ parameters, requestBody, responses, ...rest }: OperationV3): Json {
  const [answer] = Object.values(responses);
  return {
    ...rest,
    consumes: Object.keys(requestBody?.content ?? { "*/*": {} }),
    produces: Object.keys(answer?.content ?? {}),
    parameters: [
      ...parameters.map(parameterV2),
      ...(requestBody
        ? [{ name: "body", in: "body", required: requestBody.required, schema: schemaOf(requestBody.content) }]
        : []),
    ],
    responses: Object.fromEntries(
      Object.entries(responses).map(([code, r]) => [code, { description: r.description, schema: schemaOf(r.content) }]),
    ),
  };
}

function parameterV2({ schema, ...rest }: Json): Json {
  return { ...rest, ...(schema as Json) };
}

function schemaOf(content: Content): Json | undefined {
  return Object.values(content)[0]?.schema;
}

/** 64 bits in hexadecimal; enough to tell versions of a document apart, not to keep secrets. */
function fnv1a(text: string): string {
  let [a, b] = [0x811c9dc5, 0xcbf29ce4];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    a = Math.imul(a ^ c, 0x01000193);
    b = Math.imul(b ^ c, 0x01000193);
  }
  return [a, b].map((h) => (h >>> 0).toString(16).padStart(8, "0").toUpperCase()).join("");
}
