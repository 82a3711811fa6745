import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { diffRulesets, EMPTY_RULESET, mergeRulesets, prepared, renderRuleset, type Ruleset } from "./ruleset.ts";
import { ModelTable } from "./testing/model-table.ts";

const name = fc.constantFrom("a", "b", "c", "d");
const key = fc.constantFrom("1", "2", "3", "4", "5");
const chain = fc.record({ rules: fc.array(fc.constantFrom("accept", "drop", "jump x", "return"), { maxLength: 3 }) });
const hooked = fc.record({
  hook: fc.record({
    type: fc.constantFrom("filter" as const, "nat" as const),
    at: fc.constant("input" as const),
    priority: fc.integer({ min: 0, max: 2 }),
  }),
  rules: chain.map((c) => c.rules),
});
const set = fc.record({
  of: fc.constantFrom("type ipv4_addr", "type mark"),
  options: fc.constantFrom("flags interval", "counter"),
  elements: fc.uniqueArray(key).map((keys) => new Set(keys)),
});
const map = fc.record({
  of: fc.constantFrom("type mark : verdict", "type mark : mark"),
  elements: fc.array(fc.tuple(key, fc.constantFrom("x", "y"))).map((entries) => new Map(entries)),
});
const rulesets: fc.Arbitrary<Ruleset> = fc.record({
  chains: fc.dictionary(name, fc.oneof(chain, hooked)),
  sets: fc.dictionary(name, set),
  maps: fc.dictionary(
    name.map((n) => `m${n}`),
    map,
  ),
});

describe("diffRulesets", () => {
  test("what is there, and the difference, make what is wanted", () => {
    fc.assert(
      fc.property(fc.array(rulesets, { minLength: 1, maxLength: 4 }), (all) => {
        const table = new ModelTable("t");
        let before = EMPTY_RULESET;
        table.apply(renderRuleset("t", before));
        for (const after of all) {
          table.apply(diffRulesets("t", before, after));
          expect(table.content()).toEqual(ModelTable.contentOf(after));
          before = after;
        }
      }),
    );
  });

  test("what is new is made first, and nothing leads to it", () => {
    fc.assert(
      fc.property(rulesets, rulesets, (before, after) => {
        const table = new ModelTable("t");
        const ready = prepared(before, after);
        table.apply(renderRuleset("t", before));
        table.apply(diffRulesets("t", before, ready));
        for (const [name, was] of Object.entries(before.chains)) expect(ready.chains[name]).toBe(was);
        for (const [name, { hook }] of Object.entries(after.chains)) expect(name in ready.chains || !!hook).toBe(true);
        table.apply(diffRulesets("t", ready, after));
        expect(table.content()).toEqual(ModelTable.contentOf(after));
      }),
    );
  });

  test("the same again is nothing to do", () => {
    fc.assert(fc.property(rulesets, (r) => expect(diffRulesets("t", r, structuredClone(r))).toBe("")));
  });

  test("a table is made anew from whatever was there", () => {
    fc.assert(
      fc.property(rulesets, rulesets, (before, after) => {
        const table = new ModelTable("t");
        table.apply(renderRuleset("t", before));
        table.apply(renderRuleset("t", after));
        expect(table.content()).toEqual(ModelTable.contentOf(after));
      }),
    );
  });

  test("one changed endpoint among thousands is two lines", () => {
    const endpoints = (changed: string) => ({
      ...EMPTY_RULESET,
      maps: {
        m: {
          of: "type mark : ipv4_addr",
          elements: new Map(Array.from({ length: 5_000 }, (_, i) => [`${i}`, i === 7 ? changed : "10.0.0.1"] as const)),
        },
      },
    });
    expect(diffRulesets("t", endpoints("10.0.0.1"), endpoints("10.0.0.2")).trim().split("\n")).toEqual([
      "delete element ip t m { 7 }",
      "add element ip t m { 7 : 10.0.0.2 }",
    ]);
  });
});

test("two fragments that use one name are a mistake that is told", () => {
  const fragment = { chains: { input: { rules: [] } } };
  expect(() => mergeRulesets([fragment, fragment])).toThrow("two fragments of the ruleset use the name input");
});
