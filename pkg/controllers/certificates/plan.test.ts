import { describe, expect, test } from "@jest/globals";
import type { CertificateSigningRequest, CertificateSigningRequestCondition } from "../../api/generated/types.ts";
import type { RequestedCertificate } from "../../util/certificates.ts";
import {
  approvals,
  denial,
  goesAt,
  isSignedHere,
  KUBELET_CLIENT,
  KUBELET_SERVING,
  stageOf,
  whyNotSigned,
} from "./plan.ts";

const CREATED = Date.UTC(2026, 0, 1, 12);
const HOUR = 3_600_000;
const CLIENT = ["digital signature", "client auth"];
const SERVER = ["digital signature", "server auth"];
const ME = "system:node:n1";

const csr = (signerName: string, usages: string[], more: object = {}): CertificateSigningRequest => ({
  metadata: { name: "r", creationTimestamp: "2026-01-01T12:00:00Z" },
  spec: { request: "", signerName, usages, username: ME, groups: ["system:nodes"], ...more },
});
type Names = RequestedCertificate["names"];
const asks = (commonName = ME, organizations = ["system:nodes"], names: Partial<Names> = {}): RequestedCertificate => ({
  commonName,
  organizations,
  names: { DNS: [], IP: [], Email: [], URI: [], ...names },
});
const OWN = asks(ME, ["system:nodes"], { IP: ["10.0.0.7"] });

describe("what a signer refuses", () => {
  test.each<[string, string[], RequestedCertificate, string | undefined]>([
    [KUBELET_CLIENT, CLIENT, asks(), undefined],
    [KUBELET_CLIENT, [...CLIENT, "key encipherment"], asks(), undefined],
    [KUBELET_CLIENT, CLIENT, asks(ME, ["system:masters"]), "subject organization is not system:nodes"],
    [KUBELET_CLIENT, CLIENT, asks(ME, ["system:nodes", "b"]), "subject organization is not system:nodes"],
    [KUBELET_CLIENT, CLIENT, asks("ann"), "subject common name does not begin with system:node:"],
    [KUBELET_CLIENT, CLIENT, OWN, "IP subjectAltNames are not allowed"],
    [KUBELET_CLIENT, SERVER, asks(), "usages did not match [client auth digital signature key encipherment]"],
    [KUBELET_SERVING, SERVER, OWN, undefined],
    [KUBELET_SERVING, SERVER, asks(), "DNS or IP subjectAltName is required"],
    [
      KUBELET_SERVING,
      SERVER,
      asks(ME, ["system:nodes"], { DNS: ["n1"], URI: ["a:b"] }),
      "URI subjectAltNames are not allowed",
    ],
    [KUBELET_SERVING, CLIENT, OWN, "usages did not match [digital signature key encipherment server auth]"],
    ["kubernetes.io/kube-apiserver-client", ["client auth"], asks("ann", ["dev"]), undefined],
    [
      "kubernetes.io/kube-apiserver-client",
      ["server auth"],
      asks("ann"),
      "invalid usage for client certificate: server auth",
    ],
    [
      "kubernetes.io/kube-apiserver-client",
      ["key encipherment"],
      asks("ann"),
      "missing required usage for client certificate: client auth",
    ],
  ])("%s %j %j: %s", (signer, usages, asked, expected) => {
    expect(whyNotSigned(csr(signer, usages), asked)).toBe(expected);
  });

  test("others' signers are theirs", () => {
    expect(isSignedHere(csr("example.com/signer", []))).toBe(false);
    expect(isSignedHere(csr("kubernetes.io/legacy-unknown", []))).toBe(false);
  });
});

