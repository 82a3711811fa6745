/** Takes Pods off nodes with NoExecute taints that they do not tolerate, or tolerate no longer. */
import { deepEqual } from "../../api/equal.ts";
import { nodes } from "../../api/kinds/core/node.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { keyOf, nameOf, namespaceOf, uidOf } from "../../api/object.ts";
import { isReason } from "../../api/status.ts";
import { type Reconcile, runController } from "../../reconcile/controller.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { ControllerParts } from "../parts.ts";
import { OwnedObjects } from "../workload/owned-objects.ts";
import type { ReadonlyPod } from "../workload/pods.ts";
import { disruptedStatus, drivingOut, mustGoAt, type ReadonlyTaint, tolerationStart } from "./plan.ts";

const NAME = "taint-eviction-controller";

/** Runs until the signal aborts. Keys are those of Pods. */
export async function runTaintEviction(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const allNodes = o.informers.of(nodes);
  const allPods = o.informers.of(pods);
  const queue = new WorkQueue(o);
  using recorder = new EventRecorder({ ...o, component: NAME });
  const writer = new OwnedObjects({ client: o.client, ref: pods, informer: allPods });
  /** Pods that will have to go, by key: what they have to tolerate, and since when. */
  const waiting = new Map<string, { readonly uid: string; readonly since: Map<string, number> }>();

  const taintsOf = (node: string | undefined) => drivingOut(node ? allNodes.get(node)?.spec?.taints : undefined);
  allNodes.onChange((key, now, old) => {
    if (deepEqual(drivingOut(now?.spec?.taints), drivingOut(old?.spec?.taints))) return;
    for (const pod of allPods.byIndex("node", key)) queue.add(keyOf(pod));
  });
  allPods.onChange((key, now) => {
    if (waiting.has(key) || taintsOf(now?.spec?.nodeName).length > 0) queue.add(key);
  });

  /** Remembers when the Pod was first seen with each of its node's taints, and forgets those that went. */
  function sinceOf(pod: ReadonlyPod, taints: readonly ReadonlyTaint[], now: number): (t: ReadonlyTaint) => number {
    const before = waiting.get(keyOf(pod));
    const known = before?.uid === uidOf(pod) ? before.since : new Map<string, number>();
    const since = new Map(taints.map((t) => [t.key, known.get(t.key) ?? tolerationStart(pod, t, now)]));
    waiting.set(keyOf(pod), { uid: uidOf(pod), since });
    return (t) => since.get(t.key) ?? now;
  }

  function say(pod: ReadonlyPod, what: string): void {
    recorder.event(subjectOf(pods, pod), "Normal", "TaintManagerEviction", `${what} Pod ${keyOf(pod)}`);
  }

  const reconcile: Reconcile = async (key, s, { reconcileId }) => {
    const pod = allPods.get(key);
    const now = o.clock.now();
    const taints = taintsOf(pod?.spec?.nodeName);
    const wasWaiting = waiting.has(key);
    const at = pod ? mustGoAt(pod, taints, sinceOf(pod, taints, now)) : Infinity;
    if (!pod || at === Infinity) {
      waiting.delete(key);
      if (pod && wasWaiting && !pod.metadata.deletionTimestamp) say(pod, "Cancelling deletion of");
      return "done";
    }
    if (at > now) return { againAfterMs: at - now };
    const object = `nodes/${pod.spec?.nodeName ?? ""}`;
    const cause = { component: NAME, reconcileId, reason: "NoExecuteTaint", object };
    say(pod, "Marking for deletion");
    const status = disruptedStatus(pod, now);
    try {
      if (status) {
        const { uid, resourceVersion } = pod.metadata;
        const body = { metadata: { uid, resourceVersion }, status: { conditions: status.conditions } };
        await o.client
          .resource(pods, namespaceOf(pod))
          .patch(nameOf(pod), "application/merge-patch+json", body, { subresource: "status", cause });
      }
      await writer.delete(pod, cause, s);
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
    }
    waiting.delete(key);
    return "done";
  };

  await runController({ ...o, name: NAME, queue, reconcile, workers: 8, after: [allNodes, allPods] }, signal);
}
