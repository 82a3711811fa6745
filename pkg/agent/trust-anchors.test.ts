import { expect, test } from "@jest/globals";
import { Client } from "../client/client.ts";
import { FakeClock } from "../util/fake-clock.ts";
import { StubApi } from "./testing/stub-api.ts";
import { type AnchorSource, fetchAnchors } from "./trust-anchors.ts";

const block = (body: string) => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
const [one, two] = ["A".repeat(70), "Qg=="];

function bundle(
  api: StubApi,
  name: string,
  trustBundle: string,
  signerName?: string,
  labels: Record<string, string> = {},
) {
  const spec = { trustBundle, ...(signerName !== undefined && { signerName }) };
  const metadata = { name, labels };
  api.put("clustertrustbundles", {
    apiVersion: "certificates.k8s.io/v1beta1",
    kind: "ClusterTrustBundle",
    metadata,
    spec,
  } as never);
}

async function anchors(source: Partial<AnchorSource>): Promise<string> {
  const api = new StubApi(new FakeClock());
  bundle(api, "own", `a comment\n${block(two)}${block("Q\ng==")}${block(one)}`);
  bundle(api, "example.com:s:a", block(one), "example.com/s", { live: "yes" });
  bundle(api, "example.com:s:b", block(two), "example.com/s");
  return fetchAnchors(new Client(api, "kubelet"), { path: "ca.pem", ...source }, new AbortController().signal);
}

const both = block(`${"A".repeat(64)}\n${"A".repeat(6)}`) + block(two);
const signerName = "example.com/s";

test.each<[Partial<AnchorSource>, string]>([
  [{ name: "own" }, both],
  [{ signerName, labelSelector: {} }, both],
  [{ signerName, labelSelector: { matchLabels: { live: "yes" } } }, block(`${"A".repeat(64)}\n${"A".repeat(6)}`)],
  [{ name: "absent", optional: true }, ""],
  [{ signerName, optional: true }, ""],
])("%j", async (source, text) => expect(await anchors(source)).toBe(text));

test.each<[Partial<AnchorSource>, string]>([
  [{ name: "absent" }, 'while getting ClusterTrustBundle: clustertrustbundle.certificates.k8s.io "absent" not found'],
  [{ signerName }, "combination of signerName and labelSelector matched zero ClusterTrustBundles"],
  [{ signerName: "example.com/other", labelSelector: {} }, "combination of signerName and labelSelector matched zero"],
])("refused: %j", (source, message) => expect(anchors(source)).rejects.toThrow(message));
