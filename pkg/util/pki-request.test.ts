import { describe, expect, test } from "@jest/globals";
import { X509Certificate } from "node:crypto";
import { FakeClock } from "./fake-clock.ts";
import { certificateFacts, certificateRequest, newPrivateKey, publicKeyHash } from "./pki-request.ts";
import { certificateAuthority, createCa, SKEW_MS } from "./pki.ts";

const clock = new FakeClock();
const names = {
  commonName: "system:node:n1",
  organizations: ["system:nodes"],
  dnsNames: ["n1"],
  ips: ["10.0.0.7"],
};

describe("a request for a certificate", () => {
  test("is read by the authority as it was meant, and what is signed fits the key it was made for", async () => {
    const ca = await createCa("test-ca", clock.now());
    const authority = certificateAuthority(ca, clock);
    const key = newPrivateKey();
    const request = await certificateRequest(key, names);
    expect(request).not.toContain("PRIVATE");
    expect(await authority.read(request)).toEqual({
      commonName: "system:node:n1",
      organizations: ["system:nodes"],
      names: { DNS: ["n1"], IP: ["10.0.0.7"], Email: [], URI: [] },
    });
    const cert = await authority.sign(request, { usages: ["digital signature", "server auth"], seconds: 60 });
    expect(new X509Certificate(cert).checkIssued(new X509Certificate(ca.cert))).toBe(true);
    expect(certificateFacts({ cert })).toEqual({
      notBefore: clock.now() - SKEW_MS,
      notAfter: clock.now() + 60_000,
      commonName: "system:node:n1",
      names: ["n1", "10.0.0.7"],
    });
  });

  test("needs no other names", async () => {
    const authority = certificateAuthority(await createCa("test-ca", clock.now()), clock);
    const asked = await authority.read(await certificateRequest(newPrivateKey(), { commonName: "ann" }));
    expect(asked).toMatchObject({ commonName: "ann", organizations: [], names: { DNS: [], IP: [] } });
  });

  test("a CA is known by its public key, which a renewal keeps and another CA has not", async () => {
    const [a, b] = [await createCa("a", clock.now()), await createCa("a", clock.now())];
    expect(publicKeyHash(a.cert)).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(publicKeyHash(a.cert)).not.toBe(publicKeyHash(b.cert));
  });
});
