import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { BudgetError, newBudget } from "./budget.ts";
import { CelCompileError, CelEvaluationError, compile } from "./cel.ts";
import { parseDuration } from "./duration.ts";
import { contains, formatIp, masked, parseCidr, parseIp } from "./ip.ts";
import { escapeField, toDynamic } from "./values.ts";

const self = {
  name: "web",
  replicas: 3,
  ratio: 0.5,
  tags: ["a", "b"],
  nested: {
    list: [
      { k: "x", v: 1 },
      { k: "y", v: 2 },
    ],
    empty: {},
  },
  nothing: null,
};

function evaluate(expression: string, value: unknown = self): unknown {
  return compile(expression, { self: "dyn" }).evaluate({ self: toDynamic(value) }, newBudget());
}

describe("expressions hold", () => {
  test.each([
    // The language
    "self.replicas == 3 && self.replicas / 2 == 1 && self.replicas % 2 == 1 && -self.replicas < 0",
    "self.ratio < 1 && self.ratio == 0.5 && double(self.replicas) == 3.0 && int('7') == 7 && uint(3) == 3u",
    "self.name + '-1' == 'web-1' && size(self.name) == 3 && self.tags.size() == 2",
    "has(self.nested.list) && !has(self.nested.nope) && has(self.nested.list[0].k) && !has(self.nested.list[0].z)",
    "self.tags.all(t, t.size() == 1) && self.tags.exists(t, t == 'b') && self.tags.exists_one(t, t == 'a')",
    "self.nested.list.filter(i, i.v > 1).map(i, i.k) == ['y']",
    "'a' in self.tags && 'name' in self && !('x' in self)",
    "self.nested.empty == {} && self.tags == ['a', 'b'] && self.nested.list[0] == {'k': 'x', 'v': 1}",
    "self.nothing == null && self.name != null",
    "type(self.replicas) == int && type(self.name) == string",
    "(self.replicas > 100 ? 'many' : 'few') == 'few'",
    "self.nope.x == 1 || self.replicas == 3",
    "self.?nope.orValue('d') == 'd' && self.?name.orValue('d') == 'web' && optional.none().hasValue() == false",
    "timestamp('2024-01-02T03:04:05Z').getFullYear() == 2024 && duration('90m').getHours() == 1",
    "timestamp('2024-01-02T00:00:00Z') - timestamp('2024-01-01T00:00:00Z') == duration('24h')",
    "['1.1.1.1'].all(ip, isIP(ip) && ip == '1.1.1.1') && ['a'].exists(format, format == 'a') && [1].all(cel, cel == 1)",
    // Strings
    "'a,b'.split(',') == ['a', 'b'] && ['a', 'b'].join('-') == 'a-b' && 'aXa'.replace('a', 'b') == 'bXb'",
    "'aaa'.replace('a', 'b', 2) == 'bba' && 'abc'.reverse() == 'cba' && 'abc'.charAt(1) == 'b'",
    "'AbC'.lowerAscii() == 'abc' && ' x '.trim() == 'x' && 'hello'.substring(1, 3) == 'el' && 'hello'.indexOf('l') == 2",
    "'web-1'.matches('^[a-z]+-[0-9]+$') && matches('abc', 'b') && !'x'.matches('^y')",
    "'a1b22'.find('[0-9]+') == '1' && 'a1b22'.findAll('[0-9]+') == ['1', '22'] && 'a1b22'.findAll('[0-9]', 2) == ['1', '2']",
    "'%s=%d (%f, %.2f, %x)'.format(['n', 3, 1.5, 1.5, 255]) == 'n=3 (1.500000, 1.50, ff)'",
    "'%s'.format([['a', 1, {'k': true}]]) == '[a, 1, {k: true}]'",
    // Lists and sets
    "[1, 2, 3].isSorted() && ![2, 1].isSorted() && [1, 2].sum() == 3 && [1.5, 1.0].sum() == 2.5",
    "[3, 1, 2].min() == 1 && ['a', 'c'].max() == 'c' && [1, 2, 1].indexOf(1) == 0 && [1, 2, 1].lastIndexOf(1) == 2",
    "sets.contains([1, 2], [2]) && sets.equivalent([1, 1], [1]) && sets.intersects([1], [1, 2]) && !sets.intersects([1], [2])",
    "[3, 1, 1].distinct() == [3, 1] && [2, 1].sort() == [1, 2] && [1, 2].reverse() == [2, 1] && [1, 2, 3].slice(1, 2) == [2]",
    "[[1], [2, [3]]].flatten() == [1, 2, [3]] && [[1], [[2]]].flatten(2) == [1, 2] && lists.range(3) == [0, 1, 2]",
    "self.tags.all(i, t, i < 2 && t != '') && self.tags.exists(i, t, i == 1 && t == 'b') && ['a'].existsOne(i, t, t == 'a')",
    "self.tags.transformList(i, t, string(i) + t) == ['0a', '1b'] && [1, 2].transformList(i, v, v > 1, v * 2) == [4]",
    "{'a': 1}.transformMap(k, v, v + 1) == {'a': 2} && {'a': 1, 'b': 2}.transformMap(k, v, v > 1, k) == {'b': 'b'}",
    "{'a': 1}.all(k, v, k == 'a' && v == 1) && self.nested.list.exists(i, e, e.v == 2 && i == 1)",
    // Kubernetes' types
    "semver('1.10.0').isGreaterThan(semver('1.9.0')) && semver('1.0.0-rc.1').isLessThan(semver('1.0.0'))",
    "semver('1.0.0-rc.2').compareTo(semver('1.0.0-rc.10')) == -1 && semver('v1.02', true) == semver('1.2.0') && !isSemver('v1.0')",
    "semver('1.2.3').major() == 1 && semver('1.2.3').minor() == 2 && semver('1.2.3').patch() == 3 && isSemver('v1', true)",
    "!format.dns1123Label().validate('web').hasValue() && format.dns1123Label().validate('A').value().size() == 1",
    "format.named('uuid').hasValue() && !format.named('nope').hasValue() && format.date().validate('2024-13-01').hasValue()",
    "quantity('1Gi').isGreaterThan(quantity('1G')) && quantity('500m').add(quantity('0.5')) == quantity('1')",
    "isQuantity('1Ki') && !isQuantity('1Kx') && quantity('50k').isInteger() && quantity('50k').asInteger() == 50000",
    "quantity('1').compareTo(quantity('2')) == -1 && quantity('-1').sign() == -1 && quantity('3').sub(1) == quantity('2')",
    "url('https://e.com:443/p/q?a=1&a=2').getHost() == 'e.com:443' && url('https://e.com/p').getEscapedPath() == '/p'",
    "url('https://[::1]:80/').getHostname() == '::1' && url('/p').getScheme() == '' && isURL('https://x') && !isURL('x y')",
    "url('http://e.com/?a=1&a=2').getQuery()['a'] == ['1', '2'] && url('http://e.com').getEscapedPath() == ''",
    "isIP('::1') && !isIP('1.2.3') && ip('10.0.0.1').family() == 4 && ip('127.0.0.1').isLoopback()",
    "ip.isCanonical('::1') && !ip.isCanonical('0:0::1') && ip('8.8.8.8').isGlobalUnicast() && string(ip('::1')) == '::1'",
    "cidr('10.0.0.0/8').containsIP('10.9.9.9') && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')",
    "cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && cidr('10.0.0.0/8').prefixLength() == 8 && isCIDR('::/0')",
  ])("%s", (expression) => {
    expect(evaluate(expression)).toBe(true);
  });
});

