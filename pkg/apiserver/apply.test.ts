import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { deployments } from "../api/kinds/apps/deployment.ts";
import { configMaps } from "../api/kinds/core/configmap.ts";
import { namespaces } from "../api/kinds/core/namespace.ts";
import { pods } from "../api/kinds/core/pod.ts";
import type { ApiObject } from "../api/object.ts";
import { ApiError } from "../api/status.ts";
import type { Call, PatchType } from "../client/transport.ts";
import { MemoryStore } from "../store/memory.ts";
import { seededRandom } from "../util/clock.ts";
import { FakeClock } from "../util/fake-clock.ts";
import { silent } from "../util/log.ts";
import type { AdmissionPlugin } from "./admission.ts";
import { ApiServer } from "./server.ts";

const resources = [namespaces, configMaps, pods, deployments];

type Answer = ApiObject & { data?: Record<string, string>; spec?: { replicas?: number }; status?: object };

let store: MemoryStore;
let server: ApiServer;
let clock: FakeClock;

beforeEach(async () => {
  store = new MemoryStore();
  clock = new FakeClock();
  server = await ApiServer.open({ store, clock, random: seededRandom(1), log: silent, resources });
});

afterEach(async () => {
  await server.close();
  await store.close();
});

const CM = { group: "", version: "v1", resource: "configmaps", namespace: "default" } as const;
const DEPLOY = { group: "apps", version: "v1", resource: "deployments", namespace: "default" } as const;

const call = (c: Call) => server.transport().call(c) as Promise<Answer>;

function patch(patchType: PatchType, at: typeof CM | typeof DEPLOY, body: unknown, more: Partial<Call> = {}) {
  const name = (body as ApiObject).metadata?.name ?? "c";
  return call({ verb: "patch", ...at, name, patchType, body, ...more });
}

const apply = (
  at: typeof CM | typeof DEPLOY,
  body: object,
  params: Record<string, string> = {},
  subresource?: string,
) =>
  patch("application/apply-patch+yaml", at, body, {
    params: { fieldManager: "m", ...params },
    ...(subresource && { subresource }),
  });

const configMap = (data: object) => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c" }, data });

const deployment = (replicas?: number, image = "nginx") => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web" },
  spec: {
    ...(replicas !== undefined && { replicas }),
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "web", image }] } },
  },
});

async function refusal(promise: Promise<unknown>): Promise<ApiError> {
  const error = await promise.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (error instanceof ApiError) return error;
  throw new Error("it was not refused");
}

const owners = (o: ApiObject) =>
  (o.metadata.managedFields ?? []).map((e) =>
    [e.manager, e.operation, ...(e.subresource ? [e.subresource] : [])].join(" "),
  );

