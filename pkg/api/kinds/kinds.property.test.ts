/** What holds for the policy of every kind, whatever its schema lets through: half-empty objects above all. */
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { seededRandom } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { strictDecode } from "../decode.ts";
import { deepClone } from "../equal.ts";
import { apiVersionOf, type ApiObject } from "../object.ts";
import type { RequestContext, ResourceDef } from "../resource.ts";
import { type FieldType, mustSchemaOf, type Scalar } from "../schema.ts";
import { ApiError } from "../status.ts";
import { resources } from "../table.ts";

const CONTEXT: RequestContext = { now: Date.parse("2026-01-01T00:00:00Z"), user: { name: "u", groups: [] } };
const RUNS = 30;
const MAX_DEPTH = 7;

type Draw = <T>(values: readonly T[]) => T;

/** All that a seed leads to: an object is too many choices for fast-check to keep each of them. */
function drawing(seed: number): Draw {
  const random = seededRandom(seed);
  return (values) => values[Math.floor(random() * values.length)] as (typeof values)[number];
}

const NUMBERS = [-1, 0, 1, 80, 40_000, 70_000];
/** Words that some rule has an opinion of. */
const SAMPLES: Readonly<Record<Scalar, readonly unknown[]>> = {
  string: ["", "a", "A b", "*", "None", "10.0.0.1", "::1", "a.b.c/d", "ClusterIP", "JSONPatch", "True", "1-"],
  bytes: ["", "AAAA", "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="],
  bool: [true, false],
  quantity: ["0", "1", "-1", "1Gi", "100m"],
  int32: NUMBERS,
  int64: NUMBERS,
  double: [0, 0.5],
  time: ["2026-01-01T00:00:00Z"],
  microTime: ["2026-01-01T00:00:00.000000Z"],
  intOrString: [0, 80, "http", "", "50%"],
  any: [{}, { a: 1 }, 1],
};

/** Fields that are there and fields that are not, lists of none to two. */
function draw(type: FieldType, pick: Draw, depth: number): unknown {
  switch (type.kind) {
    case "scalar":
      return pick(SAMPLES[type.scalar]);
    case "list":
      return Array.from({ length: depth > MAX_DEPTH ? 0 : pick([0, 1, 1, 2]) }, () => draw(type.of, pick, depth + 1));
    case "map":
      return pick([true, false]) ? {} : { a: draw(type.of, pick, depth + 1) };
    case "object":
      return drawObject(type.type, pick, depth);
  }
}

function drawObject(typeName: string, pick: Draw, depth: number): object {
  const fields = [...mustSchemaOf(typeName).fields.values()];
  // Deep or wide ones have fewer fields, so that it ends.
  const chance = depth > MAX_DEPTH ? 0 : fields.length > 12 ? 0.25 : 0.6;
  const present = fields.filter((f) => f.type.kind === "scalar" || depth <= MAX_DEPTH).filter(() => pick(odds(chance)));
  return Object.fromEntries(present.map((f) => [f.name, draw(f.type, pick, depth + 1)]));
}

const odds = (chance: number) => Array.from({ length: 20 }, (_, i) => i < chance * 20);

function decoded(def: ResourceDef, pick: Draw): ApiObject {
  const { metadata: _, status: __, ...drawn } = drawObject(def.schema, pick, 0) as Record<string, unknown>;
  const status = pick([true, false]) ? {} : pickStatus(def, pick);
  const { value, errors } = strictDecode(def.schema, { ...drawn, ...status, metadata: { name: "x" } });
  if (errors.length) throw new Error(`the test draws what does not decode: ${errors.join("; ")}`);
  return value as ApiObject;
}

function pickStatus(def: ResourceDef, pick: Draw): object {
  const field = mustSchemaOf(def.schema).fields.get("status");
  return field ? { status: draw(field.type, pick, 1) } : {};
}

/** A policy may refuse; it may not stumble. */
function orRefused(work: () => void): void {
  try {
    work();
  } catch (e) {
    if (!(e instanceof ApiError)) throw e;
  }
}

function created(def: ResourceDef, pick: Draw): ApiObject {
  const o = decoded(def, pick);
  def.setDefaults?.(o);
  orRefused(() => def.prepareForCreate?.(o, CONTEXT));
  return o;
}

const rows = resources.filter((d) => !d.custom).map((d) => [`${d.plural} in ${apiVersionOf(d)}`, d] as const);

describe.each(rows)("%s", (_, def) => {
  const property = (check: (pick: Draw) => void) =>
    fc.assert(
      fc.property(fc.integer(), (seed) => check(drawing(seed))),
      { numRuns: RUNS },
    );

  test("defaulting twice is defaulting once", () => {
    property((pick) => {
      const once = decoded(def, pick);
      def.setDefaults?.(once);
      const twice = deepClone(once) as ApiObject;
      def.setDefaults?.(twice);
      expect(twice).toEqual(deepClone(once));
    });
  });

  test("whatever is created can be judged, shown and selected", () => {
    property((pick) => {
      const o = created(def, pick) as DeepReadonly<ApiObject>;
      for (const e of def.validate?.(o) ?? []) expect(typeof e.field).toBe("string");
      for (const c of def.columns) expect(["string", "number", "boolean"]).toContain(typeof c.cell(o, CONTEXT.now));
      for (const get of Object.values(def.selectableFields)) expect(typeof get(o)).toBe("string");
    });
  });

  test("whatever it becomes can be judged", () => {
    property((pick) => {
      const old = created(def, pick) as DeepReadonly<ApiObject>;
      const next = decoded(def, pick);
      def.setDefaults?.(next);
      orRefused(() => def.prepareForUpdate?.(next, old, CONTEXT));
      expect(() => def.validate?.(next, old)).not.toThrow();
      for (const part of Object.values(def.subresources)) {
        if (part.type !== "part") continue;
        const written = decoded(def, pick);
        def.setDefaults?.(written);
        orRefused(() => part.prepareForUpdate(written, old, CONTEXT));
        expect(() => part.validate?.(written, old)).not.toThrow();
      }
    });
  });
});
