import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { strictDecode } from "../decode.ts";
import { schemaOf } from "../schema.ts";
import { isReason } from "../status.ts";
import { decodeProtobuf } from "./decode.ts";
import { messageIds, messageOfKind, mustMessage } from "./table.ts";
import { messageArbitrary } from "./testing/arbitrary.ts";
import { encodeEnvelope, encodeProtobuf, MAGIC } from "./testing/encode.ts";

interface Recorded {
  readonly command: string;
  readonly hex: string;
  readonly json: unknown;
}

/** Bodies that kubectl 1.32 sent; `json` is what the same command prints with --dry-run=client -o json, where it can. */
const recorded = JSON.parse(
  readFileSync(join(import.meta.dirname, "testdata/kubectl-1.32.json"), "utf8"),
) as readonly Recorded[];
const fromHex = (hex: string) => Uint8Array.from(Buffer.from(hex, "hex"));
const fromBase64 = (text: string) => new Uint8Array(Buffer.from(text, "base64"));

/** JSON's nulls say nothing (decode.ts P1). */
const withoutNulls = (value: unknown) =>
  JSON.parse(JSON.stringify(value, (_, v: unknown) => (v === null ? undefined : v))) as unknown;

describe("what kubectl 1.32 sends", () => {
  test.each(recorded.map((r) => [r.command, r] as const))("%s", (_, { hex, json }) => {
    expect(decodeProtobuf(fromHex(hex))).toEqual(withoutNulls(json));
  });
});

const METADATA = { message: "meta/v1.ObjectMeta" };
const kinds = [...messageIds()].filter((id) =>
  [...mustMessage(id).fields.values()].some(
    (f) => f.name === "metadata" && JSON.stringify(f.type) === JSON.stringify(METADATA),
  ),
);
const versionOf = (id: string) => id.slice(0, id.indexOf("."));

describe("the table", () => {
  test("has the kinds of all groups", () => {
    expect(kinds.length).toBeGreaterThan(60);
    expect(messageOfKind("v1", "Pod")?.id).toBe("core/v1.Pod");
    expect(messageOfKind("apps/v1", "Deployment")?.id).toBe("apps/v1.Deployment");
    expect(messageOfKind("apps/v1", "DeleteOptions")?.id).toBe("meta/v1.DeleteOptions");
    expect(messageOfKind("example.com/v1", "Widget")).toBeUndefined();
  });

  test("the schema knows each field under the same name, wherever it has the type", () => {
    let compared = 0;
    const unknown = kinds.concat("core/v1.PodSpec", "core/v1.Container", "core/v1.Volume").flatMap((id) => {
      const name = id.slice(id.indexOf(".") + 1);
      const schema = schemaOf(name);
      if (!schema?.openApiName.includes(versionOf(id).replace("/", "."))) return [];
      compared++;
      const names = [...mustMessage(id).fields.values()].map((f) => f.name);
      return names.filter((n) => n !== "" && !schema.fields.has(n)).map((n) => `${id} ${n}`);
    });
    expect(unknown).toEqual([]);
    expect(compared).toBeGreaterThan(40);
  });
});

const groups: Readonly<Record<string, string>> = { "core/v1": "v1" };
const SUFFIXES = ["", ".k8s.io", ".authorization.k8s.io"];

function apiVersionOfId(id: string): string {
  const [group = "", version = ""] = versionOf(id).split("/");
  const found = SUFFIXES.map((s) => `${group}${s}/${version}`).find(
    (v) => messageOfKind(v, id.split(".")[1] ?? "")?.id === id,
  );
  return groups[versionOf(id)] ?? found ?? "";
}

describe("P1 round trip", () => {
  test.each(kinds)("%s", (id) => {
    const apiVersion = apiVersionOfId(id);
    const kind = id.slice(id.indexOf(".") + 1);
    fc.assert(
      fc.property(messageArbitrary(mustMessage(id), 4), (fields) => {
        const object = { apiVersion, kind, ...fields };
        expect(decodeProtobuf(encodeProtobuf(object))).toEqual(object);
      }),
      { numRuns: 15 },
    );
  });

  test("DeleteOptions, of any group: what is said is there, a grace of zero too", () => {
    const options = {
      gracePeriodSeconds: 0,
      propagationPolicy: "Background",
      preconditions: { uid: "u" },
      dryRun: ["All"],
    };
    for (const apiVersion of ["v1", "apps/v1", "meta.k8s.io/v1"]) {
      const object = { apiVersion, kind: "DeleteOptions", ...options };
      const decoded = decodeProtobuf(encodeProtobuf(object));
      expect(decoded).toEqual(object);
      expect(strictDecode("DeleteOptions", decoded)).toMatchObject({ unknown: [], errors: [] });
    }
  });

  test("what was a Pod is a Pod: no field is unknown, none of a wrong type", () => {
    fc.assert(
      fc.property(messageArbitrary(mustMessage("core/v1.Pod"), 5), (fields) => {
        const { unknown, errors } = strictDecode(
          "Pod",
          decodeProtobuf(encodeProtobuf({ apiVersion: "v1", kind: "Pod", ...fields })),
        );
        expect([unknown, errors]).toEqual([[], []]);
      }),
      { numRuns: 50 },
    );
  });
});

