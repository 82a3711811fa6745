import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { type Answered, type Asked, read, TestApi } from "../harness/https.ts";
import { runs } from "./runs.ts";

/** What arrives over HTTPS, whatever it is, is answered: with success, or with a Status that blames the client. */
let api: TestApi;
beforeAll(async () => void (api = await TestApi.start()));
afterAll(() => api.close());

const configMaps = "/api/v1/namespaces/default/configmaps";
const pods = "/api/v1/namespaces/default/pods";
const MAX = 3 * 1024 * 1024;

const valid = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "fuzz" }, data: { key: "value" } };
const yaml = (body: string | Uint8Array): Asked => ({
  method: "POST",
  headers: { "Content-Type": "application/yaml" },
  body,
});
const json = (body: string | Uint8Array): Asked => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body,
});
const protobuf = (body: Uint8Array): Asked => ({
  method: "POST",
  headers: { "Content-Type": "application/vnd.kubernetes.protobuf" },
  body,
});
const patch = (type: string, body: string): Asked => ({
  method: "PATCH",
  headers: { "Content-Type": `application/${type}` },
  body,
});

function assertRefused(answer: Answered, code: number): void {
  expect(answer.json()).toMatchObject({ kind: "Status", apiVersion: "v1", status: "Failure", code });
  expect(answer.code).toBe(code);
}

/** `{"a":{"a":…` as deep as asked, closed again. */
const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;

/** What every object of JavaScript answers to, set or not. */
const INHERITED = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf"];

describe("bodies", () => {
  const magic = [0x6b, 0x38, 0x73, 0x00];
  test.each<[string, Asked, number]>([
    ["nothing at all", json(""), 400],
    ["half a document", json('{"apiVersion":"v1",'), 400],
    ["JSON with a comment", json("{} // no"), 400],
    ["a number", json("1"), 400],
    ["null", json("null"), 400],
    ["a list", json("[]"), 400],
    ["a string", json('"ConfigMap"'), 400],
    ["NaN", json('{"data":NaN}'), 400],
    ["two documents", json("{}{}"), 400],
    ["invalid UTF-8 in JSON", json(Buffer.from('{"kind":"Config\xff\xfe"}', "latin1")), 400],
    ["invalid UTF-8 in YAML", yaml(Buffer.from("kind: \xff\xfe", "latin1")), 400],
    ["UTF-16", json(Buffer.from(JSON.stringify(valid), "utf16le")), 400],
    ["deep JSON", json(nested(100_000)), 400],
    ["deep JSON lists", json(`${"[".repeat(200_000)}${"]".repeat(200_000)}`), 400],
    ["deep YAML", yaml(`${"{a: ".repeat(20_000)}1${"}".repeat(20_000)}`), 400],
    ["deep YAML blocks", yaml(Array.from({ length: 1_500 }, (_, i) => `${" ".repeat(i)}a:\n`).join("")), 400],
    ["a tab in YAML", yaml("metadata:\n\tname: x\n"), 400],
    ["an alias that is nowhere", yaml("data: *nowhere\n"), 400],
    ["an unknown tag", yaml("data: !!js/function 'x'\n"), 400],
    [
      "aliases of aliases",
      yaml(
        Array.from({ length: 30 }, (_, i) => `k${i}: &a${i} ${i === 0 ? "[x,x]" : `[*a${i - 1},*a${i - 1}]`}\n`).join(
          "",
        ),
      ),
      400,
    ],
    ["a binary that is none of ours", protobuf(Buffer.from("hello")), 400],
    ["protobuf's magic alone", protobuf(Uint8Array.from(magic)), 400],
    ["protobuf cut off", protobuf(Uint8Array.from([...magic, 0x0a, 0x10, 0x0a, 0x02, 0x76])), 400],
    ["a length beyond everything", protobuf(Uint8Array.from([...magic, 0x12, 0xff, 0xff, 0xff, 0xff, 0x0f])), 400],
    ["an unknown form", { method: "POST", headers: { "Content-Type": "text/csv" }, body: "a,b" }, 415],
    [
      "a packed body",
      { ...json("{}"), headers: { "Content-Type": "application/json", "Content-Encoding": "gzip" } },
      415,
    ],
    ["one byte too many", json(" ".repeat(MAX + 1)), 413],
    ["16 MB", json(`{"data":{"k":"${"x".repeat(16 * 1024 * 1024)}"}}`), 413],
  ])("%s", async (_, asked, code) => {
    assertRefused(await api.ask(configMaps, asked), code);
  });

  test("3 MB of spaces are a body like any other", async () => {
    const body = `${JSON.stringify({ ...valid, metadata: { name: "spaces" } })}`.padEnd(MAX);
    expect((await api.ask(configMaps, json(body))).code).toBe(201);
  });

  test.each(INHERITED)("nothing is found by the name %s", async (name) => {
    const paths = [
      `/api/v1/componentstatuses/${name}`,
      `/api/v1/${name}`,
      `/apis/${name}/v1`,
      `${configMaps}/${name}`,
      `${configMaps}/spaces/${name}`,
      `/api/v1/namespaces/default/pods/web/${name}`,
      `/api/v1/namespaces/default/${name}`,
    ];
    for (const path of paths) expect([path, (await api.ask(path, { method: "GET" })).code]).toEqual([path, 404]);
    const scoped = json(JSON.stringify({ metadata: { name: "scoped" }, spec: { scopes: [name] } }));
    assertRefused(await api.ask("/api/v1/namespaces/default/resourcequotas", scoped), 422);
  });

  test.each(INHERITED)("the key %s is data, and changes no object but its own", async (key) => {
    const name = `key-${key.toLowerCase().replaceAll("_", "")}`;
    const text = `{"metadata":{"name":"${name}","labels":{"${key}":"l"}},"data":{"${key}":"d"},"${key}":{"polluted":1}}`;
    const made = await api.ask(configMaps, json(text));
    // A label key may be any of these but one that begins with an underscore.
    expect(made.code).toBe(key.startsWith("_") ? 422 : 201);
    const plain = { metadata: { name } };
    if (key.startsWith("_")) await api.ask(configMaps, json(JSON.stringify(plain)));
    for (const type of ["merge-patch+json", "strategic-merge-patch+json"]) {
      const done = await api.ask(`${configMaps}/${name}`, patch(type, `{"data":{"${key}":"patched"}}`));
      expect([done.code, JSON.stringify(done.json()["data"])]).toEqual([200, `{"${key}":"patched"}`]);
    }
    const pointer = `[{"op":"add","path":"/data/${key}","value":"pointed"}]`;
    expect((await api.ask(`${configMaps}/${name}`, patch("json-patch+json", pointer))).code).toBeLessThan(500);
    const inherited = `[{"op":"add","path":"/${key}/polluted","value":"x"}]`;
    expect((await api.ask(`${configMaps}/${name}`, patch("json-patch+json", inherited))).code).toBeLessThan(500);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    expect(Object.prototype.hasOwnProperty.call(Object.prototype, "polluted")).toBe(false);
  });
});

