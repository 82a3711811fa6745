/** Deletes Jobs some time after they have ended, where they say so. */
import type { Job } from "../../api/generated/types.ts";
import { jobs } from "../../api/kinds/batch/job.ts";
import { nameOf, namespaceOf } from "../../api/object.ts";
import { isReason } from "../../api/status.ts";
import { runController } from "../../reconcile/controller.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { finalConditionOf } from "../job/finished.ts";
import type { ControllerParts } from "../parts.ts";

const NAME = "ttl-after-finished-controller";

/** In milliseconds; Infinity: never, or not known yet. */
export function expiresAt(job: DeepReadonly<Job>): number {
  const seconds = job.spec?.ttlSecondsAfterFinished;
  const ended = finalConditionOf(job)?.lastTransitionTime;
  if (seconds === undefined || ended === undefined || job.metadata.deletionTimestamp !== undefined) return Infinity;
  return Date.parse(ended) + seconds * 1000;
}

/** Runs until the signal aborts. */
export async function runTtlAfterFinished(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const owners = o.informers.of(jobs);
  const queue = new WorkQueue(o);
  owners.onChange((key, job) => {
    if (job && expiresAt(job) < Infinity) queue.add(key);
  });
  await runController(
    {
      ...o,
      name: NAME,
      queue,
      after: [owners],
      workers: 2,
      reconcile: async (key, _, { reconcileId }) => {
        const seen = owners.get(key);
        if (!seen) return "done";
        const api = o.client.resource(jobs, namespaceOf(seen));
        try {
          const wait = expiresAt(seen) - o.clock.now();
          if (wait > 0) return wait === Infinity ? "done" : { againAfterMs: wait };
          // Somebody may have prolonged its time a moment ago: what is deleted is what was read.
          const job = await api.get(nameOf(seen));
          if (expiresAt(job) > o.clock.now()) return "done";
          const { uid = "", resourceVersion = "" } = job.metadata;
          await api.delete(nameOf(job), {
            preconditions: { uid, resourceVersion },
            propagationPolicy: "Foreground",
            cause: { component: NAME, reconcileId, reason: "Expired", object: `jobs/${key}@${resourceVersion}` },
          });
          return "done";
        } catch (error) {
          if (isReason(error, "NotFound")) return "done";
          throw error;
        }
      },
    },
    signal,
  );
}
