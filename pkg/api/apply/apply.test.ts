import { describe, expect, test } from "@jest/globals";
import type { ApiObject } from "../object.ts";
import type { Apply } from "./apply.ts";
import { merge } from "./merge.ts";
import { THING } from "./testing.ts";
import {
  apply,
  configMaps,
  DATA,
  DEPLOYMENT,
  deployments,
  fields,
  managers,
  pods,
  refusal,
  services,
  update,
  yaml,
} from "./testing-kinds.ts";

describe("conflicts", () => {
  const created = update(deployments, undefined, yaml(DEPLOYMENT), { manager: "kubectl-client-side-apply" });

  test("one is said in one line, with its cause", () => {
    const error = refusal(() => apply(deployments, created, DEPLOYMENT.replace("replicas: 2", "replicas: 3")));
    expect(error.message).toBe(
      'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas',
    );
    expect(error.toStatus()).toMatchObject({
      code: 409,
      reason: "Conflict",
      details: {
        causes: [
          {
            reason: "FieldManagerConflict",
            message: 'conflict with "kubectl-client-side-apply" using apps/v1',
            field: ".spec.replicas",
          },
        ],
      },
    });
  });

  test("several are listed by manager", () => {
    const scaled = update(
      deployments,
      created,
      { ...created, spec: { ...(created as { spec?: object }).spec, replicas: 5 } },
      {
        manager: "hpa",
        subresource: "scale",
      },
    );
    const wanted = DEPLOYMENT.replace("nginx", "nginx:2").replace('value: "1"', 'value: "2"');
    const message = `Apply failed with 3 conflicts: conflicts with "hpa" with subresource "scale" using apps/v1:
- .spec.replicas
conflicts with "kubectl-client-side-apply" using apps/v1:
- .spec.template.spec.containers[name="web"].env[name="A"].value
- .spec.template.spec.containers[name="web"].image`;
    expect(refusal(() => apply(deployments, scaled, wanted)).message).toBe(message);
  });

  test("by force, the fields change hands", () => {
    const next = apply(deployments, created, DEPLOYMENT.replace("nginx", "nginx:2"), { force: true });
    expect(JSON.stringify(fields(next, "kubectl-client-side-apply"))).not.toContain("f:image");
    expect(JSON.stringify(fields(next, "m"))).toContain("f:image");
  });

  test("kubectl takes over what it applied on the client's side, and nothing else", () => {
    const last = JSON.stringify({ ...yaml(DEPLOYMENT), metadata: { name: "web" } });
    const annotations = { "kubectl.kubernetes.io/last-applied-configuration": last };
    const noted = { ...created, metadata: { ...created.metadata, annotations } };
    const next = apply(deployments, noted, DEPLOYMENT.replace("replicas: 2", "replicas: 3"), { manager: "kubectl" });
    expect(next).toMatchObject({ spec: { replicas: 3 } });
    const text = next.metadata.annotations?.["kubectl.kubernetes.io/last-applied-configuration"] ?? "";
    expect(JSON.parse(text)).toMatchObject({ spec: { replicas: 3 }, metadata: { annotations: {} } });
    const changed = update(deployments, noted, {
      ...noted,
      spec: { ...(noted as { spec?: object }).spec, replicas: 9 },
    });
    expect(refusal(() => apply(deployments, changed, DEPLOYMENT, { manager: "kubectl" })).message).toContain(
      'conflict with "u" using apps/v1: .spec.replicas',
    );
  });
});

