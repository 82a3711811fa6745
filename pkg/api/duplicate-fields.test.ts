import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { duplicateFields } from "./duplicate-fields.ts";

test.each<[string, string[]]>([
  ["{}", []],
  ['"a"', []],
  ['{"a":1,"b":1}', []],
  ['{"a":1,"a":2}', ["a"]],
  ['{"a":1,"a":2,"a":3}', ["a"]],
  ['{"spec":{"replicas":1,"x":{"replicas":1},"replicas":2}}', ["spec.replicas"]],
  ['{"c":[{"n":1},{"n":1,"m":[[],{"k":1,"k":1}]}],"d":{},"d":{}}', ["c[1].m[1].k", "d"]],
  ['{"a":"b","c":"a","b":["a","a",{"a":"a"}]}', []],
  ['{"a\\"":1,"a\\\\":2,"\\u0061":3,"a":4}', ["a"]],
  ['{ "a" : "{\\"x\\":1,\\"x\\":1}" ,\n "a,b" : 1, "a,b" :2 }', ["a,b"]],
  ['{"__proto__":1,"constructor":2,"__proto__":3}', ["__proto__"]],
])("%s", (text, paths) => {
  expect(duplicateFields(text)).toEqual(paths);
});

test("no more than a hundred are told", () => {
  const text = `{${Array.from({ length: 300 }, (_, i) => `"k${i % 150}":1`).join(",")}}`;
  expect(duplicateFields(text)).toHaveLength(100);
});

test("what JSON.stringify writes has none, and a field put in again is found", () => {
  fc.assert(
    fc.property(fc.json(), fc.dictionary(fc.string(), fc.jsonValue()), fc.string(), (text, o, key) => {
      expect(duplicateFields(text)).toEqual([]);
      const again = `{${JSON.stringify(key)}:0,${JSON.stringify({ ...o, [key]: 1 }, null, 1).slice(1)}`;
      expect(duplicateFields(`[${again}]`)).toEqual([`[0].${key}`]);
    }),
  );
});
