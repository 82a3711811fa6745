import { describe, expect, test } from "@jest/globals";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CertificateSigningRequest, ClusterRole, ClusterRoleBinding } from "../../api/generated/types.ts";
import { clusterRoles } from "../../api/kinds/rbac/role.ts";
import { clusterRoleBindings } from "../../api/kinds/rbac/rolebinding.ts";
import type { ResourceRef } from "../../api/resource.ts";
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
    [clusterRoles as unknown as ResourceRef, role],
    [clusterRoleBindings as unknown as ResourceRef, binding],
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

describe("the subject", () => {
  function pemFor(subject: string): string {
    const dir = mkdtempSync(join(tmpdir(), "csr-"));
    try {
      const args = ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", join(dir, "key"), "-subj", subject];
      return execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    } finally {
      rmSync(dir, { recursive: true });
    }
  }
  const ask = (pem: string, signer = "kubernetes.io/kube-apiserver-client") => {
    const object = csr(signer);
    object.spec.request = Buffer.from(pem).toString("base64");
    return admit(certificateSubjectRestriction, request({ ...at, object, user }), viewOf());
  };

  test("may not be one of the masters", async () => {
    const masters = pemFor("/O=devs/O=system:masters/CN=alice");
    expect(await ask(masters)).toBe(
      `${FORBIDDEN}use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed`,
    );
    expect(await ask(masters, "x.io/s")).toBeUndefined();
    expect(await ask(pemFor("/O=devs/CN=alice"))).toBeUndefined();
    expect(await ask("nonsense")).toMatch(/is forbidden: failed to parse CSR: /);
  });
});
