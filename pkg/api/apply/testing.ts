/** A small kind that has every way to merge, and values of it, for property tests. */
import fc from "fast-check";
import { own } from "../../util/keys.ts";
import type { CustomSchema } from "../custom-schema.ts";
import type { Apply } from "./apply.ts";
import { ATOMIC, DEDUCED, type MergeType } from "./merge-type.ts";

const item: MergeType = object({ name: ATOMIC, protocol: ATOMIC, image: ATOMIC, labels: { kind: "map", of: ATOMIC } });

export const THING: MergeType = object({
  metadata: object({ labels: { kind: "map", of: ATOMIC }, name: ATOMIC, finalizers: { kind: "set" } }),
  spec: object({
    replicas: ATOMIC,
    selector: ATOMIC,
    tags: { kind: "set" },
    items: { kind: "list", keys: [{ name: "protocol", default: "TCP" }, { name: "name" }], of: item },
    any: DEDUCED,
    nested: object({ a: ATOMIC, b: ATOMIC }),
  }),
});

function object(fields: Readonly<Record<string, MergeType>>): MergeType {
  return { kind: "object", field: (name) => own(fields, name) };
}

export const DEF: Apply["def"] = {
  group: "test.io",
  version: "v1",
  kind: "Thing",
  schema: "Thing",
  custom: { mergeType: THING } as CustomSchema,
  subresources: {},
};

const word = fc.constantFrom("a", "b", "c");
const scalar = fc.oneof(word, fc.integer({ min: 0, max: 3 }));
/** A client's key may be any word, the language's own too. */
const key = fc.constantFrom("a", "b", "constructor", "__proto__", "toString");
const map = fc.dictionary(key, scalar, { maxKeys: 3, noNullPrototype: true });
const optional = <T extends object>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(shape, { requiredKeys: [] });

const items = (labels: typeof map) =>
  fc.uniqueArray(
    fc.record(
      { name: word, protocol: fc.constantFrom("TCP", "UDP"), image: scalar, labels },
      { requiredKeys: ["name"] },
    ),
    { maxLength: 4, selector: (i) => `${i.name}/${i.protocol ?? "TCP"}` },
  );

/** What a client may apply: no empty containers, of which it is moot whether they say anything. */
export const configuration = optional({
  metadata: optional({ labels: map.filter(isFull) }),
  spec: optional({
    replicas: fc.integer({ min: 0, max: 3 }),
    selector: map,
    tags: fc.uniqueArray(word, { minLength: 1, maxLength: 3 }),
    items: items(map.filter(isFull)).filter((list) => list.length > 0),
    any: map.filter(isFull),
    nested: optional({ a: scalar, b: scalar }).filter(isFull),
  }).filter(isFull),
}).map((o) => ({ apiVersion: "test.io/v1", kind: "Thing", ...o, metadata: { name: "x", ...o.metadata } }));

function isFull(o: object): boolean {
  return Object.keys(o).length > 0;
}

/** With `{}` and `[]` too. */
export const content = optional({
  metadata: optional({ labels: map, finalizers: fc.uniqueArray(word) }),
  spec: optional({
    replicas: scalar,
    selector: map,
    tags: fc.uniqueArray(word),
    items: items(map),
    any: fc.oneof(scalar, map, fc.dictionary(key, map, { noNullPrototype: true })),
    nested: optional({ a: scalar, b: scalar }),
  }),
}).map((o) => ({ ...o, metadata: { ...o.metadata } }));
