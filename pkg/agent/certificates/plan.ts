/** When a node asks for a certificate, and for which. Pure. */
import { type CertificateFacts } from "../../util/pki-request.ts";
import { SKEW_MS } from "../../util/pki.ts";
import type { Random } from "../../util/clock.ts";

/** `client`: by which the node is known to the API; `serving`: by which its own endpoint is. */
export type Purpose = "client" | "serving";

/** What a certificate must say. */
export interface Wanted {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ips: readonly string[];
}

export function wantedOf(purpose: Purpose, node: { nodeName: string; address: string }): Wanted {
  const subject = { commonName: `system:node:${node.nodeName}`, organizations: ["system:nodes"] };
  return purpose === "client"
    ? { ...subject, dnsNames: [], ips: [] }
    : { ...subject, dnsNames: [node.nodeName], ips: [node.address] };
}

/** As the certificate controller knows them. */
export const SIGNERS: Readonly<Record<Purpose, { readonly signerName: string; readonly usages: readonly string[] }>> = {
  client: {
    signerName: "kubernetes.io/kube-apiserver-client-kubelet",
    usages: ["digital signature", "client auth"],
  },
  serving: { signerName: "kubernetes.io/kubelet-serving", usages: ["digital signature", "server auth"] },
};

export type Need =
  | { readonly ask: false; readonly lookAfterMs: number }
  | { readonly ask: true; readonly why: "Missing" | "OtherNames" | "Expired" | "Expiring" };

/** A clock may be set meanwhile: so often it is looked again, at least. */
const LOOK_MS = 3_600_000;

/** `share`: of its life, after which a certificate is renewed. */
export function need(held: CertificateFacts | undefined, wanted: Wanted, share: number, now: number): Need {
  if (!held) return { ask: true, why: "Missing" };
  const names = [...wanted.dnsNames, ...wanted.ips];
  if (held.commonName !== wanted.commonName || !names.every((n) => held.names.includes(n)))
    return { ask: true, why: "OtherNames" };
  if (now >= held.notAfter) return { ask: true, why: "Expired" };
  const renewAt = renewalOf(held, share);
  return now >= renewAt
    ? { ask: true, why: "Expiring" }
    : { ask: false, lookAfterMs: Math.min(renewAt - now, LOOK_MS) };
}

/** Its life begins when it was issued, which is not when it begins to hold. */
export function renewalOf({ notBefore, notAfter }: CertificateFacts, share: number): number {
  const issuedAt = Math.min(notBefore + SKEW_MS, notAfter);
  return issuedAt + (notAfter - issuedAt) * share;
}

/** From 70 to 90 %, as the kubelet: nodes that joined together do not all ask at once. */
export function renewalShare(random: Random): number {
  return 0.7 + 0.2 * random();
}
