import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Operation, Outcome, Watched } from "./history.ts";
import { incomplete, longestPause, lostWrites, revisionsBack, twoLeaders, violations } from "./invariants.ts";
import { linearizabilityViolations } from "./linearizable.ts";

const at = (start: number, end: number, outcome: Outcome = "ok") =>
  ({ client: 1, server: "s", key: "k", start, end, outcome }) as const;
const read = (value: string | undefined, start: number, end: number, revision?: bigint): Operation => ({
  ...at(start, end),
  op: "read",
  value,
  revision,
});
type Write = Operation & { op: "write" };
const write = (
  [expected, value]: readonly [string | undefined, string],
  start: number,
  end: number,
  o: { outcome?: Outcome; revision?: bigint } = {},
): Write => ({ ...at(start, end, o.outcome), op: "write", expected, value, revision: o.revision });

describe("F1: linearizability", () => {
  const made = write([undefined, "a"], 0, 1);
  test.each<[string, Operation[], boolean]>([
    ["one after the other", [made, write(["a", "b"], 2, 3), read("b", 4, 5)], true],
    ["a stale read", [made, write(["a", "b"], 2, 3), read("a", 4, 5)], false],
    ["a read beside a write may see either", [made, write(["a", "b"], 2, 6), read("b", 3, 4), read("b", 4, 5)], true],
    ["but not first the new, then the old", [made, write(["a", "b"], 2, 9), read("b", 3, 4), read("a", 5, 6)], false],
    ["two swaps of one value", [made, write(["a", "b"], 2, 3), write(["a", "c"], 2, 3)], false],
    [
      "no answer, and it happened much later",
      [made, write(["a", "b"], 2, 3, { outcome: "unknown" }), read("a", 4, 5), read("b", 6, 7)],
      true,
    ],
    [
      "no answer, and it never happened",
      [made, write(["a", "b"], 2, 3, { outcome: "unknown" }), read("a", 4, 5)],
      true,
    ],
    [
      "no answer, and it happened before it was asked",
      [made, read("b", 1.2, 1.5), write(["a", "b"], 2, 3, { outcome: "unknown" })],
      false,
    ],
    [
      "no answer, it happened, and was undone",
      [made, write(["a", "b"], 2, 3, { outcome: "unknown" }), read("b", 4, 5), read("a", 6, 7)],
      false,
    ],
    ["what failed is seen", [made, write(["a", "b"], 2, 3, { outcome: "failed" }), read("b", 4, 5)], false],
    ["an acknowledged write is gone", [made, write(["a", "b"], 2, 3), write(["a", "c"], 4, 5), read("c", 6, 7)], false],
    ["registers are judged each by itself", [made, { ...read(undefined, 2, 3), key: "other" }], true],
  ])("%s", (_, history, holds) => {
    expect(linearizabilityViolations(history).length === 0).toBe(holds);
  });

  /** Tries every order: slow, and too simple to be wrong. */
  function explained(left: readonly Operation[], state: string | undefined): boolean {
    if (left.every((o) => o.outcome !== "ok")) return true;
    const firstEnd = Math.min(...left.filter((o) => o.outcome === "ok").map((o) => o.end));
    return left.some((o) => {
      if (o.start > firstEnd) return false;
      if ((o.op === "read" ? o.value : o.expected) !== state) return false;
      return explained(
        left.filter((other) => other !== o),
        o.value,
      );
    });
  }
  const value = fc.constantFrom(undefined, "a", "b", "c");
  const operation = fc
    .record({ from: value, to: fc.constantFrom("a", "b", "c"), start: fc.nat(12), length: fc.nat(6), kind: fc.nat(5) })
    .map(({ from, to, start, length, kind }): Operation => {
      if (kind < 3) return read(from, start, start + length);
      return write([from, to], start, start + length, { outcome: kind === 5 ? "unknown" : "ok" });
    });

  test("it judges as trying every order does", () => {
    const verdicts = new Set<boolean>();
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 6 }), (history) => {
        const holds = linearizabilityViolations(history).length === 0;
        verdicts.add(holds);
        expect(holds).toBe(explained(history, undefined));
      }),
      { numRuns: 500 },
    );
    expect(verdicts.size).toBe(2);
  });

  test("thousands of calls by many clients are judged in time, and one planted lie among them is found", () => {
    const history: Operation[] = [write([undefined, "0"], 0, 0.5)];
    for (let i = 1; i < 2000; i++) {
      history.push(write([String(i - 1), String(i)], i - 0.4, i + 0.3, i % 9 === 0 ? { outcome: "unknown" } : {}));
      for (let client = 0; client < 3; client++) history.push(read(String(i), i - 0.2, i + 0.4));
    }
    expect(linearizabilityViolations(history)).toEqual([]);
    history.push(read("1200", 1500.6, 1500.7));
    expect(linearizabilityViolations(history)).toEqual([
      expect.stringContaining("k: no order explains a read of 1200"),
    ]);
  });
});

