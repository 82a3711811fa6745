import { describe, expect, test } from "@jest/globals";
import type { ApiObject } from "../../../api/object.ts";
import {
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
} from "../../../api/kinds/admissionregistration/admissionpolicy.ts";
import { namespaces } from "../../../api/kinds/core/namespace.ts";
import { configMaps } from "../../../api/kinds/core/configmap.ts";
import { deployments } from "../../../api/kinds/apps/deployment.ts";
import type { ResourceDef } from "../../../api/resource.ts";
import { ApiError } from "../../../api/status.ts";
import { expressionCheck } from "../expression-check.ts";
import { admit, type Asked, type Placed, request, viewOf } from "../testing/requests.ts";
import { validatingPolicy } from "./plugin.ts";

const def = deployments as unknown as ResourceDef;
const maps = configMaps as unknown as ResourceDef;
const plugin = validatingPolicy({ resources: () => [def, maps], equivalents: () => [] });

const rules = [
  { operations: ["CREATE", "UPDATE"], apiGroups: ["apps"], apiVersions: ["v1"], resources: ["deployments"] },
];
const policy = (validations: object[], rest: object = {}): Placed => [
  validatingAdmissionPolicies,
  { metadata: { name: "p" }, spec: { matchConstraints: { resourceRules: rules }, validations, ...rest } } as ApiObject,
];
const binding = (rest: object = {}): Placed => [
  validatingAdmissionPolicyBindings,
  { metadata: { name: "b" }, spec: { policyName: "p", validationActions: ["Deny"], ...rest } } as ApiObject,
];
const namespace: Placed = [namespaces, { metadata: { name: "default", labels: { env: "prod" } } }];
const params = (name: string, data: Record<string, string>, labels: Record<string, string> = {}): Placed => [
  maps,
  { metadata: { name, namespace: "default", labels }, data } as ApiObject,
];
const deployment = (replicas: number) =>
  ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "d", namespace: "default" },
    spec: { replicas },
  }) as ApiObject;
const ask = (asked: Partial<Asked> = {}) => ({
  ...request({ plural: "deployments", group: "apps", object: deployment(5), ...asked }),
  def,
});

const AT_MOST_3 = { expression: "object.spec.replicas <= 3" };
const DENIED = `deployments.apps "d" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: `;

describe("a policy", () => {
  test.each<[string, Placed[], string | undefined]>([
    ["that holds", [policy([{ expression: "object.spec.replicas <= 5" }]), binding()], undefined],
    ["that does not", [policy([AT_MOST_3]), binding()], `${DENIED}failed expression: object.spec.replicas <= 3`],
    ["with a message", [policy([{ ...AT_MOST_3, message: " too many " }]), binding()], `${DENIED}too many`],
    [
      "with a computed message",
      [policy([{ ...AT_MOST_3, message: "m", messageExpression: "'got ' + string(object.spec.replicas)" }]), binding()],
      `${DENIED}got 5`,
    ],
    [
      "whose computed message fails",
      [policy([{ ...AT_MOST_3, message: "m", messageExpression: "object.spec.nothing" }]), binding()],
      `${DENIED}m`,
    ],
    ["that nobody has bound", [policy([AT_MOST_3])], undefined],
    [
      "with variables",
      [
        policy([{ expression: "variables.twice < 8", messageExpression: "'twice is ' + string(variables.twice)" }], {
          variables: [
            { name: "n", expression: "object.spec.replicas" },
            { name: "twice", expression: "variables.n * 2" },
          ],
        }),
        binding(),
      ],
      `${DENIED}twice is 10`,
    ],
    [
      "of the namespace",
      [policy([{ expression: "namespaceObject.metadata.labels.env != 'prod'" }]), binding(), namespace],
      `${DENIED}failed expression: namespaceObject.metadata.labels.env != 'prod'`,
    ],
    [
      "of the request",
      [
        policy([
          { expression: "request.userInfo.username != 'alice' || request.operation != 'CREATE'", message: "not you" },
        ]),
        binding(),
      ],
      `${DENIED}not you`,
    ],
    [
      "of what the user may do, and he may not",
      [
        policy([
          {
            expression:
              "authorizer.group('apps').resource('deployments').namespace('default').check('scale').allowed()",
            message: "not yours to scale",
          },
        ]),
        binding(),
      ],
      `${DENIED}not yours to scale`,
    ],
    [
      "of what an account may do with this very object",
      [
        policy([
          {
            expression:
              "authorizer.serviceAccount('default', 'x').requestResource.check('get').allowed() || !authorizer.path('/healthz').check('get').allowed()",
          },
        ]),
        binding(),
      ],
      undefined,
    ],
    [
      "whose condition is false",
      [policy([AT_MOST_3], { matchConditions: [{ name: "c", expression: "object.spec.replicas > 9" }] }), binding()],
      undefined,
    ],
    [
      "that cannot be evaluated",
      [policy([{ expression: "object.spec.nothing > 1" }]), binding()],
      `${DENIED}expression 'object.spec.nothing > 1' resulted in error: no such key: nothing`,
    ],
    [
      "that cannot be evaluated, and need not",
      [policy([{ expression: "object.spec.nothing > 1" }], { failurePolicy: "Ignore" }), binding()],
      undefined,
    ],
    [
      "bound elsewhere",
      [
        policy([AT_MOST_3]),
        binding({ matchResources: { namespaceSelector: { matchLabels: { env: "test" } } } }),
        namespace,
      ],
      undefined,
    ],
    [
      "bound here",
      [
        policy([AT_MOST_3]),
        binding({ matchResources: { namespaceSelector: { matchLabels: { env: "prod" } } } }),
        namespace,
      ],
      `${DENIED}failed expression: object.spec.replicas <= 3`,
    ],
  ])("%s", async (_, cluster, refused) => {
    expect(await admit(plugin, ask(), viewOf(...cluster))).toBe(refused);
  });

  test("refuses with the reason it gives", async () => {
    const refuse = async (reason?: string) => {
      const view = viewOf(policy([{ ...AT_MOST_3, ...(reason && { reason }) }]), binding());
      try {
        await plugin.validate?.(ask(), view, 1);
        return undefined;
      } catch (error) {
        return error instanceof ApiError ? { code: error.code, reason: error.reason } : error;
      }
    };
    expect(await refuse()).toEqual({ code: 422, reason: "Invalid" });
    expect(await refuse("Forbidden")).toEqual({ code: 403, reason: "Forbidden" });
  });

  test("warns, where its binding says so", async () => {
    const r = ask();
    const view = viewOf(policy([AT_MOST_3]), binding({ validationActions: ["Warn", "Audit"] }));
    expect(await admit(plugin, r, view)).toBeUndefined();
    expect(r.warnings).toEqual([
      "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': failed expression: object.spec.replicas <= 3",
    ]);
  });

  test("sees what was before", async () => {
    const view = viewOf(
      policy([{ expression: "object.spec.replicas >= oldObject.spec.replicas", message: "never fewer" }]),
      binding(),
    );
    expect(await admit(plugin, ask({ operation: "UPDATE", old: deployment(6) }), view)).toBe(`${DENIED}never fewer`);
    expect(await admit(plugin, ask({ operation: "UPDATE", old: deployment(5) }), view)).toBeUndefined();
  });
});

