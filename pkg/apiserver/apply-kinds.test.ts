/** Server-side apply of kinds that are not simply stored as they are: custom ones, and views of others. */
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { ApiObject } from "../api/object.ts";
import type { Call, PatchType } from "../client/transport.ts";
import { MemoryStore } from "../store/memory.ts";
import { seededRandom, systemClock } from "../util/clock.ts";
import { silent } from "../util/log.ts";
import { ApiServer } from "./server.ts";

type Answer = ApiObject & { spec: object };

let store: MemoryStore;
let server: ApiServer;

beforeEach(async () => {
  store = new MemoryStore();
  server = await ApiServer.open({ store, clock: systemClock, random: seededRandom(1), log: silent });
});

afterEach(async () => {
  await server.close();
  await store.close();
});

const call = (c: Call) => server.transport().call(c) as Promise<Answer>;

interface How {
  readonly manager?: string;
  readonly subresource?: string;
  readonly type?: PatchType;
}

/** `at`: group, version and plural, as in a path. */
function apply(at: string, body: ApiObject | object, how: How = {}): Promise<Answer> {
  const [group = "", version = "", resource = ""] = at.split("/");
  const { manager = "m", subresource, type: patchType = "application/apply-patch+yaml" } = how;
  const namespace = group === "apiextensions.k8s.io" ? {} : { namespace: "default" };
  const name = (body as ApiObject).metadata.name ?? "";
  const params = { fieldManager: manager };
  const sub = subresource === undefined ? {} : { subresource };
  return call({ verb: "patch", group, version, resource, ...namespace, name, ...sub, patchType, body, params });
}

const owners = (o: ApiObject) => (o.metadata.managedFields ?? []).map((e) => `${e.manager} ${e.apiVersion}`);

describe("a custom resource", () => {
  const properties = {
    size: { type: "object", properties: { n: { type: "integer", default: 1 } } },
    parts: {
      type: "array",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["id"],
      items: { type: "object", required: ["id"], properties: { id: { type: "string" }, v: { type: "integer" } } },
    },
    free: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
  };
  const status = { type: "object", properties: { n: { type: "integer" } } };
  const openAPIV3Schema = { type: "object", properties: { spec: { type: "object", properties }, status } };
  const scale = { specReplicasPath: ".spec.size.n", statusReplicasPath: ".status.n" };
  const versions = ["v1", "v2"].map((name) => ({
    name,
    served: true,
    storage: name === "v1",
    subresources: { status: {}, scale },
    schema: { openAPIV3Schema },
  }));
  const names = { plural: "widgets", singular: "widget", kind: "Widget", listKind: "WidgetList" };
  const crd = {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "widgets.x.io" },
    spec: { group: "x.io", scope: "Namespaced", names, versions },
  };
  const widget = (spec?: object, version = "v1") => ({
    apiVersion: `x.io/${version}`,
    kind: "Widget",
    metadata: { name: "w" },
    ...(spec && { spec }),
  });

  beforeEach(() => apply("apiextensions.k8s.io/v1/customresourcedefinitions", crd));

  test("merges by its schema, whichever version is applied", async () => {
    const made = await apply("x.io/v1/widgets", widget({ parts: [{ id: "a", v: 1 }], free: { any: { x: 1 } } }));
    expect(made.metadata.managedFields?.[0]?.fieldsV1).toEqual({
      "f:spec": {
        "f:free": { "f:any": { ".": {}, "f:x": {} } },
        "f:parts": { 'k:{"id":"a"}': { ".": {}, "f:id": {}, "f:v": {} } },
      },
    });
    const two = await apply("x.io/v2/widgets", widget({ parts: [{ id: "b", v: 2 }] }, "v2"), { manager: "two" });
    expect(two.spec).toMatchObject({ parts: [{ id: "a" }, { id: "b", v: 2 }] });
    expect(owners(two)).toEqual(["m x.io/v1", "two x.io/v2"]);
    await expect(apply("x.io/v1/widgets", widget({ parts: [{ id: "b", v: 3 }] }))).rejects.toThrow(
      'Apply failed with 1 conflict: conflict with "two": .spec.parts[id="b"].v',
    );
    await expect(apply("x.io/v1/widgets", widget({ partz: 1 }))).rejects.toThrow(
      "(/w; x.io/v1, Kind=Widget): .spec.partz: field not declared in schema",
    );
  });

  test("is scaled where its definition says", async () => {
    await apply("x.io/v1/widgets", widget({ parts: [{ id: "a" }] }));
    const wanted = { apiVersion: "autoscaling/v1", kind: "Scale", metadata: { name: "w" }, spec: { replicas: 9 } };
    await apply("x.io/v1/widgets", wanted, { manager: "hpa", subresource: "scale" });
    const scaled = await apply("x.io/v1/widgets", widget({ parts: [{ id: "a" }] }));
    expect(scaled.spec).toMatchObject({ size: { n: 9 } });
    expect(scaled.metadata.managedFields?.[0]?.fieldsV1).toEqual({ "f:spec": { "f:size": { "f:n": {} } } });
  });

  test("takes no strategic merge patch: clients fall back when they are told so", async () => {
    await apply("x.io/v1/widgets", widget({}));
    const type = "application/strategic-merge-patch+json";
    await expect(apply("x.io/v1/widgets", widget({}), { type })).rejects.toMatchObject({ code: 415 });
  });
});

test("a view is applied in its own form: v1 and v2 of an autoscaler meet in what they share", async () => {
  const scaleTargetRef = { apiVersion: "apps/v1", kind: "Deployment", name: "web" };
  const autoscaler = (version: string, more: object) => ({
    apiVersion: `autoscaling/${version}`,
    kind: "HorizontalPodAutoscaler",
    metadata: { name: "h" },
    spec: { scaleTargetRef, maxReplicas: 5, ...more },
  });
  const [v1, v2] = ["v1", "v2"].map((version) => `autoscaling/${version}/horizontalpodautoscalers`);
  const made = await apply(v1 ?? "", autoscaler("v1", { targetCPUUtilizationPercentage: 60 }));
  expect(made.spec).toMatchObject({ targetCPUUtilizationPercentage: 60, minReplicas: 1 });
  await expect(apply(v2 ?? "", autoscaler("v2", { maxReplicas: 6 }), { manager: "two" })).rejects.toThrow(
    'conflict with "m": .spec.maxReplicas',
  );
  const target = { type: "Utilization", averageUtilization: 70 };
  const metrics = [{ type: "Resource", resource: { name: "cpu", target } }];
  const moved = await apply(v2 ?? "", autoscaler("v2", { metrics }));
  expect(moved.spec).toMatchObject({ metrics });
  expect(owners(moved)).toEqual(["m autoscaling/v2"]);
});
