/** Objects made out of the schema alone: right in every type, and as odd as the types allow. */
import fc from "fast-check";
import { apiVersionOf } from "../../pkg/api/object.ts";
import type { ResourceDef } from "../../pkg/api/resource.ts";
import { type FieldType, type Scalar, mustSchemaOf } from "../../pkg/api/schema.ts";

/** How deep an object goes; Pods in templates in CronJobs need this much to be wrong inside a container. */
const DEPTH = 9;

/** Names that mean something in JavaScript, and what no name may be. */
const ODD_KEYS = ["__proto__", "constructor", "toString", "hasOwnProperty", "", "a/b", "app", "x".repeat(300), "ключ"];
const ODD_STRINGS = [
  "",
  " ",
  "a",
  "0",
  "-1",
  "nginx:1.27",
  "*",
  "../..",
  "app=web",
  "{}",
  "\u0000",
  "💥",
  "y".repeat(1000),
];

const word = fc.oneof(fc.constantFrom(...ODD_STRINGS), fc.constantFrom(...ODD_KEYS), fc.string({ maxLength: 8 }));
const number = fc.constantFrom(0, 1, -1, 80, 65_536, 2 ** 31 - 1, -(2 ** 31));

const SCALARS: Readonly<Record<Scalar, fc.Arbitrary<unknown>>> = {
  string: word,
  bytes: fc.constantFrom("", "AA==", "eA=="),
  bool: fc.boolean(),
  quantity: fc.constantFrom("0", "1", "-1", "500m", "1Gi", "1e3", "9999999999999999E", 3),
  int32: number,
  int64: fc.oneof(number, fc.constantFrom(Number.MAX_SAFE_INTEGER)),
  double: fc.double({ noNaN: true, noDefaultInfinity: true }),
  time: fc.constantFrom("2024-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
  microTime: fc.constantFrom("2024-01-01T00:00:00.000000Z"),
  intOrString: fc.oneof(number, word, fc.constantFrom("50%", "101%")),
  any: fc.oneof(fc.jsonValue({ maxDepth: 2 })),
};

function valueOf(type: FieldType, depth: number): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case "scalar":
      return SCALARS[type.scalar];
    case "list":
      return fc.array(valueOf(type.of, depth - 1), { maxLength: 2 });
    case "map":
      return fc.array(fc.tuple(word, valueOf(type.of, depth - 1)), { maxLength: 2 }).map(fromEntries);
    case "object":
      return objectOf(type.type, depth);
  }
}

/** `__proto__` becomes a key of its own, as in what JSON.parse makes. */
function fromEntries(entries: readonly (readonly [string, unknown])[]): object {
  return JSON.parse(`{${entries.map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join(",")}}`) as object;
}

const made = new Map<string, fc.Arbitrary<object>>();

/** Fields at random; most of those that must be there. */
function objectOf(typeName: string, depth: number): fc.Arbitrary<object> {
  const key = `${typeName}/${depth}`;
  const known = made.get(key);
  if (known) return known;
  const fields = depth <= 0 ? [] : [...mustSchemaOf(typeName).fields.values()];
  const chosen = fc.array(fc.nat(Math.max(0, fields.length - 1)), { maxLength: 4 });
  const arbitrary = chosen.chain((indexes) => {
    const wanted = fields.filter((f, i) => f.required || indexes.includes(i));
    const values = wanted.map((f) =>
      fc.tuple(fc.constant(f.name), fc.option(valueOf(f.type, depth - 1), { nil: null, freq: 12 })),
    );
    return fc.tuple(...values).map(fromEntries);
  });
  made.set(key, arbitrary);
  return arbitrary;
}

/** With a name that is fit to be one, so that what comes after the name is looked at too. */
export function objectsOf(def: ResourceDef): fc.Arbitrary<Record<string, unknown>> {
  return objectOf(def.schema, DEPTH).map((o) => {
    const { metadata } = o as { metadata?: object | null };
    return {
      ...o,
      apiVersion: apiVersionOf(def),
      kind: def.kind,
      metadata: {
        ...metadata,
        name: "fuzz",
        ...(def.namespaced && { namespace: "default" }),
        resourceVersion: undefined,
      },
    };
  });
}

/** Every position of the schema with its type: `spec`, `spec.containers`, `spec.containers.0.image`, … */
export function positions(typeName: string, maxDepth = DEPTH): { path: (string | number)[]; type: FieldType }[] {
  const found: { path: (string | number)[]; type: FieldType }[] = [];
  const visit = (type: FieldType, path: (string | number)[], within: readonly string[]) => {
    if (path.length > 0) found.push({ path, type });
    if (path.length >= maxDepth) return;
    if (type.kind === "list") visit(type.of, [...path, 0], within);
    if (type.kind === "map") visit(type.of, [...path, "key"], within);
    // A type within itself (JSON schemas) shows nothing new.
    if (type.kind !== "object" || within.includes(type.type)) return;
    for (const f of mustSchemaOf(type.type).fields.values()) visit(f.type, [...path, f.name], [...within, type.type]);
  };
  visit({ kind: "object", type: typeName }, [], []);
  return found;
}

/** The value at a path, with lists and objects around it. */
export function wrap(path: readonly (string | number)[], value: unknown): unknown {
  return path.reduceRight<unknown>((inner, step) => (typeof step === "number" ? [inner] : { [step]: inner }), value);
}

const WRONG: Readonly<Record<Scalar, readonly unknown[]>> = {
  string: [7, true, {}, []],
  bytes: [7, {}, "not base64!"],
  bool: ["true", 1, {}],
  quantity: [{}, [], "1x", true],
  int32: ["1", 1.5, {}, 2 ** 40],
  int64: ["1", 1.5, {}, 1e30],
  double: ["1", {}],
  time: [7, {}, "yesterday"],
  microTime: [7, {}, "yesterday"],
  intOrString: [{}, [], true],
  any: [],
};

/** Values that the type cannot take. */
export function wrongFor(type: FieldType): readonly unknown[] {
  return type.kind === "scalar" ? WRONG[type.scalar] : type.kind === "list" ? ["x", 7, { a: 1 }] : ["x", 7, [1]];
}
