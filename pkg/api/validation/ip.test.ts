import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { contains, familyOf, parseCidr, parseIp, validateCidr, validateIp, validateNonSpecialIp } from "./ip.ts";

const words = (errors: ReturnType<typeof validateIp>) => errors.map((e) => e.detail).join();

describe("addresses", () => {
  test.each<[string, string]>([
    ["10.0.0.1", ""],
    ["2001:db8::1", ""],
    ["::", ""],
    ["", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"],
    ["10.0.0", "must be a valid IP address"],
    ["10.0.0.256", "must be a valid IP address"],
    ["10.0.0.01", "must be a valid IP address"],
    ["10.0.0.1\n", "must be a valid IP address"],
    ["1::2::3", "must be a valid IP address"],
    ["fe80::1%eth0", "must be a valid IP address"],
    ["::ffff:1.2.3.4", "must not be an IPv4-mapped IPv6 address"],
  ])("%j", (text, expected) => {
    const said = words(validateIp(text, "ip"));
    expect(expected === "" ? said : said.slice(0, expected.length)).toBe(expected);
  });

  test("of one family only", () => {
    expect(words(validateIp("::1", "ip", "IPv4"))).toBe("must be a valid IPv4 address");
    expect(words(validateIp("1.1.1.1", "ip", "IPv6"))).toBe("must be a valid IPv6 address");
  });

  test("are the number that their parts make", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(255), { minLength: 4, maxLength: 4 }), (octets) => {
        const bits = octets.reduce((n, o) => n * 256n + BigInt(o), 0n);
        expect(parseIp(octets.join("."))).toEqual({ family: "IPv4", bits });
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.nat(0xffff), { minLength: 8, maxLength: 8 }), (groups) => {
        const bits = groups.reduce((n, g) => n * 65536n + BigInt(g), 0n);
        const text = groups.map((g) => g.toString(16)).join(":");
        expect(parseIp(text)).toEqual({ family: "IPv6", bits });
      }),
    );
  });

  test.each<[string, string]>([
    ["8.8.8.8", ""],
    ["127.1.2.3", "loopback"],
    ["::1", "loopback"],
    ["169.254.169.254", "link-local range"],
    ["fe80::1", "link-local range"],
    ["224.0.0.1", "link-local multicast"],
    ["::", "may not be unspecified (::)"],
  ])("%s may not be special", (ip, expected) => {
    const said = words(validateNonSpecialIp(ip, "ip"));
    expect(expected === "" ? said === "" : said.includes(expected)).toBe(true);
  });
});

describe("networks", () => {
  test.each<[string, string]>([
    ["10.0.0.0/8", ""],
    ["2001:db8::/64", ""],
    ["0.0.0.0/0", ""],
    ["10.0.0.1/8", "must not have bits set beyond the prefix length"],
    ["10.0.0.0", "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"],
    ["10.0.0.0/33", "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"],
    ["10.0.0.0/08", "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"],
  ])("%s", (text, expected) => {
    expect(words(validateCidr(text, "cidr"))).toBe(expected);
  });

  test.each([
    ["10.0.0.0/8", "10.1.0.0/16", true],
    ["10.0.0.0/8", "10.0.0.0/8", true],
    ["10.1.0.0/16", "10.0.0.0/8", false],
    ["10.0.0.0/8", "11.0.0.0/16", false],
    ["0.0.0.0/0", "::/0", false],
  ])("%s contains %s: %s", (outer, inner, expected) => {
    const [a, b] = [parseCidr(outer), parseCidr(inner)];
    if (!a || !b) throw new Error("not networks");
    expect(contains(a, b)).toBe(expected);
    expect(familyOf("fd00::1")).toBe("IPv6");
  });
});
