import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { hashOf } from "./hash.ts";
import { shareOf } from "./share.ts";

test("a hash depends on the JSON and the collisions alone, not on the order of keys", () => {
  expect(hashOf({ a: 1, b: { c: [1, 2], d: undefined } })).toBe(hashOf({ b: { c: [1, 2] }, a: 1 }));
  expect(hashOf({ a: [1, 2] })).not.toBe(hashOf({ a: [2, 1] }));
  expect(hashOf({ a: 1 }, 1)).not.toBe(hashOf({ a: 1 }));
  expect(hashOf({ a: 1 }, 0)).toBe(hashOf({ a: 1 }));
  fc.assert(fc.property(fc.jsonValue(), (v) => expect(hashOf(v)).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]{1,10}$/)));
});

test.each<[number | string | undefined, "up" | "down", number]>([
  [3, "up", 3],
  ["25%", "up", 3],
  ["25%", "down", 2],
  ["100%", "down", 10],
  ["0%", "up", 0],
  [undefined, "up", 0],
  ["many", "up", 0],
])("%s of ten, rounded %s, is %i", (value, round, expected) => {
  expect(shareOf(value, 10, round)).toBe(expected);
});
