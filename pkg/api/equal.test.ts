import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { deepClone, deepEqual, differences, keep, semanticEqual } from "./equal.ts";

test("a clone is equal and shares nothing", () => {
  const original = { a: [{ b: 1 }], c: null };
  const copy = deepClone(original);
  expect(copy).toEqual(original);
  copy.a[0] = { b: 2 };
  expect(original.a[0]).toEqual({ b: 1 });
});

test("any JSON value equals its clone, hostile keys included", () => {
  fc.assert(fc.property(fc.jsonValue(), (v) => expect(deepEqual(v, deepClone(v))).toBe(true)));
  const hostile: unknown = JSON.parse('{"__proto__":{"a":1},"constructor":2}');
  expect(JSON.stringify(deepClone(hostile))).toBe(JSON.stringify(hostile));
});

test("equality looks at values, not at key order", () => {
  expect(deepEqual({ a: 1, b: [1, 2] }, { b: [1, 2], a: 1 })).toBe(true);
  expect(deepEqual({ a: 1, b: undefined }, { a: 1 })).toBe(true);
  expect(deepEqual({ a: 1 }, { a: 1, b: null })).toBe(false);
  expect(deepEqual([1, 2], [2, 1])).toBe(false);
  expect(deepEqual([], {})).toBe(false);
});

test("semantically, empty and absent are the same", () => {
  expect(semanticEqual({ a: [], b: { c: "" } }, {})).toBe(true);
  expect(semanticEqual({ a: [0] }, { a: [] })).toBe(false);
  expect(semanticEqual({ a: 1 }, { a: 2 })).toBe(false);
});

test("differences name fields", () => {
  const a = { containers: [{ name: "x", command: ["a"] }], hostPID: true };
  const b = { containers: [{ name: "x", command: ["b"] }] };
  expect(differences(a, b, "spec")).toEqual(["spec.containers[0].command[0]", "spec.hostPID"]);
  expect(differences([1], [1, 2], "spec.tolerations")).toEqual(["spec.tolerations"]);
});

test("keep puts a field back, or away", () => {
  const next: { a: number; status?: { x: number } } = { a: 1, status: { x: 9 } };
  keep(next, { a: 0, status: { x: 1 } }, "status");
  expect(next).toEqual({ a: 1, status: { x: 1 } });
  keep(next, { a: 0 }, "status");
  expect(next).toEqual({ a: 1 });
});
