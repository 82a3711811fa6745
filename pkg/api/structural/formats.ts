/** The formats of strings that are checked; others are only documentation. */
import { own } from "../../util/keys.ts";
import { compileRegexp } from "../../util/regexp.ts";
import { parseCidr, parseIp } from "../cel/ip.ts";
import { parseDuration } from "../cel/duration.ts";
import { dnsLabel, dnsSubdomain } from "../names.ts";

type Check = (text: string) => boolean;

/** Compiled when first asked, and kept by {@link compileRegexp}: nobody waits for all of them at the start. */
const matches =
  (pattern: string): Check =>
  (text) =>
    compileRegexp(pattern).test(text);

const HEX = "[0-9a-f]";
const uuid = (version: string, variant: string) =>
  matches(`(?i)^${HEX}{8}-?${HEX}{4}-?${version}${HEX}{3}-?${variant}${HEX}{3}-?${HEX}{12}$`);

const DATE_TIME = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

const isDate: Check = (text) => {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return false;
  const at = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(text);
};

const isUri: Check = (text) => {
  if (text.startsWith("/")) return true;
  return URL.canParse(text) && /^[a-z][a-z0-9+.-]*:/i.test(text);
};

const digitsOf = (text: string) => text.replace(/[\s-]/g, "");

const isIsbn10: Check = (text) => {
  const digits = digitsOf(text);
  if (!/^\d{9}[\dX]$/.test(digits)) return false;
  const sum = Array.from(digits).reduce((n, c, i) => n + (10 - i) * (c === "X" ? 10 : Number(c)), 0);
  return sum % 11 === 0;
};

const isIsbn13: Check = (text) => {
  const digits = digitsOf(text);
  if (!/^\d{13}$/.test(digits)) return false;
  return Array.from(digits).reduce((n, c, i) => n + Number(c) * (i % 2 === 0 ? 1 : 3), 0) % 10 === 0;
};

/** Dashes in a format's name do not count: `date-time` is `datetime`. */
const FORMATS: Readonly<Record<string, Check>> = {
  bsonobjectid: matches("^[0-9a-fA-F]{24}$"),
  uri: isUri,
  email: matches("^[^\\s@<>,;]+@[^\\s@<>,;]+$"),
  hostname: matches("^[\\pL\\pN]([\\pL\\pN-]{0,61}[\\pL\\pN])?(\\.[\\pL\\pN]([\\pL\\pN-]{0,61}[\\pL\\pN])?)*\\.?$"),
  ipv4: (text) => parseIp(text)?.family === 4,
  ipv6: (text) => parseIp(text)?.family === 6,
  cidr: (text) => parseCidr(text) !== undefined,
  mac: matches("(?i)^([0-9a-f]{2}([:-][0-9a-f]{2}){5}([:-][0-9a-f]{2}){0,14}|[0-9a-f]{4}(\\.[0-9a-f]{4}){2,9})$"),
  uuid: uuid(HEX, HEX),
  uuid3: uuid("3", HEX),
  uuid4: uuid("4", "[89ab]"),
  uuid5: uuid("5", "[89ab]"),
  isbn: (text) => isIsbn10(text) || isIsbn13(text),
  isbn10: isIsbn10,
  isbn13: isIsbn13,
  creditcard: (text) => /^\d{13,19}$/.test(text.replace(/\D/g, "")),
  ssn: matches("^\\d{3}[- ]?\\d{2}[- ]?\\d{4}$"),
  hexcolor: matches("^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$"),
  rgbcolor: matches("^rgb\\(\\s*\\d{1,3}\\s*,\\s*\\d{1,3}\\s*,\\s*\\d{1,3}\\s*\\)$"),
  byte: (text) => text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text),
  password: () => true,
  date: isDate,
  duration: (text) => parseDuration(text) !== undefined,
  datetime: (text) => DATE_TIME.test(text) && isDate(text.slice(0, 10)),
  k8sshortname: (text) => dnsLabel(text).length === 0,
  k8slongname: (text) => dnsSubdomain(text).length === 0,
};

/** Undefined for formats that are not checked. */
export function formatCheck(format: string): Check | undefined {
  const name = format.replaceAll("-", "");
  return own(FORMATS, name);
}

const MAX: Readonly<Record<string, number>> = { int32: 2 ** 31, int64: 2 ** 63, float: 3.4028234663852886e38 };

/** Whether a number fits `int32`, `int64` or `float`. */
export function fitsFormat(value: number, format: string): boolean {
  const max = own(MAX, format);
  if (max === undefined) return true;
  return format === "float" ? Math.abs(value) <= max : value >= -max && value < max;
}

/** Of formats of a string or number that nothing here checks: the API warns of those. */
export function isKnownFormat(type: string | undefined, format: string): boolean {
  if (type === "integer") return format === "int32" || format === "int64";
  if (type === "number") return format === "float" || format === "double";
  return (type === undefined || type === "" || type === "string") && formatCheck(format) !== undefined;
}
