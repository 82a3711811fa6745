import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { DEDUCED } from "../apply/merge-type.ts";
import type { ApiObject } from "../object.ts";
import { invalid } from "../status.ts";
import { checkSchema } from "./check.ts";
import { customSchema } from "./custom.ts";
import { readSchema, type Schema } from "./schema.ts";

const PATH = "spec.versions[0].schema.openAPIV3Schema";
const gvk = { group: "example.com", version: "v1", kind: "Widget" };
const ofSpec = (spec: unknown) => ({ type: "object", properties: { spec } });

function custom(spec: unknown) {
  const { schema, errors } = readSchema(ofSpec(spec), PATH);
  expect([...errors, ...checkSchema(schema, PATH)]).toEqual([]);
  return customSchema(schema, gvk, DEDUCED);
}

function widget(spec: unknown): ApiObject {
  const object = { apiVersion: "example.com/v1", kind: "Widget", metadata: { name: "w" }, spec };
  return object;
}

/** As a client reads it, without the kind's and object's names. */
function refusal(errors: Parameters<typeof invalid>[2]): string {
  return errors.length === 0 ? "" : invalid(gvk, "w", errors).message.replace(/^.*? is invalid: /, "");
}

const object = (properties: object, more: object = {}) => ({ type: "object", properties, ...more });
const of = (schema: object, value: unknown) => [object({ f: schema }), { f: value }] as const;