describe("removal", () => {
  const two = DATA("{a: '1', b: '2'}");

  test("what only this manager applied goes when it is applied no more", () => {
    expect(apply(configMaps, apply(configMaps, undefined, two), DATA("{a: '1'}"))).toMatchObject({ data: { a: "1" } });
    expect(apply(configMaps, apply(configMaps, undefined, two), DATA("null"))).not.toHaveProperty("data.a");
  });

  test("what another manager owns, too, stays with that one", () => {
    const shared = apply(configMaps, apply(configMaps, undefined, two), two, { manager: "n" });
    const next = apply(configMaps, shared, DATA("{a: '1'}"));
    expect(next).toMatchObject({ data: { a: "1", b: "2" } });
    expect(fields(next, "m")).toEqual({ "f:data": { "f:a": {} } });
  });

  test("an item goes with all that is in it, whoever owns parts of it", () => {
    const made = apply(
      deployments,
      undefined,
      DEPLOYMENT.replace("containers:", "containers:\n      - {name: side, image: a}"),
    );
    const spec = (made as unknown as { spec: { template: { spec: { containers: { image: string }[] } } } }).spec;
    const changed = structuredClone({ ...made, spec });
    const [side] = changed.spec.template.spec.containers;
    if (side) side.image = "b";
    const next = apply(deployments, update(deployments, made, changed), DEPLOYMENT);
    expect(next).toMatchObject({ spec: { template: { spec: { containers: [{ name: "web" }] } } } });
    expect(managers(next)).toEqual(["m Apply"]);
  });

  test("defaults within a struct go with the last field that was applied", () => {
    const strategy = "spec:\n  strategy: {type: RollingUpdate}\n  replicas: 1\n";
    const head = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n";
    const made = apply(deployments, undefined, head + strategy);
    const defaulted = {
      ...made,
      spec: { replicas: 1, strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1 } } },
    };
    const next = apply(deployments, defaulted as ApiObject, `${head}spec: {replicas: 1}`);
    expect(next).toEqual(expect.not.objectContaining({ strategy: expect.anything() }));
    expect(next).toMatchObject({ spec: { replicas: 1 } });
    expect(next).not.toHaveProperty("spec.strategy");
  });
});

describe("what cannot be applied", () => {
  const ports = (text: string) =>
    `{apiVersion: v1, kind: Service, metadata: {name: s, namespace: d}, spec: {ports: ${text}}}`;
  test.each<[string, Apply["def"], string, number, string]>([
    [
      "an unknown field",
      deployments,
      DEPLOYMENT.replace("image: nginx", "imagee: nginx"),
      500,
      'failed to create typed patch object (default/web; apps/v1, Kind=Deployment): .spec.template.spec.containers[name="web"].imagee: field not declared in schema',
    ],
    [
      "the same item twice",
      services,
      ports("[{port: 80}, {port: 80, protocol: TCP}]"),
      500,
      'failed to create typed patch object (d/s; /v1, Kind=Service): .spec.ports: duplicate entries for key [port=80,protocol="TCP"]',
    ],
    [
      "an item without a key",
      pods,
      "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: d}, spec: {containers: [{image: a}]}}",
      500,
      'failed to create typed patch object (d/p; /v1, Kind=Pod): .spec.containers: element 0: associative list with keys has an element that omits all key fields ["name"] (and doesn\'t have default values for any key fields)',
    ],
    [
      "several errors",
      services,
      "{apiVersion: v1, kind: Service, metadata: {name: s, namespace: d}, spec: {ports: x, foo: 1}}",
      500,
      "failed to create typed patch object (d/s; /v1, Kind=Service): errors:\n  .spec.ports: expected list, got &{x}\n  .spec.foo: field not declared in schema",
    ],
    ["another kind", services, DATA("{}"), 400, "invalid object type: /v1, Kind=ConfigMap"],
    [
      "another version",
      configMaps,
      "{apiVersion: v2, kind: ConfigMap}",
      400,
      "invalid object type: /v2, Kind=ConfigMap",
    ],
    ["no kind", configMaps, "{metadata: {name: c}}", 400, "invalid object type: /, Kind="],
    [
      "managedFields",
      configMaps,
      "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, managedFields: []}}",
      400,
      "metadata.managedFields must be nil",
    ],
  ])("%s", (_, def, text, code, message) => {
    const error = refusal(() => apply(def, undefined, text));
    expect(error.message).toBe(message);
    expect(error.code).toBe(code);
  });
});

describe("lists", () => {
  const order = (live: string, applied: string) => {
    const list = (names: string) => ({ spec: { items: names.split("").map((name) => ({ name })) } });
    const merged = merge(THING, list(live), list(applied)) as { spec: { items: { name: string }[] } };
    return merged.spec.items.map((i) => i.name).join("");
  };
  // As structured-merge-diff orders them.
  test.each([
    ["abc", "", "abc"],
    ["", "abc", "abc"],
    ["abc", "abc", "abc"],
    ["abc", "de", "abcde"],
    ["abc", "cba", "cba"],
    ["abc", "ca", "bca"],
    ["abc", "dc", "abdc"],
    ["abc", "ad", "abcd"],
    ["abcde", "ec", "abdec"],
    ["ab", "xaybz", "xaybz"],
    ["1a2b3", "b4a5", "12b34a5"],
  ])("%s and %s make %s", (live, applied, merged) => {
    expect(order(live, applied)).toBe(merged);
  });
});
