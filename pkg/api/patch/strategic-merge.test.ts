import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { applyStrategicMergePatch } from "./strategic-merge.ts";

type Json = Record<string, unknown>;

const pod = (spec: Json): Json => ({ metadata: { name: "p" }, spec });
const patched = (spec: Json, patch: Json) =>
  (applyStrategicMergePatch(pod(spec), { spec: patch }, "Pod") as { spec: Json }).spec;

const a = { name: "a", image: "a:1", env: [{ name: "X", value: "1" }] };
const b = { name: "b", image: "b:1" };
const c = { name: "c", image: "c:1" };

describe("what merges how", () => {
  test.each<[string, Json, Json, Json]>([
    [
      "scalars are replaced, null deletes",
      { nodeName: "n", hostname: "h" },
      { nodeName: "m", hostname: null },
      { nodeName: "m" },
    ],
    ["null for what is not there is nothing", {}, { hostname: null }, {}],
    [
      "maps merge",
      { nodeSelector: { x: "1", y: "2" } },
      { nodeSelector: { y: null, z: "3" } },
      { nodeSelector: { x: "1", z: "3" } },
    ],
    [
      "items merge by name",
      { containers: [a, b] },
      { containers: [{ name: "b", image: "b:2" }] },
      { containers: [a, { ...b, image: "b:2" }] },
    ],
    [
      "items merge at depth",
      { containers: [a] },
      { containers: [{ name: "a", env: [{ name: "X", value: "2" }] }] },
      { containers: [{ ...a, env: [{ name: "X", value: "2" }] }] },
    ],
    ["a new item comes first, as upstream", { containers: [a] }, { containers: [b] }, { containers: [b, a] }],
    [
      "other lists are replaced",
      { containers: [{ ...a, command: ["x", "y"] }] },
      { containers: [{ name: "a", command: ["z"] }] },
      { containers: [{ ...a, command: ["z"] }] },
    ],
    [
      "tolerations have no key and are replaced",
      { tolerations: [{ key: "a" }] },
      { tolerations: [{ key: "b" }] },
      { tolerations: [{ key: "b" }] },
    ],
    [
      "a new object loses its nulls",
      {},
      { securityContext: { runAsUser: null, fsGroup: 1 } },
      { securityContext: { fsGroup: 1 } },
    ],
    ["another type replaces", { nodeName: "x" }, { nodeName: { a: 1 } }, { nodeName: { a: 1 } }],
    [
      "what the schema does not know is replaced or merged",
      { x: { l: [1, 2], k: 1 } },
      { x: { l: [3] } },
      { x: { l: [3], k: 1 } },
    ],
  ])("%s", (_, spec, patch, expected) => {
    expect(patched(spec, patch)).toEqual(expected);
  });
});

describe("directives", () => {
  test.each<[string, Json, Json, Json]>([
    ["delete an item", { containers: [a, b] }, { containers: [{ name: "a", $patch: "delete" }] }, { containers: [b] }],
    [
      "delete what is not there",
      { containers: [a] },
      { containers: [{ name: "z", $patch: "delete" }] },
      { containers: [a] },
    ],
    ["replace a list", { containers: [a, b] }, { containers: [{ $patch: "replace" }, c] }, { containers: [c] }],
    [
      "replace an object",
      { securityContext: { fsGroup: 1 } },
      { securityContext: { $patch: "replace", runAsUser: 2 } },
      { securityContext: { runAsUser: 2 } },
    ],
    [
      "empty an object",
      { securityContext: { fsGroup: 1 } },
      { securityContext: { $patch: "delete" } },
      { securityContext: {} },
    ],
    [
      "merge, said aloud",
      { securityContext: { fsGroup: 1 } },
      { securityContext: { $patch: "merge", runAsUser: 2 } },
      { securityContext: { fsGroup: 1, runAsUser: 2 } },
    ],
    [
      "replace an item",
      { containers: [a, b] },
      { containers: [{ name: "a", $patch: "delete" }, c] },
      { containers: [c, b] },
    ],
    [
      "retainKeys of a volume",
      { volumes: [{ name: "v", emptyDir: {} }] },
      { volumes: [{ $retainKeys: ["name", "hostPath"], name: "v", hostPath: { path: "/x" } }] },
      { volumes: [{ name: "v", hostPath: { path: "/x" } }] },
    ],
    [
      "order without changes",
      { containers: [a, b, c] },
      { "$setElementOrder/containers": [{ name: "c" }, { name: "a" }, { name: "b" }] },
      { containers: [c, a, b] },
    ],
    [
      "order with a new item between",
      { containers: [a, c] },
      { "$setElementOrder/containers": [{ name: "a" }, { name: "b" }, { name: "c" }], containers: [b] },
      { containers: [a, b, c] },
    ],
    [
      "the server's own item keeps its place",
      { containers: [a, { name: "injected" }, b] },
      { "$setElementOrder/containers": [{ name: "a" }, { name: "c" }, { name: "b" }], containers: [c] },
      { containers: [a, c, { name: "injected" }, b] },
    ],
    ["order for a list that is not there", {}, { "$setElementOrder/containers": [{ name: "a" }] }, {}],
    [
      "order and delete",
      { containers: [a, b] },
      { "$setElementOrder/containers": [{ name: "b" }], containers: [{ name: "a", $patch: "delete" }] },
      { containers: [b] },
    ],
    [
      "directives leave no trace in new values",
      {},
      {
        volumes: [
          { $retainKeys: ["name"], name: "v" },
          { name: "w", $patch: "delete" },
        ],
      },
      { volumes: [{ name: "v" }] },
    ],
  ])("%s", (_, spec, patch, expected) => {
    expect(patched(spec, patch)).toEqual(expected);
  });

  test("lists of scalars merge as sets", () => {
    const o = { metadata: { finalizers: ["a/a", "b/b"] } };
    const apply = (metadata: Json) => applyStrategicMergePatch(o, { metadata }, "Pod");
    expect(apply({ finalizers: ["c/c", "a/a"] })).toEqual({ metadata: { finalizers: ["c/c", "a/a", "b/b"] } });
    expect(apply({ "$deleteFromPrimitiveList/finalizers": ["a/a"] })).toEqual({ metadata: { finalizers: ["b/b"] } });
    expect(apply({ "$setElementOrder/finalizers": ["b/b", "c/c", "a/a"], finalizers: ["c/c"] })).toEqual({
      metadata: { finalizers: ["b/b", "c/c", "a/a"] },
    });
    expect(
      apply({
        "$deleteFromPrimitiveList/finalizers": ["a/a"],
        "$setElementOrder/finalizers": ["b/b", "c/c"],
        finalizers: ["c/c"],
      }),
    ).toEqual({ metadata: { finalizers: ["b/b", "c/c"] } });
  });
});

