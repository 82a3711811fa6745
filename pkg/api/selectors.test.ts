import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { ApiObject } from "./object.ts";
import {
  compileFieldSelector,
  formatSelector,
  fromLabelSelector,
  matchesLabels,
  matchesRequirement,
  parseFieldSelector,
  parseLabelSelector,
  type Requirement,
} from "./selectors.ts";

describe("label selectors", () => {
  const labels = { app: "web", tier: "front", n: "5", empty: "" };

  test.each([
    ["", true],
    ["app=web", true],
    ["app==web", true],
    [" app = web , tier=front ", true],
    ["app=db", false],
    ["app!=db", true],
    ["absent!=x", true],
    ["app in (db, web)", true],
    ["app notin (db,web)", false],
    ["absent notin (x)", true],
    ["app", true],
    ["absent", false],
    ["!absent", true],
    ["!app", false],
    ["empty=", true],
    ["empty in (,x)", true],
    ["n>4", true],
    ["n<5", false],
    ["app>4", false],
    ["constructor", false],
    ["in=notin", false],
    ["app=web,tier=back", false],
  ])("%s → %s", (text, matches) => {
    expect(matchesLabels(parseLabelSelector(text), labels)).toBe(matches);
  });

  test.each([
    ["=a", "found '=', expected: !, identifier, or 'end of string'"],
    ["a=b,", "found '', expected: identifier after ','"],
    ["a=b c", "found 'c', expected: ',' or 'end of string'"],
    ["a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
    ["a in b", "unable to parse requirement: found 'b', expected: '('"],
    ["a in (b", "unable to parse requirement: found '', expected: ',' or ')'"],
    ["!", "unable to parse requirement: found '', expected: identifier"],
    [
      "a>x",
      "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
    ],
  ])("%s: %s", (text, message) => {
    expect(() => parseLabelSelector(text)).toThrow(message);
    expect(() => parseLabelSelector(text)).toThrow(expect.objectContaining({ reason: "BadRequest", code: 400 }));
  });

  test("keys and values are checked", () => {
    expect(() => parseLabelSelector("-a=b")).toThrow('key: Invalid value: "-a": name part must consist of');
    expect(() => parseLabelSelector("a=-b")).toThrow('values[0][a]: Invalid value: "-b": a valid label must be');
  });

  test("the string form parses to the same selector", () => {
    const word = fc.stringMatching(/^[a-z]([a-z0-9-]{0,8}[a-z0-9])?$/);
    const term = fc.oneof(
      fc.record({
        key: word,
        operator: fc.constantFrom("Exists" as const, "DoesNotExist" as const),
        values: fc.constant([]),
      }),
      fc.record({
        key: word,
        operator: fc.constantFrom("In" as const, "NotIn" as const),
        values: fc.uniqueArray(word, { minLength: 1, maxLength: 3 }).map((v) => v.sort()),
      }),
      fc.record({
        key: word,
        operator: fc.constantFrom("Gt" as const, "Lt" as const),
        values: fc.nat().map((n) => [`${n}`]),
      }),
    );
    fc.assert(
      fc.property(fc.array(term), (s: Requirement[]) => expect(parseLabelSelector(formatSelector(s))).toEqual(s)),
    );
  });

  test("objects: no selector is not the empty selector", () => {
    expect(fromLabelSelector(undefined)).toBeUndefined();
    expect(fromLabelSelector({})).toEqual([]);
    const s = fromLabelSelector({
      matchLabels: { app: "web" },
      matchExpressions: [
        { key: "tier", operator: "NotIn", values: ["back"] },
        { key: "x", operator: "DoesNotExist" },
      ],
    });
    expect(formatSelector(s ?? [])).toBe("app=web,tier!=back,!x");
    expect(() => fromLabelSelector({ matchExpressions: [{ key: "a", operator: "Gt" }] })).toThrow(
      '"Gt" is not a valid label selector operator',
    );
  });

  test("numbers beyond 2^53 compare exactly", () => {
    const r: Requirement = { key: "n", operator: "Gt", values: ["9007199254740992"] };
    expect(matchesRequirement(r, { n: "9007199254740993" })).toBe(true);
    expect(matchesRequirement(r, { n: "9007199254740992" })).toBe(false);
  });
});

describe("field selectors", () => {
  interface Thing extends ApiObject {
    phase?: string;
  }
  const def = {
    namespaced: true,
    selectableFields: { "status.phase": (o: { readonly phase?: string }) => o.phase ?? "" },
  };
  const thing: Thing = { metadata: { name: "x", namespace: "ns" }, phase: "a,b" };

  test.each([
    ["", true],
    ["metadata.name=x", true],
    ["metadata.name==x,metadata.namespace=ns", true],
    ["metadata.name!=x", false],
    ["status.phase=a\\,b", true],
    ["status.phase!=", true],
    ["status.phase=", false],
  ])("%s → %s", (text, matches) => {
    expect(compileFieldSelector<Thing>(parseFieldSelector(text), def)(thing)).toBe(matches);
  });

  test("what cannot be understood is named", () => {
    expect(() => parseFieldSelector("a=b,c")).toThrow("invalid selector: 'a=b,c'; can't understand 'c'");
    expect(() => parseFieldSelector("a=\\b")).toThrow("invalid escape sequence: \\b");
  });

  test("an unknown field is an error, not an empty list", () => {
    const unknown = parseFieldSelector("spec.foo=1");
    expect(() => compileFieldSelector<Thing>(unknown, def)).toThrow("field label not supported: spec.foo");
    expect(() => compileFieldSelector<Thing>(unknown, { namespaced: true, selectableFields: {} })).toThrow(
      '"spec.foo" is not a known field selector: only "metadata.name", "metadata.namespace"',
    );
  });
});
