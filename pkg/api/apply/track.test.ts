import { describe, expect, test } from "@jest/globals";
import {
  apply,
  configMaps,
  DATA,
  DEPLOYMENT,
  deployments,
  fields,
  managers,
  NOW,
  refusal,
  update,
  yaml,
} from "./testing-kinds.ts";

describe("ownership", () => {
  test("of an applied Deployment is what it says, in Kubernetes' form", () => {
    const made = apply(deployments, undefined, DEPLOYMENT);
    expect(made.metadata.managedFields).toEqual([
      {
        manager: "m",
        operation: "Apply",
        apiVersion: "apps/v1",
        time: "2026-01-01T00:00:00Z",
        fieldsType: "FieldsV1",
        fieldsV1: {
          "f:metadata": { "f:labels": { "f:app": {} } },
          "f:spec": {
            "f:replicas": {},
            "f:selector": {},
            "f:template": {
              "f:metadata": { "f:labels": { "f:app": {} } },
              "f:spec": {
                "f:containers": {
                  'k:{"name":"web"}': {
                    ".": {},
                    "f:env": { 'k:{"name":"A"}': { ".": {}, "f:name": {}, "f:value": {} } },
                    "f:image": {},
                    "f:name": {},
                    "f:ports": { 'k:{"containerPort":80,"protocol":"TCP"}': { ".": {}, "f:containerPort": {} } },
                  },
                },
                "f:nodeSelector": {},
                "f:tolerations": {},
              },
            },
          },
        },
      },
    ]);
  });

  test("of a created one also names the maps and lists that came to be, as kubectl create shows them", () => {
    const made = update(deployments, undefined, yaml(DEPLOYMENT), { manager: "kubectl-create" });
    expect(made.metadata.managedFields?.[0]?.fieldsV1).toMatchObject({
      "f:metadata": { "f:labels": { ".": {}, "f:app": {} } },
      "f:spec": {
        "f:template": {
          "f:spec": {
            "f:containers": {
              'k:{"name":"web"}': {
                ".": {},
                "f:ports": { ".": {}, 'k:{"containerPort":80,"protocol":"TCP"}': { ".": {}, "f:containerPort": {} } },
              },
            },
          },
        },
      },
    });
    const spec = fields(made, "kubectl-create")["f:spec"] ?? {};
    expect(Object.keys(spec)).toEqual(["f:replicas", "f:selector", "f:template"]);
    const reported = update(deployments, undefined, { ...yaml(DEPLOYMENT), status: { replicas: 1 } });
    expect(fields(reported, "u")).not.toHaveProperty("f:status");
  });

  test("status belongs to its own entry, and applying the object does not touch it", () => {
    const made = apply(deployments, undefined, `${DEPLOYMENT}status: {replicas: 7}`);
    expect(made).not.toHaveProperty("status");
    const status = { status: { replicas: 1, conditions: [{ type: "Available", status: "True" }] } };
    const ran = update(deployments, made, { ...made, ...status }, { manager: "ctrl", subresource: "status" });
    expect(ran.metadata.managedFields).toHaveLength(2);
    expect(ran.metadata.managedFields?.[1]).toMatchObject({
      manager: "ctrl",
      operation: "Update",
      subresource: "status",
      fieldsV1: {
        "f:status": {
          "f:replicas": {},
          "f:conditions": { ".": {}, 'k:{"type":"Available"}': { ".": {}, "f:status": {}, "f:type": {} } },
        },
      },
    });
    const again = apply(deployments, ran, `${DEPLOYMENT}status: {replicas: 7}`);
    expect(again).toEqual(ran);
    const applied = apply(deployments, ran, `${DEPLOYMENT}status: {replicas: 3}`, {
      subresource: "status",
      force: true,
    });
    expect(applied).toMatchObject({ spec: { replicas: 2 }, status: { replicas: 3 } });
    expect(fields(applied, "ctrl")).not.toMatchObject({ "f:status": { "f:replicas": {} } });
  });

  test("ends when somebody else changes the value, not when they write the same one", () => {
    const made = apply(configMaps, undefined, DATA("{a: '1', b: '2'}"));
    const changed = update(configMaps, made, { ...made, data: { a: "1", b: "3" } }, { now: NOW + 5000 });
    expect(fields(changed, "m")).toEqual({ "f:data": { "f:a": {} } });
    expect(fields(changed, "u")).toEqual({ "f:data": { "f:b": {} } });
    expect(changed.metadata.managedFields?.[0]?.time).toBe("2026-01-01T00:00:00Z");
    expect(changed.metadata.managedFields?.[1]?.time).toBe("2026-01-01T00:00:05Z");
  });
});

test("of twelve updaters the nine youngest are told apart; the others become ancient-changes", () => {
  let live = update(configMaps, undefined, { metadata: { name: "c" }, data: { k0: "x" } }, { manager: "u0" });
  for (let i = 1; i <= 11; i++) {
    const { data } = live as unknown as { data: object };
    const next = { ...live, data: { ...data, [`k${i}`]: "x" } };
    live = update(configMaps, live, next, { manager: `u${i}`, now: NOW + i * 1000 });
  }
  const young = ["u3", "u4", "u5", "u6", "u7", "u8", "u9", "u10", "u11"];
  expect(managers(live)).toEqual(["ancient-changes", ...young].map((m) => `${m} Update`));
  expect(fields(live, "ancient-changes")).toMatchObject({ "f:data": { "f:k0": {}, "f:k1": {}, "f:k2": {} } });
});

describe("what a client says of managedFields", () => {
  const live = apply(configMaps, undefined, DATA("{a: '1'}"), { manager: "kubectl" });
  const entry = { manager: "other", operation: "Apply", apiVersion: "v1", fieldsType: "FieldsV1" };
  test.each<[string, unknown, string[]]>([
    ["nothing keeps them", undefined, ["kubectl Apply"]],
    ["an empty list forgets them", [], []],
    ["a list of an empty entry, too", [{}], []],
    ["another list counts", [{ ...entry, fieldsV1: { "f:data": { "f:a": {} } } }], ["other Apply"]],
    ["one that cannot be read does not", [{ ...entry, fieldsV1: { data: {} } }], ["kubectl Apply"]],
    ["nor one of an unknown operation", [{ ...entry, operation: "Guess", fieldsV1: {} }], ["kubectl Apply"]],
    ["nor one of an unknown form", [{ ...entry, fieldsType: "FieldsV2", fieldsV1: {} }], ["kubectl Apply"]],
  ])("%s", (_, managedFields, owners) => {
    const next = { ...live, metadata: { ...live.metadata, managedFields } };
    expect(managers(update(configMaps, live, next))).toEqual(owners);
    const throughStatus = update(configMaps, live, next, { subresource: "status" });
    expect(managers(throughStatus)).toEqual(["kubectl Apply"]);
  });

  test("an object without owners is tracked again when it is applied", () => {
    const { managedFields: _, ...metadata } = live.metadata;
    const forgotten = { ...live, metadata };
    const changed = update(configMaps, forgotten, { ...forgotten, data: { a: "2" } });
    expect(managers(changed)).toEqual([]);
    expect(managers(apply(configMaps, changed, DATA("{b: '1'}")))).toEqual(["m Apply", "before-first-apply Update"]);
    expect(refusal(() => apply(configMaps, changed, DATA("{a: '3'}"))).message).toBe(
      'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a',
    );
  });
});
