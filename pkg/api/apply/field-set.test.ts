import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { pathText } from "./elements.ts";
import {
  difference,
  EMPTY,
  type FieldSet,
  has,
  interned,
  intersection,
  paths,
  readFieldSet,
  SetBuilder,
  sorted,
  union,
} from "./field-set.ts";

const element = fc.constantFrom("f:a", "f:b", "f:app.kubernetes.io/name", 'k:{"name":"x"}', 'k:{"name":"y"}', 'v:"z"');
const path = fc.array(element, { minLength: 1, maxLength: 4 });
const set = fc.array(path, { maxLength: 8 }).map(setOf);

function setOf(all: readonly (readonly string[])[]): FieldSet {
  const builder = new SetBuilder();
  for (const p of all) builder.add(p);
  return builder.set;
}

const texts = (s: FieldSet) => new Set(paths(s).map((p) => p.join("/")));
const json = (s: FieldSet) => JSON.stringify(sorted(s));

describe("a field set", () => {
  test("holds the paths that were added, and no others", () => {
    fc.assert(
      fc.property(fc.array(path), path, (added, other) => {
        const made = setOf(added);
        expect(texts(made)).toEqual(new Set(added.map((p) => p.join("/"))));
        expect(has(made, other)).toBe(added.some((p) => p.join("/") === other.join("/")));
      }),
    );
  });

  test("is what sets are, whatever holds what", () => {
    fc.assert(
      fc.property(set, set, (a, b) => {
        const [x, y] = [texts(a), texts(b)];
        expect(texts(union(a, b))).toEqual(new Set([...x, ...y]));
        expect(texts(difference(a, b))).toEqual(new Set([...x].filter((p) => !y.has(p))));
        expect(texts(intersection(a, b))).toEqual(new Set([...x].filter((p) => y.has(p))));
      }),
    );
  });

  test("has one text, however it came about, and can be read back", () => {
    fc.assert(
      fc.property(set, set, (a, b) => {
        expect(json(union(a, b))).toBe(json(union(b, a)));
        expect(json(union(difference(a, b), intersection(a, b)))).toBe(json(a));
        expect(json(difference(a, a))).toBe("{}");
        expect(readFieldSet(JSON.parse(json(a)))).toEqual(a);
      }),
    );
  });

  test("operations that change nothing give back what they got", () => {
    fc.assert(
      fc.property(set, set, (a, b) => {
        const all = union(a, b);
        expect(union(all, b)).toBe(all);
        expect(difference(difference(a, b), b)).toEqual(difference(a, b));
        expect(difference(a, EMPTY)).toBe(a);
        const inOrder = sorted(a);
        expect(sorted(inOrder)).toBe(inOrder);
      }),
    );
  });
});

test("equal sets are one in memory, of the last thousand", () => {
  const one = interned(setOf([["f:a", "f:b"]]));
  expect(interned(setOf([["f:a", "f:b"]]))).toBe(one);
  for (let i = 0; i < 1000; i++) interned(setOf([[`f:${i}`]]));
  expect(interned(setOf([["f:a", "f:b"]]))).not.toBe(one);
});

test.each<[string, unknown, unknown]>([
  ["keys are put in order", { 'k:{"b":1,"a":"x"}': {} }, { 'k:{"a":"x","b":1}': {} }],
  ["a lone self is a leaf", { "f:a": { ".": {} } }, { "f:a": {} }],
  ["what a later version may know is ignored", { "x:a": {}, "f:b": {} }, { "f:b": {} }],
  ["an index stays", { "i:0": {} }, { "i:0": {} }],
  ["a broken key is refused", { "k:[1]": {} }, undefined],
  ["a broken value is refused", { "v:{": {} }, undefined],
  ["a broken index is refused", { "i:x": {} }, undefined],
  ["what is no element is refused", { spec: {} }, undefined],
  ["what is no set is refused", { "f:a": [] }, undefined],
])("reading a client's FieldsV1: %s", (_, given, read) => {
  expect(readFieldSet(given)).toEqual(read);
});

test("paths as people read them", () => {
  const path = [
    "f:spec",
    "f:containers",
    'k:{"name":"web"}',
    "f:ports",
    'k:{"containerPort":80,"protocol":"TCP"}',
    "f:name",
  ];
  expect(pathText(path)).toBe('.spec.containers[name="web"].ports[containerPort=80,protocol="TCP"].name');
  expect(pathText(["f:metadata", "f:finalizers", 'v:"a/b"'])).toBe('.metadata.finalizers[="a/b"]');
  expect(pathText(["f:a", "i:3"])).toBe(".a[3]");
});
