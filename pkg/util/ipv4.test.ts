import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { formatCidr, formatIpv4, includes, networkOf, nthAddress, overlaps, parseIpv4, parseIpv4Cidr } from "./ipv4.ts";

const cidr = (text: string) => {
  const parsed = parseIpv4Cidr(text);
  if (!parsed) throw new Error(`${text} is none`);
  return parsed;
};
const anyAddress = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const anyCidr = fc.tuple(anyAddress, fc.integer({ min: 0, max: 32 })).map(([a, prefix]) => networkOf(a, prefix));

test.each(["", "10.0.0", "10.0.0.256", "10.0.0.01", "10.0.0.0.0", "::1", " 10.0.0.1"])("%j is no address", (text) => {
  expect(parseIpv4(text)).toBeUndefined();
});
test.each(["10.0.0.0", "10.0.0.1/24", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/", "fd00::/8"])(
  "%j is no network",
  (text) => {
    expect(parseIpv4Cidr(text)).toBeUndefined();
  },
);

describe("properties", () => {
  test("what is written is read as the same", () => {
    fc.assert(fc.property(anyAddress, (a) => parseIpv4(formatIpv4(a)) === a));
    fc.assert(
      fc.property(anyCidr, (c) => {
        expect(parseIpv4Cidr(formatCidr(c))).toEqual(c);
      }),
    );
  });

  test("two networks overlap exactly when an end of one lies in the other", () => {
    fc.assert(
      fc.property(anyCidr, anyCidr, (a, b) => {
        const ends = (c: typeof a) => [c.base, c.base + 2 ** (32 - c.prefix) - 1];
        const touches = ends(a).some((e) => includes(b, e)) || ends(b).some((e) => includes(a, e));
        expect(overlaps(a, b)).toBe(touches);
        expect(overlaps(b, a)).toBe(touches);
      }),
    );
  });
});

test.each([
  ["10.244.1.0/24", 1, "10.244.1.1"],
  ["10.244.255.0/24", 255, "10.244.255.255"],
  ["192.168.0.0/16", 256, "192.168.1.0"],
])("of %s number %i is %s", (c, n, expected) => expect(nthAddress(cidr(c), n)).toBe(expected));
