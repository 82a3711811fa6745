import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { TestApi } from "../harness/https.ts";

/** Writes and refusals as clients send them and branch on them. */
let api: TestApi;
beforeAll(async () => void (api = await TestApi.start()));
afterAll(() => api.close());

const configMaps = "/api/v1/namespaces/default/configmaps";
const deployments = "/apis/apps/v1/namespaces/default/deployments";

interface Obj {
  metadata: {
    name: string;
    uid: string;
    resourceVersion: string;
    generation?: number;
    deletionTimestamp?: string;
    managedFields?: {
      manager: string;
      operation: string;
      subresource?: string;
      apiVersion: string;
      fieldsV1: object;
    }[];
  };
  data?: Record<string, string>;
  spec: Record<string, unknown>;
}
interface Refusal {
  message: string;
  reason: string;
  code: number;
  details?: {
    name?: string;
    group?: string;
    kind?: string;
    causes?: { reason: string; message: string; field?: string }[];
  };
}

let count = 0;
async function made(data: Record<string, string> = { a: "1" }): Promise<Obj> {
  const answer = await api.ok(configMaps, { method: "POST", body: { metadata: { name: `w${count++}` }, data } });
  return answer.json<Obj>();
}
const at = (o: Obj) => `${configMaps}/${o.metadata.name}`;
const deployment = (name: string) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name },
  spec: {
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: "c", image: "nginx" }] } },
  },
});

describe("create", () => {
  test("201 with the object; parameters that mean nothing are let be", async () => {
    const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "first" } };
    const answer = await api.post(
      `${configMaps}?fieldManager=helm&fieldValidation=Strict&nonsense=1&pretty=true`,
      body,
    );
    expect(answer.code).toBe(201);
    expect(answer.json()).toMatchObject({
      ...body,
      metadata: { name: "first", namespace: "default", uid: expect.any(String) },
    });
    const dry = await api.post(`${configMaps}?dryRun=All`, { metadata: { name: "dry" } });
    expect([dry.code, (await api.ask(`${configMaps}/dry`)).code]).toEqual([201, 404]);
  });

  test("fieldValidation: Strict names all that is unknown or twice there, Warn warns, Ignore is silent", async () => {
    const text = '{"metadata":{"name":"fv"},"spec":{"x":1},"data":{"a":"1"},"data":{"a":"2"},"y":1}';
    const send = (query: string) => api.ask(`${configMaps}?dryRun=All${query}`, { method: "POST", body: text });
    const strict = await send("&fieldValidation=Strict");
    expect([strict.code, strict.json<Refusal>().reason]).toEqual([400, "BadRequest"]);
    expect(strict.json<Refusal>().message).toMatch(/strict decoding error: .*unknown field "spec".*unknown field "y"/);
    expect(strict.json<Refusal>().message).toMatch(/duplicate field "data"/);
    for (const query of ["", "&fieldValidation=Warn"]) {
      const warned = await send(query);
      expect([warned.code, warned.headers["warning"]]).toEqual([
        201,
        expect.stringMatching(/299 - "unknown field \\"spec\\""/),
      ]);
    }
    const ignored = await send("&fieldValidation=Ignore");
    expect([ignored.code, ignored.headers["warning"]]).toEqual([201, undefined]);
  });

  test("a warning names what is unknown in any script", async () => {
    const text = '{"metadata":{"name":"script"},"ключ\\u0001\u007f":1}';
    const warned = await api.ask(`${configMaps}?dryRun=All`, { method: "POST", body: text });
    const header = Buffer.from(warned.headers["warning"] ?? "", "latin1").toString();
    expect([warned.code, header]).toEqual([201, expect.stringContaining('unknown field \\"ключ')]);
  });

  test("Helm's Secrets: their type is kept, and a list by label is in stable order", async () => {
    const secrets = "/api/v1/namespaces/default/secrets";
    for (const v of [2, 1, 3]) {
      const labels = { owner: "helm", name: "shop", status: "deployed", version: String(v) };
      const body = {
        metadata: { name: `sh.helm.release.v1.shop.v${v}`, labels },
        type: "helm.sh/release.v1",
        data: { release: "eA==" },
      };
      expect((await api.post(secrets, body)).code).toBe(201);
    }
    const { items } = (await api.ok(`${secrets}?labelSelector=${encodeURIComponent("name=shop,owner=helm")}`)).json<{
      items: (Obj & { type: string })[];
    }>();
    expect(items.map((i) => i.metadata.name)).toEqual([1, 2, 3].map((v) => `sh.helm.release.v1.shop.v${v}`));
    expect(items[0]?.type).toBe("helm.sh/release.v1");
  });
});

