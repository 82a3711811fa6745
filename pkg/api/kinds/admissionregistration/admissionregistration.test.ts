import { describe, expect, test } from "@jest/globals";
import type { ApiObject } from "../../object.ts";
import type { ResourceDef } from "../../resource.ts";
import { complaints, created, headings, row } from "../testing/writes.ts";
import {
  mutatingAdmissionPolicies,
  mutatingAdmissionPolicyBindings,
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
} from "./admissionpolicy.ts";
import { mutatingWebhookConfigurations, validatingWebhookConfigurations } from "./webhookconfiguration.ts";

const named = (rest: object) => ({ metadata: { name: "x" }, ...rest });
const rule = { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] };
const webhook = {
  name: "pods.example.com",
  sideEffects: "None",
  admissionReviewVersions: ["v1"],
  clientConfig: { service: { name: "hook", namespace: "default" } },
  rules: [rule],
};
const hooks = (more: object = {}) =>
  created(validatingWebhookConfigurations, named({ webhooks: [{ ...webhook, ...more }] }));
const policySpec = { matchConstraints: { resourceRules: [rule] }, validations: [{ expression: "true" }] };
const policy = (more: object = {}) => created(validatingAdmissionPolicies, named({ spec: { ...policySpec, ...more } }));
const mutatingSpec = {
  matchConstraints: { resourceRules: [rule] },
  reinvocationPolicy: "Never",
  mutations: [{ patchType: "JSONPatch", jsonPatch: { expression: "[]" } }],
};
const bindingSpec = { policyName: "x", validationActions: ["Deny"] };
const bind = (more: object = {}) =>
  created(validatingAdmissionPolicyBindings, named({ spec: { ...bindingSpec, ...more } }));

describe("defaults", () => {
  test("of webhooks: all namespaces, all objects, and a failure is a no", () => {
    expect(hooks().webhooks?.[0]).toEqual({
      ...webhook,
      failurePolicy: "Fail",
      matchPolicy: "Equivalent",
      namespaceSelector: {},
      objectSelector: {},
      timeoutSeconds: 10,
      clientConfig: { service: { name: "hook", namespace: "default", port: 443 } },
      rules: [{ ...rule, scope: "*" }],
    });
    const mutating = created(mutatingWebhookConfigurations, named({ webhooks: [webhook] }));
    expect(mutating.webhooks?.[0]?.reinvocationPolicy).toBe("Never");
  });

  test("of policies: the same", () => {
    expect(policy().spec).toMatchObject({
      failurePolicy: "Fail",
      matchConstraints: { matchPolicy: "Equivalent", namespaceSelector: {}, resourceRules: [{ scope: "*" }] },
    });
  });
});

describe("what kubectl get shows", () => {
  /** A good one is accepted, and looks like this. */
  function shows<T extends ApiObject>(def: ResourceDef<T>, rest: object, heads: string, cells: unknown[]) {
    test(`of ${def.plural}: ${cells.join(" ")}`, () => {
      const o = created(def, named(rest));
      expect(complaints(def, o)).toEqual([]);
      expect(headings(def)).toBe(heads);
      expect(row(def, o)).toEqual(cells);
    });
  }
  const paramKind = { apiVersion: "rules.example.com/v1", kind: "ReplicaLimit" };
  const paramRef = (ref: object) => ({ paramRef: { parameterNotFoundAction: "Deny", ...ref } });
  const bindings = "Name PolicyName ParamRef Age";
  shows(validatingWebhookConfigurations, { webhooks: [webhook] }, "Name Webhooks Age", ["x", 1, "60m"]);
  shows(mutatingWebhookConfigurations, {}, "Name Webhooks Age", ["x", 0, "60m"]);
  shows(validatingAdmissionPolicies, { spec: policySpec }, "Name Validations ParamKind Age", [
    "x",
    1,
    "<unset>",
    "60m",
  ]);
  shows(mutatingAdmissionPolicies, { spec: { ...mutatingSpec, paramKind } }, "Name Mutations ParamKind Age", [
    "x",
    1,
    "rules.example.com/v1/ReplicaLimit",
    "60m",
  ]);
  shows(validatingAdmissionPolicyBindings, { spec: bindingSpec }, bindings, ["x", "x", "<unset>", "60m"]);
  const byName = { ...bindingSpec, ...paramRef({ name: "p" }) };
  shows(validatingAdmissionPolicyBindings, { spec: byName }, bindings, ["x", "x", "*/p", "60m"]);
  const bySelector = { policyName: "x", ...paramRef({ selector: { matchLabels: { a: "b" } } }) };
  shows(mutatingAdmissionPolicyBindings, { spec: bySelector }, bindings, ["x", "x", "a=b", "60m"]);
});

