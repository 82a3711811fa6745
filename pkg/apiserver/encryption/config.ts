/**
 * Which resources are encrypted in the store, and by which keys: Kubernetes' EncryptionConfiguration. What it does not
 * say is not encrypted. Offered are `aesgcm` and `identity`; the other providers are refused aloud (aescbc does not
 * notice that a value was changed; secretbox and kms need what is not here).
 */
import { createHash, randomBytes } from "node:crypto";
import { parseYamlDocuments, toYaml } from "../../util/yaml.ts";

export interface EncryptionKey {
  readonly name: string;
  /** 16, 24 or 32 bytes. */
  readonly secret: Uint8Array;
}

export type Provider =
  | { readonly type: "aesgcm"; readonly keys: readonly EncryptionKey[] }
  | { readonly type: "identity" };

/** The first provider writes, all read. */
export interface ResourceRule {
  readonly resources: readonly string[];
  readonly providers: readonly Provider[];
}

export interface EncryptionConfig {
  /** The first that names a resource counts. */
  readonly rules: readonly ResourceRule[];
  /** Of the text it was read from: who has the same has the same keys. */
  readonly hash: string;
}

const API_VERSION = "apiserver.config.k8s.io/v1";
const KIND = "EncryptionConfiguration";
const KEY_BYTES = [16, 24, 32];
const NEW_KEY_BYTES = 32;
const PLURAL = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
const GROUP = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** Throws Error with what is wrong, and where in the file. */
export function readEncryptionConfig(text: string): EncryptionConfig {
  const value = parseYamlDocuments(text, KIND)[0]?.value;
  const file = fields(value, "the file");
  if (file["kind"] !== KIND || file["apiVersion"] !== API_VERSION) {
    throw new Error(`kind: ${KIND} with apiVersion: ${API_VERSION} is expected`);
  }
  const rules = list(file["resources"], "resources").map((r, i) => readRule(r, `resources[${i}]`));
  return { rules, hash: `sha256:${createHash("sha256").update(text).digest("hex")}` };
}

function readRule(value: unknown, at: string): ResourceRule {
  const rule = fields(value, at);
  const resources = list(rule["resources"], `${at}.resources`).map((r, i) => readName(r, `${at}.resources[${i}]`));
  const providers = list(rule["providers"], `${at}.providers`).map((p, i) => readProvider(p, `${at}.providers[${i}]`));
  const names = providers.flatMap((p) => (p.type === "aesgcm" ? p.keys.map((k) => k.name) : []));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new Error(`${at}.providers: two keys have the name ${JSON.stringify(twice)}`);
  return { resources, providers };
}

/** `secrets`, `deployments.apps`, all of a group (`*.apps`, `*.`) or all there is (`*.*`). */
function readName(value: unknown, at: string): string {
  const name = typeof value === "string" ? value : "";
  const dot = name.indexOf(".");
  const [plural, group] = dot < 0 ? [name, ""] : [name.slice(0, dot), name.slice(dot + 1)];
  const good =
    (plural === "*" ? dot > 0 : PLURAL.test(plural)) &&
    (group === "" || (group === "*" && plural === "*") || GROUP.test(group));
  if (good) return name;
  throw new Error(`${at}: ${JSON.stringify(value)} names no resource: use secrets, deployments.apps, *.apps or *.*`);
}

function readProvider(value: unknown, at: string): Provider {
  const provider = fields(value, at);
  const [type = "", ...others] = Object.keys(provider);
  if (others.length > 0) throw new Error(`${at}: more than one provider specified in a single element`);
  if (type === "identity") return { type };
  if (type !== "aesgcm") {
    throw new Error(`${at}: the provider ${JSON.stringify(type)} is not offered, only aesgcm and identity are`);
  }
  const keys = list(fields(provider[type], `${at}.${type}`)["keys"], `${at}.${type}.keys`);
  return { type, keys: keys.map((k, i) => readKey(k, `${at}.${type}.keys[${i}]`)) };
}