describe("parameters", () => {
  const limited = policy(
    [{ expression: "object.spec.replicas <= int(params.data.max)", messageExpression: "'max ' + params.data.max" }],
    {
      paramKind: { apiVersion: "v1", kind: "ConfigMap" },
    },
  );
  const bound = (paramRef: object) => binding({ paramRef });
  test.each<[string, Placed[], string | undefined]>([
    ["by name", [bound({ name: "small" }), params("small", { max: "3" })], `${DENIED}max 3`],
    ["by name, wide enough", [bound({ name: "big" }), params("big", { max: "30" })], undefined],
    [
      "all that a selector finds",
      [
        bound({ selector: { matchLabels: { a: "b" } } }),
        params("big", { max: "30" }, { a: "b" }),
        params("small", { max: "4" }, { a: "b" }),
      ],
      `${DENIED}max 4`,
    ],
    ["that are not there, allowed", [bound({ name: "none", parameterNotFoundAction: "Allow" })], undefined],
    [
      "that are not there, denied",
      [bound({ name: "none", parameterNotFoundAction: "Deny" })],
      `${DENIED}failed to configure binding: no params found for policy binding with \`Deny\` parameterNotFoundAction`,
    ],
  ])("%s", async (_, cluster, refused) => {
    expect(await admit(plugin, ask(), viewOf(limited, ...cluster))).toBe(refused);
  });

  test("of an unknown kind are a mistake of the policy", async () => {
    const unknown = policy([AT_MOST_3], { paramKind: { apiVersion: "x.io/v1", kind: "Widget" } });
    expect(await admit(plugin, ask(), viewOf(unknown, bound({ name: "w" })))).toBe(
      `${DENIED}failed to configure binding: paramKind kind \`x.io/v1, Kind=Widget\` not known`,
    );
  });
});

describe("expressions", () => {
  const write = (plural: string, object: object, old?: object) =>
    admit(
      expressionCheck,
      request({
        group: "admissionregistration.k8s.io",
        kind: "K",
        plural,
        namespaced: false,
        operation: old ? "UPDATE" : "CREATE",
        object: { metadata: { name: "p" }, ...object } as ApiObject,
        ...(old && { old: { metadata: { name: "p" }, ...old } as ApiObject }),
      }),
      viewOf(),
    );

  test("that are none are refused where they are written", async () => {
    const spec = {
      validations: [{ expression: "object.spec.replicas >", messageExpression: "1 + 1" }],
      matchConditions: [{ name: "m", expression: "'text'" }],
      variables: [{ name: "v", expression: "nobody.knows" }],
    };
    const refused = await write("validatingadmissionpolicies", { spec });
    expect(refused).toMatch(/^K.admissionregistration.k8s.io "p" is invalid: \[/);
    for (const field of [
      "validations[0].expression",
      "validations[0].messageExpression",
      "matchConditions[0].expression",
      "variables[0].expression",
    ]) {
      expect(refused).toContain(`spec.${field}: Invalid value: `);
    }
    expect(await write("validatingadmissionpolicies", { spec: { ...spec, paramKind: {} } }, { spec })).toBeUndefined();
  });

  test("of webhooks too", async () => {
    const webhooks = [
      {
        matchConditions: [
          { name: "m", expression: "request.userInfo.username" },
          { name: "n", expression: "size(1)" },
        ],
      },
    ];
    const refused = await write("mutatingwebhookconfigurations", { webhooks });
    expect(refused).toContain("webhooks[0].matchConditions[1].expression: Invalid value: ");
    expect(refused).not.toContain("matchConditions[0]");
  });
});
