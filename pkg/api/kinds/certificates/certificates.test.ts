import { describe, expect, test } from "@jest/globals";
import type { CertificateSigningRequest } from "../../generated/types.ts";
import { encodeBase64 } from "../../validation/data.ts";
import { complaints, created, headings, NOW, row, updated, writePart } from "../testing/writes.ts";
import { certificateSigningRequests as requests } from "./certificatesigningrequest.ts";
import { clusterTrustBundles } from "./clustertrustbundle.ts";

const pem = (type: string) => encodeBase64(`-----BEGIN ${type}-----\nAAAA\n-----END ${type}-----\n`);
const spec = { request: pem("CERTIFICATE REQUEST"), signerName: "example.com/signer", usages: ["client auth"] };
const manifest = (more: object = {}) => ({ metadata: { name: "ann" }, spec: { ...spec, ...more } });
const request = (more: object = {}) => created(requests, manifest(more));
const now = new Date(NOW).toISOString().replace(".000Z", "Z");

test("a request says who asks, whatever its author claims", () => {
  const o = request({ username: "root", groups: ["system:masters"], uid: "0", extra: { a: ["b"] } });
  expect(o.spec).toEqual({ ...spec, username: "u", groups: [] });
  expect(o.status).toEqual({});
  const context = { now: NOW, user: { name: "ann", groups: ["dev"], uid: "7", extra: { a: ["1"] } } };
  requests.prepareForCreate?.(o, context);
  expect(o.spec).toEqual({ ...spec, username: "ann", uid: "7", groups: ["dev"], extra: { a: ["1"] } });
  const changed = updated(requests, manifest({ signerName: "example.com/other" }), o);
  expect(changed.spec.signerName).toBe("example.com/signer");
});

describe("what kubectl get shows", () => {
  const approved = { type: "Approved", status: "True" };
  test.each<[CertificateSigningRequest["status"], string]>([
    [{}, "Pending"],
    [{ conditions: [approved] }, "Approved"],
    [{ conditions: [approved], certificate: pem("CERTIFICATE") }, "Approved,Issued"],
    [{ conditions: [approved, { type: "Failed", status: "True" }] }, "Approved,Failed"],
    [{ conditions: [{ type: "Denied", status: "True" }] }, "Denied"],
  ])("%j: %s", (status, condition) => {
    expect(headings(requests)).toBe("Name Age SignerName Requestor RequestedDuration Condition");
    const o = request({ expirationSeconds: 3600 });
    if (status) o.status = status;
    expect(row(requests, o)).toEqual(["ann", "60m", "example.com/signer", "u", "60m", condition]);
  });
});

describe("a request is refused", () => {
  test.each<[object, string]>([
    [{ request: pem("CERTIFICATE") }, "PEM block type must be CERTIFICATE REQUEST"],
    [{ request: "" }, "PEM block type must be CERTIFICATE REQUEST"],
    [{ usages: [] }, "spec.usages: Required value"],
    [{ usages: ["serve"] }, 'spec.usages[0]: Unsupported value: "serve": supported values: "any", "cert sign"'],
    [{ usages: ["any", "any"] }, 'spec.usages[1]: Duplicate value: "any"'],
    [{ signerName: undefined }, "spec.signerName: Required value"],
    [{ signerName: "signer" }, "must be a fully qualified domain and path of the form 'example.com/signer-name'"],
    [{ signerName: "example/signer" }, "should be a domain with at least two segments separated by dots"],
    [{ signerName: "a..b/signer" }, 'validating label "": a lowercase RFC 1123 label'],
    [{ signerName: "kubernetes.io/legacy-unknown" }, "the legacy signerName is not allowed via this API version"],
    [{ expirationSeconds: 599 }, "may not specify a duration less than 600 seconds (10 minutes)"],
  ])("%j: %s", (bad, message) => {
    expect(complaints(requests, request(bad)).join("\n")).toContain(message);
  });
});

