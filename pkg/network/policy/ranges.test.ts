import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { EVERYTHING, formatRange, type Range, subtract, union } from "./ranges.ts";

const range = fc.tuple(fc.nat(60), fc.nat(12)).map(([first, more]): Range => ({ first, last: first + more }));
const holds = (ranges: readonly Range[], n: number) => ranges.some((r) => n >= r.first && n <= r.last);
const apart = (ranges: readonly Range[]) => ranges.every((r, i) => i === 0 || r.first > (ranges[i - 1]?.last ?? 0) + 1);
const NUMBERS = Array.from({ length: 80 }, (_, n) => n);

test("a union holds what one of them holds, in ranges that do not touch", () => {
  fc.assert(
    fc.property(fc.array(range), (ranges) => {
      const all = union(ranges);
      expect(NUMBERS.filter((n) => holds(all, n))).toEqual(NUMBERS.filter((n) => holds(ranges, n)));
      expect(apart(all)).toBe(true);
    }),
  );
});

test("a difference holds what is in no hole", () => {
  fc.assert(
    fc.property(range, fc.array(range, { maxLength: 5 }), (from, holes) => {
      const wanted = NUMBERS.filter((n) => holds([from], n) && !holds(holes, n));
      expect(NUMBERS.filter((n) => holds(subtract(from, holes), n))).toEqual(wanted);
    }),
  );
});

test("as nft writes them", () => {
  expect(formatRange(EVERYTHING)).toBe("0.0.0.0-255.255.255.255");
  expect(formatRange({ first: 0x0af40005, last: 0x0af40005 })).toBe("10.244.0.5");
});
