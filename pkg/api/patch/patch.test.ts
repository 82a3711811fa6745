import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { applyJsonPatch } from "./json-patch.ts";
import { applyMergePatch, createMergePatch } from "./merge-patch.ts";

type Json = Record<string, unknown>;

describe("JSON patch", () => {
  const document = { metadata: { labels: { a: "1" } }, items: [1, 2] };

  test("applies in order", () => {
    const patch = [
      { op: "test", path: "/metadata/labels/a", value: "1" },
      { op: "replace", path: "/metadata/labels/a", value: "2" },
      { op: "add", path: "/metadata/labels/b~1c", value: "3" },
      { op: "add", path: "/items/-", value: 3 },
      { op: "remove", path: "/items/0" },
      { op: "copy", from: "/items", path: "/copy" },
      { op: "move", from: "/copy/0", path: "/first" },
    ];
    expect(applyJsonPatch(document, patch)).toEqual({
      metadata: { labels: { a: "2", "b/c": "3" } },
      items: [2, 3],
      copy: [3],
      first: 2,
    });
    expect(document).toEqual({ metadata: { labels: { a: "1" } }, items: [1, 2] });
  });

  test.each<[string, unknown, number, string]>([
    ["no list", {}, 400, "a JSON patch must be an array of operations"],
    ["no operation", [1], 400, "operation 0: Operation is not an object"],
    ["unknown operation", [{ op: "burn", path: "/" }], 400, "Operation `op` property is not one of operations"],
    ["no value", [{ op: "add", path: "/a" }], 400, "Operation `value` property is not present"],
    ["prototypes", [{ op: "add", path: "/__proto__/x", value: 1 }], 400, "banned for security reasons"],
    [
      "a failed test",
      [{ op: "test", path: "/metadata/labels/a", value: "9" }],
      422,
      "testing value /metadata/labels/a failed: test failed",
    ],
    [
      "replace of nothing",
      [{ op: "replace", path: "/x", value: 1 }],
      422,
      "replace operation does not apply: doc is missing key: /x: missing value",
    ],
    [
      "remove of nothing",
      [{ op: "remove", path: "/x" }],
      422,
      "remove operation does not apply: doc is missing key: /x: missing value",
    ],
    ["add below nothing", [{ op: "add", path: "/x/y", value: 1 }], 422, 'doc is missing path: "/x/y": missing value'],
    ["move of nothing", [{ op: "move", from: "/x", path: "/y" }], 422, "doc is missing from path: /x"],
    ["beyond the end", [{ op: "add", path: "/items/9", value: 1 }], 422, "add operation does not apply: /items/9"],
    ["too many", Array.from({ length: 10001 }, () => ({ op: "test", path: "/a", value: 1 })), 413, "10000, got 10001"],
  ])("%s is refused", (_, patch, code, message) => {
    const apply = () => applyJsonPatch(document, patch);
    expect(apply).toThrow(message);
    expect(apply).toThrow(expect.objectContaining({ code }));
  });

  test("messages do not quote the document", () => {
    const secret = { data: { password: "hunter2" } };
    expect(() => applyJsonPatch(secret, [{ op: "remove", path: "/x" }])).not.toThrow(/hunter2/);
    expect(() => applyJsonPatch(secret, [{ op: "remove", path: "/x" }])).toThrow("/x");
  });
});

describe("merge patch", () => {
  // The examples of RFC 7396, appendix A, whose patch is an object.
  test.each<[unknown, unknown, unknown]>([
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: "b", c: null }, { a: "b" }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    [{ a: 1 }, { constructor: 1, b: 2 }, { a: 1, constructor: 1, b: 2 }],
  ])("%j + %j = %j", (document, patch, expected) => {
    const before = JSON.stringify([document, patch]);
    expect(applyMergePatch(document, patch)).toEqual(expected);
    expect(JSON.stringify([document, patch])).toBe(before);
  });

  test("a hostile key is data", () => {
    const patch: unknown = JSON.parse('{"__proto__":{"polluted":true}}');
    const result = applyMergePatch({ a: 1 }, patch);
    expect(JSON.stringify(result)).toBe('{"a":1,"__proto__":{"polluted":true}}');
    expect(({} as Json)["polluted"]).toBeUndefined();
  });

  test("only an object is a patch", () => {
    expect(() => applyMergePatch({}, [])).toThrow("a merge patch must be an object");
  });

  const leaf = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.array(fc.integer(), { maxLength: 3 }));
  const { json } = fc.letrec<{ json: Json; value: unknown }>((tie) => ({
    json: fc.dictionary(fc.oneof(fc.constantFrom("a", "b", "constructor", "__proto__"), fc.string()), tie("value"), {
      maxKeys: 4,
    }),
    value: fc.oneof({ depthSize: "small", withCrossShrink: true }, leaf, tie("json")),
  }));

  test("nothing changes nothing, and the difference of two documents leads from one to the other", () => {
    fc.assert(
      fc.property(json, json, (before, after) => {
        expect(applyMergePatch(before, {})).toEqual(before);
        expect(applyMergePatch(before, createMergePatch(before, after))).toEqual(after);
      }),
    );
  });
});