describe("what goes wrong", () => {
  test.each([
    ["self.", "compilation failed: ERROR: <input>:1:"],
    ["other == 1", "ERROR: <input>:1:1: unknown variable: other\n | other == 1\n | ^"],
    ["true &&\n  1 + 'a'", "ERROR: <input>:2:3: no such overload: int + string\n |   1 + 'a'\n | ..^"],
    ["self.x.nope()", "no matching overload"],
    ["has(1 + 2)", "has() invalid argument"],
    ["self.all(1, v, true)", "argument must be a simple name"],
  ])("%s cannot be compiled", (expression, why) => {
    const failing = () => compile(expression, { self: "dyn" });
    expect(failing).toThrow(CelCompileError);
    expect(failing).toThrow(why);
  });

  test("another type than the one wanted", () => {
    expect(() => compile("1 + 2", {}, "bool")).toThrow("cel expression must evaluate to a bool");
    expect(compile("self.x", { self: "dyn" }, "bool").uses("self")).toBe(true);
  });

  test.each([
    ["self.nope == 1", "no such key: nope"],
    ["1 / 0 == 1", "division by zero"],
    ["self.name > 1", "no such overload: string > int"],
    ["self.tags[9] == 'a'", "index out of bounds"],
    ["quantity('x').isInteger()", 'invalid quantity "x"'],
    ["'a'.matches('(')", "invalid regular expression"],
    ["'%d'.format(['x']) == ''", "integer clause can only be used on integers"],
    ["9223372036854775807 + 1 > 0", "integer overflow"],
    ["semver('1.x').major() == 1", 'invalid semantic version "1.x"'],
    ["[1].slice(0, 2) == []", "cannot slice(0, 2), list is length 1"],
    ["self.tags.all(i, t, self.nope == t)", "no such key: nope"],
  ])("%s has no value", (expression, why) => {
    expect(() => evaluate(expression)).toThrow(CelEvaluationError);
    expect(() => evaluate(expression)).toThrow(why);
  });

  test("loops, and what patterns read, are paid for; also where an error would be swallowed", () => {
    const list = { l: Array.from({ length: 1_000 }, (_, i) => i), s: "x".repeat(1_000_000) };
    for (const expression of [
      "self.l.all(a, self.l.all(b, a + b >= 0))",
      "self.l.map(a, self.l.map(b, a * b)).size() == 1000",
      "self.l.exists(a, self.l.exists(b, a + b < 0)) || true",
      "self.l.all(a, self.s.matches('^x+$'))",
      "self.l.all(i, a, self.l.exists(j, b, a + b < 0) || true)",
      "lists.range(1000).map(i, lists.range(1000)).size() > 0",
    ]) {
      const program = compile(expression, { self: "dyn" });
      expect(() => program.evaluate({ self: toDynamic(list) }, newBudget(100_000))).toThrow(BudgetError);
    }
  });
});

