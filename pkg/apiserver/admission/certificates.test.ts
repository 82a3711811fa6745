import { describe, expect, test } from "@jest/globals";
import type { CertificateSigningRequest, ClusterRole, ClusterRoleBinding } from "../../api/generated/types.ts";
import { clusterRoles } from "../../api/kinds/rbac/role.ts";
import { clusterRoleBindings } from "../../api/kinds/rbac/rolebinding.ts";
import { certificateApproval, certificateSigning, certificateSubjectRestriction } from "./certificates.ts";
import { admit, type Placed, request, viewOf } from "./testing/requests.ts";

const at = { group: "certificates.k8s.io", plural: "certificatesigningrequests", namespaced: false } as const;
const csr = (signerName: string, rest: object = {}): CertificateSigningRequest => ({
  metadata: { name: "c" },
  spec: { request: "", signerName, usages: ["client auth"] },
  ...rest,
});
const user = { name: "alice", groups: [] };
const FORBIDDEN = 'certificatesigningrequests.certificates.k8s.io "c" is forbidden: ';

/** alice may do this with these signers. */
function rights(verb: string, ...signers: string[]): Placed[] {
  const rules = [{ apiGroups: [at.group], resources: ["signers"], resourceNames: signers, verbs: [verb] }];
  const role: ClusterRole = { metadata: { name: "r" }, rules };
  const binding: ClusterRoleBinding = {
    metadata: { name: "r" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "r" },
    subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "alice" }],
  };
  return [
    [clusterRoles, role],
    [clusterRoleBindings, binding],
  ];
}

describe("approval", () => {
  const refused = `${FORBIDDEN}user not permitted to approve requests with signerName "x.io/s"`;
  test.each<[string, Placed[], string | undefined]>([
    ["without the right", [], refused],
    ["with it", rights("approve", "x.io/s"), undefined],
    ["with that of the whole domain", rights("approve", "x.io/*"), undefined],
    ["with that of another signer", rights("approve", "x.io/t"), refused],
    ["with the right to sign", rights("sign", "x.io/s"), refused],
  ])("%s", async (_, placed, expected) => {
    const r = request({
      ...at,
      operation: "UPDATE",
      subresource: "approval",
      object: csr("x.io/s"),
      old: csr("x.io/s"),
      user,
    });
    expect(await admit(certificateApproval, r, viewOf(...placed))).toBe(expected);
  });
});

describe("signing", () => {
  const write = (status: object, ...placed: Placed[]) => {
    const object = csr("x.io/s", { status });
    const r = request({ ...at, operation: "UPDATE", subresource: "status", object, old: csr("x.io/s"), user });
    return admit(certificateSigning, r, viewOf(...placed));
  };
  test("needs the right, where there is something to sign", async () => {
    expect(await write({ certificate: "Yw==" })).toBe(
      `${FORBIDDEN}user not permitted to sign requests with signerName "x.io/s"`,
    );
    expect(await write({ certificate: "Yw==" }, ...rights("sign", "x.io/s"))).toBeUndefined();
    expect(await write({})).toBeUndefined();
  });
});

const pem = (...lines: string[]) =>
  ["-----BEGIN CERTIFICATE REQUEST-----", ...lines, "-----END CERTIFICATE REQUEST-----", ""].join("\n");

describe("the subject", () => {
  /** O=devs, O=system:masters, CN=alice; made by openssl. */
  const MASTERS = pem(
    "MIHzMIGaAgEAMDgxDTALBgNVBAoMBGRldnMxFzAVBgNVBAoMDnN5c3RlbTptYXN0",
    "ZXJzMQ4wDAYDVQQDDAVhbGljZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABHI0",
    "fvK5rKtVQY8l/LmS6WLqY7eiV6bvvpxVU01eLCgB8LlUjrtc/Hf9ShrLdNP/Ldaq",
    "NaTGtrQ9t5ReEw/UheSgADAKBggqhkjOPQQDAgNIADBFAiEAytlUItETjVRvBP5L",
    "Z6zYBmAxWK545j4ycfspjPCgbP0CIBfHUWxwrUB2uxi5SdOqhcguco5PV3bdQdpM",
    "hXsqEod0",
  );
  /** O=devs, CN=alice. */
  const DEVS = pem(
    "MIHbMIGBAgEAMB8xDTALBgNVBAoMBGRldnMxDjAMBgNVBAMMBWFsaWNlMFkwEwYH",
    "KoZIzj0CAQYIKoZIzj0DAQcDQgAEZ5ykER2vlF2Vu9TALllZuf7ZdE5jSVJWh/nl",
    "lCzIEORVclmctVvtGVSV/sxIaHQ/Dpavv8GZRNsd6SRPhqGNEKAAMAoGCCqGSM49",
    "BAMCA0kAMEYCIQDjOtL5/HYF5hunUQFvgiB98NNanDtbC3CSZQ2YDA97fwIhAJJ+",
    "aCNY0FW7ta+cxzsr8o5Eu7dH/hmBgTOH2ynZZ14p",
  );
  const ask = (text: string, signer = "kubernetes.io/kube-apiserver-client") => {
    const object = csr(signer);
    object.spec.request = Buffer.from(text).toString("base64");
    return admit(certificateSubjectRestriction, request({ ...at, object, user }), viewOf());
  };

  test("may not be one of the masters", async () => {
    expect(await ask(MASTERS)).toBe(
      `${FORBIDDEN}use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed`,
    );
    expect(await ask(MASTERS, "x.io/s")).toBeUndefined();
    expect(await ask(DEVS)).toBeUndefined();
    expect(await ask("nonsense")).toMatch(/is forbidden: failed to parse CSR: /);
  });
});