/** Of the secret itself nothing is ever said. */
function readKey(value: unknown, at: string): EncryptionKey {
  const { name, secret } = fields(value, at);
  if (typeof name !== "string" || name === "" || name.includes(":")) {
    throw new Error(`${at}.name: a name without colons is needed`);
  }
  const bytes =
    typeof secret === "string" && /^[A-Za-z0-9+/]+=*$/.test(secret) ? Buffer.from(secret, "base64") : undefined;
  if (!bytes) throw new Error(`${at}.secret: secrets must be base64 encoded`);
  if (KEY_BYTES.includes(bytes.length)) return { name, secret: bytes };
  throw new Error(
    `${at}.secret: secret is not of the expected length, got ${bytes.length}, expected one of [16 24 32]`,
  );
}

function fields(value: unknown, at: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new Error(`${at}: an object is expected`);
}

function list(value: unknown, at: string): readonly unknown[] {
  if (Array.isArray(value) && value.length > 0) return value as unknown[];
  throw new Error(`${at}: at least one is needed`);
}

const newKey = (name: string): EncryptionKey => ({ name, secret: randomBytes(NEW_KEY_BYTES) });

/** The text of a new file: Secrets by a key of their own; what is there in plain text stays readable. */
export function newEncryptionConfig(): string {
  const providers: Provider[] = [{ type: "aesgcm", keys: [newKey("key1")] }, { type: "identity" }];
  return encryptionConfigText([{ resources: ["secrets"], providers }]);
}

export function encryptionConfigText(rules: readonly ResourceRule[]): string {
  const provider = (p: Provider) =>
    p.type === "identity"
      ? { identity: {} }
      : { aesgcm: { keys: p.keys.map((k) => ({ name: k.name, secret: Buffer.from(k.secret).toString("base64") })) } };
  const resources = rules.map((r) => ({ resources: r.resources, providers: r.providers.map(provider) }));
  return toYaml({ apiVersion: API_VERSION, kind: KIND, resources });
}

/** A rotation, one step after the other; between two of them every API server must have read the file. */
export const rotation = {
  /** A new key that only reads: so that every server knows it before one writes with it. */
  add: (rules: readonly ResourceRule[]) => withKeys(rules, (keys) => [...keys, newKey(nextName(rules))]),
  /** The newest key writes; also when this is done twice. */
  promote: (rules: readonly ResourceRule[]) =>
    withKeys(rules, (keys) => {
      const newest = keys.reduce((a, b) => (numberOf(b) >= numberOf(a) ? b : a));
      return [newest, ...keys.filter((key) => key !== newest)];
    }),
  /** Only the key that writes stays. What was not written anew with it cannot be read any more. */
  drop: (rules: readonly ResourceRule[]) => withKeys(rules, (keys) => keys.slice(0, 1)),
} as const;

/** The same in each rule that has keys: its keys as one aesgcm provider, where the first of them stood. */
function withKeys(
  rules: readonly ResourceRule[],
  change: (keys: readonly EncryptionKey[]) => readonly EncryptionKey[],
): readonly ResourceRule[] {
  return rules.map((rule) => {
    const keys = rule.providers.flatMap((p) => (p.type === "aesgcm" ? p.keys : []));
    if (keys.length === 0) return rule;
    const aesgcm: Provider = { type: "aesgcm", keys: change(keys) };
    const plain = rule.providers.filter((p) => p.type === "identity");
    return { ...rule, providers: rule.providers[0]?.type === "identity" ? [...plain, aesgcm] : [aesgcm, ...plain] };
  });
}

/** Of `key7` it is 7; 0 of one that was named otherwise. */
const numberOf = ({ name }: EncryptionKey) => Number(/^key(\d+)$/.exec(name)?.[1] ?? 0);

function nextName(rules: readonly ResourceRule[]): string {
  const keys = rules.flatMap((r) => r.providers).flatMap((p) => (p.type === "aesgcm" ? p.keys : []));
  return `key${Math.max(0, ...keys.map(numberOf)) + 1}`;
}
