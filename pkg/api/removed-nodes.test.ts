import { expect, test } from "@jest/globals";
import { isRemoved, withRemoved } from "./removed-nodes.ts";

const AT = "2026-01-02T00:00:00Z";
const at = Date.parse(AT);

test.each<[string, Readonly<Record<string, string>> | undefined, string, number, boolean]>([
  ["one of before", { n1: AT }, "n1", at - 1000, true],
  ["one of the same second: which was first?", { n1: AT }, "n1", at, true],
  ["one of after, for it has joined again", { n1: AT }, "n1", at + 1000, false],
  ["another's", { n1: AT }, "n2", at - 1000, false],
  ["nobody was ever removed", undefined, "n1", 0, false],
  ["what says no time", { n1: "x" }, "n1", 0, false],
])("%s", (_, data, node, issuedAt, removed) => {
  expect(isRemoved(data, node, issuedAt)).toBe(removed);
});

test("who was removed is kept as long as its certificates may hold", () => {
  const data = { old: "2025-01-01T00:00:00Z", n1: "2025-12-01T00:00:00Z" };
  expect(withRemoved(data, "n2", AT)).toEqual({ n1: "2025-12-01T00:00:00Z", n2: AT });
  expect(withRemoved(data, "n1", AT)).toEqual({ n1: AT });
});