describe("values", () => {
  test("names of fields that are no identifiers", () => {
    const names = ["a-b", "a.b", "a/b", "a__b", "for", "é", "1a"];
    expect(names.map(escapeField)).toEqual([
      "a__dash__b",
      "a__dot__b",
      "a__slash__b",
      "a__underscores__b",
      "__for__",
      undefined,
      undefined,
    ]);
  });

  test("durations", () => {
    expect(["1h30m", "-1.5h", "300ms", "0", "1d", "", "h"].map(parseDuration)).toEqual([
      5_400_000_000_000n,
      -5_400_000_000_000n,
      300_000_000n,
      0n,
      undefined,
      undefined,
      undefined,
    ]);
  });

  test("addresses that are none", () => {
    for (const text of ["1.2.3", "01.2.3.4", "1.2.3.256", "::1::", "1:2:3:4:5:6:7:8:9", "g::", "fe80::1%eth0", ""]) {
      expect(parseIp(text)).toBeUndefined();
    }
    for (const text of ["10.0.0.0/33", "::/129", "10.0.0.0", "10.0.0.0/08"]) expect(parseCidr(text)).toBeUndefined();
  });

  test("property: an address is written as it is read, and lies in its own networks only", () => {
    const address = fc.oneof(
      fc.ipV4(),
      fc.ipV6().filter((ip) => !ip.includes(".")),
    );
    fc.assert(
      fc.property(address, fc.nat(32), (text, prefix) => {
        const ip = parseIp(text);
        if (!ip) throw new Error(`${text} is an address`);
        expect(parseIp(formatIp(ip))).toEqual(ip);
        expect(contains({ ip: masked({ ip, prefix }), prefix }, ip)).toBe(true);
        const flipped = { ...ip, value: ip.value ^ (1n << (ip.family === 4 ? 31n : 127n)) };
        expect(contains({ ip, prefix }, flipped)).toBe(prefix === 0);
      }),
    );
  });
});
