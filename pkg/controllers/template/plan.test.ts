import { describe, expect, test } from "@jest/globals";
import type { TemplateObject } from "../../api/template/kind.ts";
import { refusedWatch, render, writeOf } from "./plan.ts";

const template = (spec: Partial<TemplateObject["spec"]>): TemplateObject => ({
  metadata: { namespace: "default", name: "t", uid: "t-uid", generation: 3 },
  spec: { output: { name: "out" }, data: { "a.conf": "a" }, ...spec },
});
const service = (name: string, labels: Record<string, string> = {}) => ({
  metadata: { namespace: "default", name, labels },
});
const all = { services: [service("b", { app: "x" }), service("a"), service("c", { app: "x" })] };
const list = ({ resource }: { resource: string }) =>
  (all as Record<string, ReturnType<typeof service>[]>)[resource] ?? [];

describe("what is rendered", () => {
  const names = "{{ services | map: 'metadata.name' | join }}";
  test.each<[string, Partial<TemplateObject["spec"]>, object]>([
    [
      "objects in the order of their names",
      { watch: [{ resource: "services" }], data: { k: names } },
      { data: { k: "a b c" } },
    ],
    [
      "only those with the labels",
      { watch: [{ resource: "services", labels: { app: "x" } }], data: { k: names } },
      { data: { k: "b c" } },
    ],
    [
      "under a name of its own",
      { watch: [{ resource: "services", as: "all" }], data: { k: "{{ all.size }}" } },
      { data: { k: "3" } },
    ],
    [
      "by the plural of a qualified name",
      { watch: [{ resource: "things.acme.com" }], data: { k: "{{ things.size }}" } },
      { data: { k: "0" } },
    ],
    ["values", { values: { port: "80" }, data: { k: "{{ values.port }}", l: "x" } }, { data: { k: "80", l: "x" } }],
    [
      "nothing where one of them has an error",
      { data: { good: "x", "bad.conf": "a\n{{ nothing }}" } },
      { failure: { reason: "TemplateError", message: "bad.conf:2:4: undefined variable: nothing" } },
    ],
  ])("%s", (_, spec, wanted) => expect(render(template(spec), list)).toEqual(wanted));
});

describe("what is written", () => {
  const owner = { apiVersion: "mini-kube.io/v1", kind: "Template", name: "t", uid: "t-uid", controller: true };
  const made = { namespace: "default", name: "out", ownerReferences: [owner] };
  test("a ConfigMap of its own", () => {
    expect(writeOf(template({}), { k: "v" }, undefined)).toEqual({
      type: "create",
      object: { metadata: made, data: { k: "v" } },
    });
  });
  test("a Secret, encoded", () => {
    const write = writeOf(template({ output: { kind: "Secret", name: "out" } }), { k: "ü" }, undefined);
    expect(write).toMatchObject({ object: { data: { k: Buffer.from("ü").toString("base64") } } });
  });
  test("nothing when nothing has changed; else all keys, and no others", () => {
    const old = { metadata: { ...made, resourceVersion: "7" }, data: { k: "v", gone: "x" } };
    expect(writeOf(template({}), old.data, old)).toEqual({ type: "none" });
    expect(writeOf(template({}), { k: "w" }, old)).toEqual({
      type: "replace",
      object: { metadata: old.metadata, data: { k: "w" } },
    });
  });
  test("nothing over what somebody else has made", () => {
    const message = "ConfigMap out is there already, and was not made by this Template";
    expect(writeOf(template({}), {}, { metadata: { name: "out" } })).toEqual({
      type: "refuse",
      failure: { reason: "OutputConflict", message },
    });
  });
});

test("Secrets go into Secrets only", () => {
  const watch = [{ resource: "secrets" }];
  expect(refusedWatch(template({ watch }))?.reason).toBe("SecretsRefused");
  expect(refusedWatch(template({ watch, output: { kind: "Secret", name: "out" } }))).toBeUndefined();
});