describe("patch", () => {
  test("in four types; any other is 415", async () => {
    const o = await made({ a: "1", b: "2" });
    expect(
      (await api.patch(at(o), "json", [{ op: "replace", path: "/data/a", value: "json" }])).json<Obj>().data,
    ).toEqual({ a: "json", b: "2" });
    expect((await api.patch(at(o), "merge", { data: { a: "merge", b: null } })).json<Obj>().data).toEqual({
      a: "merge",
    });
    expect((await api.patch(at(o), "strategic-merge", { data: { c: "3" } })).json<Obj>().data).toEqual({
      a: "merge",
      c: "3",
    });
    const applied = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: o.metadata.name }, data: { d: "4" } };
    expect((await api.apply(at(o), applied)).json<Obj>().data).toEqual({ a: "merge", c: "3", d: "4" });
    expect((await api.ask(at(o), { method: "PATCH", body: {} })).code).toBe(415);
  });

  test("strategic: lists merge by their keys, in pieces or as a whole", async () => {
    await api.ok(deployments, { method: "POST", body: deployment("strategic") });
    const patch = (spec: object) =>
      api.patch(`${deployments}/strategic`, "strategic-merge", { spec: { template: { spec } } });
    const containers = async (spec: object) => {
      const answer = await patch(spec);
      const o = answer.json<{ spec: { template: { spec: { containers: { name: string; image: string }[] } } } }>();
      return o.spec.template.spec.containers.map((c) => `${c.name}=${c.image}`);
    };
    expect(await containers({ containers: [{ name: "side", image: "busybox" }] })).toEqual(["side=busybox", "c=nginx"]);
    expect(
      await containers({
        containers: [{ name: "c", image: "nginx:2" }],
        "$setElementOrder/containers": [{ name: "c" }, { name: "side" }],
      }),
    ).toEqual(["c=nginx:2", "side=busybox"]);
    expect(await containers({ containers: [{ name: "side", $patch: "delete" }] })).toEqual(["c=nginx:2"]);
  });

  test("an apply needs a manager, fills in what keys leave out, and is refused what another owns", async () => {
    const service = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "applied" },
      spec: { selector: { a: "b" }, ports: [{ port: 80 }] },
    };
    const path = "/api/v1/namespaces/default/services/applied";
    const unnamed = await api.apply(path, service, "");
    expect([unnamed.code, unnamed.json<Refusal>().message]).toEqual([
      422,
      expect.stringContaining("fieldManager: Required value: is required for apply patch"),
    ]);
    expect((await api.apply(path, service, "?fieldManager=m1&force=false")).code).toBe(201);
    expect((await api.apply(path, service, "?fieldManager=m1&force=true")).code).toBe(200);
    const rival = { ...service, spec: { selector: { a: "c" }, ports: [{ port: 80 }] } };
    const refused = await api.apply(path, rival, "?fieldManager=m2");
    expect(refused.json<Refusal>()).toMatchObject({
      code: 409,
      reason: "Conflict",
      message: expect.stringMatching(/^Apply failed with 1 conflict: conflict with "m1".*\.spec\.selector/),
      details: {
        causes: [{ reason: "FieldManagerConflict", field: ".spec.selector", message: expect.stringContaining('"m1"') }],
      },
    });
    expect((await api.apply(path, rival, "?fieldManager=m2&force=true")).json<Obj>().spec["selector"]).toEqual({
      a: "c",
    });
  });

  test("managedFields: who wrote what, by fieldManager or by program, of status too; writable by patch", async () => {
    const headers = { "User-Agent": "robot/1.0 (linux)" };
    const o = (await api.post(configMaps, { metadata: { name: "managed" }, data: { a: "1" } }, headers)).json<Obj>();
    expect(o.metadata.managedFields).toMatchObject([
      { manager: "robot", operation: "Update", apiVersion: "v1", fieldsV1: { "f:data": { "f:a": {} } } },
    ]);
    await api.ask(`${at(o)}?fieldManager=me`, {
      method: "PATCH",
      body: { data: { b: "2" } },
      headers: { "Content-Type": "application/merge-patch+json" },
    });
    const { managedFields = [], resourceVersion } = (await api.ok(at(o))).json<Obj>().metadata;
    expect(managedFields.map((f) => f.manager).toSorted()).toEqual(["me", "robot"]);
    const moved = managedFields.map((f) => (f.manager === "me" ? { ...f, manager: "you", operation: "Apply" } : f));
    const migrate = (rv: string) =>
      api.patch(at(o), "json", [
        { op: "replace", path: "/metadata/managedFields", value: moved },
        { op: "replace", path: "/metadata/resourceVersion", value: rv },
      ]);
    expect((await migrate("1")).code).toBe(409);
    const managers = (await migrate(resourceVersion)).json<Obj>().metadata.managedFields?.map((f) => f.manager);
    expect(managers?.toSorted()).toEqual(["robot", "you"]);
    await api.ok(deployments, { method: "POST", body: deployment("owned") });
    const status = await api.ask(`${deployments}/owned/status?fieldManager=controller`, {
      method: "PATCH",
      body: { status: { replicas: 1 } },
      headers: { "Content-Type": "application/merge-patch+json" },
    });
    expect(status.json<Obj>().metadata.managedFields).toContainEqual(
      expect.objectContaining({ manager: "controller", subresource: "status" }),
    );
  });
});