describe("what is approved without a person", () => {
  const addresses = [{ type: "InternalIP", address: "10.0.0.7" }];
  const statusOf = (name: string) => (name === "n1" ? { addresses } : undefined);
  test.each<[string, CertificateSigningRequest, RequestedCertificate, (string | undefined)[]]>([
    ["a node's next client certificate", csr(KUBELET_CLIENT, CLIENT), asks(), ["selfnodeclient", "nodeclient"]],
    [
      "the first one, asked for by a bootstrapper",
      csr(KUBELET_CLIENT, CLIENT, { username: "boot" }),
      asks(),
      ["nodeclient"],
    ],
    ["none that would not be signed", csr(KUBELET_CLIENT, SERVER), asks(), []],
    ["a serving certificate for one's own addresses", csr(KUBELET_SERVING, SERVER), OWN, [undefined]],
    [
      "none for another's addresses",
      csr(KUBELET_SERVING, SERVER),
      asks(ME, ["system:nodes"], { IP: ["10.0.0.8"] }),
      [],
    ],
    ["none for another node", csr(KUBELET_SERVING, SERVER, { username: "system:node:n2" }), OWN, []],
    ["none for who only calls himself a node", csr(KUBELET_SERVING, SERVER, { groups: [] }), OWN, []],
    ["none of a person", csr("kubernetes.io/kube-apiserver-client", ["client auth"]), asks(ME), []],
  ])("%s", (_, request, asked, rights) => {
    expect(approvals(request, asked, statusOf).map((a) => a.right)).toEqual(rights);
  });
});

describe("whose name it is", () => {
  const boot = { username: "system:bootstrap:abc123", groups: ["system:bootstrappers"] };
  const known = {
    hasNode: (name: string) => name === "n1",
    isClaimed: (name: string) => name === "n3",
  };
  const why =
    "a node named n1 exists already; choose another name with --node-name, or if it is gone: mini-kube node remove n1";
  test.each<[string, CertificateSigningRequest, RequestedCertificate, string | undefined]>([
    ["a token's, of a name that is taken", csr(KUBELET_CLIENT, CLIENT, boot), asks(), why],
    ["another node's", csr(KUBELET_CLIENT, CLIENT, { username: "system:node:n2" }), asks(), why],
    [
      "a token's, of a name that another machine asks for, too",
      csr(KUBELET_CLIENT, CLIENT, boot),
      asks("system:node:n3"),
      "another machine joins as n3 at this moment; choose another name with --node-name, or wait a minute if it was this one",
    ],
    ["the node's own, its next", csr(KUBELET_CLIENT, CLIENT), asks(), undefined],
    ["a token's, of a new name", csr(KUBELET_CLIENT, CLIENT, boot), asks("system:node:n2"), undefined],
    ["what nobody would sign", csr(KUBELET_CLIENT, SERVER, boot), asks(), undefined],
  ])("%s", (_, request, asked, message) => {
    expect(denial(request, asked, known)?.message).toBe(message);
  });
});

test.each<[string, CertificateSigningRequestCondition[], string | undefined, string, number]>([
  ["nobody has decided", [], undefined, "pending", CREATED + 24 * HOUR],
  ["approved, to be signed", [{ type: "Approved", status: "True" }], undefined, "approved", Infinity],
  [
    "signed",
    [{ type: "Approved", status: "True", lastUpdateTime: "2026-01-01T13:00:00Z" }],
    "AA",
    "done",
    CREATED + 2 * HOUR,
  ],
  [
    "denied",
    [{ type: "Denied", status: "True", lastUpdateTime: "2026-01-01T12:30:00Z" }],
    undefined,
    "done",
    CREATED + 1.5 * HOUR,
  ],
  [
    "failed",
    [
      { type: "Approved", status: "True" },
      { type: "Failed", status: "True" },
    ],
    undefined,
    "done",
    Infinity,
  ],
])("a request's life: %s", (_, conditions, certificate, stage, gone) => {
  const status = { conditions, ...(certificate !== undefined && { certificate }) };
  const request = { ...csr(KUBELET_CLIENT, CLIENT), status };
  expect([stageOf(request), goesAt(request)]).toEqual([stage, gone]);
});