const wild = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.constantFrom(
    "",
    "..",
    ".",
    "%",
    "%2f",
    "%00",
    "%ff",
    "a b",
    "//",
    "💥",
    "-1",
    "true",
    "v1",
    "pods",
    "default",
    "status",
    "watch",
  ),
);
const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"];
const PARAMETERS = [
  "limit",
  "continue",
  "resourceVersion",
  "resourceVersionMatch",
  "labelSelector",
  "fieldSelector",
  "timeoutSeconds",
  "dryRun",
  "fieldValidation",
  "fieldManager",
  "force",
  "gracePeriodSeconds",
  "propagationPolicy",
  "includeObject",
  "sendInitialEvents",
  "pretty",
];
const HEADERS = ["Accept", "Content-Type", "If-None-Match", "Accept-Encoding", "Impersonate-User", "Expect", "Range"];
const TYPES = [
  "application/json",
  "application/yaml",
  "application/vnd.kubernetes.protobuf",
  "application/json;as=Table;v=v1;g=meta.k8s.io",
  "application/apply-patch+yaml",
  "application/json-patch+json",
  "*/*",
  ";;;=,,",
];

const path = fc.oneof(
  fc.array(wild, { maxLength: 8 }).map((words) => `/${words.map(encodeURIComponent).join("/")}`),
  fc
    .tuple(fc.constantFrom("/api/v1", "/apis/apps/v1", "/openapi/v3", configMaps, pods, `${pods}/x`), wild)
    .map(([base, word]) => `${base}/${encodeURIComponent(word)}`),
);
const query = fc
  .array(fc.tuple(fc.constantFrom(...PARAMETERS), wild), { maxLength: 3 })
  .map((pairs) => pairs.map(([k, v]) => `${k}=${encodeURIComponent(v)}`).join("&"));
// What Node would not even send is not for the server to refuse.
const headers = fc
  .array(
    fc.tuple(fc.constantFrom(...HEADERS), fc.oneof(fc.constantFrom(...TYPES), fc.stringMatching(/^[ -~]{0,12}$/))),
    { maxLength: 3 },
  )
  .map((pairs) => Object.fromEntries(pairs.filter(([k]) => k !== "Expect")));
const body = fc.oneof(
  fc.constant(undefined),
  fc.json({ maxDepth: 3 }),
  fc.string({ maxLength: 50 }),
  fc.constant(JSON.stringify(valid)),
);

describe("requests at random", () => {
  test("methods, paths, queries, headers and bodies: no 500, and every refusal a Status", async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...METHODS), path, query, headers, body, async (method, p, q, h, b) => {
        const res = await api.open(`${p}?${q}`, { method, headers: h, ...(b !== undefined && { body: b }) });
        // A watch.
        if (res.headers["transfer-encoding"] === "chunked") return void res.on("error", () => {}).destroy();
        const answer = await read(res);
        const refused = answer.code >= 400 && method !== "HEAD";
        const said = refused ? answer.json() : { kind: "Status", status: "Failure", code: answer.code };
        expect(answer.code).toBeLessThan(500);
        expect(said).toMatchObject({ kind: "Status", status: "Failure", code: answer.code });
      }),
      runs(1_000),
    );
  });

  test("a good body with bytes changed: no 500, in any form", async () => {
    const forms = [
      json(JSON.stringify(valid)),
      yaml("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: fuzz\n  labels: {a: b}\ndata:\n  key: |\n    text\n"),
      protobuf(Buffer.from("6b3873000a0f0a0276311209436f6e6669674d6170120e0a080a0466757a7a12001a0212001a00220", "hex")),
    ];
    const changes = fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...forms), changes, fc.nat(3), async (form, bytes, cut) => {
        const changed = Buffer.from(form.body as Uint8Array | string);
        for (const [at, value] of bytes) changed[at % changed.length] = value;
        const sent = {
          ...form,
          body: changed.subarray(0, changed.length - (cut === 0 ? (bytes[0]?.[0] ?? 0) % 20 : 0)),
        };
        const answer = await api.ask(`${configMaps}?dryRun=All`, sent);
        expect(answer.code).toBeLessThan(500);
      }),
      runs(600),
    );
  });
});
