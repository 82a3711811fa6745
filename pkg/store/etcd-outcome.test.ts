import { describe, expect, test } from "@jest/globals";
import { del, put } from "./conformance-util.ts";
import { happenedAt, happensOnce } from "./etcd-outcome.ts";
import type { Expectation, KeyValue, TxnOp } from "./store.ts";

const at = (key: string, modRevision: bigint): Expectation => ({ key, modRevision });
const kv = (key: string, value: string, modRevision: bigint): KeyValue => ({
  key,
  value: new TextEncoder().encode(value),
  createRevision: 1n,
  modRevision,
});

test.each<[string, Expectation[], TxnOp[], boolean]>([
  ["a new key", [at("/a", 0n)], [put("/a", "1")], true],
  ["a change", [at("/a", 5n)], [put("/a", "1")], true],
  ["one of several keys", [at("/a", 5n)], [put("/b", "1"), put("/a", "1")], true],
  ["no expectation", [], [put("/a", "1")], false],
  ["of another key", [at("/b", 5n)], [put("/a", "1")], false],
  ["a deletion: who deleted it?", [at("/a", 5n)], [del("/a")], false],
])("sent twice it happens once at most: %s", (_, expected, then, once) => {
  expect(happensOnce(expected, then)).toBe(once);
});

describe("what was expected does not hold", () => {
  test.each<[string, Expectation[], TxnOp[], (KeyValue | undefined)[], bigint | undefined]>([
    ["for it has happened", [at("/a", 5n)], [put("/a", "1")], [kv("/a", "1", 9n)], 9n],
    ["for another's change came", [at("/a", 5n)], [put("/a", "1")], [kv("/a", "2", 9n)], undefined],
    ["nor did it before it was sent", [at("/a", 5n)], [put("/a", "1")], [kv("/a", "1", 4n)], undefined],
    ["for it is gone", [at("/a", 5n)], [put("/a", "1")], [undefined], undefined],
    [
      "for all of it has happened",
      [at("/a", 0n), at("/b", 5n)],
      [put("/a", "1"), del("/b")],
      [kv("/a", "1", 9n), undefined],
      9n,
    ],
    [
      "for one part is somebody's",
      [at("/a", 0n), at("/b", 5n)],
      [put("/a", "1"), put("/b", "1")],
      [kv("/a", "1", 9n), kv("/b", "1", 8n)],
      undefined,
    ],
    [
      "for one part is still there",
      [at("/a", 0n), at("/b", 5n)],
      [put("/a", "1"), del("/b")],
      [kv("/a", "1", 9n), kv("/b", "1", 5n)],
      undefined,
    ],
  ])("%s", (_, expected, then, current, revision) => {
    expect(happenedAt(expected, then, current)).toBe(revision);
  });
});
