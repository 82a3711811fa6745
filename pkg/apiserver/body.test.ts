import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { isReason } from "../api/status.ts";
import type { Call } from "../client/transport.ts";
import { toYaml } from "../util/yaml.ts";
import { MAX_BODY_BYTES, parseBody, withBody } from "./body.ts";
import type { BodyEncoding } from "./negotiate.ts";

const CREATE: Call = { verb: "create", group: "", version: "v1", resource: "configmaps", namespace: "default" };

function request(body: string | Uint8Array, headers: Record<string, string> = {}): IncomingMessage {
  const bytes = Buffer.from(body);
  return Object.assign(Readable.from(bytes.length > 0 ? [bytes] : []), { headers }) as unknown as IncomingMessage;
}

describe("withBody", () => {
  test("reads what is there, in the form that is said; nothing is no body, whatever its form", async () => {
    const json = await withBody(request('{"a":1}'), CREATE);
    expect(json.body).toEqual({ a: 1 });
    const yaml = await withBody(request("a: 1\nb: [x, &y z, *y]\n", { "content-type": "application/yaml" }), CREATE);
    expect(yaml.body).toEqual({ a: 1, b: ["x", "z", "z"] });
    const none = await withBody(request("", { "content-type": "text/csv" }), { ...CREATE, verb: "delete", name: "x" });
    expect("body" in none).toBe(false);
    const get = await withBody(request("not read"), { ...CREATE, verb: "get" });
    expect("body" in get).toBe(false);
  });

  test("the form of a patch is its type's, not the header's", async () => {
    const patch = { ...CREATE, verb: "patch", name: "x" } as const;
    const headers = { "content-type": "application/apply-patch+yaml" };
    const apply = await withBody(request("a: b", headers), { ...patch, patchType: "application/apply-patch+yaml" });
    expect(apply.body).toEqual({ a: "b" });
    const merge = withBody(request("a: b"), { ...patch, patchType: "application/merge-patch+json" });
    await expect(merge).rejects.toMatchObject({ reason: "BadRequest" });
  });

  test.each<[string, string | Uint8Array, Record<string, string>, object]>([
    ["too large", Buffer.alloc(MAX_BODY_BYTES + 1, 32), {}, { code: 413, reason: "RequestEntityTooLarge" }],
    ["an unknown form", "a,b", { "content-type": "text/csv" }, { code: 415, reason: "UnsupportedMediaType" }],
    ["packed", "x", { "content-encoding": "gzip" }, { code: 415, reason: "UnsupportedMediaType" }],
    ["protobuf that is none", "{}", { "content-type": "application/vnd.kubernetes.protobuf" }, { code: 400 }],
  ])("refused: %s", async (_, body, headers, error) => {
    await expect(withBody(request(body, headers), CREATE)).rejects.toMatchObject(error);
  });
});

describe("B1, B2 what a body could do", () => {
  const nested = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;
  /** Nine aliases of nine aliases of … */
  const laughs = Array.from({ length: 9 }, (_, i) =>
    i === 0
      ? "a0: &a0 [x]"
      : `a${i}: &a${i} [${Array(9)
          .fill(`*a${i - 1}`)
          .join(", ")}]`,
  ).join("\n");

  test.each<[string, string | Uint8Array, BodyEncoding, RegExp]>([
    ["JSON cut off", '{"a":', "json", /must be valid JSON/],
    ["JSON nested deeply", nested(1001), "json", /nested more than 1000 levels deep/],
    ["JSON nested without end", nested(1_000_000), "json", /nested more than 1000 levels deep/],
    ["YAML nested deeply", nested(1001), "yaml", /must be valid YAML/],
    ["YAML nested without end", nested(1_000_000), "yaml", /must be valid YAML/],
    ["YAML with aliases of aliases", laughs, "yaml", /excessive aliasing/],
    ["YAML with a key twice", "a: 1\na: 2\n", "yaml", /duplicated mapping key/],
    ["YAML with an alias of nothing", "a: *b", "yaml", /must be valid YAML/],
    ["invalid UTF-8 in JSON", Buffer.from([0x22, 0xff, 0x22]), "json", /invalid UTF-8/],
    ["invalid UTF-8 in YAML", Buffer.from([0xc3, 0x28]), "yaml", /invalid UTF-8/],
  ])("%s is refused", (_, body, encoding, message) => {
    const parse = () => parseBody(Buffer.from(body), encoding);
    expect(parse).toThrow(message);
    expect(parse).toThrow(expect.objectContaining({ reason: "BadRequest", code: 400 }));
  });

  test("what is deep but not too deep is read", () => {
    expect(JSON.stringify(parseBody(Buffer.from(nested(1000)), "json"))).toBe(nested(1000));
  });

  test.each(["json", "yaml"] as const)("__proto__ in %s is a key like any other", (encoding) => {
    const value = parseBody(Buffer.from('{"data":{"__proto__":{"polluted":"yes"}}}'), encoding) as { data: object };
    expect(Object.keys(value.data)).toEqual(["__proto__"]);
    expect("polluted" in {}).toBe(false);
  });

  test("any JSON comes through as it is, also as YAML", () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false, maxDepth: 4 }), (value) => {
        const text = JSON.stringify(value);
        expect(JSON.stringify(parseBody(Buffer.from(text), "json"))).toBe(text);
      }),
    );
    fc.assert(
      fc.property(fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.oneof(fc.string(), fc.integer())), (value) => {
        expect(parseBody(Buffer.from(toYaml({ value })), "yaml")).toEqual({ value });
      }),
    );
  });

  test("fuzz: any bytes are a value or BadRequest", () => {
    const readsOrRefuses = (bytes: Uint8Array, encoding: BodyEncoding) => {
      try {
        parseBody(bytes, encoding);
        return true;
      } catch (error) {
        return isReason(error, "BadRequest");
      }
    };
    const forms = fc.constantFrom<BodyEncoding>("json", "yaml", "protobuf");
    const pieces = fc.array(
      fc.constantFrom(
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        '"',
        "\n",
        " ",
        "- ",
        "&a",
        "*a",
        "!!",
        "<<",
        "|",
        "a",
        "1",
        "\u0000",
        "\ufeff",
        "%",
        "---\n",
        "? ",
      ),
    );
    const text = pieces.map((p) => Buffer.from(p.join("")));
    fc.assert(fc.property(fc.oneof(fc.uint8Array(), text), forms, readsOrRefuses), { numRuns: 2000 });
  });
});
