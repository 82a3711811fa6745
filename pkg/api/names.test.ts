import { describe, expect, test } from "@jest/globals";
import { seededRandom } from "../util/clock.ts";
import {
  configKey,
  dns1035Label,
  dnsLabel,
  dnsSubdomain,
  envVarName,
  generateName,
  labelValue,
  type NameCheck,
  portName,
  portNumber,
  prefixOf,
  qualifiedName,
} from "./names.ts";

const long = (n: number) => "a".repeat(n);

describe.each<[string, NameCheck, string[], string[]]>([
  [
    "dnsSubdomain",
    dnsSubdomain,
    ["a", "web-1", "a.b-c.d", long(253)],
    ["", "Web", "a_b", "-a", "a-", "a..b", "a\n", long(254)],
  ],
  ["dnsLabel", dnsLabel, ["a", "0a", long(63)], ["", "a.b", "A", long(64)]],
  ["dns1035Label", dns1035Label, ["a1"], ["1a", ""]],
  ["labelValue", labelValue, ["", "A_b.c-9", long(63)], ["-a", "a b", "a/b", long(64)]],
  ["qualifiedName", qualifiedName, ["app", "example.com/My_Name.x"], ["", "/a", "a/", "a/b/c", "Ex/a", "a b"]],
  ["configKey", configKey, ["a", ".x", "KEY_NAME"], ["", ".", "..", "..a", "a/b"]],
  ["envVarName", envVarName, ["A", "1", "a b", "my.env-name"], ["", "A=B", "é", "A\n"]],
  ["portName", portName, ["http", "a-1"], ["", "80", "a--b", "-a", "HTTP", "abcdefghijklmnop"]],
])("%s", (_, check, good, bad) => {
  test.each(good)("accepts %j", (v) => expect(check(v)).toEqual([]));
  test.each(bad)("refuses %j", (v) => expect(check(v)).not.toEqual([]));
});

test("errors are in Kubernetes' words", () => {
  expect(dnsSubdomain("Web_1")).toEqual([
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
  ]);
  expect(dnsLabel(long(64))).toEqual(["must be no more than 63 bytes"]);
  expect(labelValue("a b")[0]).toContain("(e.g. 'MyValue',  or 'my_value',  or '12345', regex used");
  expect(qualifiedName("")).toHaveLength(2);
  expect(portNumber(0)).toEqual(["must be between 1 and 65535, inclusive"]);
  expect(portNumber(65535)).toEqual([]);
});

test("a prefix may end in a hyphen", () => {
  expect(prefixOf(dnsSubdomain)("web-")).toEqual([]);
  expect(prefixOf(dnsSubdomain)("Web-")).toHaveLength(1);
});

test("generated names are valid, differ, and fit a DNS label", () => {
  const random = seededRandom(1);
  const names = Array.from({ length: 100 }, () => generateName("web-", random));
  expect(new Set(names).size).toBe(100);
  expect(names.every((n) => /^web-[bcdfghjklmnpqrstvwxz2456789]{5}$/.test(n))).toBe(true);
  expect(dnsLabel(generateName(long(100), random))).toEqual([]);
});
