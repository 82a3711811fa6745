/** Which requests for certificates are approved without a person, which are signed, and when they go. Pure. */
import type { CertificateSigningRequest, NodeStatus } from "../../api/generated/types.ts";
import { condition } from "../../api/pod.ts";
import type { RequestedCertificate } from "../../util/certificates.ts";
import { own } from "../../util/keys.ts";
import type { DeepReadonly } from "../../util/types.ts";

export type Request = DeepReadonly<CertificateSigningRequest>;

export const KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet";
export const KUBELET_SERVING = "kubernetes.io/kubelet-serving";
const CLIENT = "kubernetes.io/kube-apiserver-client";
const NODE_PREFIX = "system:node:";
const NODES = "system:nodes";

const HOUR = 3_600_000;
/** From when it was decided on; and from its creation, while it is not. */
const KEPT_MS = { decided: HOUR, pending: 24 * HOUR };

const has = (csr: Request, type: string) => condition(csr.status?.conditions, type) !== undefined;

/** Who has to act on it next. */
export function stageOf(csr: Request): "pending" | "approved" | "done" {
  if (has(csr, "Denied") || has(csr, "Failed") || csr.status?.certificate) return "done";
  return has(csr, "Approved") ? "approved" : "pending";
}

/** When it is no longer of use; Infinity: approved, and not signed yet. */
export function goesAt(csr: Request): number {
  const created = Date.parse(csr.metadata.creationTimestamp ?? "");
  const conditions = csr.status?.conditions ?? [];
  if (conditions.length === 0) return created + KEPT_MS.pending;
  const decided = conditions.find((c) => c.type === "Denied" || (c.type === "Approved" && csr.status?.certificate));
  return decided ? (Date.parse(decided.lastUpdateTime ?? "") || created) + KEPT_MS.decided : Infinity;
}

type Check = (asked: RequestedCertificate, usages: ReadonlySet<string>) => string | undefined;

/** Why a signer refuses, in Kubernetes' words. Signers that are not here are somebody else's. */
const SIGNERS: Readonly<Record<string, Check>> = {
  [KUBELET_CLIENT]: (asked, usages) =>
    notNodes(asked) ??
    sans(asked, ["DNS", "Email", "IP", "URI"]) ??
    notNode(asked) ??
    exactly(usages, ["client auth", "digital signature", "key encipherment"]),
  [KUBELET_SERVING]: (asked, usages) =>
    notNodes(asked) ??
    (asked.names.DNS.length + asked.names.IP.length === 0 ? "DNS or IP subjectAltName is required" : undefined) ??
    sans(asked, ["Email", "URI"]) ??
    exactly(usages, ["digital signature", "key encipherment", "server auth"]) ??
    notNode(asked),
  [CLIENT]: (_, usages) => {
    const odd = [...usages].find((u) => !["client auth", "digital signature", "key encipherment"].includes(u));
    if (odd !== undefined) return `invalid usage for client certificate: ${odd}`;
    return usages.has("client auth") ? undefined : "missing required usage for client certificate: client auth";
  },
};

export function isSignedHere(csr: Request): boolean {
  return own(SIGNERS, csr.spec.signerName) !== undefined;
}

/** Undefined: it may be signed. */
export function whyNotSigned(csr: Request, asked: RequestedCertificate): string | undefined {
  return own(SIGNERS, csr.spec.signerName)?.(asked, new Set(csr.spec.usages));
}

const notNodes = ({ organizations }: RequestedCertificate) =>
  organizations.length === 1 && organizations[0] === NODES ? undefined : `subject organization is not ${NODES}`;
const notNode = ({ commonName }: RequestedCertificate) =>
  commonName.startsWith(NODE_PREFIX) ? undefined : `subject common name does not begin with ${NODE_PREFIX}`;

function sans(asked: RequestedCertificate, refused: readonly (keyof RequestedCertificate["names"])[]) {
  const found = refused.find((type) => asked.names[type].length > 0);
  return found && `${found} subjectAltNames are not allowed`;
}

/** Key encipherment is for RSA keys only: it may be missing. */
function exactly(usages: ReadonlySet<string>, wanted: readonly string[]): string | undefined {
  const needed = wanted.filter((u) => u !== "key encipherment");
  const fine = needed.every((u) => usages.has(u)) && [...usages].every((u) => wanted.includes(u));
  return fine ? undefined : `usages did not match [${wanted.join(" ")}]`;
}

export interface Approval {
  /** What the requester must be allowed to create: `certificatesigningrequests/…`; undefined: nothing more. */
  readonly right: string | undefined;
  readonly message: string;
}

/** How a request of a machine that has only a token is refused; undefined: it is not. */
export interface Denial {
  readonly reason: string;
  readonly message: string;
}

/** As which node a machine wants to be known that is not known as one yet; undefined: it asks for nothing of the kind. */
export function newNodeOf(csr: Request, asked: RequestedCertificate): string | undefined {
  if (csr.spec.signerName !== KUBELET_CLIENT || csr.spec.username === asked.commonName) return undefined;
  return whyNotSigned(csr, asked) === undefined ? asked.commonName.slice(NODE_PREFIX.length) : undefined;
}

/**
 * A token lets a machine become a node, but none that there is already: else whoever has one could take another's name,
 * and with it what its Pods may read.
 */
export function denial(
  csr: Request,
  asked: RequestedCertificate,
  {
    hasNode,
    isClaimed,
  }: { readonly hasNode: (name: string) => boolean; readonly isClaimed: (name: string) => boolean },
): Denial | undefined {
  const name = newNodeOf(csr, asked);
  if (name === undefined) return undefined;
  if (!hasNode(name)) {
    if (!isClaimed(name)) return undefined;
    const message = `another machine joins as ${name} at this moment; choose another name with --node-name, or wait a minute if it was this one`;
    return { reason: "NodeExists", message };
  }
  const next = `choose another name with --node-name, or if it is gone: mini-kube node remove ${name}`;
  return { reason: "NodeExists", message: `a node named ${name} exists already; ${next}` };
}

/** Whether what is decided of the request hangs on this Node: of what it asks only the Node tells whether it is its own. */
export function hangsOn(csr: Request, node: string): boolean {
  return csr.spec.signerName === KUBELET_SERVING && csr.spec.username === `${NODE_PREFIX}${node}`;
}

/**
 * The ways in which a request may be approved without a person, in order. A node gets a client certificate of its own as
 * in Kubernetes; and a serving certificate, which there a person approves, for the addresses that its Node has.
 */
export function approvals(
  csr: Request,
  asked: RequestedCertificate,
  statusOf: (node: string) => DeepReadonly<NodeStatus> | undefined,
): readonly Approval[] {
  const { signerName, username = "", groups = [] } = csr.spec;
  if (whyNotSigned(csr, asked) !== undefined) return [];
  const self = username === asked.commonName;
  if (signerName === KUBELET_CLIENT) {
    const approval = (own: boolean) => ({
      right: own ? "selfnodeclient" : "nodeclient",
      message: `Auto approving ${own ? "self " : ""}kubelet client certificate after SubjectAccessReview.`,
    });
    return self ? [approval(true), approval(false)] : [approval(false)];
  }
  if (signerName !== KUBELET_SERVING || !self || !groups.includes(NODES)) return [];
  const addresses = statusOf(asked.commonName.slice(NODE_PREFIX.length))?.addresses?.map((a) => a.address) ?? [];
  const own = [...asked.names.DNS, ...asked.names.IP].every((name) => addresses.includes(name));
  return own
    ? [{ right: undefined, message: "Auto approving self kubelet serving certificate for its own addresses." }]
    : [];
}
