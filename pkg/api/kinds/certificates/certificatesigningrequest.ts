/** Requests for certificates: spec by who asks, approval by who allows it, certificate by who signs. */
import { rfc3339 } from "../../../util/clock.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { humanDuration } from "../../duration.ts";
import { deepClone, keep } from "../../equal.ts";
import type { CertificateSigningRequest, CertificateSigningRequestCondition } from "../../generated/types.ts";
import type { RequestContext, ResourceDef } from "../../resource.ts";
import { validateRequest, validateRequestUpdate } from "../../validation/certificates.ts";
import { pathSegment } from "../../validation/domain.ts";
import { AGE, NAME } from "../columns.ts";

type Request = DeepReadonly<CertificateSigningRequest>;

export const certificateSigningRequests: ResourceDef<CertificateSigningRequest> = {
  group: "certificates.k8s.io",
  version: "v1",
  kind: "CertificateSigningRequest",
  plural: "certificatesigningrequests",
  singular: "certificatesigningrequest",
  shortNames: ["csr"],
  categories: [],
  namespaced: false,
  generations: false,
  schema: "CertificateSigningRequest",
  validateName: pathSegment,
  setDefaults(o) {
    o.spec ??= { request: "", signerName: "" };
  },
  prepareForCreate(o, { user }) {
    const { username: _, uid: __, groups: ___, extra: ____, ...asked } = o.spec;
    o.spec = {
      ...asked,
      username: user.name,
      ...(user.uid && { uid: user.uid }),
      groups: [...user.groups],
      ...(user.extra && { extra: deepClone(user.extra) }),
    };
    o.status = {};
  },
  prepareForUpdate(next, old) {
    keep(next, old, "spec");
    keep(next, old, "status");
  },
  validate: (next, old) => (old ? validateRequestUpdate(next, old, []) : validateRequest(next)),
  subresources: {
    status: {
      type: "part",
      prepareForUpdate(next, old, c) {
        keep(next, old, "spec");
        stamp(next, old, c);
      },
      validate: (next, old) => validateRequestUpdate(next, old, ["Failed"]),
    },
    approval: {
      type: "part",
      prepareForUpdate(next, old, c) {
        keep(next, old, "spec");
        const conditions = next.status?.conditions ?? [];
        next.status = { ...(deepClone(old.status ?? {}) as typeof next.status), conditions };
        stamp(next, old, c);
      },
      validate: (next, old) => validateRequestUpdate(next, old, ["Approved", "Denied", "Failed"]),
    },
  },
  selectableFields: { "spec.signerName": (o) => o.spec.signerName ?? "" },
  columns: [
    NAME,
    AGE,
    { name: "SignerName", type: "string", cell: (o) => o.spec.signerName || "<none>" },
    { name: "Requestor", type: "string", cell: (o) => o.spec.username ?? "" },
    {
      name: "RequestedDuration",
      type: "string",
      cell: ({ spec }) =>
        spec.expirationSeconds === undefined ? "<none>" : humanDuration(spec.expirationSeconds * 1000),
    },
    { name: "Condition", type: "string", cell: condition },
  ],
};

/** When each condition was written, and since when it has its status. */
function stamp(next: CertificateSigningRequest, old: Request, c: RequestContext): void {
  const now = rfc3339(c.now);
  for (const condition of next.status?.conditions ?? []) {
    condition.lastUpdateTime ??= now;
    condition.lastTransitionTime ??= sameBefore(condition, old)?.lastTransitionTime ?? now;
  }
}

function sameBefore(c: CertificateSigningRequestCondition, old: Request) {
  return old.status?.conditions?.findLast((o) => o.type === c.type && o.status === c.status);
}

function condition({ status }: Request): string {
  const has = (type: string) => status?.conditions?.some((c) => c.type === type) === true;
  const words = [has("Denied") ? "Denied" : has("Approved") ? "Approved" : "Pending"];
  if (has("Failed")) words.push("Failed");
  if (status?.certificate) words.push("Issued");
  return words.join(",");
}