describe("server-side apply", () => {
  test("makes what is not there, changes what is, and does nothing the third time", async () => {
    const made = await apply(CM, configMap({ a: "1", b: "2" }));
    expect(made).toMatchObject({
      data: { a: "1", b: "2" },
      metadata: { namespace: "default", uid: expect.any(String) },
    });
    const changed = await apply(CM, configMap({ a: "3" }));
    expect(changed.data).toEqual({ a: "3" });
    await clock.advance(5000);
    const again = await apply(CM, configMap({ a: "3" }));
    expect(again).toEqual(changed);
    expect(owners(again)).toEqual(["m Apply"]);
  });

  test("says whether it made the object", async () => {
    const caller = { user: { name: "u", groups: [] }, warn: () => {} };
    const again = { verb: "patch", ...CM, name: "new", patchType: "application/apply-patch+yaml" } as const;
    const body = { ...configMap({}), metadata: { name: "new" } };
    const first = await server.handle({ ...again, body, params: { fieldManager: "m" } }, caller);
    expect(first).toMatchObject({ created: true });
    expect(await server.handle({ ...again, body, params: { fieldManager: "m" } }, caller)).toMatchObject({
      created: false,
    });
  });

  test("defaults and canonical values are no change either", async () => {
    const body = deployment();
    const [container] = body.spec.template.spec.containers;
    Object.assign(container ?? {}, { resources: { limits: { cpu: "0.5", memory: "1024Mi" } } });
    const made = await apply(DEPLOY, body);
    expect(made.spec?.replicas).toBe(1);
    await clock.advance(5000);
    expect(await apply(DEPLOY, body)).toEqual(made);
  });

  test("makes nothing for whom may only patch", async () => {
    const forbidden = new ApiError("Forbidden", "configmaps is forbidden");
    const caller = { user: { name: "u", groups: [] }, warn: () => {}, mayCreate: () => Promise.reject(forbidden) };
    const body = configMap({ a: "1" });
    const params = { fieldManager: "m" };
    const patchCall = {
      verb: "patch",
      ...CM,
      name: "c",
      patchType: "application/apply-patch+yaml",
      body,
      params,
    } as const;
    await expect(server.handle(patchCall, caller)).rejects.toBe(forbidden);
    await call({ verb: "create", ...CM, body: configMap({}) });
    expect(await server.handle(patchCall, caller)).toMatchObject({ entry: { object: { data: { a: "1" } } } });
  });

  test("a dry run answers as if", async () => {
    const asIf = await apply(CM, configMap({ a: "1" }), { dryRun: "All" });
    expect(owners(asIf)).toEqual(["m Apply"]);
    expect((await refusal(call({ verb: "get", ...CM, name: "c" }))).code).toBe(404);
  });

  test("scale is the part of the object that it shows", async () => {
    await apply(DEPLOY, deployment());
    const scale = { apiVersion: "autoscaling/v1", kind: "Scale", metadata: { name: "web" }, spec: { replicas: 3 } };
    const answer = await apply(DEPLOY, scale, { fieldManager: "hpa" }, "scale");
    expect(answer).toMatchObject({ kind: "Scale", spec: { replicas: 3 } });
    const scaled = await call({ verb: "get", ...DEPLOY, name: "web" });
    expect(scaled.spec?.replicas).toBe(3);
    expect(owners(scaled)).toEqual(["hpa Apply scale", "m Apply"]);
    const entry = scaled.metadata.managedFields?.[0];
    expect(entry).toMatchObject({ apiVersion: "apps/v1", fieldsV1: { "f:spec": { "f:replicas": {} } } });
    expect((await refusal(apply(DEPLOY, deployment(5)))).message).toBe(
      'Apply failed with 1 conflict: conflict with "hpa" with subresource "scale": .spec.replicas',
    );
    expect((await apply(DEPLOY, deployment(5), { force: "true" })).spec?.replicas).toBe(5);
  });

  test("a scale by patch is an update of replicas", async () => {
    await apply(DEPLOY, deployment(1));
    await patch(
      "application/merge-patch+json",
      DEPLOY,
      { spec: { replicas: 4 } },
      { name: "web", subresource: "scale" },
    );
    const scaled = await call({ verb: "get", ...DEPLOY, name: "web" });
    expect(owners(scaled)).toEqual(["m Apply", "unknown Update scale"]);
  });

  test("status is applied at its own address only", async () => {
    const status = { replicas: 2, observedGeneration: 1 };
    const made = await apply(DEPLOY, { ...deployment(2), status });
    expect(made.status).not.toMatchObject(status);
    const { spec: _, ...rest } = deployment(2);
    const reported = await apply(DEPLOY, { ...rest, status }, { fieldManager: "ctrl" }, "status");
    expect(reported).toMatchObject({ status, spec: { replicas: 2 } });
    expect(owners(reported)).toEqual(["ctrl Apply status", "m Apply"]);
    const missing = { ...rest, metadata: { name: "no" } };
    expect((await refusal(apply(DEPLOY, missing, {}, "status"))).code).toBe(404);
  });

  test.each<[string, object, Record<string, string>, number, string]>([
    [
      "nobody",
      configMap({}),
      { fieldManager: "" },
      422,
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    ],
    [
      "a name too long",
      configMap({}),
      { fieldManager: "x".repeat(129) },
      422,
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes',
    ],
    [
      "an unprintable name",
      configMap({}),
      { fieldManager: "a\u0007" },
      422,
      "invalid character U+0007 (at position 1)",
    ],
    ["another kind", deployment(), {}, 400, "invalid object type: apps/v1, Kind=Deployment"],
    [
      "a wrong type of value",
      configMap({ a: 1 }),
      {},
      400,
      "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
    ],
    [
      "an object that is gone",
      { ...configMap({}), metadata: { name: "c", uid: "u-1" } },
      {},
      409,
      "uid mismatch: the provided object specified uid u-1, and no existing object was found",
    ],
  ])("refuses %s", async (_, body, params, code, message) => {
    const error = await refusal(
      apply(CM, { ...body, metadata: { name: "c", ...(body as ApiObject).metadata } }, params),
    );
    expect(error.message).toContain(message);
    expect(error.code).toBe(code);
  });

  test("force belongs to apply alone", async () => {
    const body = { metadata: { name: "c" } };
    const error = await refusal(patch("application/merge-patch+json", CM, body, { params: { force: "true" } }));
    expect(error.message).toBe(
      'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
    );
  });

  test("a resourceVersion in the configuration is a precondition", async () => {
    const made = await apply(CM, configMap({ a: "1" }));
    await apply(CM, configMap({ a: "2" }));
    const { resourceVersion = "" } = made.metadata;
    const stale = { ...configMap({ a: "3" }), metadata: { name: "c", resourceVersion } };
    expect((await refusal(apply(CM, stale))).message).toContain("the object has been modified");
  });

  test("of many at once that want different fields, none is lost", async () => {
    const managers = Array.from({ length: 20 }, (_, i) => `m${i}`);
    await Promise.all(managers.map((m) => apply(CM, configMap({ [m]: "x" }), { fieldManager: m })));
    const all = await call({ verb: "get", ...CM, name: "c" });
    expect(Object.keys(all.data ?? {}).toSorted()).toEqual(managers.toSorted());
    expect(all.metadata.managedFields).toHaveLength(20);
  });
});

