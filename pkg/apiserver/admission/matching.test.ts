import { describe, expect, test } from "@jest/globals";
import type { ResourceDef } from "../../api/resource.ts";
import { namespaces } from "../../api/kinds/core/namespace.ts";
import { type Criteria, equivalentsIn, isExempt, matched, type Rule } from "./matching.ts";
import { type Asked, request, viewOf } from "./testing/requests.ts";

const rule = (resources: string[], rest: Partial<Rule> = {}): Rule => ({
  operations: ["CREATE"],
  apiGroups: [""],
  apiVersions: ["v1"],
  resources,
  ...rest,
});
const labelled = (labels: Record<string, string>) => ({ metadata: { name: "x", namespace: "default", labels } });
const view = viewOf([namespaces, { metadata: { name: "default", labels: { env: "prod" } } }]);
const matches = (c: Partial<Criteria>, asked: Asked) =>
  matched({ rules: [rule(["*"])], ...c }, request(asked), view, () => []) !== undefined;

describe("rules", () => {
  test.each<[string, Rule, Asked, boolean]>([
    ["the resource", rule(["pods"]), { plural: "pods" }, true],
    ["another", rule(["services"]), { plural: "pods" }, false],
    ["all, but no subresource", rule(["*"]), { plural: "pods", subresource: "status" }, false],
    ["a subresource", rule(["pods/status"]), { plural: "pods", subresource: "status" }, true],
    ["any subresource", rule(["*/*"]), { plural: "pods", subresource: "status" }, true],
    ["any subresource of a kind", rule(["pods/*"]), { plural: "pods", subresource: "resize" }, true],
    ["another operation", rule(["pods"], { operations: ["DELETE"] }), { plural: "pods" }, false],
    ["any operation", rule(["pods"], { operations: ["*"] }), { plural: "pods", operation: "DELETE" }, true],
    ["another group", rule(["pods"], { apiGroups: ["apps"] }), { plural: "pods" }, false],
    ["any version", rule(["pods"], { apiVersions: ["*"] }), { plural: "pods", version: "v9" }, true],
    ["scope Cluster", rule(["*"], { scope: "Cluster" }), { plural: "pods" }, false],
    ["scope Namespaced", rule(["*"], { scope: "Namespaced" }), { plural: "nodes", namespaced: false }, false],
    ["names", rule(["pods"], { resourceNames: ["a"] }), { plural: "pods", name: "b" }, false],
  ])("%s", (_, one, asked, expected) => {
    expect(matches({ rules: [one] }, asked)).toBe(expected);
  });

  test("what is excluded is", () => {
    expect(matches({ exclude: [rule(["pods"])] }, { plural: "pods" })).toBe(false);
  });
});

describe("selectors", () => {
  const prod = { matchLabels: { env: "prod" } };
  const test_ = { matchLabels: { env: "test" } };
  test.each<[string, Partial<Criteria>, Asked, boolean]>([
    ["the namespace's labels", { namespaceSelector: prod }, { plural: "pods" }, true],
    ["not those", { namespaceSelector: test_ }, { plural: "pods" }, false],
    ["none for what has no namespace", { namespaceSelector: test_ }, { plural: "nodes", namespaced: false }, true],
    [
      "a namespace's own",
      { namespaceSelector: test_ },
      { plural: "namespaces", namespaced: false, object: labelled({ env: "prod" }) },
      false,
    ],
    ["the object's labels", { objectSelector: prod }, { plural: "pods", object: labelled({ env: "prod" }) }, true],
    [
      "or those it had",
      { objectSelector: prod },
      { plural: "pods", object: labelled({}), old: labelled({ env: "prod" }) },
      true,
    ],
    ["nothing of either", { objectSelector: prod }, { plural: "pods", object: labelled({}) }, false],
  ])("%s", (_, criteria, asked, expected) => {
    expect(matches(criteria, asked)).toBe(expected);
  });
});

test("another version of the same kind is equivalent", () => {
  const v2 = { group: "autoscaling", version: "v2", plural: "horizontalpodautoscalers" } as ResourceDef;
  const v1 = { ...v2, version: "v1", view: { of: v2, toStored: (o) => o, fromStored: (o) => o } } as ResourceDef;
  const r = { ...request({ plural: "x" }), def: v1 };
  const rules = [rule(["horizontalpodautoscalers"], { apiGroups: ["autoscaling"], apiVersions: ["v2"] })];
  const equivalents = equivalentsIn(() => [v1, v2]);
  expect(matched({ rules }, r, view, equivalents)).toBe(v2);
  expect(matched({ rules, matchPolicy: "Exact" }, r, view, equivalents)).toBeUndefined();
});

test("what configures admission is exempt from it", () => {
  const asked = { group: "admissionregistration.k8s.io", plural: "mutatingwebhookconfigurations", namespaced: false };
  expect(isExempt(request(asked))).toBe(true);
  expect(isExempt(request({ plural: "pods" }))).toBe(false);
});
