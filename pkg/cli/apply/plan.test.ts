import { describe, expect, test } from "@jest/globals";
import type { ApiObject } from "../../api/object.ts";
import { LAST_APPLIED, goJson, lastApplied, planApply, withLastApplied } from "./plan.ts";

const pod = (spec: object, metadata: object = {}): ApiObject =>
  ({ apiVersion: "v1", kind: "Pod", metadata: { name: "a", ...metadata }, spec }) as ApiObject;
const container = (name: string, image: string, more: object = {}) => ({ name, image, ...more });

function plan(
  original: ApiObject | undefined,
  modified: ApiObject,
  current: ApiObject,
  schema: string | undefined = "Pod",
) {
  return planApply({ original, modified, current, schema });
}

describe("planApply", () => {
  test("I1: what is as it should be needs no patch, whatever else the live object holds", () => {
    const wanted = pod({ containers: [container("c", "x")] }, { labels: { a: "1" } });
    const live = pod(
      { containers: [container("c", "x", { imagePullPolicy: "Always" })], restartPolicy: "Always" },
      { labels: { a: "1", other: "2" }, uid: "u" },
    );
    expect(plan(wanted, wanted, live)).toBeUndefined();
  });

  test("changes and additions are sent, lists merged by key with their order", () => {
    const live = pod({ containers: [container("c", "x", { imagePullPolicy: "Always" }), container("d", "y")] });
    const wanted = pod({ containers: [container("c", "x2"), container("d", "y")] });
    expect(plan(live, wanted, live)).toEqual({
      spec: {
        "$setElementOrder/containers": [{ name: "c" }, { name: "d" }],
        containers: [{ name: "c", image: "x2", imagePullPolicy: null }],
      },
    });
  });

  test("I2: removed is what the last manifest had, not what others added", () => {
    const before = pod(
      { containers: [container("c", "x")] },
      { labels: { mine: "1", gone: "1" }, annotations: { n: "1" } },
    );
    const wanted = pod({ containers: [container("c", "x")] }, { labels: { mine: "1" } });
    const live = pod({ containers: [container("c", "x")] }, { labels: { mine: "1", gone: "1", theirs: "1" } });
    expect(plan(before, wanted, live)).toEqual({ metadata: { labels: { gone: null } } });
    expect(plan(undefined, wanted, live)).toBeUndefined();
  });

  test("a label may be called as what every object of JavaScript has", () => {
    const [without, with_] = [pod({}, { labels: {} }), pod({}, { labels: { constructor: "x" } })];
    expect(plan(with_, without, with_)).toEqual({ metadata: { labels: { constructor: null } } });
    expect(plan(with_, without, without)).toBeUndefined();
    expect(plan(without, with_, without)).toEqual({ metadata: { labels: { constructor: "x" } } });
  });

  test("a removed item of a merged list is deleted by its key", () => {
    const before = pod({ containers: [container("c", "x"), container("d", "y")] });
    const wanted = pod({ containers: [container("c", "x")] });
    expect(plan(before, wanted, before)).toEqual({
      spec: { "$setElementOrder/containers": [{ name: "c" }], containers: [{ $patch: "delete", name: "d" }] },
    });
  });

  test("a set of scalars: additions and deletions by value", () => {
    const before = pod({}, { finalizers: ["a", "b"] });
    const wanted = pod({}, { finalizers: ["b", "c"] });
    const live = pod({}, { finalizers: ["a", "b", "theirs"] });
    expect(plan(before, wanted, live)).toEqual({
      metadata: { finalizers: ["c"], "$deleteFromPrimitiveList/finalizers": ["a"] },
    });
  });

  test("a volume that changes its source keeps only the new one", () => {
    const volume = (source: object) => pod({ volumes: [{ name: "v", ...source }] });
    const [before, wanted] = [volume({ emptyDir: {} }), volume({ hostPath: { path: "/x" } })];
    expect(plan(before, wanted, before)).toEqual({
      spec: {
        "$setElementOrder/volumes": [{ name: "v" }],
        volumes: [{ $retainKeys: ["name", "hostPath"], name: "v", hostPath: { path: "/x" }, emptyDir: null }],
      },
    });
  });

  test("without a schema it is a JSON merge patch: lists as a whole", () => {
    const before = pod({ list: [{ name: "a" }, { name: "b" }], gone: 1 });
    const wanted = pod({ list: [{ name: "a" }] });
    expect(planApply({ original: before, modified: wanted, current: before, schema: undefined })).toEqual({
      spec: { list: [{ name: "a" }], gone: null },
    });
  });

  test("null in a manifest removes, status is not applied", () => {
    const wanted = { ...pod({ nodeName: null, hostname: null }), status: { phase: "Running" } } as ApiObject;
    expect(plan(undefined, wanted, pod({ nodeName: "n" }))).toEqual({ spec: { nodeName: null } });
  });
});

describe("the annotation", () => {
  test("holds the manifest without itself, as kubectl writes it", () => {
    const noted = withLastApplied(pod({ b: "<&>", a: 1 }), "default");
    expect(noted.metadata.annotations?.[LAST_APPLIED]).toBe(
      '{"apiVersion":"v1","kind":"Pod","metadata":{"annotations":{},"name":"a","namespace":"default"},"spec":{"a":1,"b":"\\u003c\\u0026\\u003e"}}\n',
    );
    expect(withLastApplied(noted, "default")).toEqual(noted);
    expect(lastApplied(noted)?.metadata).toEqual({ annotations: {}, name: "a", namespace: "default" });
  });

  test("garbled, it counts as missing", () => {
    expect(lastApplied(pod({}, { annotations: { [LAST_APPLIED]: "{" } }))).toBeUndefined();
    expect(goJson(["\u2028"])).toBe('["\\u2028"]');
  });
});