test("kubectl apply: change an image, add a port, drop a variable", () => {
  const live = pod({
    containers: [
      {
        name: "web",
        image: "nginx:1",
        imagePullPolicy: "IfNotPresent",
        ports: [{ containerPort: 80, protocol: "TCP" }],
        env: [
          { name: "A", value: "1" },
          { name: "B", value: "2" },
        ],
      },
    ],
  });
  const patch = {
    metadata: { annotations: { "kubectl.kubernetes.io/last-applied-configuration": "{}\n" } },
    spec: {
      "$setElementOrder/containers": [{ name: "web" }],
      containers: [
        {
          name: "web",
          image: "nginx:2",
          "$setElementOrder/ports": [{ containerPort: 80 }, { containerPort: 443 }],
          ports: [{ containerPort: 443 }],
          "$setElementOrder/env": [{ name: "B" }],
          env: [{ name: "A", $patch: "delete" }],
        },
      ],
    },
  };
  expect(applyStrategicMergePatch(live, patch, "Pod")).toEqual({
    metadata: { name: "p", annotations: { "kubectl.kubernetes.io/last-applied-configuration": "{}\n" } },
    spec: {
      containers: [
        {
          name: "web",
          image: "nginx:2",
          imagePullPolicy: "IfNotPresent",
          ports: [{ containerPort: 80, protocol: "TCP" }, { containerPort: 443 }],
          env: [{ name: "B", value: "2" }],
        },
      ],
    },
  });
});

test("conditions merge by type, as status reporters expect", () => {
  const status = {
    conditions: [
      { type: "Ready", status: "False" },
      { type: "Initialized", status: "True" },
    ],
  };
  const patch = { status: { conditions: [{ type: "Ready", status: "True" }] } };
  expect(applyStrategicMergePatch({ metadata: {}, status }, patch, "Pod")).toEqual({
    metadata: {},
    status: {
      conditions: [
        { type: "Ready", status: "True" },
        { type: "Initialized", status: "True" },
      ],
    },
  });
});

test.each<[string, unknown, string]>([
  ["no object", [], "must be an object"],
  ["an unknown directive", { spec: { $patch: "burn" } }, "unknown patch type: burn in map"],
  [
    "an item without its key",
    { spec: { containers: [{ image: "x" }] } },
    'map: {"image":"x"} does not contain declared merge key: name',
  ],
  [
    "a key outside retainKeys",
    { spec: { securityContext: { $retainKeys: ["fsGroup"], runAsUser: 1 } } },
    '"runAsUser" is not',
  ],
  [
    "an item outside the order",
    { spec: { "$setElementOrder/containers": [{ name: "a" }], containers: [{ name: "b" }] } },
    "$setElementOrder/containers",
  ],
  ["an order that is none", { spec: { "$setElementOrder/containers": {} } }, "must be a list"],
])("%s is refused", (_, patch, message) => {
  const document = pod({ containers: [a], securityContext: { fsGroup: 1 } });
  const apply = () => applyStrategicMergePatch(document, patch, "Pod");
  expect(apply).toThrow(message);
  expect(apply).toThrow(expect.objectContaining({ code: 400 }));
});

test("neither argument is changed, and the result is nobody's", () => {
  const document = pod({ containers: [a, b] });
  const patch = { spec: { containers: [{ name: "c", env: [{ name: "Y" }] }], nodeSelector: { x: "y" } } };
  const before = JSON.stringify([document, patch]);
  const result = applyStrategicMergePatch(document, patch, "Pod") as {
    spec: { containers: Json[]; nodeSelector: Json };
  };
  for (const item of result.spec.containers) item["name"] = "changed";
  result.spec.nodeSelector["x"] = "changed";
  expect(JSON.stringify([document, patch])).toBe(before);
});

test("an empty patch changes nothing, and a patch applied twice is applied once", () => {
  const names = fc.constantFrom("a", "b", "c", "d");
  const container = fc.record({ name: names, image: fc.constantFrom("x", "y") }, { requiredKeys: ["name"] });
  const spec = fc.record(
    {
      containers: fc.uniqueArray(container, { selector: (v) => v.name }),
      nodeSelector: fc.dictionary(names, names),
      hostname: names,
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(spec, spec, (document, patch) => {
      expect(patched(document, {})).toEqual(document);
      const once = patched(document, patch);
      expect(patched(once, patch)).toEqual(once);
    }),
  );
});
