/** Names that stand for hosts and paths outside the cluster: hooks, signers, ingress hosts, controllers. */
import { dnsLabel, dnsSubdomain, type NameCheck } from "../names.ts";
import { checked, type FieldErrors, invalidValue, required } from "./field.ts";

const SUBDOMAIN = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const WILDCARD = `\\*\\.${SUBDOMAIN}`;
const WILDCARD_RE = new RegExp(`^${WILDCARD}$`);
const WILDCARD_ERROR = `a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '${WILDCARD}')`;

/** `*.example.com` */
export const wildcardSubdomain: NameCheck = (v) => (v.length <= 253 && WILDCARD_RE.test(v) ? [] : [WILDCARD_ERROR]);

/** A host that TLS or an Ingress may serve: with or without a wildcard. */
export const hostPattern: NameCheck = (v) => (v.includes("*") ? wildcardSubdomain(v) : dnsSubdomain(v));

/** What can be one step of a URL path: names of roles and of objects whose kind has rules we do not know. */
export const pathSegment: NameCheck = (v) => {
  if (v === "." || v === "..") return [`may not be '${v}'`];
  return ["/", "%"].filter((c) => v.includes(c)).map((c) => `may not contain '${c}'`);
};

/** `pods.example.com`: at least three labels. */
export function validateFullyQualifiedName(name: string | undefined, field: string): FieldErrors {
  if (!name) return [required(field)];
  const errors = dnsSubdomain(name);
  if (errors.length) return [invalidValue(field, name, errors.join(","))];
  const enough = name.split(".").length >= 3;
  return enough ? [] : [invalidValue(field, name, "should be a domain with at least three segments separated by dots")];
}

/** `db.example.com`, `db.example.com.` */
export function validateFullyQualifiedDomain(name: string, field: string): FieldErrors {
  const host = name.replace(/\.$/, "");
  if (host === "") return [required(field)];
  const errors = dnsSubdomain(host);
  if (errors.length) return [invalidValue(field, host, errors.join(","))];
  const labels = host.split(".");
  if (labels.length < 2) {
    return [invalidValue(field, name, "should be a domain with at least two segments separated by dots")];
  }
  return labels.flatMap((label) => checked(field, label, dnsLabel));
}

const HTTP_PATH = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";
const HTTP_PATH_RE = new RegExp(`^${HTTP_PATH}$`);

/** `acme.io/foo` */
export function validateDomainPrefixedPath(value: string | undefined, field: string): FieldErrors {
  if (!value) return [required(field)];
  const slash = value.indexOf("/");
  const [host, path] = [value.slice(0, Math.max(slash, 0)), value.slice(slash + 1)];
  if (!host || !path) {
    return [invalidValue(field, value, 'must be a domain-prefixed path (such as "acme.io/foo")')];
  }
  return [
    ...checked(field, host, dnsSubdomain),
    ...(HTTP_PATH_RE.test(path)
      ? []
      : [invalidValue(field, path, `Invalid path (regex used for validation is '${HTTP_PATH}')`)]),
  ];
}

/** `example.com/signer-name`: who is to sign a certificate. */
export function validateSignerName(name: string | undefined, field: string): FieldErrors {
  if (!name) return [required(field)];
  const [domain = "", path, more] = name.split("/");
  if (path === undefined || more !== undefined) {
    const why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
    return [invalidValue(field, name, why)];
  }
  const labels = domain.split(".");
  const firstErrors = (value: string, parts: readonly string[], check: NameCheck) => {
    const wrong = parts.find((p) => check(p).length > 0);
    if (wrong === undefined) return [];
    return check(wrong).map((e) => invalidValue(field, value, `validating label ${JSON.stringify(wrong)}: ${e}`));
  };
  return [
    ...firstErrors(domain, labels, dnsLabel),
    ...(labels.length < 2
      ? [invalidValue(field, domain, "should be a domain with at least two segments separated by dots")]
      : []),
    ...firstErrors(path, path.split("."), dnsSubdomain),
  ];
}
