/** A Pod's pull secrets, fetched when something is to be pulled; admission has added those of its ServiceAccount. */
import type { Secret } from "../api/generated/types.ts";
import type { DeepReadonly } from "../util/types.ts";
import { fetchSources, type NodeContext, podEvent } from "./context.ts";
import type { Pod } from "./facts.ts";
import { type Keyring, keyringOf } from "./keyring.ts";

/** Secrets that are missing are said, not missed: the image may be free for all. Rejects for one that cannot be read. */
export async function fetchKeyring(ctx: NodeContext, pod: Pod, signal: AbortSignal): Promise<Keyring> {
  const names = (pod.spec?.imagePullSecrets ?? []).flatMap(({ name }) => (name ? [name] : []));
  if (names.length === 0) return [];
  const refs = names.map((name) => ({ kind: "Secret" as const, name }));
  const lookup = await fetchSources(ctx, pod.metadata.namespace ?? "", refs, signal);
  const missing = names.filter((name) => lookup("Secret", name) === undefined);
  if (missing.length > 0) {
    const message = `Unable to retrieve some image pull secrets (${missing.join(", ")}); attempting to pull the image may not succeed.`;
    podEvent(ctx, pod, { type: "Warning", reason: "FailedToRetrieveImagePullSecret", message });
  }
  return keyringOf(names.flatMap((name) => (lookup("Secret", name) as DeepReadonly<Secret> | undefined) ?? []));
}