describe("values are refused in Kubernetes' words", () => {
  test.each<[string, readonly [object, unknown], string]>([
    [
      "minimum",
      of({ type: "integer", minimum: 1 }, -1),
      "spec.f: Invalid value: -1: spec.f in body should be greater than or equal to 1",
    ],
    [
      "exclusiveMinimum",
      of({ type: "number", minimum: 0, exclusiveMinimum: true }, 0),
      "spec.f: Invalid value: 0: spec.f in body should be greater than 0",
    ],
    [
      "maximum",
      of({ type: "integer", maximum: 3 }, 4),
      "spec.f: Invalid value: 4: spec.f in body should be less than or equal to 3",
    ],
    [
      "multipleOf",
      of({ type: "number", multipleOf: 0.1 }, 0.35),
      "spec.f: Invalid value: 0.35: spec.f in body should be a multiple of 0.1",
    ],
    [
      "type",
      of({ type: "integer" }, "x"),
      'spec.f: Invalid value: "string": spec.f in body must be of type integer: "string"',
    ],
    [
      "not whole",
      of({ type: "integer" }, 1.5),
      'spec.f: Invalid value: "number": spec.f in body must be of type integer: "number"',
    ],
    [
      "null",
      of({ type: "string" }, null),
      'spec.f: Invalid value: "null": spec.f in body must be of type string: "null"',
    ],
    [
      "int or string",
      of({ "x-kubernetes-int-or-string": true }, true),
      'spec.f: Invalid value: "boolean": spec.f in body must be of type integer,string: "boolean"',
    ],
    [
      "int32",
      of({ type: "integer", format: "int32" }, 3e9),
      "spec.f: Invalid value: 3000000000: Checked value must be of type integer with format int32 in spec.f",
    ],
    [
      "minLength",
      of({ type: "string", minLength: 1 }, ""),
      'spec.f: Invalid value: "": spec.f in body should be at least 1 chars long',
    ],
    ["maxLength", of({ type: "string", maxLength: 2 }, "abc"), "spec.f: Too long: may not be more than 2 bytes"],
    [
      "pattern",
      of({ type: "string", pattern: "^a+$" }, "b"),
      "spec.f: Invalid value: \"b\": spec.f in body should match '^a+$'",
    ],
    [
      "format",
      of({ type: "string", format: "ipv4" }, "1.2.3"),
      'spec.f: Invalid value: "1.2.3": spec.f in body must be of type ipv4: "1.2.3"',
    ],
    [
      "enum",
      of({ type: "string", enum: ["a", "b"] }, "c"),
      'spec.f: Unsupported value: "c": supported values: "a", "b"',
    ],
    [
      "minItems",
      of({ type: "array", items: { type: "string" }, minItems: 1 }, []),
      "spec.f: Invalid value: 0: spec.f in body should have at least 1 items",
    ],
    [
      "maxItems",
      of({ type: "array", items: { type: "string" }, maxItems: 1 }, ["a", "b"]),
      "spec.f: Too many: 2: must have at most 1 item",
    ],
    [
      "items",
      of({ type: "array", items: { type: "string" } }, ["a", 1]),
      'spec.f[1]: Invalid value: "integer": spec.f[1] in body must be of type string: "integer"',
    ],
    [
      "minProperties",
      of({ type: "object", minProperties: 1 }, {}),
      "spec.f: Invalid value: 0: spec.f in body should have at least 1 properties",
    ],
    [
      "maxProperties",
      of({ type: "object", additionalProperties: { type: "string" }, maxProperties: 1 }, { a: "", b: "" }),
      "spec.f: Too many: 2: must have at most 1 item",
    ],
    [
      "additionalProperties",
      of({ type: "object", additionalProperties: { type: "string" } }, { k: 1 }),
      'spec.f.k: Invalid value: "integer": spec.f.k in body must be of type string: "integer"',
    ],
    ["required", [object({ f: { type: "string" } }, { required: ["f"] }), {}], "spec.f: Required value"],
    [
      "set",
      of({ type: "array", items: { type: "string" }, "x-kubernetes-list-type": "set" }, ["a", "b", "a"]),
      'spec.f[2]: Duplicate value: "a"',
    ],
    [
      "map",
      of(
        {
          type: "array",
          "x-kubernetes-list-type": "map",
          "x-kubernetes-list-map-keys": ["k"],
          items: object({ k: { type: "string" } }, { required: ["k"] }),
        },
        [{ k: "a" }, { k: "a" }],
      ),
      'spec.f[1]: Duplicate value: {"k":"a"}',
    ],
    [
      "embedded",
      of(
        { type: "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true },
        { kind: "A" },
      ),
      "spec.f.apiVersion: Required value",
    ],
    [
      "not",
      of({ type: "string", not: { enum: ["a"] } }, "a"),
      '<nil>: Invalid value: "": "spec.f" must not validate the schema (not)',
    ],
    [
      "oneOf",
      [
        object({ a: { type: "string" }, b: { type: "string" } }, { oneOf: [{ required: ["a"] }, { required: ["b"] }] }),
        { a: "", b: "" },
      ],
      '<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ],
    [
      "anyOf",
      of({ type: "integer", anyOf: [{ minimum: 10 }, { maximum: 1 }] }, 5),
      '[<nil>: Invalid value: "": "spec.f" must validate at least one schema (anyOf), spec.f: Invalid value: 5: spec.f in body should be greater than or equal to 10]',
    ],
  ])("%s", (_, [schema, value], expected) => {
    expect(refusal(custom(schema).validate(widget(value)))).toBe(expected);
  });

  test("what has not changed is not refused again", () => {
    const schema = custom(object({ a: { type: "integer", minimum: 5 }, b: { type: "string" } }));
    const old = widget({ a: 1, b: "x" });
    expect(refusal(schema.validate(widget({ a: 1, b: "y" }), old))).toBe("");
    expect(refusal(schema.validate(widget({ a: 2, b: "x" }), old))).toContain("greater than or equal to 5");
  });

  test("a pattern that would make others backtrack costs nothing", () => {
    const schema = custom(object({ f: { type: "string", pattern: "^(a+)+$" } }));
    expect(schema.validate(widget({ f: `${"a".repeat(50_000)}b` }))).toHaveLength(1);
  });
});

describe("rules", () => {
  const rule = (text: string, more: object = {}) => ({ "x-kubernetes-validations": [{ rule: text, ...more }] });
  const counts = { min: { type: "integer" }, max: { type: "integer" }, name: { type: "string" } };

  test.each<[string, object, unknown, unknown, string]>([
    ["holds", object(counts, rule("self.min <= self.max")), { min: 1, max: 2 }, undefined, ""],
    [
      "fails",
      object(counts, rule("self.min <= self.max")),
      { min: 3, max: 2 },
      undefined,
      "spec: Invalid value: failed rule: self.min <= self.max",
    ],
    [
      "message",
      object(counts, rule("self.min <= self.max", { message: "min above max" })),
      { min: 3, max: 2 },
      undefined,
      "spec: Invalid value: min above max",
    ],
    [
      "messageExpression",
      object(counts, rule("self.min <= self.max", { messageExpression: "'%d > %d'.format([self.min, self.max])" })),
      { min: 3, max: 2 },
      undefined,
      "spec: Invalid value: 3 > 2",
    ],
    [
      "reason and fieldPath",
      object(counts, rule("self.min <= self.max", { reason: "FieldValueForbidden", fieldPath: ".min", message: "no" })),
      { min: 3, max: 2 },
      undefined,
      "spec.min: Forbidden: no",
    ],
    [
      "of a scalar",
      object({ n: { type: "integer", ...rule("self % 2 == 0") } }),
      { n: 3 },
      undefined,
      "spec.n: Invalid value: 3: failed rule: self % 2 == 0",
    ],
    [
      "no value",
      object(counts, rule("self.name == 'a'")),
      {},
      undefined,
      "spec: Invalid value: \"object\": no such key: name evaluating rule: self.name == 'a'",
    ],
    [
      "transition",
      object({ n: { type: "integer", ...rule("self >= oldSelf") } }),
      { n: 1 },
      { n: 2 },
      "spec.n: Invalid value: 1: failed rule: self >= oldSelf",
    ],
    [
      "no transition on create",
      object({ n: { type: "integer", ...rule("self >= oldSelf") } }),
      { n: 1 },
      undefined,
      "",
    ],
    [
      "immutable object",
      object({ o: object(counts, rule("self == oldSelf", { message: "immutable" })) }),
      { o: { min: 1 } },
      { o: { min: 2 } },
      "spec.o: Invalid value: immutable",
    ],
    [
      "optional oldSelf",
      object({
        n: { type: "integer", ...rule("!oldSelf.hasValue() || self > oldSelf.value()", { optionalOldSelf: true }) },
      }),
      { n: 1 },
      undefined,
      "",
    ],
    [
      "unchanged is left alone",
      object({ n: { type: "integer", ...rule("self > 5") }, name: { type: "string" } }),
      { n: 1, name: "b" },
      { n: 1, name: "a" },
      "",
    ],
    [
      "lists by key",
      object({
        l: {
          type: "array",
          "x-kubernetes-list-type": "map",
          "x-kubernetes-list-map-keys": ["k"],
          items: object(
            { k: { type: "string" }, v: { type: "integer" } },
            { required: ["k"], ...rule("self.v >= oldSelf.v") },
          ),
        },
      }),
      {
        l: [
          { k: "b", v: 1 },
          { k: "a", v: 2 },
        ],
      },
      {
        l: [
          { k: "a", v: 1 },
          { k: "b", v: 2 },
        ],
      },
      "spec.l[0]: Invalid value: failed rule: self.v >= oldSelf.v",
    ],
    [
      "maps and escapes",
      object(
        { "my-map": { type: "object", additionalProperties: { type: "integer" } } },
        rule("self.my__dash__map.all(k, self.my__dash__map[k] > 0)"),
      ),
      { "my-map": { a: 1, b: 0 } },
      undefined,
      "spec: Invalid value: failed rule: self.my__dash__map.all(k, self.my__dash__map[k] > 0)",
    ],
    [
      "times and durations",
      object(
        { at: { type: "string", format: "date-time" }, for: { type: "string", format: "duration" } },
        rule("self.__for__ < duration('1h') && self.at > timestamp('2020-01-01T00:00:00Z')"),
      ),
      { at: "2021-01-01T00:00:00Z", for: "30m" },
      undefined,
      "",
    ],
    [
      "int or string",
      object(
        { p: { "x-kubernetes-int-or-string": true } },
        rule("type(self.p) == int ? self.p < 10 : self.p == 'http'"),
      ),
      { p: 80 },
      undefined,
      "spec: Invalid value: failed rule: type(self.p) == int ? self.p < 10 : self.p == 'http'",
    ],
    [
      "quantities",
      object({ q: { type: "string" } }, rule("quantity(self.q).isLessThan(quantity('1Gi'))")),
      { q: "2Gi" },
      undefined,
      "spec: Invalid value: failed rule: quantity(self.q).isLessThan(quantity('1Gi'))",
    ],
    [
      "after other errors",
      object({ n: { type: "integer" } }, rule("self.n > 1")),
      { n: "x" },
      undefined,
      '[spec.n: Invalid value: "string": spec.n in body must be of type integer: "string", <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation]',
    ],
  ])("%s", (_, schema, spec, old, expected) => {
    const was = old === undefined ? undefined : widget(old);
    expect(refusal(custom(schema).validate(widget(spec), was))).toBe(expected);
  });

  test("what costs too much ends", () => {
    const text = "self.l.all(a, self.l.all(b, self.l.all(c, self.l.all(d, a + b + c + d >= 0))))";
    const schema = custom(object({ l: { type: "array", items: { type: "integer" } } }, rule(text)));
    const errors = schema.validate(widget({ l: Array.from({ length: 500 }, (_, i) => i) }));
    expect(refusal(errors)).toContain("running out of cost budget");
  });
});

describe("pruning and defaults", () => {
  const schema = custom(
    object({
      a: { type: "string", default: "x" },
      nullable: { type: "string", nullable: true, default: "n" },
      o: { type: "object", default: {}, properties: { b: { type: "integer", default: 1 }, c: { type: "integer" } } },
      open: {
        type: "object",
        "x-kubernetes-preserve-unknown-fields": true,
        properties: { in: object({ k: { type: "string" } }) },
      },
      map: { type: "object", additionalProperties: object({ v: { type: "integer", default: 7 } }) },
      l: { type: "array", items: object({ v: { type: "integer", default: 7 } }) },
      pod: {
        type: "object",
        "x-kubernetes-embedded-resource": true,
        properties: { spec: object({ n: { type: "integer" } }) },
      },
    }),
  );

  test("unknown fields go, and are named", () => {
    const { value, unknown } = schema.decode({
      ...widget({
        z: 1,
        o: { y: 2, c: 3 },
        open: { any: 1, in: { k: "", no: 1 } },
        map: { m: { v: 1, w: 2 } },
        l: [{ x: 1 }],
      }),
      status: {},
    });
    expect(value).toEqual(widget({ o: { c: 3 }, open: { any: 1, in: { k: "" } }, map: { m: { v: 1 } }, l: [{}] }));
    expect(unknown).toEqual(["spec.z", "spec.o.y", "spec.open.in.no", "spec.map.m.w", "spec.l[0].x", "status"]);
  });

  test("embedded objects keep what all objects have", () => {
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec: { n: 1 } };
    expect(schema.decode(widget({ pod: { ...pod, status: {} } }))).toEqual({
      value: widget({ pod }),
      unknown: ["spec.pod.status"],
      errors: [],
    });
  });

  test("metadata has Go's types", () => {
    const { errors, unknown } = schema.decode({ kind: 1, metadata: { labels: { a: 1 }, nope: true } });
    expect(errors.join("; ")).toContain("cannot unmarshal number into Go struct field");
    expect(unknown).toEqual(["metadata.nope"]);
  });

  test("defaults, within defaults and within what is there", () => {
    const o = widget({ a: null, nullable: null, map: { m: {} }, l: [{ v: 1 }, {}] });
    const read = schema.filledIn(o);
    schema.setDefaults(o);
    expect(read).toEqual(o);
    expect(o).toEqual(widget({ a: "x", nullable: null, o: { b: 1 }, map: { m: { v: 7 } }, l: [{ v: 1 }, { v: 7 }] }));
  });

  test("keys that JavaScript knows are keys like others", () => {
    const input = JSON.parse(
      '{"metadata":{},"spec":{"map":{"__proto__":{"v":1},"constructor":{}},"__proto__":1}}',
    ) as object;
    const { value, unknown } = schema.decode(input);
    expect(JSON.stringify(value)).toContain('"__proto__":{"v":1}');
    expect(unknown).toEqual(["spec.__proto__"]);
    schema.setDefaults(value as ApiObject);
    expect(JSON.stringify(value)).toContain('"constructor":{"v":7}');
  });

  test("property: what was pruned and filled in stays as it is", () => {
    const json = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<unknown>;
    const spec = fc.record({ o: json, open: json, map: fc.dictionary(fc.string(), json), l: fc.array(json), z: json });
    fc.assert(
      fc.property(spec, (s) => {
        const once = schema.decode(widget(s)).value as ApiObject;
        schema.setDefaults(once);
        expect(schema.filledIn(once)).toBe(once);
        const twice = schema.decode(once);
        schema.setDefaults(twice.value as ApiObject);
        expect(twice.unknown).toEqual([]);
        expect(twice.value).toEqual(once);
      }),
    );
  });
});

describe("schemas that are none", () => {
  const at = (path: string) => `${PATH}${path}`;
  test.each<[string, unknown, string]>([
    ["no type", { properties: {} }, `${at(".type")}: Required value: must not be empty at the root`],
    ["not an object", { type: "string" }, `${at(".type")}: Invalid value: "string": must be object at the root`],
    [
      "field without type",
      ofSpec({}),
      `${at(".properties[spec].type")}: Required value: must not be empty for specified object fields`,
    ],
    [
      "array without items",
      ofSpec({ type: "array" }),
      `${at(".properties[spec].items")}: Required value: must be specified`,
    ],
    [
      "unknown type",
      ofSpec({ type: "text" }),
      `${at(".properties[spec].type")}: Unsupported value: "text": supported values: "array", "boolean", "integer", "null", "number", "object", "string"`,
    ],
    [
      "metadata",
      object({ metadata: object({ labels: { type: "object" } }) }),
      `${at(".properties[metadata]")}: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified`,
    ],
    [
      "type in anyOf",
      ofSpec({ type: "string", anyOf: [{ type: "string" }] }),
      `${at(".properties[spec].anyOf[0].type")}: Forbidden: must be empty to be structural`,
    ],
    [
      "incomplete",
      ofSpec({ type: "object", oneOf: [{ properties: { a: { minimum: 1 } } }] }),
      `${at(".properties[spec].properties[a]")}: Required value: because it is defined in ${at(".properties[spec].oneOf[0].properties[a]")}`,
    ],
    [
      "root additionalProperties",
      { type: "object", additionalProperties: { type: "string" } },
      `${at(".additionalProperties")}: Forbidden: must not be used at the root`,
    ],
    [
      "both",
      ofSpec(object({ a: { type: "string" } }, { additionalProperties: { type: "string" } })),
      `${at(".properties[spec].additionalProperties")}: Forbidden: additionalProperties and properties are mutual exclusive`,
    ],
    [
      "unique items",
      ofSpec({ type: "array", items: { type: "string" }, uniqueItems: true }),
      `${at(".properties[spec].uniqueItems")}: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic`,
    ],
    [
      "reference",
      ofSpec({ type: "object", $ref: "#/x" }),
      `${at(".properties[spec].$ref")}: Forbidden: $ref is not supported`,
    ],
    ["pattern", ofSpec({ type: "string", pattern: "(" }), "must be a valid regular expression"],
    [
      "list keys",
      ofSpec({
        type: "array",
        items: object({ k: { type: "string" } }),
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k"],
      }),
      `${at(".properties[spec].items.properties[k].default")}: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property`,
    ],
    [
      "no list keys",
      ofSpec({ type: "array", items: object({}), "x-kubernetes-list-type": "map" }),
      `${at(".properties[spec].x-kubernetes-list-map-keys")}: Required value: must not be empty if x-kubernetes-list-type is map`,
    ],
    [
      "set of objects",
      ofSpec({ type: "array", items: object({ a: { type: "string" } }), "x-kubernetes-list-type": "set" }),
      "must be atomic as item of a list with x-kubernetes-list-type=set",
    ],
    [
      "wrong default",
      ofSpec({ type: "integer", default: "x" }),
      `${at(".properties[spec].default")}: Invalid value: "string": ${at(".properties[spec].default")} in body must be of type integer: "string"`,
    ],
    [
      "unknown in default",
      ofSpec({ type: "object", default: { a: 1 } }),
      `${at(".properties[spec].default")}: Invalid value: {"a":1}: must not have unknown fields`,
    ],
    [
      "rule: syntax",
      ofSpec({ type: "integer", "x-kubernetes-validations": [{ rule: "self >" }] }),
      "compilation failed: ERROR: <input>:1:",
    ],
    [
      "rule: no such field",
      ofSpec(object({ a: { type: "string" } }, { "x-kubernetes-validations": [{ rule: "self.b == 'x'" }] })),
      "compilation failed: ERROR: <input>:1:",
    ],
    [
      "rule: types",
      ofSpec(object({ a: { type: "string" } }, { "x-kubernetes-validations": [{ rule: "self.a > 1" }] })),
      "no such overload: string > int",
    ],
    [
      "rule: not a bool",
      ofSpec({ type: "integer", "x-kubernetes-validations": [{ rule: "self + 1" }] }),
      "cel expression must evaluate to a bool",
    ],
    [
      "rule: oldSelf in a plain list",
      ofSpec({ type: "array", items: { type: "integer", "x-kubernetes-validations": [{ rule: "self == oldSelf" }] } }),
      "oldSelf cannot be used on the uncorrelatable portion of the schema",
    ],
    [
      "items: wrong type",
      ofSpec({ type: "array", items: { type: 1 } }),
      "cannot unmarshal number into Go struct field JSONSchemaProps.type of type string",
    ],
  ])("%s", (_, props, expected) => {
    const { schema, errors } = readSchema(props, PATH);
    expect(refusal([...errors, ...checkSchema(schema, PATH)])).toContain(expected);
  });

  test("int or string in either form", () => {
    const anyOf = [{ type: "integer" }, { type: "string" }];
    for (const s of [{ anyOf }, { allOf: [{ anyOf }, { pattern: "^x" }] }]) {
      expect(checkSchema(readSchema(ofSpec({ "x-kubernetes-int-or-string": true, ...s }), PATH).schema, PATH)).toEqual(
        [],
      );
    }
  });
});

describe("what others read of a schema", () => {
  const props = object({
    m: { type: "object", additionalProperties: { type: "string" } },
    a: { type: "object", "x-kubernetes-map-type": "atomic", properties: { x: { type: "string" } } },
    s: { type: "array", items: { type: "string" }, "x-kubernetes-list-type": "set" },
    l: {
      type: "array",
      items: object({ p: { type: "string", default: "TCP" } }),
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["p"],
    },
    plain: { type: "array", items: { type: "string" } },
    open: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
  });

  test("how it merges", () => {
    const root = custom(props).mergeType;
    const spec = root.kind === "object" ? root.field("spec") : undefined;
    const kindOf = (name: string) => (spec?.kind === "object" ? spec.field(name)?.kind : "?");
    expect(["m", "a", "s", "l", "plain", "open", "nope"].map(kindOf)).toEqual([
      "map",
      "atomic",
      "set",
      "list",
      "atomic",
      "deduced",
      undefined,
    ]);
    const list = spec?.kind === "object" ? spec.field("l") : undefined;
    expect(list).toMatchObject({ keys: [{ name: "p", default: "TCP" }] });
  });

  test("documents have what every object has", () => {
    const schema: Schema = readSchema(ofSpec({ type: "string", nullable: true, description: "what" }), PATH).schema;
    const v3 = customSchema(schema, gvk, DEDUCED).openApi("v3");
    expect(v3).toMatchObject({
      type: "object",
      properties: { apiVersion: { type: "string" }, metadata: {}, spec: { type: "string", nullable: true } },
      "x-kubernetes-group-version-kind": [{ group: "example.com", kind: "Widget", version: "v1" }],
    });
    const v2 = customSchema(schema, gvk, DEDUCED).openApi("v2") as { properties: Record<string, unknown> };
    expect(v2.properties["spec"]).toEqual({ description: "what" });
  });
});
