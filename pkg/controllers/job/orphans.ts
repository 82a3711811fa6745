/** Frees Pods whose Job is gone, or has ended, or let them go: nobody would count them any more, and they could never go. */
import type { Job } from "../../api/generated/types.ts";
import { jobs } from "../../api/kinds/batch/job.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { controllerOf, keyOf, makeKey, namespaceOf, uidOf } from "../../api/object.ts";
import { fromLabelSelector, matchesLabels } from "../../api/selectors.ts";
import type { Informer } from "../../informer/informer.ts";
import { runController } from "../../reconcile/controller.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { ControllerParts } from "../parts.ts";
import type { ReadonlyPod } from "../workload/pods.ts";
import { isFinished } from "./finished.ts";
import { isTracked } from "./job-pods.ts";
import { TrackedPods } from "./tracked-pods.ts";

const NAME = "job-orphans";

/** Keys are those of Pods. Runs until the signal aborts. */
export async function runOrphans(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const [owners, owned] = [o.informers.of(jobs), o.informers.of(pods)];
  const tracked = new TrackedPods({ client: o.client, informer: owned });
  const queue = new WorkQueue(o);
  owned.onChange((key, pod) => {
    if (pod && isOrphan(pod, owners)) queue.add(key);
  });
  owners.onChange((_, now, old) => {
    if (old && (!now || isFinished(now))) {
      for (const pod of owned.byIndex("controller", uidOf(old))) if (isTracked(pod)) queue.add(keyOf(pod));
    }
  });
  const after = [owners, owned];
  await runController(
    {
      ...o,
      name: NAME,
      queue,
      after,
      workers: 4,
      reconcile: async (key, sig, { reconcileId }) => {
        const pod = owned.get(key);
        if (!pod || !isOrphan(pod, owners)) return "done";
        const cause = { component: "job-controller", reconcileId, reason: "JobIsGone", object: `pods/${key}` };
        await tracked.release(pod, cause, sig);
        return "done";
      },
    },
    signal,
  );
}

function isOrphan(pod: ReadonlyPod, owners: Informer<Job>): boolean {
  if (!isTracked(pod)) return false;
  const manager = controllerOf(pod);
  if (!manager) return !adoptable(pod, owners);
  if (manager.kind !== jobs.kind) return true;
  const job = owners.get(makeKey(namespaceOf(pod), manager.name));
  return !job || uidOf(job) !== manager.uid || isFinished(job);
}

/** Some Job means it and will take it on, with the finalizer that it has. */
function adoptable(pod: ReadonlyPod, owners: Informer<Job>): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false;
  return owners.byIndex("namespace", namespaceOf(pod)).some((job) => {
    const selector = fromLabelSelector(job.spec?.selector);
    return selector !== undefined && !isFinished(job) && matchesLabels(selector, pod.metadata.labels);
  });
}
