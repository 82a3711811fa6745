import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { TestApi } from "../harness/https.ts";
import { eventually } from "../harness/process.ts";

/** What clients read before they say anything: discovery, OpenAPI, and the forms of answers. */
let api: TestApi;
beforeAll(async () => void (api = await TestApi.start()));
afterAll(() => api.close());

const v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const v2beta1 = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
const ask = (path: string, Accept?: string) => api.ask(path, Accept === undefined ? {} : { headers: { Accept } });

interface Resource {
  readonly name: string;
  readonly singularName: string;
  readonly namespaced: boolean;
  readonly kind: string;
  readonly verbs: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly group?: string;
  readonly version?: string;
}
const resourcesOf = async (path: string): Promise<Map<string, Resource>> => {
  const { resources } = (await ask(path)).json<{ resources: Resource[] }>();
  return new Map(resources.map((r) => [r.name, r]));
};

const crd = (group: string) => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `gadgets.${group}` },
  spec: {
    group,
    scope: "Namespaced",
    names: { plural: "gadgets", singular: "gadget", kind: "Gadget", listKind: "GadgetList" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: { type: "object", description: "What it is for.", properties: { size: { type: "integer" } } },
            },
          },
        },
      },
    ],
  },
});
const crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

describe("discovery", () => {
  test.each(["/api", "/apis"])("%s is aggregated in the newest version asked for, else plain", async (path) => {
    for (const [accept, type] of [
      [`${v2},${v2beta1},application/json`, v2],
      [`${v2beta1},application/json`, v2beta1],
      ["application/json", "application/json"],
      ["*/*", "application/json"],
    ]) {
      const answer = await ask(path, accept);
      expect(answer.headers["content-type"]).toBe(type);
      const plain = path === "/api" ? "APIVersions" : "APIGroupList";
      expect(answer.json()["kind"]).toBe(type === "application/json" ? plain : "APIGroupDiscoveryList");
    }
  });

  test("the aggregated list holds every group, version, resource and subresource of the plain ones", async () => {
    interface Aggregated {
      items: {
        metadata: { name?: string };
        versions: { version: string; resources: { resource: string; subresources?: { subresource: string }[] }[] }[];
      }[];
    }
    const told = new Set<string>();
    for (const path of ["/api", "/apis"]) {
      for (const { metadata, versions } of (await ask(path, v2)).json<Aggregated>().items) {
        for (const { version, resources } of versions) {
          const base = metadata.name ? `/apis/${metadata.name}/${version}` : `/api/${version}`;
          for (const r of resources) {
            told.add(`${base} ${r.resource}`);
            for (const s of r.subresources ?? []) told.add(`${base} ${r.resource}/${s.subresource}`);
          }
        }
      }
    }
    const { groups } = (await ask("/apis")).json<{ groups: { versions: { groupVersion: string }[] }[] }>();
    const bases = ["/api/v1", ...groups.flatMap((g) => g.versions.map((v) => `/apis/${v.groupVersion}`))];
    const plain = new Set<string>();
    for (const base of bases) for (const name of (await resourcesOf(base)).keys()) plain.add(`${base} ${name}`);
    expect(plain.size).toBeGreaterThan(100);
    expect([...told].toSorted()).toEqual([...plain].toSorted());
  });

  test("the plain documents say of a resource all that clients read", async () => {
    const core = await resourcesOf("/api/v1");
    expect(core.get("pods")).toMatchObject({
      singularName: "pod",
      namespaced: true,
      kind: "Pod",
      shortNames: ["po"],
      categories: ["all"],
    });
    expect(core.get("pods")?.verbs).toEqual(
      expect.arrayContaining(["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]),
    );
    expect(core.get("pods/eviction")).toMatchObject({ group: "policy", version: "v1", kind: "Eviction" });
    expect(core.get("serviceaccounts/token")).toMatchObject({
      group: "authentication.k8s.io",
      version: "v1",
      kind: "TokenRequest",
    });
    const apps = await resourcesOf("/apis/apps/v1");
    expect(apps.get("deployments/scale")).toMatchObject({ group: "autoscaling", version: "v1", kind: "Scale" });
    expect(apps.get("deployments/status")?.verbs).toEqual(["get", "patch", "update"]);
  });

  test("version and health, with a slash, sub-paths, HEAD, and for anybody", async () => {
    const nobody = { as: undefined };
    for (const path of ["/version", "/version/"]) {
      const { major, minor, gitVersion } = (await api.ask(path, nobody)).json<Record<string, string>>();
      expect([major, minor, gitVersion]).toEqual(["1", "36", expect.stringMatching(/^v1\.36\.\d+/)]);
    }
    for (const path of ["/healthz", "/livez", "/readyz", "/livez/ping", "/readyz?verbose"]) {
      expect((await api.ask(path, nobody)).code).toBe(200);
      expect((await api.ask(path, { ...nobody, method: "HEAD" })).code).toBe(200);
    }
  });

  test("a custom kind is there as soon as it is established, and gone with its definition", async () => {
    const group = "discovery.example.com";
    expect((await api.post(crds, crd(group))).code).toBe(201);
    expect((await api.ask(`/apis/${group}/v1/namespaces/default/gadgets`)).code).toBe(200);
    expect((await resourcesOf(`/apis/${group}/v1`)).get("gadgets")).toMatchObject({ kind: "Gadget", namespaced: true });
    expect((await ask("/apis", v2)).text).toContain(group);
    expect((await ask("/apis")).text).toContain(group);
    expect((await ask("/openapi/v3")).text).toContain(`apis/${group}/v1`);
    await api.delete(`${crds}/gadgets.${group}`);
    const gone = await eventually(
      () => ask("/apis", v2),
      (a) => !a.text.includes(group),
    );
    expect(gone.text).not.toContain(group);
    expect((await api.ask(`/apis/${group}/v1`)).code).toBe(404);
  });

  test.each(["/api", "/apis", "/openapi/v2", "/openapi/v3", "/openapi/v3/api/v1"])(
    "%s is not sent again to whom has it",
    async (path) => {
      const { etag = "" } = (await api.ask(path)).headers;
      const again = await api.ask(path, { headers: { "If-None-Match": etag } });
      expect([again.code, again.text]).toEqual([304, ""]);
    },
  );
});

describe("OpenAPI", () => {
  test("v2 in protobuf: a Document with swagger 2.0, under a media type that Go can parse", async () => {
    const only = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    const answer = await ask("/openapi/v2", only);
    expect(answer.code).toBe(200);
    expect(answer.bytes.subarray(0, 5).toString("hex")).toBe("0a03322e30");
    expect(answer.headers["content-type"]).not.toContain("@");
    expect((await ask("/openapi/v2", "application/json")).json()["swagger"]).toBe("2.0");
  });

  interface Document {
    paths: Record<
      string,
      Record<string, { parameters?: { name: string }[]; "x-kubernetes-group-version-kind"?: unknown }>
    >;
    components: {
      schemas: Record<
        string,
        {
          description?: string;
          "x-kubernetes-group-version-kind"?: unknown;
          properties: Record<string, Record<string, unknown>>;
        }
      >;
    };
  }

  test("v3 lists the documents of the group versions, each at an address of its own", async () => {
    const { paths } = (await ask("/openapi/v3")).json<{ paths: Record<string, { serverRelativeURL: string }> }>();
    expect(Object.keys(paths)).toEqual(expect.arrayContaining(["api/v1", "apis/apps/v1", "apis/batch/v1"]));
    for (const { serverRelativeURL } of Object.values(paths)) {
      expect(serverRelativeURL).toMatch(/^\/openapi\/v3\/api.*\?hash=/);
      expect((await ask(serverRelativeURL)).json<Document>().components.schemas).toBeDefined();
    }
  });

  test("every patch of a kind says that it takes fieldValidation: clients look at any of them", async () => {
    const { paths: documents } = (await ask("/openapi/v3")).json<{
      paths: Record<string, { serverRelativeURL: string }>;
    }>();
    const kinds = new Set<string>();
    for (const { serverRelativeURL } of Object.values(documents)) {
      for (const item of Object.values((await ask(serverRelativeURL)).json<Document>().paths)) {
        const patch = item["patch"];
        const gvk = patch?.["x-kubernetes-group-version-kind"] as { kind: string } | undefined;
        if (!patch || !gvk || gvk.kind.endsWith("Options")) continue;
        const shared = (item as { parameters?: { name: string }[] }).parameters ?? [];
        kinds.add(gvk.kind);
        expect([...(patch.parameters ?? []), ...shared].map((p) => p.name)).toEqual(
          expect.arrayContaining(["fieldValidation", "dryRun", "fieldManager", "force"]),
        );
      }
    }
    expect([...kinds]).toEqual(expect.arrayContaining(["Pod", "Service", "Deployment", "Scale", "ConfigMap"]));
  });

  test("schemas carry kinds, descriptions, merge keys and list types", async () => {
    const { schemas } = (await ask("/openapi/v3/api/v1")).json<Document>().components;
    const pod = schemas["io.k8s.api.core.v1.Pod"];
    expect(pod?.["x-kubernetes-group-version-kind"]).toEqual([{ group: "", version: "v1", kind: "Pod" }]);
    expect(pod?.description).toMatch(/Pod/);
    expect(schemas["io.k8s.api.core.v1.PodSpec"]?.properties["containers"]).toMatchObject({
      "x-kubernetes-patch-merge-key": "name",
      "x-kubernetes-patch-strategy": "merge",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["name"],
    });
    expect(schemas["io.k8s.api.core.v1.Container"]?.properties["ports"]).toMatchObject({
      "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
    });
  });

  test("custom kinds are explained as built-in ones", async () => {
    const group = "openapi.example.com";
    await api.post(crds, crd(group));
    const { schemas } = (await ask(`/openapi/v3/apis/${group}/v1`)).json<Document>().components;
    const gadget = Object.values(schemas).find((s) =>
      JSON.stringify(s["x-kubernetes-group-version-kind"])?.includes("Gadget"),
    );
    expect(gadget?.properties["spec"]).toMatchObject({
      description: "What it is for.",
      properties: { size: { type: "integer" } },
    });
    await api.delete(`${crds}/gadgets.${group}`);
  });
});

describe("forms", () => {
  const table = "application/json;as=Table;v=v1;g=meta.k8s.io";
  const partial = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

  test.each<[string, string | undefined, string, string]>([
    ["none said", undefined, "application/json", "NamespaceList"],
    ["anything", "*/*", "application/json", "NamespaceList"],
    ["parameters that mean nothing here", "application/json;charset=utf-8", "application/json", "NamespaceList"],
    [
      "protobuf before JSON",
      "application/vnd.kubernetes.protobuf,application/json",
      "application/json",
      "NamespaceList",
    ],
    ["YAML", "application/yaml", "application/yaml", "NamespaceList"],
    ["a Table, or else JSON", `${table},application/json`, "application/json", "Table"],
    ["metadata alone", `${partial},application/json`, "application/json", "PartialObjectMetadataList"],
    ["JSON before YAML", "application/json, application/yaml", "application/json", "NamespaceList"],
  ])("an answer in the form asked for: %s", async (_, accept, type, kind) => {
    const answer = await ask("/api/v1/namespaces", accept);
    expect([answer.code, answer.headers["content-type"]]).toEqual([200, type]);
    expect(answer.text).toMatch(new RegExp(`"?kind"?: ?"?${kind}"?`));
  });

  test("a form that there is not: 406 for an answer, 415 for a body, each a Status", async () => {
    const refused = await ask("/api/v1/namespaces", "image/png");
    expect([refused.code, refused.json()["reason"]]).toEqual([406, "NotAcceptable"]);
    const path = "/api/v1/namespaces/default/configmaps";
    const sent = await api.ask(path, { method: "POST", headers: { "Content-Type": "text/csv" }, body: "a" });
    expect([sent.code, sent.json()["reason"]]).toEqual([415, "UnsupportedMediaType"]);
  });

  test("a body is JSON where nothing is said, or YAML where that is", async () => {
    const path = "/api/v1/namespaces/default/configmaps";
    const text = JSON.stringify({ metadata: { name: "unsaid" } });
    const bare = await api.ask(path, { method: "POST", body: text });
    expect([bare.code, bare.json()["kind"]]).toEqual([201, "ConfigMap"]);
    for (const type of ["application/yaml", "application/json; charset=utf-8"]) {
      const name = `said-${type.length}`;
      const body = type.includes("yaml") ? `metadata:\n  name: ${name}\n` : JSON.stringify({ metadata: { name } });
      expect((await api.ask(path, { method: "POST", headers: { "Content-Type": type }, body })).code).toBe(201);
    }
  });

  test("large answers are packed for whom takes that", async () => {
    const path = "/api/v1/namespaces/default/configmaps";
    await api.post(path, { metadata: { name: "large" }, data: { k: "x".repeat(300_000) } });
    const packed = await api.ask(path, { headers: { "Accept-Encoding": "gzip" } });
    expect(packed.headers["content-encoding"]).toBe("gzip");
    expect(packed.bytes.length).toBeLessThan(20_000);
  });
});