describe("other writes", () => {
  test("name their manager: fieldManager, else the component, else the program", async () => {
    const create = (name: string, more: Partial<Call>) =>
      call({ verb: "create", ...CM, body: { ...configMap({ a: "1" }), metadata: { name } }, ...more });
    expect(owners(await create("a", { params: { fieldManager: "helm" } }))).toEqual(["helm Update"]);
    expect(owners(await create("b", { cause: { component: "scheduler" } }))).toEqual(["scheduler Update"]);
    const warn = () => {};
    const caller = { user: { name: "u", groups: [] }, userAgent: "kubectl/v1.36 (linux)", warn };
    const body = configMap({ a: "1" });
    const answer = await server.handle({ verb: "create", ...CM, body }, caller);
    expect(answer).toMatchObject({ entry: { object: { metadata: { managedFields: [{ manager: "kubectl" }] } } } });
  });

  test("a json patch may rewrite managedFields, as kubectl's move to server-side apply does", async () => {
    await call({
      verb: "create",
      ...CM,
      body: configMap({ a: "1" }),
      params: { fieldManager: "kubectl-client-side-apply" },
    });
    const made = await call({ verb: "get", ...CM, name: "c" });
    const [entry] = made.metadata.managedFields ?? [];
    const body = [
      { op: "replace", path: "/metadata/managedFields", value: [{ ...entry, manager: "kubectl", operation: "Apply" }] },
      { op: "replace", path: "/metadata/resourceVersion", value: made.metadata.resourceVersion },
    ];
    const moved = await patch("application/json-patch+json", CM, body);
    expect(owners(moved)).toEqual(["kubectl Apply"]);
    expect((await apply(CM, configMap({ b: "1" }), { fieldManager: "kubectl" })).data).toEqual({ b: "1" });
  });

  test("own what they want, not what admission adds or the kind resets", async () => {
    const plugin: AdmissionPlugin = {
      name: "Label",
      mutate: ({ object }) => void (object && (object.metadata.labels = { ...object.metadata.labels, added: "x" })),
    };
    const strict = await ApiServer.open({
      store: new MemoryStore(),
      clock,
      random: seededRandom(1),
      log: silent,
      resources,
      plugins: [plugin],
    });
    const ask = (c: Call) => strict.transport().call(c) as Promise<Answer>;
    const made = await ask({ verb: "create", ...DEPLOY, body: { ...deployment(2), status: { replicas: 9 } } });
    expect(made.metadata.labels).toEqual({ added: "x" });
    const [entry] = made.metadata.managedFields ?? [];
    expect(entry?.fieldsV1).not.toHaveProperty("f:metadata");
    expect(entry?.fieldsV1).not.toHaveProperty("f:status");
    await clock.advance(5000);
    const bare = { ...made, metadata: { name: "web" }, status: { replicas: 7 } };
    const put = await ask({ verb: "update", ...DEPLOY, name: "web", body: bare, params: { fieldManager: "other" } });
    expect(put).toEqual(made);
    await strict.close();
  });

  test("that leave the owners alone share their entries, in memory too", async () => {
    const made = await apply(DEPLOY, deployment(2));
    const bound = { group: "", version: "v1", resource: "pods", namespace: "default" } as const;
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "p" },
      spec: { containers: [{ name: "a", image: "a" }] },
    };
    const born = await call({ verb: "create", ...bound, body: pod });
    const target = { kind: "Node", name: "n" };
    const body = { apiVersion: "v1", kind: "Binding", metadata: { name: "p" }, target };
    await call({ verb: "create", ...bound, name: "p", subresource: "binding", body });
    const placed = await call({ verb: "get", ...bound, name: "p" });
    expect(placed.metadata.managedFields).toBe(born.metadata.managedFields);
    const scaled = await patch("application/merge-patch+json", DEPLOY, { spec: { replicas: 2 } }, { name: "web" });
    expect(scaled.metadata.managedFields).toBe(made.metadata.managedFields);
  });

  test("that change nothing stay no write", async () => {
    const made = await apply(CM, configMap({ a: "1" }));
    await clock.advance(5000);
    const put = await call({ verb: "update", ...CM, name: "c", body: made, params: { fieldManager: "other" } });
    expect(put.metadata.resourceVersion).toBe(made.metadata.resourceVersion);
    const { managedFields: _, ...metadata } = made.metadata;
    const bare = await call({ verb: "update", ...CM, name: "c", body: { ...made, metadata } });
    expect(bare.metadata.resourceVersion).toBe(made.metadata.resourceVersion);
    expect(owners(bare)).toEqual(["m Apply"]);
  });
});