type Condition = NonNullable<NonNullable<CertificateSigningRequest["status"]>["conditions"]>[number];

function write(part: "approval" | "status", conditions: Condition[], certificate?: string, old = request()) {
  return writePart(requests, part, old, (o) => {
    o.spec = { ...o.spec, signerName: "example.com/other" };
    o.status = { conditions, ...(certificate && { certificate }) };
  });
}

describe("who approves does not sign, and who signs does not approve", () => {
  const yes: Condition = { type: "Approved", status: "True", reason: "Fine" };
  const no: Condition = { type: "Denied", status: "True" };

  test("approval takes conditions, and stamps them", () => {
    const { next, errors } = write("approval", [yes], pem("CERTIFICATE"));
    expect(errors).toEqual([]);
    expect(next.spec.signerName).toBe("example.com/signer");
    expect(next.status).toEqual({ conditions: [{ ...yes, lastUpdateTime: now, lastTransitionTime: now }] });
  });

  test("status takes the certificate", () => {
    const approved = write("approval", [yes]).next;
    const kept = approved.status?.conditions ?? [];
    const { next, errors } = write("status", kept, pem("CERTIFICATE"), approved);
    expect(errors).toEqual([]);
    expect(next.status).toEqual({ conditions: kept, certificate: pem("CERTIFICATE") });
    const again = write("status", kept, `${pem("CERTIFICATE")}AA`, next);
    expect(again.errors).toContain(
      "status.certificate: Forbidden: updates may not modify existing certificate content",
    );
  });

  test.each<[string, "approval" | "status", Condition[], string]>([
    ["both ways", "approval", [yes, no], "Approved and Denied conditions are mutually exclusive"],
    ["by the signer", "status", [yes], 'updates may not add a condition of type "Approved"'],
    [
      "half",
      "approval",
      [{ type: "Approved", status: "False" }],
      'status.conditions[0].status: Unsupported value: "False"',
    ],
    ["twice", "approval", [yes, yes], 'status.conditions[1].type: Duplicate value: "Approved"'],
  ])("nothing is decided %s", (_, part, conditions, message) => {
    expect(write(part, conditions).errors.join("\n")).toContain(message);
  });

  test("what is decided stays decided", () => {
    const approved = write("approval", [yes]).next;
    expect(write("approval", [], undefined, approved).errors).toEqual([
      'status.conditions: Forbidden: updates may not remove a condition of type "Approved"',
    ]);
    expect(write("status", [], "AAAA").errors).toContain(
      'status.certificate: Invalid value: "<certificate data>": only CERTIFICATE PEM blocks are allowed',
    );
  });
});

describe("bundles of trust", () => {
  const anchor = "-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n";
  const bundle = (name: string, signerName?: string, trustBundle = anchor) =>
    created(clusterTrustBundles, { metadata: { name }, spec: { trustBundle, ...(signerName && { signerName }) } });

  test.each([
    ["own", undefined],
    ["example.com:ca:first", "example.com/ca"],
  ])("%s of %s", (name, signer) => expect(complaints(clusterTrustBundles, bundle(name, signer))).toEqual([]));

  test.each([
    [bundle("a:b"), 'ClusterTrustBundle without signer name must not have ":" in its name'],
    [bundle("first", "example.com/ca"), "must be named with prefix example.com:ca:"],
    [bundle("example.com:ca:A", "example.com/ca"), "a lowercase RFC 1123 subdomain"],
    [bundle("own", undefined, "nothing"), "at least one trust anchor must be provided"],
    [bundle("own", undefined, anchor.replaceAll("CERTIFICATE", "KEY")), "entry 0 has bad block type: KEY"],
  ])("refused: %#", (bad, message) => expect(complaints(clusterTrustBundles, bad).join("\n")).toContain(message));

  test("keep their signer", () => {
    const [next, old] = [bundle("own"), bundle("own", "example.com/ca")];
    expect(complaints(clusterTrustBundles, next, old).join("\n")).toContain("spec.signerName");
  });
});