describe("webhooks are refused", () => {
  const url = (text: string) => ({ clientConfig: { url: text } });
  const service = (more: object) => ({ clientConfig: { service: { name: "h", namespace: "n", ...more } } });
  const rules = (more: object) => ({ rules: [{ ...rule, ...more }] });
  test.each<[object, string]>([
    [url("https://example.com:8443/validate"), ""],
    [{ name: "hook" }, 'webhooks[0].name: Invalid value: "hook": should be a domain with at least three segments'],
    [{ name: undefined }, "webhooks[0].name: Required value"],
    [{ sideEffects: undefined }, "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun"],
    [
      { sideEffects: "Some" },
      'webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"',
    ],
    [{ admissionReviewVersions: [] }, "admissionReviewVersions: Required value: must specify one of v1, v1beta1"],
    [
      { admissionReviewVersions: ["v2"] },
      'admissionReviewVersions: Invalid value: ["v2"]: must include at least one of v1, v1beta1',
    ],
    [{ admissionReviewVersions: ["v1", "v1"] }, 'admissionReviewVersions[1]: Invalid value: "v1": duplicate version'],
    [
      { timeoutSeconds: 31 },
      "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
    ],
    [
      { failurePolicy: "Retry" },
      'webhooks[0].failurePolicy: Unsupported value: "Retry": supported values: "Fail", "Ignore"',
    ],
    [{ clientConfig: {} }, "webhooks[0].clientConfig: Required value: exactly one of url or service is required"],
    [url("http://example.com"), "'https' is the only allowed URL scheme; desired format: https://host[/path]"],
    [url("https:///x"), "host must be specified"],
    [url("https://me@example.com"), "user information is not permitted in the URL"],
    [url("https://example.com#a"), "fragments are not permitted in the URL"],
    [url("https://example.com?a=b"), "query parameters are not permitted in the URL"],
    [service({ name: "" }), "clientConfig.service.name: Required value: service name is required"],
    [service({ path: "x" }), "must start with a '/'"],
    [service({ path: "/a//b" }), "segment[1] may not be empty"],
    [service({ port: 70000 }), "port is not valid: must be between 1 and 65535, inclusive"],
    [rules({ operations: [] }), "webhooks[0].rules[0].operations: Required value"],
    [rules({ operations: ["*", "CREATE"] }), "if '*' is present, must not specify other operations"],
    [rules({ operations: ["PATCH"] }), 'operations[0]: Unsupported value: "PATCH"'],
    [rules({ apiGroups: ["*", "apps"] }), "if '*' is present, must not specify other API groups"],
    [rules({ resources: ["*", "pods"] }), "if '*' is present, must not specify other resources without subresources"],
    [rules({ resources: ["pods/*", "pods/log"] }), "if 'pods/*' is present, must not specify pods/log"],
    [rules({ resources: ["*/*", "pods"] }), "if '*/*' is present, must not specify other resources"],
    [rules({ scope: "Any" }), 'scope: Unsupported value: "Any": supported values: "*", "Cluster", "Namespaced"'],
    [{ matchConditions: [{ name: "a", expression: " " }] }, "matchConditions[0].expression: Required value"],
  ])("%j: %s", (bad, message) => {
    const said = complaints(validatingWebhookConfigurations, hooks(bad)).join("\n");
    expect(message === "" ? said === "" : said.includes(message)).toBe(true);
  });

  test("for a name that is taken", () => {
    const o = created(mutatingWebhookConfigurations, named({ webhooks: [webhook, webhook] }));
    expect(complaints(mutatingWebhookConfigurations, o)).toEqual([
      'webhooks[1].name: Duplicate value: "pods.example.com"',
    ]);
  });
});

describe("policies are refused", () => {
  test.each<[object, string]>([
    [{ matchConstraints: undefined }, "spec.matchConstraints: Required value"],
    [{ matchConstraints: {} }, "spec.matchConstraints.resourceRules: Required value"],
    [
      { validations: [] },
      "spec.validations: Required value: validations or auditAnnotations must contain at least one item",
    ],
    [{ validations: [{}] }, "spec.validations[0].expression: Required value: expression is not specified"],
    [{ validations: [{ expression: "true", message: "a\nb" }] }, "message must not contain line breaks"],
    [{ validations: [{ expression: "true", reason: "No" }] }, 'reason: Unsupported value: "No"'],
    [{ variables: [{ name: "for", expression: "1" }] }, "name is not a valid CEL identifier"],
    [{ paramKind: { apiVersion: "a/b/c", kind: "K" } }, "unexpected GroupVersion string: a/b/c"],
    [{ auditAnnotations: [{ key: "k" }] }, "valueExpression: Required value: valueExpression is not specified"],
  ])("%j: %s", (bad, message) => {
    expect(complaints(validatingAdmissionPolicies, policy(bad)).join("\n")).toContain(message);
  });

  test.each<[object, string]>([
    [{ mutations: [] }, "spec.mutations: Required value: mutations must contain at least one item"],
    [{ mutations: [{ patchType: "JSONPatch" }] }, "spec.mutations[0].jsonPatch: Required value"],
    [
      { mutations: [{ patchType: "Merge" }] },
      'spec.mutations[0].patchType: Unsupported value: "Merge": supported values: "ApplyConfiguration", "JSONPatch"',
    ],
    [
      { reinvocationPolicy: "Always" },
      'spec.reinvocationPolicy: Unsupported value: "Always": supported values: "IfNeeded", "Never"',
    ],
  ])("that mutate: %j: %s", (bad, message) => {
    const o = created(mutatingAdmissionPolicies, named({ spec: { ...mutatingSpec, ...bad } }));
    expect(complaints(mutatingAdmissionPolicies, o).join("\n")).toContain(message);
  });

  test.each<[object, string]>([
    [{ policyName: "" }, "spec.policyName: Required value"],
    [{ validationActions: [] }, "spec.validationActions: Required value: at least one validation action is required"],
    [{ validationActions: ["Deny", "Warn"] }, "must not contain both Deny and Warn"],
    [
      { validationActions: ["Log"] },
      'spec.validationActions[0]: Unsupported value: "Log": supported values: "Audit", "Deny", "Warn"',
    ],
    [
      { paramRef: { parameterNotFoundAction: "Deny" } },
      "spec.paramRef: Required value: one of name or selector must be specified",
    ],
    [
      { paramRef: { name: "p", selector: {} } },
      "spec.paramRef.name: Forbidden: name and selector are mutually exclusive",
    ],
    [{ paramRef: { name: "p" } }, "spec.paramRef.parameterNotFoundAction: Required value"],
  ])("by their bindings: %j: %s", (bad, message) => {
    expect(complaints(validatingAdmissionPolicyBindings, bind(bad)).join("\n")).toContain(message);
  });
});
