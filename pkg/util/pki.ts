/**
 * The cluster's certificates: one CA made at the first start, and leaf certificates issued by it.
 *
 * Guarantees: files appear whole or not at all (written beside, then renamed), keys are readable by their owner only, the
 * CA is never replaced while it is there, and a leaf is issued anew when it is near its end, when its CA changed or when
 * it lacks a name it should have. The X.509 library is loaded only when something must be issued: a start with everything
 * in place does not pay for it.
 */
import { createPrivateKey, generateKeyPairSync, randomBytes, webcrypto, X509Certificate } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { CertificateAuthority, RequestedCertificate } from "./certificates.ts";
import type { Clock } from "./clock.ts";
import { readIfThere, replaceFile } from "./files.ts";
import { own } from "./keys.ts";

/** PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

export interface CertRequest {
  /** CN: the user's name. */
  readonly commonName: string;
  /** O: the user's groups. */
  readonly organizations?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly ips?: readonly string[];
  /** What it may be used for; at least one. */
  readonly usages: readonly ("client" | "server")[];
}

const DAY_MS = 24 * 60 * 60 * 1000;
const CA_DAYS = 3650;
const LEAF_DAYS = 365;
/** A leaf is renewed when less than this is left. */
const RENEW_BEFORE_MS = 60 * DAY_MS;
/** Certificates start this much in the past: clocks of other machines may be behind. */
export const SKEW_MS = 5 * 60 * 1000;
export const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";

/** Of X.509; takes a moment to load. */
export async function library() {
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  return x509;
}

const newSerial = () => `01${randomBytes(15).toString("hex")}`;

async function toPem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key));
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" })
    .export({ format: "pem", type: "pkcs8" })
    .toString();
}

export async function fromPem(pem: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(pem).export({ format: "der", type: "pkcs8" });
  return webcrypto.subtle.importKey("pkcs8", der, ALGORITHM, false, ["sign"]);
}

/** A self-signed certificate authority, valid for ten years. */
export async function createCa(commonName: string, now: number): Promise<KeyPair> {
  const x509 = await library();
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: [{ CN: [commonName] }],
    notBefore: new Date(now - SKEW_MS),
    notAfter: new Date(now + CA_DAYS * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: `${cert.toString("pem")}\n`, key: await toPem(keys.privateKey) };
}

/** A certificate signed by `ca`, valid for a year. */
export async function issueCert(ca: KeyPair, request: CertRequest, now: number): Promise<KeyPair> {
  const x509 = await library();
  const issuer = new x509.X509Certificate(ca.cert);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const { commonName, organizations = [], dnsNames = [], ips = [], usages } = request;
  const names = [
    ...dnsNames.map((value) => ({ type: "dns" as const, value })),
    ...ips.map((value) => ({ type: "ip" as const, value })),
  ];
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    // One RDN per organization, as Go's parser wants them.
    subject: [...organizations.map((o) => ({ O: [o] })), { CN: [commonName] }],
    issuer: issuer.subjectName,
    notBefore: new Date(now - SKEW_MS),
    notAfter: new Date(now + LEAF_DAYS * DAY_MS),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: await fromPem(ca.key),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usages.map((u) => (u === "client" ? CLIENT_AUTH : SERVER_AUTH))),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
    ],
  });
  return { cert: `${cert.toString("pem")}\n`, key: await toPem(keys.privateKey) };
}

/** Whether the pair serves the request for long enough still, under this CA. */
function serves(pair: KeyPair, ca: KeyPair, request: CertRequest, now: number): boolean {
  const cert = new X509Certificate(pair.cert);
  if (!cert.checkIssued(new X509Certificate(ca.cert))) return false;
  if (Date.parse(cert.validTo) - now < RENEW_BEFORE_MS) return false;
  const subject = cert.subject.split("\n");
  return (
    subject.includes(`CN=${request.commonName}`) &&
    (request.organizations ?? []).every((o) => subject.includes(`O=${o}`)) &&
    (request.dnsNames ?? []).every((n) => cert.checkHost(n) !== undefined) &&
    (request.ips ?? []).every((ip) => cert.checkIP(ip) !== undefined)
  );
}

async function readPair(dir: string, name: string): Promise<KeyPair | undefined> {
  const [cert, key] = await Promise.all([`${name}.crt`, `${name}.key`].map((file) => readIfThere(join(dir, file))));
  if (cert === undefined || key === undefined) return undefined;
  return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)) ? { cert, key } : undefined;
}

/** The key first: a crash between the two leaves a certificate that does not fit its key, and that is issued anew. */
async function writePair(dir: string, name: string, pair: KeyPair): Promise<void> {
  await replaceFile(join(dir, `${name}.key`), pair.key, 0o600);
  await replaceFile(join(dir, `${name}.crt`), pair.cert, 0o644);
}

