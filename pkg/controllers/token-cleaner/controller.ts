/** Removes bootstrap tokens whose time is over. They are refused from that moment on, removed or not. */
import { readToken } from "../../api/bootstrap-token.ts";
import { secrets } from "../../api/kinds/core/secret.ts";
import { nameOf, namespaceOf, uidOf } from "../../api/object.ts";
import { isReason } from "../../api/status.ts";
import { type Reconcile, runController } from "../../reconcile/controller.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { ControllerParts } from "../parts.ts";

const NAME = "token-cleaner";

/** Runs until the signal aborts. */
export async function runTokenCleaner(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const kept = o.informers.of(secrets);
  const queue = new WorkQueue(o);
  kept.onChange((key, now) => {
    if (now && (readToken(now)?.expiresAt ?? Infinity) < Infinity) queue.add(key);
  });

  const reconcile: Reconcile = async (key, _, { reconcileId }) => {
    const seen = kept.get(key);
    const token = seen && readToken(seen);
    if (!token) return "done";
    const rest = token.expiresAt - o.clock.now();
    if (rest > 0) return rest === Infinity ? "done" : { againAfterMs: rest };
    const { resourceVersion = "" } = seen.metadata;
    // Somebody may have prolonged its time a moment ago: what is deleted is what was read.
    await o.client
      .resource(secrets, namespaceOf(seen))
      .delete(nameOf(seen), {
        preconditions: { uid: uidOf(seen), resourceVersion },
        cause: { component: NAME, reconcileId, reason: "Expired", object: `secrets/${key}@${resourceVersion}` },
      })
      .catch((error: unknown) => {
        if (!isReason(error, "NotFound", "Conflict")) throw error;
      });
    return "done";
  };

  await runController({ ...o, name: NAME, queue, reconcile, workers: 1, after: [kept] }, signal);
}
