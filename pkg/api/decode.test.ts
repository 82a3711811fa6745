import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { decodeObject, strictDecode } from "./decode.ts";
import { mustSchemaOf, typeNames, type FieldType } from "./schema.ts";
import { ApiError } from "./status.ts";

const POD = { group: "", version: "v1", kind: "Pod", schema: "Pod" };

function refusal(def: typeof POD, input: unknown): ApiError {
  try {
    decodeObject(def, input, "Strict");
  } catch (e) {
    if (e instanceof ApiError) return e;
    throw e;
  }
  throw new Error("was not refused");
}

describe("unknown fields (D1)", () => {
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web", labells: {} },
    spec: {
      containers: [
        { name: "a", imagee: "x" },
        { name: "b", ports: [{ containerport: 80 }] },
      ],
      x: 1,
    },
    extra: true,
  };

  test("are reported by path and dropped", () => {
    const { value, unknown, errors } = strictDecode("Pod", pod);
    expect(unknown).toEqual([
      "metadata.labells",
      "spec.containers[0].imagee",
      "spec.containers[1].ports[0].containerport",
      "spec.x",
      "extra",
    ]);
    expect(errors).toEqual([]);
    expect(value).toEqual({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "web" },
      spec: { containers: [{ name: "a" }, { name: "b", ports: [{}] }] },
    });
  });

  test("Strict refuses them all in one error, Warn warns, Ignore is silent", () => {
    const bad = { metadata: {}, spec: { x: 1, y: 2 } };
    expect(refusal(POD, bad)).toMatchObject({
      reason: "BadRequest",
      message:
        'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.x", unknown field "spec.y"',
    });
    expect(decodeObject(POD, bad, "Warn").warnings).toEqual(['unknown field "spec.x"', 'unknown field "spec.y"']);
    expect(decodeObject(POD, bad, "Ignore").warnings).toEqual([]);
  });

  test("a key like a method of Object is unknown, and __proto__ stays a plain key of a map", () => {
    const input: unknown = JSON.parse(
      '{"metadata":{"labels":{"__proto__":"x"}},"constructor":1,"__proto__":{"kind":"y"}}',
    );
    const { value, unknown } = strictDecode("Pod", input);
    expect(unknown).toEqual(["constructor", "__proto__"]);
    expect(JSON.stringify(value)).toBe('{"metadata":{"labels":{"__proto__":"x"}}}');
  });
});

