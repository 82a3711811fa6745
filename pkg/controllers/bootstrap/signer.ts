/**
 * Signs what the cluster publishes of itself with every bootstrap token: a machine that was given one token sees by its
 * signature that it has found the right cluster, before it has shown the token to anybody.
 */
import { CLUSTER_INFO, type BootstrapToken, readToken } from "../../api/bootstrap-token.ts";
import { deepEqual } from "../../api/equal.ts";
import { configMaps } from "../../api/kinds/core/configmap.ts";
import { secrets } from "../../api/kinds/core/secret.ts";
import { makeKey } from "../../api/object.ts";
import { isReason } from "../../api/status.ts";
import { type Reconcile, runController } from "../../reconcile/controller.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { ControllerParts } from "../parts.ts";
import { signedData, signing } from "./plan.ts";

const NAME = "bootstrap-signer";
const KEY = makeKey(CLUSTER_INFO.namespace, CLUSTER_INFO.name);

/** Runs until the signal aborts. */
export async function runBootstrapSigner(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const [maps, kept] = [o.informers.of(configMaps), o.informers.of(secrets)];
  const queue = new WorkQueue(o);
  maps.onChange((key) => key === KEY && queue.add(KEY));
  kept.onChange((_, now, old) => {
    if ([now, old].some((s) => s && readToken(s))) queue.add(KEY);
  });

  const reconcile: Reconcile = async (_, s, { reconcileId }) => {
    const info = maps.get(KEY);
    if (!info) return "done";
    const tokens = signing(
      kept.list().flatMap((k) => readToken(k) ?? []),
      o.clock.now(),
    );
    const data = await signedData(info.data ?? {}, tokens);
    s.throwIfAborted();
    if (!deepEqual(data, info.data ?? {})) {
      const object = `configmaps/${KEY}@${info.metadata.resourceVersion ?? ""}`;
      const cause = { component: NAME, reconcileId, reason: "TokensChanged", object };
      const api = o.client.resource(configMaps, CLUSTER_INFO.namespace);
      await api.update({ ...info, data }, { cause }).catch((error: unknown) => {
        // The change comes here, too.
        if (!isReason(error, "Conflict", "NotFound")) throw error;
      });
    }
    const next = firstEnd(tokens) - o.clock.now();
    return next === Infinity ? "done" : { againAfterMs: Math.max(0, next) };
  };

  await runController({ ...o, name: NAME, queue, reconcile, workers: 1, after: [maps, kept] }, signal);
}

const firstEnd = (tokens: readonly BootstrapToken[]) => Math.min(Infinity, ...tokens.map((t) => t.expiresAt));
