import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { Ciphers, isEncrypted, unreadable } from "./ciphers.ts";
import { type Provider, readEncryptionConfig, type ResourceRule } from "./config.ts";

const aesgcm = (...names: string[]): Provider => ({
  type: "aesgcm",
  keys: names.map((name) => ({ name, secret: Buffer.alloc(32, name) })),
});
const identity: Provider = { type: "identity" };
const ciphersOf = (...rules: ResourceRule[]) => new Ciphers({ rules, hash: "" });
const secretsBy = (...providers: Provider[]) => ciphersOf({ resources: ["secrets"], providers });
const text = (value: Uint8Array) => Buffer.from(value).toString();
const AT = "/registry/secrets/default/a";

describe("what is encrypted", () => {
  const at: Readonly<Record<string, string>> = {
    secrets: AT,
    configmaps: "/registry/configmaps/default/a",
    deployments: "/registry/apps/deployments/default/a",
    widgets: "/registry/example.com/widgets/default/a",
    identity: "/registry/mini-kube/identity",
    format: "/registry/mini-kube/format",
  };
  test.each<[string, string[]]>([
    ["secrets", ["secrets", "identity"]],
    ["configmaps", ["configmaps"]],
    ["deployments.apps", ["deployments"]],
    ["*.apps", ["deployments"]],
    ["*.", ["secrets", "configmaps", "identity"]],
    ["*.example.com", ["widgets"]],
    ["*.*", ["secrets", "configmaps", "deployments", "widgets", "identity"]],
  ])("%s: %j", (name, expected) => {
    const ciphers = ciphersOf({ resources: [name], providers: [aesgcm("k")] });
    const encrypted = Object.keys(at).filter((k) => isEncrypted(ciphers.encrypt(at[k] ?? "", Buffer.from("{}"))));
    expect(encrypted).toEqual(expected);
  });

  test("the first rule that names a resource counts", () => {
    const ciphers = ciphersOf(
      { resources: ["configmaps"], providers: [identity] },
      { resources: ["*.*"], providers: [aesgcm("k")] },
    );
    expect(isEncrypted(ciphers.encrypt(at["configmaps"] ?? "", Buffer.from("{}")))).toBe(false);
    expect(isEncrypted(ciphers.encrypt(at["widgets"] ?? "", Buffer.from("{}")))).toBe(true);
  });
});

test("the form is Kubernetes' own, so that its keys read it and ours read what it wrote", () => {
  const sealed = Buffer.from(secretsBy(aesgcm("key1")).encrypt(AT, Buffer.from("{}")));
  expect(sealed.toString("latin1")).toMatch(/^k8s:enc:aesgcm:v1:key1:/);
  expect(sealed.length).toBe("k8s:enc:aesgcm:v1:key1:".length + 12 + 2 + 16);
});

test("what is encrypted is read back, never the same bytes twice, and nothing of it shows", () => {
  const ciphers = secretsBy(aesgcm("k"), identity);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 8, maxLength: 300 }), (bytes) => {
      const [a, b] = [ciphers.encrypt(AT, bytes), ciphers.encrypt(AT, bytes)].map((x) => Buffer.from(x));
      expect(a?.equals(b ?? Buffer.alloc(0))).toBe(false);
      expect(a?.includes(Buffer.from(bytes))).toBe(false);
      expect(Buffer.from(ciphers.decrypt(AT, a ?? Buffer.alloc(0)).value).equals(bytes)).toBe(true);
    }),
  );
});

describe("N1, N2: what does not fit stays as it is", () => {
  const ciphers = secretsBy(aesgcm("k"));
  const sealed = ciphers.encrypt(AT, Buffer.from('{"a":1}'));
  const named = (secret: Buffer): Provider => ({ type: "aesgcm", keys: [{ name: "k", secret }] });

  test.each<[string, Ciphers, string]>([
    ["at another address", ciphers, "/registry/secrets/default/b"],
    ["with another key", secretsBy(aesgcm("other")), AT],
    ["with another key of that name", secretsBy(named(Buffer.alloc(32, "x"))), AT],
    ["with no key", secretsBy(identity), AT],
  ])("%s", (_, other, at) => {
    expect(other.decrypt(at, sealed).value).toBe(sealed);
  });

  test("when any bit of it was changed", () => {
    fc.assert(
      fc.property(fc.nat({ max: sealed.length * 8 - 1 }), (bit) => {
        const changed = Uint8Array.from(sealed, (byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
        expect(text(ciphers.decrypt(AT, changed).value)).not.toBe('{"a":1}');
      }),
    );
  });
  test("when it ends too early", () => {
    for (let n = 0; n < sealed.length; n++)
      expect(text(ciphers.decrypt(AT, sealed.subarray(0, n)).value)).not.toBe('{"a":1}');
  });
  test("and says by which key it was written", () => {
    expect(unreadable(AT, sealed)).toContain('"/registry/secrets/default/a": it was encrypted with the key "k"');
  });
});

test.each<[string, Provider[], Provider[], boolean]>([
  ["by the key that writes", [aesgcm("a")], [aesgcm("a")], false],
  ["by a key that only reads", [aesgcm("a")], [aesgcm("b", "a")], true],
  ["in plain text, where a key writes", [identity], [aesgcm("a"), identity], true],
  ["by a key, where plain text is written", [aesgcm("a")], [identity, aesgcm("a")], true],
  ["in plain text, as wanted", [identity], [identity], false],
])("written %s: stale %#", (_, before, now, stale) => {
  const written = secretsBy(...before).encrypt(AT, Buffer.from("{}"));
  const opened = secretsBy(...now).decrypt(AT, written);
  expect([text(opened.value), opened.stale]).toEqual(["{}", stale]);
});

describe("N3: plain text", () => {
  const plain = Buffer.from('{"a":1}');

  test("is refused where no identity provider allows it, and says so", () => {
    const { value, stale } = secretsBy(aesgcm("k")).decrypt(AT, plain);
    expect([isEncrypted(value), stale]).toEqual([true, false]);
    expect(unreadable(AT, value)).toMatch(/default\/a": it lies there in plain text, and .* has no identity provider/);
  });

  test.each<[string, Ciphers, string]>([
    ["with an identity provider", secretsBy(aesgcm("k"), identity), AT],
    ["of what no rule names", secretsBy(aesgcm("k")), "/registry/configmaps/default/a"],
    ["of the cluster's own, from before it had keys", secretsBy(aesgcm("k")), "/registry/mini-kube/identity"],
  ])("%s is read", (_, ciphers, at) => {
    expect(ciphers.decrypt(at, plain).value).toBe(plain);
  });
});

test("one name, two keys in two rules: both read", () => {
  const rules = (["secrets", "configmaps"] as const).map((resource, i): ResourceRule => {
    const secret = Buffer.alloc(32, i + 1);
    return { resources: [resource], providers: [{ type: "aesgcm", keys: [{ name: "k", secret }] }] };
  });
  const ciphers = ciphersOf(...rules);
  for (const at of [AT, "/registry/configmaps/default/a"]) {
    expect(ciphers.decrypt(at, ciphers.encrypt(at, Buffer.from("{}")))).toEqual({
      value: Buffer.from("{}"),
      stale: false,
    });
  }
});

test("a file that kubectl's documentation shows is understood", () => {
  const config = readEncryptionConfig(`
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets, configmaps]
    providers:
      - aesgcm:
          keys:
            - name: key1
              secret: c2VjcmV0IGlzIHNlY3VyZQ==
      - identity: {}
`);
  expect(isEncrypted(new Ciphers(config).encrypt(AT, Buffer.from("{}")))).toBe(true);
});