export interface Pki<Name extends string> {
  /** PEM. */
  readonly caCert: string;
  /** With its key: for {@link certificateAuthority} only. */
  readonly ca: KeyPair;
  readonly certs: Readonly<Record<Name, KeyPair>>;
}

/**
 * The CA and one certificate per request, kept in `dir` as `NAME.crt` and `NAME.key`; what is missing or no longer good
 * is issued.
 */
export async function ensurePki<Name extends string>(
  dir: string,
  requests: Readonly<Record<Name, CertRequest>>,
  clock: Pick<Clock, "now">,
  caName = "mini-kube-ca",
): Promise<Pki<Name>> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  let ca = await readPair(dir, "ca");
  if (!ca) {
    ca = await createCa(caName, clock.now());
    await writePair(dir, "ca", ca);
  }
  const authority = ca;
  const entries = Object.entries<CertRequest>(requests).map(async ([name, request]) => {
    const kept = await readPair(dir, name);
    if (kept && serves(kept, authority, request, clock.now())) return [name, kept] as const;
    const issued = await issueCert(authority, request, clock.now());
    await writePair(dir, name, issued);
    return [name, issued] as const;
  });
  return { caCert: ca.cert, ca, certs: Object.fromEntries(await Promise.all(entries)) as Record<Name, KeyPair> };
}

/** A private key for signatures, as PEM; a start with the key in place does not make one. */
export function newSigningKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

/** The signing key kept in `dir` as `NAME.key`, made if it is not there. What it has signed holds as long as the file. */
export async function ensureSigningKey(dir: string, name: string): Promise<string> {
  const file = join(dir, `${name}.key`);
  const kept = await readIfThere(file);
  if (kept !== undefined) return kept;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const key = newSigningKey();
  await replaceFile(file, key, 0o600);
  return key;
}

const SUBJECT_ALTERNATIVE_NAME = "2.5.29.17";

function subjectNames(der: ArrayBuffer | undefined, x509: Awaited<ReturnType<typeof library>>) {
  return der ? new x509.SubjectAlternativeNameExtension(der).names.items : [];
}

async function parseRequest(pem: string) {
  const x509 = await library();
  const request = new x509.Pkcs10CertificateRequest(pem);
  if (!(await request.verify())) throw new Error("the request is not signed by its own key");
  const sans = subjectNames(request.getExtension(SUBJECT_ALTERNATIVE_NAME)?.rawData, x509);
  const of = (type: string) => sans.filter((n) => n.type === type).map((n) => n.value);
  const asked: RequestedCertificate = {
    commonName: request.subjectName.getField("CN")[0] ?? "",
    organizations: request.subjectName.getField("O"),
    names: { DNS: of("dns"), IP: of("ip"), Email: of("email"), URI: of("url") },
  };
  return { request, asked, sans: sans.map((n) => ({ type: n.type, value: n.value })) };
}

/** Kubernetes' names of usages → bits of KeyUsage, and OIDs of ExtendedKeyUsage. */
const KEY_USAGES: Readonly<Record<string, "digitalSignature" | "keyEncipherment">> = {
  "digital signature": "digitalSignature",
  "key encipherment": "keyEncipherment",
};
const EXTENDED_USAGES: Readonly<Record<string, string>> = { "client auth": CLIENT_AUTH, "server auth": SERVER_AUTH };

export function certificateAuthority(ca: KeyPair, clock: Pick<Clock, "now">): CertificateAuthority {
  return {
    read: async (pem) => (await parseRequest(pem)).asked,
    async sign(pem, { usages, seconds }) {
      const x509 = await library();
      const { request, sans } = await parseRequest(pem);
      const issuer = new x509.X509Certificate(ca.cert);
      const bits = usages.flatMap((u) => own(KEY_USAGES, u) ?? []).map((u) => x509.KeyUsageFlags[u]);
      const until = Math.min(clock.now() + seconds * 1000, issuer.notAfter.getTime());
      const cert = await x509.X509CertificateGenerator.create({
        serialNumber: newSerial(),
        subject: request.subject,
        issuer: issuer.subjectName,
        notBefore: new Date(clock.now() - SKEW_MS),
        notAfter: new Date(until),
        signingAlgorithm: ALGORITHM,
        publicKey: request.publicKey,
        signingKey: await fromPem(ca.key),
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(
            bits.reduce((all, bit) => all | bit, 0),
            true,
          ),
          new x509.ExtendedKeyUsageExtension(usages.flatMap((u) => own(EXTENDED_USAGES, u) ?? [])),
          await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
          ...(sans.length > 0 ? [new x509.SubjectAlternativeNameExtension(sans)] : []),
        ],
      });
      return `${cert.toString("pem")}\n`;
    },
  };
}

/** The organizations (groups, in Kubernetes) that a PEM certificate request asks to be in. Rejects what is none. */
export async function requestedOrganizations(pem: string): Promise<readonly string[]> {
  const x509 = await library();
  return new x509.Pkcs10CertificateRequest(pem).subjectName.getField("O");
}