describe("what was acknowledged", () => {
  const history = [
    write([undefined, "a"], 0, 1, { revision: 5n }),
    write(["a", "b"], 2, 3, { revision: 7n }),
    write(["b", "c"], 4, 9, { outcome: "unknown" }),
    write(["b", "d"], 4, 5, { outcome: "failed" }),
  ];
  test.each<[string, string | undefined, number]>([
    ["the last is there", "b", 0],
    ["one without an answer came after it", "c", 0],
    ["an older one is there", "a", 1],
    ["what failed is there", "d", 1],
    ["nothing is there", undefined, 1],
  ])("F2: %s", (_, final, count) => {
    expect(lostWrites(history, new Map(final === undefined ? [] : [["k", final]]))).toHaveLength(count);
  });

  const event = (value: string, revision: bigint) => ({ key: "k", value, revision });
  const all = [event("a", 5n), event("b", 7n)];
  test.each<[string, Partial<Watched>, RegExp]>([
    ["all of them in order", { events: all }, /^$/],
    ["more, of which nobody knows", { events: [...all, event("c", 8n)] }, /^$/],
    ["one is missing", { events: all.slice(1) }, /w never saw undefined → a/],
    ["one twice", { events: [...all, event("b", 7n)] }, /came after 7/],
    ["out of order", { events: all.toReversed() }, /at 5 came after 7/],
    ["at another revision", { events: [event("a", 5n), event("b", 8n)] }, /saw at 8 what was written at 7/],
    ["what failed", { events: [...all, event("d", 8n)] }, /saw what failed/],
    ["the last of those it skipped", { events: all.slice(1), gaps: [{ from: 4n, to: 7n }] }, /^$/],
    ["none of those it skipped", { gaps: [{ from: 4n, to: 7n }] }, /never saw undefined → a.*\n.*never saw a → b/],
    ["less than it skipped", { events: all.slice(1), gaps: [{ from: 5n, to: 7n }] }, /never saw undefined → a/],
  ])("F4: a watcher is told %s", (_, told, problem) => {
    expect(incomplete({ watcher: "w", events: [], gaps: [], ...told }, history).join("\n")).toMatch(problem);
  });

  test("F3: who asks later sees nothing older, who asks at the same time may", () => {
    expect(revisionsBack([read("b", 0, 2, 7n), read("a", 1, 3, 5n)])).toEqual([]);
    expect(revisionsBack([read("b", 0, 2, 7n), read("a", 3, 4, 5n)])).toEqual([expect.stringContaining("from 7 to 5")]);
  });

  test("one call gives all violations, each by its name", () => {
    const lost = [...history, read("a", 10, 11, 5n)];
    const found = violations({
      history: lost,
      watched: [{ watcher: "w", events: all, gaps: [] }],
      final: new Map([["k", "a"]]),
    });
    expect(found.map((v) => v.split(":")[0])).toEqual(["not linearizable", "lost", "went back"]);
  });
});

describe("F5: leaders", () => {
  const term = (replica: string, start: number, end: number) => ({ component: "scheduler", replica, start, end });
  test.each<[string, Parameters<typeof twoLeaders>[0], Parameters<typeof twoLeaders>[1], number]>([
    ["one after the other", [term("a", 0, 10), term("b", 10, 20)], [], 0],
    ["both", [term("a", 0, 10), term("b", 5, 20)], [], 1],
    ["each of another component", [term("a", 0, 10), { ...term("b", 5, 20), component: "other" }], [], 0],
    ["again the same", [term("a", 0, 10), term("a", 9, 20)], [], 0],
    ["frozen, it does not act", [term("a", 0, 21), term("b", 8, 40)], [{ replica: "a", start: 4, end: 20 }], 0],
    ["thawed, it acts on", [term("a", 0, 30), term("b", 8, 40)], [{ replica: "a", start: 4, end: 20 }], 1],
  ])("%s", (_, terms, pauses, count) => {
    expect(twoLeaders(terms, pauses, 2)).toHaveLength(count);
  });
});

test("the longest pause of writes begins and ends with the span", () => {
  const writes = [1, 2, 6, 7].map((end) => write(["a", "b"], 0, end));
  expect(longestPause(writes, 0, 8)).toBe(4);
  expect(longestPause(writes, 0, 20)).toBe(13);
  expect(longestPause([], 3, 5)).toBe(2);
});
