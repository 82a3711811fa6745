/** Takes out of texts what must not leave the cluster. Pure. */
import type { ApiObject } from "../../../pkg/api/object.ts";

/** Shorter values are no secret, and would be found everywhere. */
const MIN_LENGTH = 6;
const GONE = "<redacted>";

/** What is a secret by its looks, wherever it stands. */
const LOOKS: readonly RegExp[] = [
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g,
  // The same in base64, as in a kubeconfig: "LS0tLS1CRUdJTi" is "-----BEGIN" and its next letters.
  /(?<=client-key-data"?: ?"?)[A-Za-z0-9+/=]+/g,
  /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g, // a JSON web token
  /\b[a-z0-9]{6}\.[a-z0-9]{16}\b/g, // a bootstrap token
  /(?<=\b[Bb]earer )[\w.~+/=-]{6,}/g,
  /(?<=\b(?:token|password)"?: ?"?)[^\s",}<]+/g, // a user's in a kubeconfig
  /(?<=:\/\/[^\s/:@]+:)[^\s/@]+(?=@)/g, // https://user:password@
];

/** A variable, annotation or flag that is called so holds what should not be read. */
const NAMES = /pass(word|wd)?$|secret|token|credential|api[-_]?key|private[-_]?key/i;

/** By their first {@link MIN_LENGTH} letters, the longest first: a text is gone through once, however many there are. */
export type Values = ReadonlyMap<string, readonly string[]>;

/** Values of Secrets, as they stand and as they are written in base64: to be found wherever else they stand. */
export function secretValues(secrets: readonly ApiObject[]): Values {
  const values = new Set<string>();
  for (const secret of secrets) {
    const { data = {}, stringData = {} } = secret as { data?: Dictionary; stringData?: Dictionary };
    for (const encoded of Object.values(data)) {
      const plain = Buffer.from(encoded, "base64").toString("utf8");
      // What a log shows of a text of several lines is one of them.
      for (const v of [encoded, plain, JSON.stringify(plain).slice(1, -1), ...plain.split("\n")]) add(values, v);
    }
    for (const plain of Object.values(stringData)) add(values, plain);
  }
  const longestFirst = [...values].toSorted((a, b) => b.length - a.length);
  const found = new Map<string, string[]>();
  for (const value of longestFirst) {
    const begin = value.slice(0, MIN_LENGTH);
    const others = found.get(begin);
    if (others) others.push(value);
    else found.set(begin, [value]);
  }
  return found;
}

type Dictionary = Readonly<Record<string, string>>;

function add(values: Set<string>, value: string): void {
  const text = value.trim();
  if (text.length >= MIN_LENGTH && !COMMON.test(text)) values.add(text);
}

/** In Secrets, but no secret: certificates are for everybody, and words like these would blacken half of a log. */
const COMMON =
  /^(true|false|default|kube-system|-----.*|\d{1,5})$|^-----BEGIN CERTIFICATE|^LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS/;

/** `values`: {@link secretValues}. */
export function redact(text: string, values: Values): string {
  return LOOKS.reduce((out, look) => out.replaceAll(look, GONE), without(text, values));
}

function without(text: string, values: Values): string {
  if (values.size === 0) return text;
  let [out, from] = ["", 0];
  for (let i = 0; i + MIN_LENGTH <= text.length; i++) {
    const found = values.get(text.slice(i, i + MIN_LENGTH))?.find((value) => text.startsWith(value, i));
    if (found === undefined) continue;
    out += text.slice(from, i) + GONE;
    from = i + found.length;
    i = from - 1;
  }
  return out + text.slice(from);
}

/** The object without what is secret by its kind or its name; what is left still has to go through {@link redact}. */
export function redactObject<T>(object: T, kind?: string): T {
  if (Array.isArray(object)) return object.map((item) => redactObject(item as unknown)) as T;
  if (object === null || typeof object !== "object") return object;
  const isSecret = kind === "Secret" || (object as { kind?: string }).kind === "Secret";
  const { name } = object as { name?: unknown };
  const named = typeof name === "string" && NAMES.test(name);
  return Object.fromEntries(
    Object.entries(object as Record<string, unknown>).map(([key, value]) => {
      if (isSecret && (key === "data" || key === "stringData")) return [key, blacked(value)];
      // An applied Secret stands in its own annotation once more.
      if (key === "kubectl.kubernetes.io/last-applied-configuration" || key === "managedFields") return [key, GONE];
      if ((named && key === "value") || (typeof value === "string" && isNamed(key))) return [key, GONE];
      return [key, redactObject(value)];
    }),
  ) as T;
}

/** `secretName` names one, and is none. */
const isNamed = (key: string) => NAMES.test(key) && !/(name|namespace|path)$/i.test(key);

function blacked(data: unknown): unknown {
  return Object.fromEntries(Object.keys((data ?? {}) as object).map((key) => [key, GONE]));
}
