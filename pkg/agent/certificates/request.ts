/** Asks the API for a certificate, and waits until somebody has decided. */
import { createHash } from "node:crypto";
import { certificateSigningRequests } from "../../api/kinds/certificates/certificatesigningrequest.ts";
import type { CertificateSigningRequest } from "../../api/generated/types.ts";
import { condition } from "../../api/pod.ts";
import { isReason } from "../../api/status.ts";
import { decodeBase64, encodeBase64 } from "../../api/validation/data.ts";
import type { Client, ResourceClient } from "../../client/client.ts";
import type { Clock } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { certificateRequest } from "../../util/pki-request.ts";
import { type Purpose, SIGNERS, type Wanted } from "./plan.ts";

/** Somebody has decided against it: asking again for the same changes nothing. */
export class CertificateRefused extends Error {
  constructor(message: string) {
    super(message);
    this.name = "CertificateRefused";
  }
}

export interface Asking {
  readonly client: Client;
  readonly clock: Clock;
  readonly purpose: Purpose;
  /** PEM; never sent. */
  readonly key: string;
  readonly wanted: Wanted;
}

/** As long as the kubelet waits before it asks again. */
const PATIENCE_MS = 15 * 60_000;
const AGAIN_MS = 1_000;

/** PEM. Rejects with {@link CertificateRefused}, with what hinders the call, or when nobody decides for a quarter of an hour. */
export async function askForCertificate(o: Asking, signal: AbortSignal): Promise<string> {
  const api = o.client.resource<CertificateSigningRequest>(certificateSigningRequests);
  const request = await certificateRequest(o.key, o.wanted);
  const { signerName, usages } = SIGNERS[o.purpose];
  const name = requestName(o);
  const cause = { component: "kubelet", reason: "CertificateNeeded" };
  await api
    .create({ metadata: { name }, spec: { request: encodeBase64(request), signerName, usages } }, { cause })
    .catch((error: unknown) => {
      if (!isReason(error, "AlreadyExists")) throw error;
    });
  const patience = new AbortController();
  using _late = o.clock.after(PATIENCE_MS, () => {
    patience.abort(new Error(`nobody decided on the request ${name} within ${PATIENCE_MS / 60_000} minutes`));
  });
  return await decided(api, name, o.clock, AbortSignal.any([signal, patience.signal]));
}

/** The same for the same key and names: who asks a second time finds what it asked before, and nothing else. */
function requestName({ key, purpose, wanted }: Asking): string {
  const { commonName, organizations, dnsNames, ips } = wanted;
  const asked = JSON.stringify([commonName, organizations, dnsNames, ips]);
  const hash = createHash("sha256").update(key).update(SIGNERS[purpose].signerName).update(asked);
  return `node-csr-${hash.digest("hex").slice(0, 40)}`;
}

async function decided(
  api: ResourceClient<CertificateSigningRequest>,
  name: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<string> {
  while (!signal.aborted) {
    for await (const event of api.watch({ fieldSelector: `metadata.name=${name}` }, signal)) {
      if (event.type === "DELETED") throw new Error(`the request ${name} was removed before anybody decided on it`);
      const certificate = event.type === "BOOKMARK" ? undefined : certificateOf(event.object);
      if (certificate !== undefined) return certificate;
    }
    await clock.sleep(AGAIN_MS, signal).catch(() => {}); // an abort; the loop sees it
  }
  signal.throwIfAborted();
  throw new Error("unreachable");
}

/** Undefined: nobody has decided. Throws {@link CertificateRefused}. */
function certificateOf({ status }: DeepReadonly<CertificateSigningRequest>): string | undefined {
  const against = condition(status?.conditions, "Denied") ?? condition(status?.conditions, "Failed");
  if (against) throw new CertificateRefused(against.message || against.reason || "the request was denied");
  return status?.certificate === undefined ? undefined : decodeBase64(status.certificate);
}
