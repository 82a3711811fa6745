import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { CustomResourceDefinition } from "../../generated/types.ts";
import { decodeObject } from "../../decode.ts";
import type { ApiObject } from "../../object.ts";
import { ApiError } from "../../status.ts";
import { customColumns } from "./columns.ts";
import { compareVersions } from "../../versions.ts";
import { customResourceDefs } from "./custom-resources.ts";
import { acceptNames, takenBy } from "./names.ts";
import { customResourceDefinitions } from "./customresourcedefinition.ts";
import { customScale } from "./scale.ts";
import { selectableFields } from "./selectable.ts";

const version = (name: string, more: object = {}) => ({
  name,
  served: true,
  storage: false,
  schema: {
    openAPIV3Schema: {
      type: "object",
      properties: { spec: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
    },
  },
  ...more,
});

function crd(versions: readonly object[], more: object = {}): CustomResourceDefinition {
  return {
    metadata: { name: "widgets.example.com" },
    spec: {
      group: "example.com",
      names: { kind: "Widget", listKind: "WidgetList", plural: "widgets", singular: "widget", shortNames: ["wd"] },
      scope: "Namespaced",
      versions,
    },
    ...more,
  } as CustomResourceDefinition;
}

describe("the kinds of a definition", () => {
  test("one for each version served, the stored one behind them all", () => {
    const defs = customResourceDefs(
      crd([version("v1beta1"), version("v2", { storage: true }), version("v1"), version("v3", { served: false })]),
    );
    expect(defs.map((d) => d.version)).toEqual(["v2", "v1", "v1beta1"]);
    expect(defs[0]?.view).toBeUndefined();
    expect(defs.slice(1).map((d) => d.view?.of.version)).toEqual(["v2", "v2"]);
    const stored = { apiVersion: "example.com/v2", kind: "Widget", metadata: { name: "a" }, spec: { x: 1 } };
    const shown = defs[1]?.view?.fromStored(stored) ?? stored;
    expect(shown).toEqual({ ...stored, apiVersion: "example.com/v1" });
    expect(defs[1]?.view?.toStored(shown)).toEqual(stored);
  });

  test("what is stored need not be served", () => {
    const [only] = customResourceDefs(crd([version("v1"), version("v2", { storage: true, served: false })]));
    expect([only?.version, only?.view?.of.version]).toEqual(["v1", "v2"]);
  });

  test("a status of its own: neither writes the other's part", () => {
    const [def] = customResourceDefs(crd([version("v1", { storage: true, subresources: { status: {} } })]));
    const status = def?.subresources["status"];
    const old = { metadata: { name: "a", labels: { a: "1" } }, spec: { n: 1 }, status: { n: 1 } } as ApiObject;
    const next = { metadata: { name: "a" }, spec: { n: 2 }, status: { n: 2 } } as ApiObject;
    if (status?.type !== "part") throw new Error("status is a part");
    const c = { now: 0, user: { name: "", groups: [] } };
    const report = structuredClone(next);
    status.prepareForUpdate(report, old, c);
    expect(report).toEqual({ ...old, status: { n: 2 } });
    def?.prepareForUpdate?.(next, old, c);
    expect(next).toEqual({ metadata: { name: "a" }, spec: { n: 2 }, status: { n: 1 } });
    def?.prepareForCreate?.(next, c);
    expect(next).not.toHaveProperty("status");
  });

  test("terminating: nothing new", () => {
    const conditions = [{ type: "Terminating", status: "True" }];
    const [def] = customResourceDefs(crd([version("v1", { storage: true })], { status: { conditions } }));
    expect(def?.verbs).not.toContain("create");
    expect(def?.verbs).toContain("delete");
  });
});

test("versions are preferred as Kubernetes does", () => {
  const order = ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"];
  fc.assert(
    fc.property(fc.shuffledSubarray(order, { minLength: order.length }), (shuffled) => {
      expect(shuffled.toSorted(compareVersions)).toEqual(order);
    }),
  );
});

describe("names", () => {
  const taken = takenBy([
    { plural: "gadgets", singular: "gadget", shortNames: ["gd"], kind: "Gadget", listKind: "GadgetList" },
  ]);
  const wanting = (names: object, accepted?: object) =>
    crd([], {
      spec: { ...crd([]).spec, names: { ...crd([]).spec.names, ...names } },
      ...(accepted && { status: { acceptedNames: accepted } }),
    });

  test.each<[string, object, string, string, string]>([
    ["free", {}, "True", "NoConflicts", "no conflicts found"],
    ["kind", { kind: "Gadget" }, "False", "KindConflict", '"Gadget" is already in use'],
    ["list kind", { listKind: "GadgetList" }, "False", "ListKindConflict", '"GadgetList" is already in use'],
    ["singular", { singular: "gadget" }, "False", "SingularConflict", '"gadget" is already in use'],
    ["a short name", { shortNames: ["gadgets"] }, "False", "ShortNamesConflict", '"gadgets" is already in use'],
    [
      "short names",
      { shortNames: ["gd", "gadget"] },
      "False",
      "ShortNamesConflict",
      '["gd" is already in use, "gadget" is already in use]',
    ],
  ])("%s", (_, names, status, reason, message) => {
    expect(acceptNames(wanting(names), taken).condition).toEqual({ type: "NamesAccepted", status, reason, message });
  });

  test("what is free is accepted, what is not stays as it was", () => {
    const before = { kind: "Widget", plural: "widgets", shortNames: ["wd"] };
    const { names } = acceptNames(wanting({ kind: "Gadget", shortNames: ["gd"], categories: ["all"] }, before), taken);
    expect(names).toEqual({
      kind: "Widget",
      listKind: "WidgetList",
      plural: "widgets",
      singular: "widget",
      shortNames: ["wd"],
      categories: ["all"],
    });
  });
});

describe("what is shown of an object", () => {
  const object = {
    metadata: { name: "a", creationTimestamp: "2024-01-01T00:00:00Z" },
    spec: { n: 1.7, on: true, when: "2024-01-01T00:00:00Z", list: ["x", "y"], o: { k: 1 } },
  } as ApiObject;
  const now = Date.parse("2024-01-01T00:10:00Z");

  test.each<[string, string, unknown]>([
    [".spec.n", "integer", 1],
    [".spec.n", "number", 1.7],
    [".spec.n", "string", "1.7"],
    [".spec.on", "boolean", true],
    [".spec.on", "integer", ""],
    [".spec.when", "date", "10m"],
    [".metadata.name", "date", "<invalid>"],
    [".spec.list[*]", "string", "x"],
    [".spec.o", "string", '{"k":1}'],
    [".spec.nope.deep", "string", ""],
  ])("%s as %s", (jsonPath, type, shown) => {
    const [, column] = customColumns([{ name: "X", jsonPath, type, priority: 1 }]);
    expect(column).toMatchObject({ name: "X", wide: true });
    expect(column?.cell(object, now)).toBe(shown);
  });

  test("without columns: name and age", () => {
    expect(customColumns(undefined).map((c) => c.cell(object, now))).toEqual(["a", "10m"]);
  });

  test("scale reads and writes by path, and makes the way to it", () => {
    const scale = customScale({
      specReplicasPath: ".spec.size.count",
      statusReplicasPath: ".status.count",
      labelSelectorPath: ".status.selector",
    });
    const o = { metadata: { name: "a" }, status: { count: 2, selector: "app=a" } } as ApiObject;
    scale.write(o, { metadata: {}, spec: { replicas: 4 } } as ApiObject);
    expect(o).toMatchObject({ spec: { size: { count: 4 } } });
    expect(scale.read(o)).toMatchObject({ spec: { replicas: 4 }, status: { replicas: 2, selector: "app=a" } });
    expect(scale.validate?.({ metadata: {}, spec: { replicas: -1 } } as ApiObject)).toHaveLength(1);
  });

  test("field selectors", () => {
    const read = selectableFields([{ jsonPath: ".spec.on" }, { jsonPath: ".spec.nope" }]);
    expect(Object.entries(read).map(([name, of]) => [name, of(object)])).toEqual([
      ["spec.on", "true"],
      ["spec.nope", ""],
    ]);
  });
});

describe("whatever comes in", () => {
  const full = {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "widgets.example.com" },
    spec: {
      group: "example.com",
      names: { kind: "Widget", plural: "widgets", shortNames: ["wd"], categories: ["all"] },
      scope: "Namespaced",
      conversion: { strategy: "None" },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          selectableFields: [{ jsonPath: ".spec.s" }],
          additionalPrinterColumns: [{ name: "S", type: "string", jsonPath: ".spec.s", priority: 1 }],
          subresources: { status: {}, scale: { specReplicasPath: ".spec.n", statusReplicasPath: ".status.n" } },
          schema: {
            openAPIV3Schema: {
              type: "object",
              properties: {
                spec: {
                  type: "object",
                  required: ["s"],
                  properties: {
                    s: { type: "string", pattern: "^a", enum: ["a", "ab"], default: "a" },
                    n: {
                      type: "integer",
                      minimum: 1,
                      "x-kubernetes-validations": [{ rule: "self < 10", message: "m" }],
                    },
                    l: {
                      type: "array",
                      "x-kubernetes-list-type": "map",
                      "x-kubernetes-list-map-keys": ["k"],
                      items: { type: "object", required: ["k"], properties: { k: { type: "string" } } },
                    },
                    m: { type: "object", additionalProperties: { type: "string", format: "date-time" } },
                    p: { "x-kubernetes-int-or-string": true, anyOf: [{ type: "integer" }, { type: "string" }] },
                  },
                  "x-kubernetes-validations": [{ rule: "!has(self.n) || self.l.all(i, i.k != 'x')" }],
                },
                status: { type: "object", properties: { n: { type: "integer" } } },
              },
            },
          },
        },
      ],
    },
  };

  function pathsIn(value: unknown, at: readonly string[] = []): (readonly string[])[] {
    if (typeof value !== "object" || value === null) return [at];
    return [at, ...Object.entries(value).flatMap(([key, child]) => pathsIn(child, [...at, key]))];
  }

  /** A copy with another value at that place; undefined takes it away. */
  function replaced(value: unknown, path: readonly string[], by: unknown): unknown {
    const [key, ...rest] = path;
    if (key === undefined) return by;
    // A change before this one may have taken the place away.
    if (typeof value !== "object" || value === null) return value;
    const copy = structuredClone(value) as Record<string, unknown>;
    copy[key] = replaced(copy[key], rest, by);
    if (by === undefined && rest.length === 0 && !Array.isArray(copy)) delete copy[key];
    return copy;
  }

  const places = pathsIn(full).filter((path) => path.length > 0);
  const junk = fc.oneof(
    fc.constant(undefined),
    fc.constantFrom(
      "",
      ".",
      "x",
      "(",
      "self",
      "object",
      "array",
      ".spec",
      "None",
      "__proto__",
      -1,
      1e300,
      null,
      [],
      {},
    ),
    fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<unknown>,
  );

  test("property: a definition is refused, or serves any object without failing", () => {
    const changes = fc.array(fc.tuple(fc.constantFrom(...places), junk), { minLength: 1, maxLength: 3 });
    const objects = fc.record({ spec: fc.jsonValue() as fc.Arbitrary<unknown>, status: junk });
    let served = 0;
    fc.assert(
      fc.property(changes, objects, (wrong, rest) => {
        let input: unknown = full;
        for (const [path, by] of wrong) input = replaced(input, path, by);
        const wanted = accepted(input);
        if (!wanted) return;
        for (const def of customResourceDefs(wanted)) {
          served++;
          const { value, errors } = def.custom?.decode({ metadata: { name: "a" }, ...rest }) ?? {
            value: {},
            errors: [],
          };
          expect(errors).toEqual([]);
          const object = value as ApiObject;
          def.setDefaults?.(object);
          def.validate?.(object);
          def.validate?.(object, object);
          for (const column of def.columns) column.cell(object, 0);
          expect(def.custom?.openApi("v2")).toBeDefined();
        }
      }),
      { numRuns: 500 },
    );
    expect(served).toBeGreaterThan(20);
  });

  /** Undefined where it is refused. */
  function accepted(input: unknown): CustomResourceDefinition | undefined {
    try {
      const { object } = decodeObject<CustomResourceDefinition>(customResourceDefinitions, input, "Ignore");
      customResourceDefinitions.setDefaults?.(object);
      customResourceDefinitions.prepareForCreate?.(object, { now: 0, user: { name: "", groups: [] } });
      return customResourceDefinitions.validate?.(object).length === 0 ? object : undefined;
    } catch (error) {
      if (error instanceof ApiError) return undefined;
      throw error;
    }
  }
});