describe("forms that our encoder does not write", () => {
  const body = (kind: string, ...parts: (number | string | readonly number[])[]) =>
    decodeProtobuf(
      encodeEnvelope(
        { apiVersion: "v1", kind },
        Buffer.concat(parts.map((p) => (typeof p === "string" ? Buffer.from(p) : Buffer.from([p].flat())))),
      ),
    );

  test("zero values: Go writes them all; JSON shows those that are not left out when empty", () => {
    // ObjectMeta {name: "a", generateName: "", generation: 0, creationTimestamp: the zero time, gracePeriod: 0}
    const meta = [0x0a, 1, 0x61, 0x12, 0, 0x38, 0, 0x42, 0, 0x50, 0];
    expect(body("ConfigMap", 0x0a, meta.length, meta)).toEqual({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "a", deletionGracePeriodSeconds: 0 },
    });
  });

  test("packed numbers, unknown fields, map entries without key or value, __proto__ as a key", () => {
    const supplementalGroups = [0x22, 3, 1, 0x96, 0x01]; // SecurityContext of a Pod, field 4, packed
    const spec = [0x72, supplementalGroups.length, ...supplementalGroups];
    expect(body("Pod", 0x12, spec.length, spec, 0xa0, 0x3f, 7)).toMatchObject({
      spec: { securityContext: { supplementalGroups: [1, 150] } },
    });
    const object = body("ConfigMap", 0x12, 0, 0x12, 14, 0x0a, 9, "__proto__", 0x12, 1, "x") as { data: object };
    expect(Object.entries(object.data)).toEqual([
      ["", ""],
      ["__proto__", "x"],
    ]);
    expect(Object.getPrototypeOf(object.data)).toBe(Object.prototype);
  });

  test("an object within another in an envelope of its own", () => {
    const inner = encodeProtobuf({ apiVersion: "v1", kind: "Namespace", metadata: { name: "in" } });
    const data = Buffer.concat([Buffer.from([0x0a, inner.length]), inner]);
    const raw = Buffer.concat([Buffer.from([0x12, data.length]), data]);
    expect(decodeProtobuf(encodeEnvelope({ apiVersion: "apps/v1", kind: "ControllerRevision" }, raw))).toMatchObject({
      data: { apiVersion: "v1", kind: "Namespace", metadata: { name: "in" } },
    });
  });
});

describe("P2 what cannot be read", () => {
  const pod = (raw: readonly number[]) => encodeEnvelope({ apiVersion: "v1", kind: "Pod" }, Uint8Array.from(raw));
  /** A schema in a schema in a schema, by `not`. */
  function deepCrd(levels: number): Uint8Array {
    let schema: object = {};
    for (let i = 0; i < levels; i++) schema = { not: schema };
    const versions = [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: schema } }];
    const spec = { group: "x.io", versions };
    return encodeProtobuf({ apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition", spec });
  }

  test.each<[string, Uint8Array, RegExp]>([
    ["no prefix", Buffer.from("{}"), /does not appear to be a protobuf message, expected prefix \[107 56 115 0\]/],
    ["nothing", new Uint8Array(), /expected prefix/],
    ["only the prefix", MAGIC, /'Kind' is missing/],
    [
      "an unknown kind",
      encodeEnvelope({ apiVersion: "x.io/v1", kind: "Y" }, new Uint8Array()),
      /no kind "Y" is registered for version "x.io\/v1"/,
    ],
    ["an object cut off", pod([0x0a, 100, 1]), /^Pod in version "v1" cannot be handled as a Pod: proto: premature EOF/],
    ["a wrong wire type", pod([0x08, 1]), /wrong wireType = 0 for field metadata/],
    ["an illegal tag", pod([0x07]), /illegal tag/],
    ["invalid UTF-8", pod([0x0a, 3, 0x0a, 1, 0xff]), /proto: .*(utf|encoded)/i],
    [
      "no time",
      pod([0x0a, 14, 0x42, 12, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x10, 0]),
      /no time of RFC 3339/,
    ],
    ["too deep", deepCrd(200), /nested more than 100 levels deep/],
  ])("%s", (_, bytes, message) => {
    const decode = () => decodeProtobuf(bytes);
    expect(decode).toThrow(message);
    expect(decode).toThrow(expect.objectContaining({ reason: "BadRequest", code: 400 }));
  });

  /** Either an object or BadRequest: nothing else is ever thrown. */
  const readsOrRefuses = (bytes: Uint8Array) => {
    try {
      return typeof decodeProtobuf(bytes) === "object";
    } catch (error) {
      return isReason(error, "BadRequest");
    }
  };
  const real = recorded.map((r) => fromHex(r.hex));

  test("fuzz: random bytes, and what kubectl sends with some bytes changed or cut off", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (b) => readsOrRefuses(pod([...b]))),
      { numRuns: 2000 },
    );
    const edits = fc.array(fc.tuple(fc.nat(250), fc.nat(255)), { maxLength: 4 });
    const mutated = fc.tuple(fc.constantFrom(...real), edits, fc.nat(250)).map(([bytes, changes, cut]) => {
      const copy = Uint8Array.from(bytes);
      for (const [at, byte] of changes) if (at < copy.length) copy[at] = byte;
      return cut % 2 === 0 ? copy : copy.subarray(0, cut);
    });
    fc.assert(fc.property(mutated, readsOrRefuses), { numRuns: 3000 });
  });

  test("large data comes through whole", () => {
    const value = Buffer.alloc(1_000_000, 7).toString("base64");
    const secret = { apiVersion: "v1", kind: "Secret", data: { big: value } };
    const decoded = decodeProtobuf(encodeProtobuf(secret)) as typeof secret;
    expect(fromBase64(decoded.data.big).every((b) => b === 7)).toBe(true);
    expect(decoded.data.big.length).toBe(value.length);
  });
});