describe("optimistic writes", () => {
  test("no change is no write", async () => {
    const o = await made();
    const again = (await api.put(at(o), o)).json<Obj>();
    const patched = (await api.patch(at(o), "merge", { data: { a: "1" } })).json<Obj>();
    expect([again.metadata.resourceVersion, patched.metadata.resourceVersion]).toEqual(
      Array(2).fill(o.metadata.resourceVersion),
    );
  });

  test.each(["PUT", "PATCH"])(
    "%s from an old revision is a Conflict in the words that clients know",
    async (method) => {
      const o = await made();
      await api.patch(at(o), "merge", { data: { b: "2" } });
      const stale = { ...o, data: { a: "9" } };
      const refused =
        method === "PUT"
          ? await api.put(at(o), stale)
          : await api.patch(at(o), "merge", {
              metadata: { resourceVersion: o.metadata.resourceVersion },
              data: { a: "9" },
            });
      expect(refused.json<Refusal>()).toMatchObject({
        code: 409,
        reason: "Conflict",
        message: `Operation cannot be fulfilled on configmaps "${o.metadata.name}": the object has been modified; please apply your changes to the latest version and try again`,
      });
    },
  );

  test("a leader's lock: of many strategic patches from one revision one wins", async () => {
    const o = await made();
    const { resourceVersion } = o.metadata;
    const claims = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        api.patch(at(o), "strategic-merge", { metadata: { resourceVersion, annotations: { leader: `patroni-${i}` } } }),
      ),
    );
    expect(claims.filter((c) => c.code === 200)).toHaveLength(1);
    expect(claims.filter((c) => c.code === 409)).toHaveLength(9);
  });
});