describe("mistyped fields", () => {
  const inContainer = (container: unknown) => ({ spec: { containers: [container] } });

  test.each([
    [
      inContainer({ ports: [{ containerPort: "80" }] }),
      "json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
    ],
    [
      inContainer({ ports: [{ containerPort: 80.5 }] }),
      "json: cannot unmarshal number 80.5 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
    ],
    [
      inContainer({ ports: [{ containerPort: 3_000_000_000 }] }),
      "json: cannot unmarshal number 3000000000 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
    ],
    [
      inContainer({ env: [{ name: "A", value: 1 }] }),
      "json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string",
    ],
    [
      { metadata: { labels: { a: true } } },
      "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string",
    ],
    [
      { spec: { containers: {} } },
      "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
    ],
    [{ spec: [] }, "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec"],
    [
      { spec: { nodeSelector: "x" } },
      "json: cannot unmarshal string into Go struct field PodSpec.spec.nodeSelector of type map[string]string",
    ],
    [
      { spec: { hostNetwork: "true" } },
      "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
    ],
    [
      inContainer({ livenessProbe: { httpGet: { port: true } } }),
      "json: cannot unmarshal bool into Go value of type int32",
    ],
    [
      inContainer({ resources: { limits: { cpu: "1 core" } } }),
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
    [{ metadata: { creationTimestamp: 5 } }, "json: cannot unmarshal number into Go value of type string"],
    ["x", "json: cannot unmarshal string into Go value of type v1.Pod"],
    [[], "json: cannot unmarshal array into Go value of type v1.Pod"],
  ])("%j", (input, message) => {
    expect(strictDecode("Pod", input).errors).toEqual([message]);
    expect(refusal(POD, input).message).toBe(`Pod in version "v1" cannot be handled as a Pod: ${message}`);
  });

  test.each(["2024-02-30T00:00:00Z", "yesterday", "", "2024-01-01", "2024-01-01T00:00:00+99:00"])(
    "the time %j",
    (creationTimestamp) => {
      const [error, ...more] = strictDecode("Pod", { metadata: { creationTimestamp } }).errors;
      expect(error).toContain(`parsing time ${JSON.stringify(creationTimestamp)} as "2006-01-02T15:04:05Z07:00"`);
      expect(more).toEqual([]);
    },
  );

  test.each([
    ["!", 0],
    ["YWJ", 0],
    ["YWJj*A==", 4],
  ])("the base64 %j", (text, at) => {
    expect(strictDecode("Secret", { data: { key: text } }).errors).toEqual([`illegal base64 data at input byte ${at}`]);
  });
});

describe("values", () => {
  test("nulls are dropped from objects and zero in lists and maps (D2)", () => {
    const { value, errors } = strictDecode("Pod", {
      metadata: { creationTimestamp: null, labels: { a: null }, finalizers: [null] },
      spec: { containers: [null], nodeName: null },
      status: null,
    });
    expect(errors).toEqual([]);
    expect(value).toEqual({ metadata: { labels: { a: "" }, finalizers: [""] }, spec: { containers: [{}] } });
  });

  test("quantities and times become canonical (D3)", () => {
    const decoded = strictDecode("Pod", {
      metadata: { creationTimestamp: "2024-05-01T12:00:00.5+02:00" },
      spec: { containers: [{ resources: { limits: { cpu: 0.5, memory: "1024Mi" }, requests: { cpu: 2 } } }] },
    });
    expect(decoded.value).toEqual({
      metadata: { creationTimestamp: "2024-05-01T10:00:00Z" },
      spec: { containers: [{ resources: { limits: { cpu: "500m", memory: "1Gi" }, requests: { cpu: "2" } } }] },
    });
    expect(strictDecode("Lease", { spec: { renewTime: "2024-05-01T12:00:00.5Z" } }).value).toEqual({
      spec: { renewTime: "2024-05-01T12:00:00.500000Z" },
    });
  });

  test("the value shares nothing with the input, not even where anything goes (D4)", () => {
    const input = { metadata: { managedFields: [{ fieldsV1: { "f:spec": { ".": {} } } }], labels: { a: "b" } } };
    const value = strictDecode("Pod", input).value as typeof input;
    expect(value).toEqual(input);
    expect(value.metadata.labels).not.toBe(input.metadata.labels);
    expect(value.metadata.managedFields[0]?.fieldsV1).not.toBe(input.metadata.managedFields[0]?.fieldsV1);
  });

  test("required objects, lists and maps are there at every depth, empty if need be; selectors are not (D5)", () => {
    const preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    const template = { spec: { affinity: { nodeAffinity: { [preferred]: [{ weight: 1 }, null] } } } };
    const apps = { group: "apps", version: "v1", kind: "StatefulSet", schema: "StatefulSet" };
    const { object } = decodeObject(apps, { spec: { template, volumeClaimTemplates: [{}] } }, "Strict");
    expect(object).toEqual({
      metadata: {},
      spec: {
        volumeClaimTemplates: [{ metadata: {} }],
        template: {
          spec: {
            affinity: { nodeAffinity: { [preferred]: [{ weight: 1, preference: {} }, { preference: {} }] } },
            containers: [],
          },
        },
      },
    });
  });

  test("metadata is always there", () => {
    expect(decodeObject(POD, { kind: "Pod" }, "Strict").object).toEqual({ kind: "Pod", metadata: {} });
  });

  test("a Secret of several megabytes", () => {
    const data = { key: "QUJD".repeat(1_000_000) };
    expect(strictDecode("Secret", { data })).toEqual({ value: { data }, unknown: [], errors: [] });
  });
});

test("decoding a valid object of any type gives the same object", () => {
  const names = [...typeNames()];
  fc.assert(
    fc.property(
      fc.constantFrom(...names).chain((name) => fc.tuple(fc.constant(name), objectOf(name, 5))),
      ([name, object]) => {
        expect(strictDecode(name, object)).toEqual({ value: object, unknown: [], errors: [] });
      },
    ),
    { numRuns: 300 },
  );
});

function objectOf(typeName: string, depth: number): fc.Arbitrary<Record<string, unknown>> {
  const fields = [...mustSchemaOf(typeName).fields.values()];
  // Few fields at a time keep the objects small without leaving any field out for good.
  return fc.subarray(fields, { maxLength: Math.min(4, fields.length) }).chain((some) => {
    const shallow = some.filter((f) => depth > 0 || f.type.kind === "scalar");
    return fc.record(Object.fromEntries(shallow.map((f) => [f.name, valueOf(f.type, depth - 1)])));
  });
}

function valueOf(type: FieldType, depth: number): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case "object":
      return depth > 0 ? objectOf(type.type, depth) : fc.constant({});
    case "list":
      return fc.array(valueOf(type.of, depth), { maxLength: 2 });
    case "map":
      return fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), valueOf(type.of, depth), {
        maxKeys: 2,
        noNullPrototype: true,
      });
    case "scalar":
      return SCALARS[type.scalar];
  }
}

const seconds = fc
  .date({ min: new Date(0), max: new Date("2099-01-01"), noInvalidDate: true })
  .map((d) => d.toISOString().slice(0, 19));

const SCALARS = {
  string: fc.string(),
  bytes: fc.base64String(),
  bool: fc.boolean(),
  quantity: fc.integer({ min: 1, max: 999 }).chain((n) => fc.constantFrom(`${n}`, `${n}m`, `${n}Mi`, `${n}G`)),
  int32: fc.integer(),
  int64: fc.maxSafeInteger(),
  double: fc.integer(),
  time: seconds.map((s) => `${s}Z`),
  microTime: seconds.map((s) => `${s}.123456Z`),
  intOrString: fc.oneof(fc.integer(), fc.string()),
  any: fc.jsonValue({ maxDepth: 2 }).filter((v) => v !== null && !JSON.stringify(v).includes("-0")),
} as const;
