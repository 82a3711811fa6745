import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { redact, redactObject, secretValues } from "./redact.ts";

const base64 = (text: string) => Buffer.from(text).toString("base64");
const secret = (data: Record<string, string>) => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: "db" },
  data: Object.fromEntries(Object.entries(data).map(([k, v]) => [k, base64(v)])),
});

describe("by its looks", () => {
  const jwt = `${base64('{"alg":"RS256"}').replaceAll("=", "")}.${base64('{"sub":"x","aud":1}').replaceAll("=", "")}.c2ln`;
  test.each([
    ["-----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY-----\nrest", "<redacted>\nrest"],
    ["-----BEGIN PRIVATE KEY-----\ncut off", "<redacted>"],
    [`token: ${jwt}, next`, "token: <redacted>, next"],
    ["Authorization: Bearer abcdef.123", "Authorization: Bearer <redacted>"],
    ["join with abcdef.0123456789abcdef now", "join with <redacted> now"],
    ["https://joe:hunter22@example.com/", "https://joe:<redacted>@example.com/"],
    [`    client-key-data: ${base64("-----BEGIN")}`, "    client-key-data: <redacted>"],
    ['{"client-key-data":"abcd","name":"x"}', '{"client-key-data":"<redacted>","name":"x"}'],
    ["    token: swordfish\n    username: joe", "    token: <redacted>\n    username: joe"],
    ['{"password":"hunter2"}', '{"password":"<redacted>"}'],
    ["-----BEGIN CERTIFICATE-----\nabc", "-----BEGIN CERTIFICATE-----\nabc"],
    ["an ordinary line: 10.0.0.1:6443, https://10.0.0.1/api", "an ordinary line: 10.0.0.1:6443, https://10.0.0.1/api"],
  ])("%j", (text, expected) => expect(redact(text, new Map())).toBe(expected));
});

describe("by its place", () => {
  test("a Secret keeps its keys, not its values, nor what was applied", () => {
    const applied = { "kubectl.kubernetes.io/last-applied-configuration": '{"data":{}}', other: "x" };
    const object = { ...secret({ user: "joe", password: "hunter2" }), metadata: { name: "db", annotations: applied } };
    expect(redactObject(object)).toEqual({
      apiVersion: "v1",
      kind: "Secret",
      metadata: {
        name: "db",
        annotations: { "kubectl.kubernetes.io/last-applied-configuration": "<redacted>", other: "x" },
      },
      data: { user: "<redacted>", password: "<redacted>" },
    });
  });

  test("of variables those that are called so", () => {
    const env = [
      { name: "DB_PASSWORD", value: "hunter2" },
      { name: "GITHUB_TOKEN", value: "x" },
      { name: "PORT", value: "80" },
      { name: "DB_PASSWORD_FROM", valueFrom: { secretKeyRef: { name: "db", key: "password" } } },
    ];
    expect(redactObject({ env }).env.map((e) => e.value)).toEqual(["<redacted>", "<redacted>", "80", undefined]);
  });
});

describe("by its value", () => {
  test("no value of a Secret is left in any text, plain or in base64", () =>
    fc.assert(
      fc.property(
        fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.stringMatching(/^[A-Za-z0-9!#%&]{8,40}$/), { minKeys: 1 }),
        fc.array(fc.string(), { maxLength: 5 }),
        (data, around) => {
          const values = Object.values(data);
          const text = [...around, ...values, ...values.map(base64), ...around].join("\n");
          const out = redact(text, secretValues([secret(data)]));
          for (const value of values) {
            expect(out).not.toContain(value);
            expect(out).not.toContain(base64(value));
          }
        },
      ),
    ));

  test("the longest of those that begin alike", () => {
    const values = secretValues([secret({ a: "swordfish", b: "swordfish-and-chips" })]);
    expect(redact("swordfish-and-chips, swordfish, swordfi", values)).toBe("<redacted>, <redacted>, swordfi");
  });

  test("each line of a long one; not words that stand everywhere", () => {
    const values = secretValues([
      secret({ file: "first-line\nsecond-line", on: "true", ns: "default", cert: "-----BEGIN CERTIFICATE-----\nx" }),
    ]);
    expect(redact("log: second-line is true in default", values)).toBe("log: <redacted> is true in default");
  });
});