describe("delete", () => {
  test("options in the body or the query; gone at once is a Success with the uid", async () => {
    for (const [query, body] of [
      ["", undefined],
      ["", { propagationPolicy: "Background" }],
      ["?propagationPolicy=Background&gracePeriodSeconds=0", undefined],
      ["", { kind: "DeleteOptions", apiVersion: "v1", orphanDependents: false }],
    ] as const) {
      const o = await made();
      const answer = await api.delete(at(o) + query, body);
      expect(answer.json()).toMatchObject({
        kind: "Status",
        status: "Success",
        details: { name: o.metadata.name, kind: "configmaps", uid: o.metadata.uid },
      });
    }
  });

  test("preconditions that do not hold are a Conflict", async () => {
    const o = await made();
    for (const preconditions of [{ uid: "another" }, { resourceVersion: "1" }]) {
      expect((await api.delete(at(o), { preconditions })).json<Refusal>()).toMatchObject({
        code: 409,
        reason: "Conflict",
      });
    }
    expect((await api.delete(at(o), { preconditions: { uid: o.metadata.uid } })).code).toBe(200);
  });

  test("what finalizers hold is answered as the object with a deletionTimestamp", async () => {
    const body = { metadata: { name: "held", finalizers: ["example.com/hold"] } };
    await api.ok(configMaps, { method: "POST", body });
    const answer = (await api.delete(`${configMaps}/held`)).json<Obj & { kind: string }>();
    expect([answer.kind, answer.metadata.deletionTimestamp]).toEqual(["ConfigMap", expect.any(String)]);
    await api.patch(`${configMaps}/held`, "merge", { metadata: { finalizers: null } });
    expect((await api.ask(`${configMaps}/held`)).code).toBe(404);
  });
});

describe("a refusal is a Status", () => {
  test.each<[string, () => ReturnType<TestApi["ask"]>, Refusal]>([
    [
      "of what is not there: the resource's name as kind",
      () => api.ask(`${deployments}/none`),
      {
        code: 404,
        reason: "NotFound",
        message: 'deployments.apps "none" not found',
        details: { name: "none", group: "apps", kind: "deployments" },
      },
    ],
    [
      "of what is there already",
      () => api.post("/api/v1/namespaces", { metadata: { name: "default" } }),
      {
        code: 409,
        reason: "AlreadyExists",
        message: 'namespaces "default" already exists',
        details: { name: "default", kind: "namespaces" },
      },
    ],
    [
      "of what is invalid: the Kind as kind, and each cause with its field",
      () => api.post(configMaps, { metadata: { name: "Bad_Name" }, data: { "a/b": "" } }),
      {
        code: 422,
        reason: "Invalid",
        message: expect.stringMatching(/^ConfigMap "Bad_Name" is invalid: \[/) as unknown as string,
        details: {
          name: "Bad_Name",
          kind: "ConfigMap",
          causes: expect.arrayContaining([
            expect.objectContaining({ reason: "FieldValueInvalid", field: "metadata.name" }),
          ]) as unknown as [],
        },
      },
    ],
    [
      "of a method that there is not",
      () => api.ask(configMaps, { method: "PUT", body: {} }),
      {
        code: 405,
        reason: "MethodNotAllowed",
        message: "the server does not allow this method on the requested resource",
      },
    ],
    [
      "of a path that there is not",
      () => api.ask("/apis/none.example.com/v1/things"),
      { code: 404, reason: "NotFound", message: "the server could not find the requested resource" },
    ],
    [
      "of a namespace that there is not",
      () => api.post("/api/v1/namespaces/nowhere/configmaps", { metadata: { name: "x" } }),
      {
        code: 404,
        reason: "NotFound",
        message: 'namespaces "nowhere" not found',
        details: { name: "nowhere", kind: "namespaces" },
      },
    ],
  ])("%s", async (_, ask, wanted) => {
    const answer = await ask();
    expect(answer.code).toBe(wanted.code);
    expect(answer.json()).toMatchObject({
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      ...wanted,
    });
  });
});
