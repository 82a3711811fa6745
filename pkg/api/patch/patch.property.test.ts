import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import jsonpatch from "fast-json-patch";
import { applyJsonPatch } from "./json-patch.ts";
import { applyStrategicMergePatch } from "./strategic-merge.ts";

type Json = Record<string, unknown>;

describe("JSON patch", () => {
  const key = fc.constantFrom("a", "b", "c", "a/b", "~", "");
  const { json } = fc.letrec<{ json: Json; value: unknown }>((tie) => ({
    json: fc.dictionary(key, tie("value"), { maxKeys: 4 }),
    value: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc.oneof(fc.string(), fc.integer(), fc.boolean()),
      fc.array(tie("value"), { maxLength: 4 }),
      tie("json"),
    ),
  }));

  test("the difference of two documents leads from one to the other, and back", () => {
    fc.assert(
      fc.property(json, json, (before, after) => {
        expect(applyJsonPatch(before, jsonpatch.compare(before, after))).toEqual(after);
        expect(applyJsonPatch(after, jsonpatch.compare(after, before))).toEqual(before);
      }),
    );
  });

  test("all operations or none: a failed test at the end leaves nothing behind", () => {
    fc.assert(
      fc.property(json, json, (before, after) => {
        const copy = structuredClone(before);
        const patch = [...jsonpatch.compare(before, after), { op: "test", path: "", value: "never" }];
        expect(() => applyJsonPatch(before, patch)).toThrow("test failed");
        expect(before).toEqual(copy);
      }),
    );
  });
});

const word = fc.constantFrom("a", "b", "c", "d");
const map = fc.dictionary(word, word, { maxKeys: 3 });
const container = fc.record({ name: word, image: word, workingDir: word }, { requiredKeys: ["name"] });
const containers = fc.uniqueArray(container, { selector: (c) => c.name, minLength: 1 });
const finalizers = fc.uniqueArray(word, { minLength: 1 });
const strategy = fc.oneof(
  fc.constant({ type: "Recreate" }),
  fc.record({ type: fc.constant("RollingUpdate"), rollingUpdate: fc.record({ maxSurge: fc.integer({ min: 0 }) }) }),
);

describe("strategic merge patch: the difference as kubectl makes it leads to the target, order and all", () => {
  const spec = (patch: Json, before: Json) =>
    (applyStrategicMergePatch({ spec: before }, { spec: patch }, "Pod") as { spec: Json }).spec;

  test("items by key: deleted, changed, new, and in order", () => {
    fc.assert(
      fc.property(containers, containers, (before, after) => {
        const kept = new Set(after.map((c) => c.name));
        const gone = before.filter((c) => !kept.has(c.name)).map(({ name }) => ({ name, $patch: "delete" }));
        const changed = after.map((c) => ({ ...nulled(before.find((b) => b.name === c.name)), ...c }));
        const patch = {
          "$setElementOrder/containers": after.map(({ name }) => ({ name })),
          containers: [...changed, ...gone],
        };
        expect(spec(patch, { containers: before })).toEqual({ containers: after });
      }),
    );
  });

  test("a list said to be replaced is", () => {
    fc.assert(
      fc.property(containers, containers, (before, after) => {
        const patch = { containers: [...after, { $patch: "replace" }] };
        expect(spec(patch, { containers: before })).toEqual({ containers: after });
      }),
    );
  });

  test("scalars as sets", () => {
    fc.assert(
      fc.property(finalizers, finalizers, (before, after) => {
        const metadata = {
          "$deleteFromPrimitiveList/finalizers": before.filter((f) => !after.includes(f)),
          "$setElementOrder/finalizers": after,
          finalizers: after.filter((f) => !before.includes(f)),
        };
        const result = applyStrategicMergePatch({ metadata: { finalizers: before } }, { metadata }, "Pod");
        expect(result).toEqual({ metadata: { finalizers: after } });
      }),
    );
  });

  test("maps, with null for what is gone; $patch: replace needs none", () => {
    fc.assert(
      fc.property(map, map, (before, after) => {
        expect(spec({ nodeSelector: { ...nulled(before), ...after } }, { nodeSelector: before })).toEqual({
          nodeSelector: after,
        });
        expect(spec({ nodeSelector: { $patch: "replace", ...after } }, { nodeSelector: before })).toEqual({
          nodeSelector: after,
        });
      }),
    );
  });

  test("$retainKeys keeps no field of the way not taken", () => {
    fc.assert(
      fc.property(strategy, strategy, (before, after) => {
        const patch = { spec: { strategy: { $retainKeys: Object.keys(after), ...after } } };
        const result = applyStrategicMergePatch({ spec: { strategy: before } }, patch, "Deployment");
        expect(result).toEqual({ spec: { strategy: after } });
      }),
    );
  });

  function nulled(o: object | undefined): Json {
    return Object.fromEntries(Object.keys(o ?? {}).map((k) => [k, null]));
  }
});
