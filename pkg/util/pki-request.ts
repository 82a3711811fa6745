/** The asking side of a certificate: a key that never leaves the machine, and a request that is signed by it. */
import { createHash, createPublicKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { ALGORITHM, type CertRequest, fromPem, type KeyPair, library } from "./pki.ts";

/** PEM. */
export function newPrivateKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

export type RequestedNames = Pick<CertRequest, "commonName" | "organizations" | "dnsNames" | "ips">;

/** A PEM certificate request for `key` (PEM). What the certificate is for is not in it: its signer decides. */
export async function certificateRequest(key: string, names: RequestedNames): Promise<string> {
  const x509 = await library();
  const { commonName, organizations = [], dnsNames = [], ips = [] } = names;
  const alternatives = [
    ...dnsNames.map((value) => ({ type: "dns" as const, value })),
    ...ips.map((value) => ({ type: "ip" as const, value })),
  ];
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  const publicKey = await crypto.subtle.importKey("spki", spki, ALGORITHM, true, ["verify"]);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    // One RDN per organization, as Go's parser wants them.
    name: [...organizations.map((o) => ({ O: [o] })), { CN: [commonName] }],
    keys: { privateKey: await fromPem(key), publicKey },
    signingAlgorithm: ALGORITHM,
    extensions: alternatives.length > 0 ? [new x509.SubjectAlternativeNameExtension(alternatives)] : [],
  });
  return `${request.toString("pem")}\n`;
}

/** `sha256:HEX` of the certificate's public key: what `join` is given to know the cluster's CA by, as kubeadm's. */
export function publicKeyHash(certificate: string): string {
  const spki = new X509Certificate(certificate).publicKey.export({ format: "der", type: "spki" });
  return `sha256:${createHash("sha256").update(spki).digest("hex")}`;
}

/**
 * PEM: the end of the chain of certificates that the other side has shown, where that is a CA's own; undefined: it has not
 * shown it. Whether it is to be trusted it does not say.
 */
export function rootShown(socket: Pick<TLSSocket, "getPeerCertificate">): string | undefined {
  let last = socket.getPeerCertificate(true);
  if (last?.raw === undefined) return undefined;
  // The last is its own issuer.
  while (last.issuerCertificate?.raw && last.issuerCertificate !== last) last = last.issuerCertificate;
  const root = new X509Certificate(last.raw);
  return root.ca && root.checkIssued(root) ? root.toString() : undefined;
}

/** Of a certificate in PEM; in milliseconds since the epoch. */
export interface CertificateFacts {
  readonly notBefore: number;
  readonly notAfter: number;
  readonly commonName: string;
  /** DNS names and IP addresses. */
  readonly names: readonly string[];
}

export function certificateFacts({ cert }: Pick<KeyPair, "cert">): CertificateFacts {
  const { validFrom, validTo, subject, subjectAltName = "" } = new X509Certificate(cert);
  const names = subjectAltName.split(", ").flatMap((n) => /^(?:DNS|IP Address):(.+)$/.exec(n)?.[1] ?? []);
  return {
    notBefore: Date.parse(validFrom),
    notAfter: Date.parse(validTo),
    commonName: /^CN=(.*)$/m.exec(subject)?.[1] ?? "",
    names,
  };
}
