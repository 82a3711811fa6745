import { describe, expect, test } from "@jest/globals";
import { encryptionConfigText, newEncryptionConfig, readEncryptionConfig, rotation } from "./config.ts";

const key = (name: string, bytes = 32) => ({ name, secret: Buffer.alloc(bytes, name).toString("base64") });
const file = (...resources: unknown[]) =>
  JSON.stringify({ kind: "EncryptionConfiguration", apiVersion: "apiserver.config.k8s.io/v1", resources });
const rule = (provider: unknown, names: unknown = ["secrets"]) => ({ resources: names, providers: [provider] });
const aesgcm = (...keys: unknown[]) => ({ aesgcm: { keys } });

describe("reading", () => {
  test("a new file encrypts Secrets, by a key of its own, and reads plain text", () => {
    const [a, b] = [newEncryptionConfig(), newEncryptionConfig()].map(readEncryptionConfig);
    const [first] = a?.rules ?? [];
    expect(a?.rules).toHaveLength(1);
    expect(first?.resources).toEqual(["secrets"]);
    expect(first?.providers.map((p) => p.type)).toEqual(["aesgcm", "identity"]);
    expect(a?.hash).not.toBe(b?.hash);
  });

  test.each<[string, string, string]>([
    ["nothing", "", "the file: an object is expected"],
    ["another kind", "kind: Pod", "kind: EncryptionConfiguration with apiVersion"],
    ["no resources", file(), "resources: at least one is needed"],
    ["a weak provider", file(rule({ aescbc: { keys: [key("a")] } })), 'the provider "aescbc" is not offered'],
    ["an unknown provider", file(rule({ rot13: {} })), 'the provider "rot13" is not offered'],
    ["two in one", file(rule({ identity: {}, ...aesgcm(key("a")) })), "more than one provider"],
    ["no key", file(rule(aesgcm())), "resources[0].providers[0].aesgcm.keys: at least one is needed"],
    ["a short key", file(rule(aesgcm(key("a", 5)))), "not of the expected length, got 5, expected one of [16 24 32]"],
    ["no base64", file(rule(aesgcm({ name: "a", secret: "%%" }))), "secrets must be base64 encoded"],
    ["a colon in a name", file(rule(aesgcm(key("a:b")))), "a name without colons is needed"],
    ["a name twice", file(rule(aesgcm(key("a"), key("a")))), 'two keys have the name "a"'],
    ["a resource that is none", file(rule({ identity: {} }, ["Secrets!"])), '"Secrets!" names no resource'],
    ["a star alone", file(rule({ identity: {} }, ["*"])), '"*" names no resource'],
  ])("%s is refused with what is wrong and where", (_, text, why) => {
    expect(() => readEncryptionConfig(text)).toThrow(why);
  });

  test("no refusal tells a secret", () => {
    const { secret } = key("a", 5);
    expect(() => readEncryptionConfig(file(rule(aesgcm(key("a", 5)))))).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining(secret) as unknown }),
    );
  });

  test.each(["secrets", "deployments.apps", "*.apps", "*.", "*.*", "widgets.example.com"])(
    "%s is a resource",
    (name) => {
      expect(readEncryptionConfig(file(rule({ identity: {} }, [name]))).rules[0]?.resources).toEqual([name]);
    },
  );
});

test("a rotation: the new key reads, then writes, then is the only one; the text says the same when read again", () => {
  const { rules } = readEncryptionConfig(newEncryptionConfig());
  const steps = [rules, rotation.add(rules), rotation.promote(rotation.add(rules))];
  steps.push(rotation.drop(steps[2] ?? []));
  const names = steps.map((step) => {
    const [read] = readEncryptionConfig(encryptionConfigText(step)).rules;
    return read?.providers.flatMap((p) => (p.type === "aesgcm" ? p.keys.map((k) => k.name) : [p.type]));
  });
  expect(names).toEqual([
    ["key1", "identity"],
    ["key1", "key2", "identity"],
    ["key2", "key1", "identity"],
    ["key2", "identity"],
  ]);
});

test("a step that is done again, as a time-out asks for, does not bring the old key back", () => {
  const { rules } = readEncryptionConfig(newEncryptionConfig());
  const promoted = rotation.promote(rotation.add(rules));
  expect(rotation.promote(promoted)).toEqual(promoted);
  expect(rotation.drop(rotation.drop(promoted))).toEqual(rotation.drop(promoted));
});
