import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  addQuantities,
  bytes,
  canonicalQuantity,
  compareQuantities,
  cpuMilli,
  formatQuantity,
  isQuantity,
  milliValue,
  parseQuantity,
  type QuantityFormat,
  wholeValue,
} from "./quantity.ts";

describe("canonical form", () => {
  test.each([
    ["0", "0"],
    ["0Mi", "0"],
    ["0.5", "500m"],
    [".5", "500m"],
    ["5.", "5"],
    ["1000m", "1"],
    ["1500m", "1500m"],
    ["100m", "100m"],
    ["1000", "1k"],
    ["1024", "1024"],
    ["1024Mi", "1Gi"],
    ["1.5Gi", "1536Mi"],
    ["0.5Ki", "512"],
    ["1000Ki", "1000Ki"],
    ["100000k", "100M"],
    ["12e6", "12e6"],
    ["12000e3", "12e6"],
    ["1E3", "1e3"],
    ["1E", "1E"],
    ["1Ei", "1Ei"],
    ["-1.5k", "-1500"],
    ["+3", "3"],
    ["0.0000000001", "1n"],
    ["-0.0000000001", "-1n"],
    ["1e-3", "1e-3"],
    ["1e100", "9223372036854775807"],
    ["100E", "9223372036854775807"],
  ])("%s → %s", (text, canonical) => {
    expect(canonicalQuantity(text)).toBe(canonical);
  });

  test("a number of YAML is a quantity", () => {
    expect(canonicalQuantity(2)).toBe("2");
    expect(canonicalQuantity(0.25)).toBe("250m");
  });
});

test.each(["", "-", ".", "1 Gi", "abc", "1..5", "1.2.3", "0x10", " 1", "1\n"])("%j is refused", (text) => {
  expect(() => parseQuantity(text)).toThrow("quantities must match the regular expression");
  expect(isQuantity(text)).toBe(false);
});

test.each(["1mb", "1GB", "1ki", "1K", "1MI"])("%s has no such suffix", (text) => {
  expect(() => parseQuantity(text)).toThrow("unable to parse quantity's suffix");
});

test("values round up", () => {
  expect(milliValue("1n")).toBe(1n);
  expect(wholeValue("1m")).toBe(1n);
  expect(wholeValue("-1500m")).toBe(-1n);
  expect(cpuMilli("1.5")).toBe(1500);
  expect(bytes("64Mi")).toBe(67108864);
});

test("comparison is by value", () => {
  expect(compareQuantities("1Gi", "1024Mi")).toBe(0);
  expect(compareQuantities("999m", "1")).toBe(-1);
  expect(compareQuantities("1G", "1M")).toBe(1);
});

test("a sum keeps the family of suffixes", () => {
  expect(formatQuantity(addQuantities(parseQuantity("512Mi"), parseQuantity("512Mi")))).toBe("1Gi");
  expect(formatQuantity(addQuantities(parseQuantity("0"), parseQuantity("1Ki")))).toBe("1Ki");
});

test("Q3: formatting and parsing again gives the same value", () => {
  const formats: QuantityFormat[] = ["DecimalSI", "BinarySI", "DecimalExponent"];
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 27n), max: 10n ** 27n }), fc.constantFrom(...formats), (nano, format) => {
      const text = formatQuantity({ nano, format });
      expect(parseQuantity(text).nano).toBe(nano);
      expect(canonicalQuantity(text)).toBe(text);
    }),
  );
});
