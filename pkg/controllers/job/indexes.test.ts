import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  countCommon,
  countIn,
  firstFree,
  formatIndexes,
  hasIndex,
  NO_INDEXES,
  parseIndexes,
  unionOf,
  withIndexes,
} from "./indexes.ts";

describe("indexes", () => {
  test.each([
    ["", ""],
    ["0", "0"],
    ["0,1", "0,1"],
    ["0-2", "0-2"],
    ["0,1,2,5", "0-2,5"],
    ["1-3,5,6,9-11", "1-3,5,6,9-11"],
    ["8-30,40", "8-15"],
    ["x,3", "3"],
  ])("%s is written %s, of 16", (text, written) => {
    expect(formatIndexes(parseIndexes(text, 16))).toBe(written);
  });

  const sets = fc.uniqueArray(fc.nat(40), { maxLength: 30 });

  test("are sets, however they came together", () => {
    fc.assert(
      fc.property(sets, sets, (a, b) => {
        const [x, y] = [withIndexes(NO_INDEXES, a), withIndexes(NO_INDEXES, b)];
        const all = new Set([...a, ...b]);
        const union = unionOf(x, y);
        expect(countIn(union)).toBe(all.size);
        expect(countCommon(x, y)).toBe(a.filter((i) => b.includes(i)).length);
        for (let i = 0; i <= 41; i++) expect(hasIndex(union, i)).toBe(all.has(i));
        expect(parseIndexes(formatIndexes(union), Infinity)).toEqual(union);
      }),
    );
  });

  test("the first free ones are free, in order, and none before them is left out", () => {
    fc.assert(
      fc.property(sets, fc.nat(10), fc.nat(45), (taken, count, completions) => {
        const free = Array.from({ length: completions }, (_, i) => i).filter((i) => !taken.includes(i));
        expect(firstFree(withIndexes(NO_INDEXES, taken), count, completions)).toEqual(free.slice(0, count));
      }),
    );
  });
});
