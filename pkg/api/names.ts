/**
 * What names, labels and keys may look like, in Kubernetes' words. Every check returns what is wrong, in sentences that
 * can stand behind `Invalid value: "x": `; an empty list means the value is fine.
 */
import type { Random } from "../util/clock.ts";

const LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`;
const LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?";
const QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_VALUE = `(${QUALIFIED})?`;
const CONFIG_KEY = "[-._a-zA-Z0-9]+";

const whole = (pattern: string) => new RegExp(`^${pattern}$(?![\\s\\S])`);
const LABEL_RE = whole(LABEL);
const SUBDOMAIN_RE = whole(SUBDOMAIN);
const LABEL_1035_RE = whole(LABEL_1035);
const QUALIFIED_RE = whole(QUALIFIED);
const LABEL_VALUE_RE = whole(LABEL_VALUE);
const CONFIG_KEY_RE = whole(CONFIG_KEY);

export type NameCheck = (value: string) => readonly string[];

function regexError(what: string, pattern: string, ...examples: string[]): string {
  return `${what} (e.g. ${examples.map((e) => `'${e}', `).join(" or ")}regex used for validation is '${pattern}')`;
}

export function maxLengthError(length: number): string {
  return `must be no more than ${length} bytes`;
}

const SUBDOMAIN_ERROR = regexError(
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
  SUBDOMAIN,
  "example.com",
);
const LABEL_ERROR = regexError(
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
  LABEL,
  "my-name",
  "123-abc",
);
const LABEL_1035_ERROR = regexError(
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
  LABEL_1035,
  "my-name",
  "abc-123",
);
const QUALIFIED_ERROR =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const LABEL_VALUE_ERROR = regexError(
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  LABEL_VALUE,
  "MyValue",
  "my_value",
  "12345",
);
const CONFIG_KEY_ERROR = regexError(
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
  CONFIG_KEY,
  "key.name",
  "KEY_NAME",
  "key-name",
);

function matching(value: string, pattern: RegExp, error: string, maxLength: number): string[] {
  const errors: string[] = [];
  if (value.length > maxLength) errors.push(maxLengthError(maxLength));
  if (!pattern.test(value)) errors.push(error);
  return errors;
}

/** The rule for most names: dots allowed, 253 at most. */
export const dnsSubdomain: NameCheck = (v) => matching(v, SUBDOMAIN_RE, SUBDOMAIN_ERROR, 253);
/** The rule for namespaces and containers: no dots, 63 at most. */
export const dnsLabel: NameCheck = (v) => matching(v, LABEL_RE, LABEL_ERROR, 63);
/** The rule for Services: like {@link dnsLabel}, starting with a letter. */
export const dns1035Label: NameCheck = (v) => matching(v, LABEL_1035_RE, LABEL_1035_ERROR, 63);
export const labelValue: NameCheck = (v) => matching(v, LABEL_VALUE_RE, LABEL_VALUE_ERROR, 63);

/** `[prefix/]name`: label keys, annotation keys, finalizers, resource names. */
export const qualifiedName: NameCheck = (value) => {
  const parts = value.split("/");
  const name = parts.at(-1) ?? "";
  if (parts.length > 2) {
    const what = `a qualified name ${QUALIFIED_ERROR}`;
    const error = regexError(what, QUALIFIED, "MyName", "my.name", "123-abc");
    return [`${error} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  const errors: string[] = [];
  if (parts.length === 2) {
    const prefix = parts[0] ?? "";
    if (prefix === "") errors.push("prefix part must be non-empty");
    else errors.push(...dnsSubdomain(prefix).map((e) => `prefix part ${e}`));
  }
  if (name === "") errors.push("name part must be non-empty");
  else if (name.length > 63) errors.push(`name part ${maxLengthError(63)}`);
  if (!QUALIFIED_RE.test(name)) {
    errors.push(regexError(`name part ${QUALIFIED_ERROR}`, QUALIFIED, "MyName", "my.name", "123-abc"));
  }
  return errors;
};

/** Keys of ConfigMaps and Secrets. */
export const configKey: NameCheck = (value) => {
  const errors = matching(value, CONFIG_KEY_RE, CONFIG_KEY_ERROR, 253);
  if (value === ".") errors.push("must not be '.'");
  else if (value === "..") errors.push("must not be '..'");
  else if (value.startsWith("..")) errors.push("must not start with '..'");
  return errors;
};

export const envVarName: NameCheck = (value) => {
  if (value === "") return ["environment variable name must be non-empty"];
  return /^[ -<>-~]+$(?![\s\S])/.test(value)
    ? []
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
};

/** `http`, `metrics-1`: an IANA service name. */
export const portName: NameCheck = (value) => {
  const errors: string[] = [];
  if (value.length > 15) errors.push("must be no more than 15 characters");
  if (!/^[-a-z0-9]+$(?![\s\S])/.test(value)) {
    errors.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  }
  if (!/[a-z]/.test(value)) errors.push("must contain at least one letter (a-z)");
  if (value.includes("--")) errors.push("must not contain consecutive hyphens");
  if (value.startsWith("-") || value.endsWith("-")) errors.push("must not begin or end with a hyphen");
  return errors;
};

export function portNumber(value: number): readonly string[] {
  return Number.isInteger(value) && value >= 1 && value <= 65535 ? [] : ["must be between 1 and 65535, inclusive"];
}

/** A generated name is checked as if the suffix were there: `web-` is a fine prefix. */
export function prefixOf(check: NameCheck): NameCheck {
  return (prefix) => check(prefix.endsWith("-") && prefix.length > 1 ? `${prefix.slice(0, -1)}a` : prefix);
}

/** No vowels and nothing that looks alike: no suffix spells a word. */
const SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH = 5;
const MAX_GENERATED_LENGTH = 63;

/** `web-` → `web-x7k2p`. A long prefix is cut so that the name fits a DNS label. */
export function generateName(prefix: string, random: Random): string {
  let suffix = "";
  for (let i = 0; i < SUFFIX_LENGTH; i++) {
    suffix += SUFFIX_ALPHABET[Math.floor(random() * SUFFIX_ALPHABET.length)] ?? "";
  }
  return prefix.slice(0, MAX_GENERATED_LENGTH - SUFFIX_LENGTH) + suffix;
}
