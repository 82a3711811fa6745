import { describe, expect, test } from "@jest/globals";
import { openApiV2, openApiV3, openApiV3Index } from "./openapi.ts";
import type { ResourceDef } from "./resource.ts";
import { resources } from "./table.ts";

const deployments: ResourceDef = {
  group: "apps",
  version: "v1",
  kind: "Deployment",
  plural: "deployments",
  singular: "deployment",
  shortNames: ["deploy"],
  categories: ["all"],
  namespaced: true,
  schema: "Deployment",
  subresources: { status: { type: "part", prepareForUpdate: () => undefined } },
  selectableFields: {},
  columns: [],
};
const defs = [...resources.filter((d) => d.kind !== "Deployment"), deployments];

/** All that documents consist of, as far as the tests look. */
interface Node {
  readonly [key: string]: Node;
}

const CORE = "io.k8s.api.core.v1";

async function document(group: string, version: string): Promise<Node> {
  const doc = await openApiV3({ group, version }, defs);
  if (!doc) throw new Error(`no document for ${group}/${version}`);
  return doc as unknown as Node;
}

function refsIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([k, v]) => (k === "$ref" && typeof v === "string" ? [v] : refsIn(v)));
}

function at(root: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], root);
}

describe("OpenAPI v3", () => {
  test("the index names each group version's document under an address that changes with its content", () => {
    const { paths } = openApiV3Index(defs) as { paths: Record<string, { serverRelativeURL: string }> };
    const groups = defs.map((d) => (d.group ? `apis/${d.group}/${d.version}` : `api/${d.version}`));
    expect(new Set(Object.keys(paths))).toEqual(new Set(groups));
    expect(paths["apis/apps/v1"]?.serverRelativeURL).toMatch(/^\/openapi\/v3\/apis\/apps\/v1\?hash=[0-9A-F]{16}$/);
    expect(openApiV3Index(defs)).toEqual({ paths });
    const changed = openApiV3Index(defs.map((d) => (d === deployments ? { ...d, subresources: {} } : d)));
    expect(at(changed, "paths", "api/v1")).toEqual(paths["api/v1"]);
    expect(at(changed, "paths", "apis/apps/v1")).not.toEqual(paths["apis/apps/v1"]);
  });

  test("there is none for a group version without kinds", async () => {
    expect(await openApiV3({ group: "apps", version: "v9" }, defs)).toBeUndefined();
  });

  test.each([
    ["", "v1"],
    ["coordination.k8s.io", "v1"],
    ["apps", "v1"],
  ])("every reference in %s/%s resolves", async (group, version) => {
    const doc = await document(group, version);
    const refs = refsIn(doc);
    expect(refs.length).toBeGreaterThan(20);
    const prefix = "#/components/schemas/";
    const dangling = refs.filter(
      (r) => !r.startsWith(prefix) || !at(doc, "components", "schemas", r.slice(prefix.length)),
    );
    expect(dangling).toEqual([]);
  });

  test("a PATCH says that it understands fieldValidation, and for which kind", async () => {
    const { patch } = (await document("", "v1")).paths?.["/api/v1/namespaces/{namespace}/pods/{name}"] ?? {};
    expect(patch).toMatchObject({
      "x-kubernetes-action": "patch",
      "x-kubernetes-group-version-kind": { group: "", version: "v1", kind: "Pod" },
      parameters: expect.arrayContaining([
        expect.objectContaining({ name: "fieldValidation", in: "query" }),
        expect.objectContaining({ name: "dryRun", in: "query" }),
        expect.objectContaining({ name: "fieldManager", in: "query" }),
      ]),
    });
  });

  test("the paths of a kind", async () => {
    const { paths = {} } = await document("", "v1");
    const methods = (path: string) => Object.keys(paths[path] ?? {}).filter((k) => k !== "parameters");
    expect(methods("/api/v1/pods")).toEqual(["get"]);
    expect(methods("/api/v1/namespaces/{namespace}/pods")).toEqual(["get", "post", "delete"]);
    expect(methods("/api/v1/namespaces/{namespace}/pods/{name}")).toEqual(["get", "put", "patch", "delete"]);
    expect(methods("/api/v1/namespaces/{namespace}/pods/{name}/status")).toEqual(["get", "put", "patch"]);
    expect(methods("/api/v1/namespaces/{namespace}/pods/{name}/binding")).toEqual(["post"]);
    expect(methods("/api/v1/nodes/{name}")).toEqual(["get", "put", "patch", "delete"]);
    expect(
      at(paths, "/api/v1/namespaces/{namespace}/pods/{name}/binding", "post", "x-kubernetes-group-version-kind"),
    ).toEqual({ group: "", version: "v1", kind: "Binding" });
    expect(at(paths, "/api/v1/namespaces/{namespace}/pods", "get", "operationId")).toBe("listCoreV1NamespacedPod");
  });

  test("no two operations share a name", async () => {
    const { paths = {} } = await document("", "v1");
    const ids = Object.values(paths)
      .flatMap((item) => Object.values(item).map((o) => o.operationId))
      .filter(Boolean);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("schemas carry kinds, descriptions, required fields and how lists merge", async () => {
    const schemas = at(await document("", "v1"), "components", "schemas");
    expect(at(schemas, `${CORE}.Pod`)).toMatchObject({
      description: expect.stringContaining("Pod is a collection of containers"),
      "x-kubernetes-group-version-kind": [{ group: "", version: "v1", kind: "Pod" }],
    });
    expect(at(schemas, `${CORE}.PodList`, "x-kubernetes-group-version-kind")).toEqual([
      { group: "", version: "v1", kind: "PodList" },
    ]);
    expect(at(schemas, `${CORE}.PodSpec`)).toMatchObject({
      required: ["containers"],
      properties: {
        containers: {
          description: expect.stringContaining("List of containers belonging to the pod"),
          type: "array",
          items: { default: {}, allOf: [{ $ref: `#/components/schemas/${CORE}.Container` }] },
          "x-kubernetes-patch-merge-key": "name",
          "x-kubernetes-patch-strategy": "merge",
          "x-kubernetes-list-type": "map",
          "x-kubernetes-list-map-keys": ["name"],
        },
        volumes: { "x-kubernetes-patch-strategy": "merge,retainKeys" },
        tolerations: { "x-kubernetes-list-type": "atomic" },
        nodeSelector: { "x-kubernetes-map-type": "atomic", additionalProperties: { type: "string" } },
      },
    });
    expect(at(schemas, `${CORE}.ContainerPort`, "properties")).toMatchObject({
      protocol: { type: "string", default: "TCP" },
      containerPort: { type: "integer", format: "int32" },
    });
    expect(at(schemas, `${CORE}.ResourceRequirements`, "properties", "limits", "additionalProperties")).toEqual({
      $ref: "#/components/schemas/io.k8s.apimachinery.pkg.api.resource.Quantity",
    });
    expect(at(schemas, `${CORE}.Secret`, "properties", "data", "additionalProperties")).toEqual({
      type: "string",
      format: "byte",
    });
  });

  test("a reference has no company beside it, or it would be ignored", async () => {
    const accompanied: unknown[] = [];
    const visit = (value: unknown) => {
      if (typeof value !== "object" || value === null) return;
      if ("$ref" in value && typeof value.$ref === "string" && Object.keys(value).length > 1) accompanied.push(value);
      Object.values(value).forEach(visit);
    };
    visit((await document("", "v1")).components);
    expect(accompanied).toEqual([]);
  });
});

describe("OpenAPI v2", () => {
  test("as JSON it has all groups, and every reference resolves", async () => {
    const doc = await openApiV2(defs);
    const prefix = "#/definitions/";
    const refs = refsIn(doc);
    expect(refs.length).toBeGreaterThan(100);
    expect(refs.filter((r) => !r.startsWith(prefix) || !at(doc, "definitions", r.slice(prefix.length)))).toEqual([]);
    expect(at(doc, "definitions", "io.k8s.api.apps.v1.Deployment")).toBeDefined();
    expect(at(doc, "paths", "/apis/apps/v1/namespaces/{namespace}/deployments", "post")).toMatchObject({
      consumes: ["*/*"],
      parameters: expect.arrayContaining([
        { name: "body", in: "body", required: true, schema: { $ref: "#/definitions/io.k8s.api.apps.v1.Deployment" } },
      ]),
      responses: { "201": { schema: { $ref: "#/definitions/io.k8s.api.apps.v1.Deployment" } } },
    });
    expect(JSON.stringify(doc)).not.toContain("#/components/");
  });
});
