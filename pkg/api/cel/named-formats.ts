/** `format.dns1123Label().validate(name)`: nothing, or what is wrong with it. */
import { type Environment, Optional } from "@marcbachmann/cel-js";
import { own } from "../../util/keys.ts";
import { dns1035Label, dnsLabel, dnsSubdomain, labelValue, type NameCheck, prefixOf, qualifiedName } from "../names.ts";
import { formatCheck } from "../structural/formats.ts";
import { define } from "./define.ts";

class Format {
  readonly check: NameCheck;

  constructor(check: NameCheck) {
    this.check = check;
  }

  equals(other: unknown): boolean {
    return other instanceof Format && other.check === this.check;
  }
}

class FormatNamespace {}

const known = (format: string, why: string): NameCheck => {
  const check = formatCheck(format);
  return (text) => (check?.(text) === false ? [why] : []);
};

const FORMATS: Readonly<Record<string, Format>> = {
  dns1123Label: new Format(dnsLabel),
  dns1123Subdomain: new Format(dnsSubdomain),
  dns1035Label: new Format(dns1035Label),
  qualifiedName: new Format(qualifiedName),
  dns1123LabelPrefix: new Format(prefixOf(dnsLabel)),
  dns1123SubdomainPrefix: new Format(prefixOf(dnsSubdomain)),
  dns1035LabelPrefix: new Format(prefixOf(dns1035Label)),
  labelValue: new Format(labelValue),
  uri: new Format(known("uri", "invalid URI for request")),
  uuid: new Format(known("uuid", "does not match the UUID format")),
  byte: new Format(known("byte", "invalid base64")),
  date: new Format(known("date", "invalid date")),
  datetime: new Format(known("datetime", "invalid datetime")),
};

const TYPE = "kubernetes.NamedFormat";

export function registerNamedFormats(env: Environment): void {
  env.registerType(TYPE, Format);
  env.registerType("FormatNamespace", FormatNamespace);
  env.registerConstant("format", "FormatNamespace", new FormatNamespace());
  env.registerOperator(`${TYPE} == ${TYPE}`, (a: Format, b: Format) => a.equals(b));
  for (const [name, format] of Object.entries(FORMATS)) define(env, `FormatNamespace.${name}(): ${TYPE}`, () => format);
  define(env, `FormatNamespace.named(string): optional<${TYPE}>`, (_: unknown, name: string) => {
    const format = own(FORMATS, name);
    return format ? Optional.of(format) : Optional.none();
  });
  define(env, `${TYPE}.validate(string): optional<list<string>>`, ({ check }: Format, text: string) => {
    const errors = check(text);
    return errors.length > 0 ? Optional.of([...errors]) : Optional.none();
  });
}
