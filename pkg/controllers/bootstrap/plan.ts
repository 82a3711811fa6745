/** What stands in the ConfigMap by which machines find the cluster: a signature of each token over it. Pure. */
import { type BootstrapToken, SIGNATURE_PREFIX } from "../../api/bootstrap-token.ts";
import { signDetached } from "../../util/detached-jws.ts";

type Data = Readonly<Record<string, string>>;

/** Tokens that say that they sign, and have not ended. */
export function signing(tokens: readonly BootstrapToken[], now: number): readonly BootstrapToken[] {
  return tokens.filter((t) => t.usages.includes("signing") && t.expiresAt > now);
}

/** The data as it should be: what others wrote into it stays, and no signature of a token that is gone. */
export async function signedData(data: Data, tokens: readonly BootstrapToken[]): Promise<Data> {
  const { kubeconfig } = data;
  const others = Object.entries(data).filter(([key]) => !key.startsWith(SIGNATURE_PREFIX));
  const signatures =
    kubeconfig === undefined
      ? []
      : tokens.map(async (t) => [`${SIGNATURE_PREFIX}${t.id}`, await signDetached(kubeconfig, t)] as const);
  return Object.fromEntries([...others, ...(await Promise.all(signatures))]);
}
