/** Approves what nodes ask for themselves, refuses a name that is taken, signs what is approved, and removes what is over. */
import { deepEqual } from "../../api/equal.ts";
import type { CertificateSigningRequestCondition, SubjectAccessReview } from "../../api/generated/types.ts";
import { subjectAccessReviews } from "../../api/kinds/authorization/reviews.ts";
import { certificateSigningRequests as requests } from "../../api/kinds/certificates/certificatesigningrequest.ts";
import { nodes } from "../../api/kinds/core/node.ts";
import { nameOf, uidOf } from "../../api/object.ts";
import { condition } from "../../api/pod.ts";
import { isReason } from "../../api/status.ts";
import { decodeBase64, encodeBase64 } from "../../api/validation/data.ts";
import type { Cause } from "../../client/transport.ts";
import { type Reconcile, runController } from "../../reconcile/controller.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { CertificateAuthority, RequestedCertificate } from "../../util/certificates.ts";
import type { ControllerParts } from "../parts.ts";
import { Claims, HELD_MS } from "./claims.ts";
import {
  approvals,
  denial,
  goesAt,
  hangsOn,
  isSignedHere,
  KUBELET_CLIENT,
  newNodeOf,
  type Request,
  stageOf,
  whyNotSigned,
} from "./plan.ts";

const NAME = "certificate-controller";
/** The longest a certificate is good for, and how long one is for which no time was asked, unless it is set. */
const YEAR_SECONDS = 365 * 24 * 3600;

/** Runs until the signal aborts; without an authority, nothing is approved nor signed. Keys are those of requests. */
export async function runCertificates(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const all = o.informers.of(requests);
  const allNodes = o.informers.of(nodes);
  const queue = new WorkQueue(o);
  const claims = new Claims(o.clock);
  let restored: Promise<void> | undefined;
  all.onChange((key, now) => now && queue.add(key));
  allNodes.onChange((node, now, old) => {
    if (now) claims.settle(node);
    if (!now || deepEqual(now.status?.addresses, old?.status?.addresses)) return;
    for (const csr of all.list()) if (stageOf(csr) === "pending" && hangsOn(csr, node)) queue.add(nameOf(csr));
  });
  const api = o.client.resource(requests);

  const reconcile: Reconcile = async (key, s, { reconcileId, log }) => {
    const csr = all.get(key);
    if (!csr) return "done";
    const object = `certificatesigningrequests/${key}@${csr.metadata.resourceVersion ?? ""}`;
    const cause = (reason: string): Cause => ({ component: NAME, reconcileId, reason, object });
    const restMs = goesAt(csr) - o.clock.now();
    try {
      if (restMs <= 0) {
        await api.delete(nameOf(csr), { preconditions: { uid: uidOf(csr) }, cause: cause("Over") });
        return "done";
      }
      if (o.authority && isSignedHere(csr) && stageOf(csr) !== "done") {
        const asked = await read(o.authority, csr);
        if (!asked) log.info({ signer: csr.spec.signerName }, "not a certificate request: left to whoever denies it");
        else if (stageOf(csr) === "pending") await approve(csr, asked, cause);
        else await sign(o.authority, csr, asked, cause);
      }
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
    }
    s.throwIfAborted();
    return restMs === Infinity ? "done" : { againAfterMs: restMs };
  };

  async function approve(csr: Request, asked: RequestedCertificate, cause: (r: string) => Cause): Promise<void> {
    await (restored ??= restore());
    const denied = denial(csr, asked, {
      hasNode: (node) => allNodes.get(node) !== undefined,
      isClaimed: (node) => !claims.claim(node, nameOf(csr)),
    });
    if (denied) {
      const said = { type: "Denied", status: "True", ...denied };
      await api.subresource(nameOf(csr), "approval", withSaid(csr, said), "update", cause(denied.reason));
      return;
    }
    const statusOf = (node: string) => allNodes.get(node)?.status;
    for (const { right, message } of approvals(csr, asked, statusOf)) {
      if (right !== undefined && !(await may(csr, right))) continue;
      const approved = { type: "Approved", status: "True", reason: "AutoApproved", message };
      await api.subresource(nameOf(csr), "approval", withSaid(csr, approved), "update", cause("AutoApproved"));
      return;
    }
    const node = newNodeOf(csr, asked);
    if (node !== undefined) claims.release(node, nameOf(csr));
  }

  /** What another process, which led before this one, gave away a moment ago. */
  async function restore(): Promise<void> {
    for (const csr of all.list()) {
      const since = Date.parse(condition(csr.status?.conditions, "Approved")?.lastUpdateTime ?? "");
      if (csr.spec.signerName !== KUBELET_CLIENT || !(since + HELD_MS > o.clock.now()) || !o.authority) continue;
      const asked = await read(o.authority, csr);
      const node = asked && newNodeOf(csr, asked);
      if (node !== undefined && !allNodes.get(node)) claims.claim(node, nameOf(csr), since);
    }
  }

  async function may({ spec }: Request, subresource: string): Promise<boolean> {
    const { username = "", uid, groups, extra } = spec;
    const resourceAttributes = {
      group: requests.group,
      resource: requests.plural,
      verb: "create",
      subresource,
    };
    const about = { user: username, ...(uid && { uid }), ...(groups && { groups }), ...(extra && { extra }) };
    const review = { metadata: {}, spec: { ...about, resourceAttributes } };
    const answer = await o.client.resource<SubjectAccessReview>(subjectAccessReviews).create(review);
    return answer.status?.allowed === true;
  }

  async function sign(
    authority: CertificateAuthority,
    csr: Request,
    asked: RequestedCertificate,
    cause: (r: string) => Cause,
  ): Promise<void> {
    const why = whyNotSigned(csr, asked);
    if (why !== undefined) {
      const failed = { type: "Failed", status: "True", reason: "SignerValidationFailure", message: why };
      await api.updateStatus(withSaid(csr, failed), { cause: cause("SignerValidationFailure") });
      return;
    }
    const longest = o.signingSeconds ?? YEAR_SECONDS;
    const { request, usages = [], expirationSeconds = longest } = csr.spec;
    const seconds = Math.min(expirationSeconds, longest);
    const pem = await authority.sign(decodeBase64(request), { usages, seconds });
    const signed = { ...csr, status: { ...csr.status, certificate: encodeBase64(pem) } };
    await api.updateStatus(signed, { cause: cause("Signed") });
  }

  await runController({ ...o, name: NAME, queue, reconcile, workers: 2, after: [all, allNodes] }, signal);
}

/** Undefined: it is none. It passed the server, which looks at the envelope only. */
async function read(authority: CertificateAuthority, csr: Request): Promise<RequestedCertificate | undefined> {
  try {
    return await authority.read(decodeBase64(csr.spec.request));
  } catch {
    return undefined;
  }
}

function withSaid(csr: Request, said: CertificateSigningRequestCondition): Request {
  return { ...csr, status: { ...csr.status, conditions: [...(csr.status?.conditions ?? []), said] } };
}
