/** A CertificateSigningRequest, beyond what the schema says. Whether its signature is good is for the signer to see. */
import type { DeepReadonly } from "../../util/types.ts";
import { deepEqual } from "../equal.ts";
import type { CertificateSigningRequest, CertificateSigningRequestCondition } from "../generated/types.ts";
import { decodeBase64 } from "./data.ts";
import { validateSignerName } from "./domain.ts";
import { duplicate, each, type FieldErrors, forbidden, invalidValue, oneOf, required, unique } from "./field.ts";

type Request = DeepReadonly<CertificateSigningRequest>;
type Condition = DeepReadonly<CertificateSigningRequestCondition>;

const USAGES = [
  "any",
  "cert sign",
  "client auth",
  "code signing",
  "content commitment",
  "crl sign",
  "data encipherment",
  "decipher only",
  "digital signature",
  "email protection",
  "encipher only",
  "ipsec end system",
  "ipsec tunnel",
  "ipsec user",
  "key agreement",
  "key encipherment",
  "microsoft sgc",
  "netscape sgc",
  "ocsp signing",
  "s/mime",
  "server auth",
  "signing",
  "timestamping",
];
const LEGACY_SIGNER = "kubernetes.io/legacy-unknown";
const MIN_SECONDS = 600;
/** What is decided stays decided: there is no `False` of these. */
const DECISIONS = ["Approved", "Denied", "Failed"] as const;
const CONDITIONS = "status.conditions";

export function validateRequest(o: Request): FieldErrors {
  const { request, usages = [], signerName, expirationSeconds: seconds } = o.spec;
  return [
    ...(isPem(request, "CERTIFICATE REQUEST")
      ? []
      : [invalidValue("spec.request", request ?? "", "PEM block type must be CERTIFICATE REQUEST")]),
    ...(usages.length ? [] : [required("spec.usages")]),
    ...each("spec.usages", usages, (u, at) => oneOf(at, u, USAGES)),
    ...unique("spec.usages", usages, (u) => u),
    ...(signerName === LEGACY_SIGNER
      ? [invalidValue("spec.signerName", signerName, "the legacy signerName is not allowed via this API version")]
      : validateSignerName(signerName, "spec.signerName")),
    ...(seconds !== undefined && seconds < MIN_SECONDS
      ? [
          invalidValue(
            "spec.expirationSeconds",
            seconds,
            "may not specify a duration less than 600 seconds (10 minutes)",
          ),
        ]
      : []),
    ...validateConditions(o.status?.conditions ?? []),
  ];
}

/** One block or more, all of that type. */
function isPem(base64: string | undefined, type: string): boolean {
  const labels = [...decodeBase64(base64 ?? "").matchAll(/^-----BEGIN ([^-]*)-----$/gm)].map(([, label]) => label);
  return labels.length > 0 && labels.every((label) => label === type);
}

function validateConditions(conditions: readonly Condition[]): FieldErrors {
  const has = (type: string) => conditions.some((c) => c.type === type);
  const both = has("Approved") && has("Denied");
  return [
    ...(both ? [invalidValue(CONDITIONS, "Denied", "Approved and Denied conditions are mutually exclusive")] : []),
    ...each(CONDITIONS, conditions, (c, at) => [
      ...(c.type ? [] : [required(`${at}.type`)]),
      ...oneOf(`${at}.status`, c.status, DECISIONS.some((d) => d === c.type) ? ["True"] : ["False", "True", "Unknown"]),
    ]),
    ...each(CONDITIONS, conditions, ({ type }, at, i) =>
      type && conditions.findIndex((c) => c.type === type) < i ? [duplicate(`${at}.type`, type)] : [],
    ),
  ];
}

type Decision = (typeof DECISIONS)[number];

/** `addable`: the decisions that this endpoint may take. None may be taken back or rewritten. */
export function validateRequestUpdate(next: Request, old: Request, addable: readonly Decision[]): FieldErrors {
  return [
    ...validateRequest(next),
    ...DECISIONS.flatMap((type) => validateDecision(type, next, old, addable)),
    ...validateCertificate(next, old),
  ];
}

function validateDecision(type: Decision, next: Request, old: Request, addable: readonly Decision[]): FieldErrors {
  const [b, a] = [next, old].map((o) => (o.status?.conditions ?? []).filter((c) => c.type === type));
  if (!a || !b || deepEqual(a, b)) return [];
  const verb = b.length > a.length ? "add" : b.length < a.length ? "remove" : "modify";
  if (verb === "add" && addable.includes(type)) return [];
  return [forbidden(CONDITIONS, `updates may not ${verb} a condition of type ${JSON.stringify(type)}`)];
}

function validateCertificate(next: Request, old: Request): FieldErrors {
  const [b, a] = [next.status?.certificate, old.status?.certificate];
  if (!b || a === b) return [];
  const at = "status.certificate";
  if (a) return [forbidden(at, "updates may not modify existing certificate content")];
  return isPem(b, "CERTIFICATE")
    ? []
    : [invalidValue(at, "<certificate data>", "only CERTIFICATE PEM blocks are allowed")];
}
