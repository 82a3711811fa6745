/**
 * Who may approve and who may sign certificate requests: each signer has its own right, `approve` and `sign` on
 * `signers/NAME` or on all of a domain. And nobody gets a certificate for system:masters, whoever signs.
 */
import { deepEqual, semanticEqual } from "../../api/equal.ts";
import type { CertificateSigningRequest } from "../../api/generated/types.ts";
import { MASTERS, onResource } from "../../api/rbac/attributes.ts";
import { requestedOrganizations } from "../../util/pki.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { AdmissionPlugin, AdmissionRequest, ClusterView } from "../admission.ts";
import { decide } from "../auth/authorization.ts";
import { forbidden, isResource } from "./refuse.ts";

const GROUP = "certificates.k8s.io";
const CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client";

export const certificateApproval: AdmissionPlugin = {
  name: "CertificateApproval",
  validate(r, view) {
    if (!isRequest(r, "UPDATE", "approval")) return;
    requireRight(r, "approve", signerOf(r), view);
  },
};

export const certificateSigning: AdmissionPlugin = {
  name: "CertificateSigning",
  validate(r, view) {
    if (!isRequest(r, "UPDATE", "status")) return;
    const [next, old] = [r.object as CertificateSigningRequest, r.old as DeepReadonly<CertificateSigningRequest>];
    const same =
      deepEqual(next.status?.certificate, old.status?.certificate) &&
      semanticEqual(next.status?.conditions, old.status?.conditions);
    if (!same) requireRight(r, "sign", signerOf(r), view);
  },
};

export const certificateSubjectRestriction: AdmissionPlugin = {
  name: "CertificateSubjectRestriction",
  validate(r) {
    if (!isRequest(r, "CREATE", "")) return;
    const { signerName, request } = (r.object as CertificateSigningRequest).spec;
    if (signerName === CLIENT_SIGNER) return checkSubject(r, Buffer.from(request, "base64").toString());
  },
};

function isRequest(r: AdmissionRequest, operation: AdmissionRequest["operation"], subresource: string): boolean {
  return (
    r.operation === operation && r.subresource === subresource && isResource(r, GROUP, "certificatesigningrequests")
  );
}

function signerOf(r: AdmissionRequest): string {
  return (r.old as DeepReadonly<CertificateSigningRequest>).spec.signerName;
}

function requireRight(r: AdmissionRequest, verb: "approve" | "sign", signer: string, view: ClusterView): void {
  const wildcard = `${signer.split("/", 1)[0] ?? ""}/*`;
  const may = (name: string) =>
    decide(onResource(r.user, verb, { apiGroup: GROUP, resource: "signers", name }), view).allowed;
  if (!may(signer) && !may(wildcard)) {
    throw forbidden(r, `user not permitted to ${verb} requests with signerName "${signer}"`);
  }
}

async function checkSubject(r: AdmissionRequest, pem: string): Promise<void> {
  const groups = await requestedOrganizations(pem).catch((error: unknown) => {
    throw forbidden(r, `failed to parse CSR: ${(error as Error).message}`);
  });
  if (groups.includes(MASTERS)) {
    throw forbidden(r, `use of ${CLIENT_SIGNER} signer with ${MASTERS} group is not allowed`);
  }
}
