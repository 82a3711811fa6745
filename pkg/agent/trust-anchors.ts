/** The certificates of ClusterTrustBundles, as the files of projected volumes hold them: each once, whoever vouches for it. */
import type { ClusterTrustBundleProjection, V1beta1ClusterTrustBundle } from "../api/generated/types.ts";
import { clusterTrustBundles } from "../api/kinds/certificates/clustertrustbundle.ts";
import { pemBlocks } from "../api/pem.ts";
import { fromLabelSelector, matchesLabels } from "../api/selectors.ts";
import { isReason } from "../api/status.ts";
import type { Client } from "../client/client.ts";
import type { DeepReadonly } from "../util/types.ts";

export type AnchorSource = DeepReadonly<ClusterTrustBundleProjection>;
type Bundle = DeepReadonly<V1beta1ClusterTrustBundle>;

/** PEM; empty where nothing is there and that is allowed. Rejects with what the FailedMount event says otherwise. */
export async function fetchAnchors(client: Client, source: AnchorSource, signal: AbortSignal): Promise<string> {
  const bundles =
    source.name === undefined ? await bySigner(client, source, signal) : await byName(client, source, signal);
  if (bundles.length === 0 && !source.optional) {
    throw new Error(
      source.name === undefined
        ? "combination of signerName and labelSelector matched zero ClusterTrustBundles"
        : `while getting ClusterTrustBundle: clustertrustbundle.certificates.k8s.io "${source.name}" not found`,
    );
  }
  return pemOf(bundles);
}

async function byName(client: Client, { name = "" }: AnchorSource, signal: AbortSignal): Promise<readonly Bundle[]> {
  try {
    return [await client.resource(clusterTrustBundles).get(name, signal)];
  } catch (error) {
    if (isReason(error, "NotFound")) return [];
    throw error;
  }
}

/** Without a selector, none; with an empty one, all of the signer. */
async function bySigner(client: Client, s: AnchorSource, signal: AbortSignal): Promise<readonly Bundle[]> {
  const selector = s.labelSelector && fromLabelSelector(s.labelSelector);
  if (!selector) return [];
  const { items } = await client.resource(clusterTrustBundles).list({}, signal);
  return items.filter((b) => b.spec.signerName === s.signerName && matchesLabels(selector, b.metadata.labels));
}

/** In an order that says nothing of whose they are. */
function pemOf(bundles: readonly Bundle[]): string {
  const anchors = new Set(bundles.flatMap((b) => pemBlocks(b.spec.trustBundle).map((block) => block.base64)));
  const lines = (base64: string) => base64.match(/.{1,64}/g)?.join("\n") ?? "";
  const block = (base64: string) => `-----BEGIN CERTIFICATE-----\n${lines(base64)}\n-----END CERTIFICATE-----\n`;
  return [...anchors].sort().map(block).join("");
}
