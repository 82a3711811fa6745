/** Takes away the Pods that nobody else will: of nodes that are gone, and too many that have ended. */
import { nodes } from "../../api/kinds/core/node.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { nameOf, namespaceOf, uidOf } from "../../api/object.ts";
import { isReason } from "../../api/status.ts";
import { type Reconcile, runController } from "../../reconcile/controller.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { ControllerParts } from "../parts.ts";
import { type Doomed, lastStatus, planPodGc, POD_GC } from "./plan.ts";

const NAME = "pod-garbage-collector";
/** There is one thing to do: to look through all Pods. */
const SWEEP = "all";
const SWEEP_MS = 20_000;

/** Runs until the signal aborts. */
export async function runPodGc(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const settings = { ...POD_GC, ...o.podGc };
  const allNodes = o.informers.of(nodes);
  const allPods = o.informers.of(pods);
  const queue = new WorkQueue(o);
  /** Since when a node that Pods are bound to has not been there. */
  const missing = new Map<string, number>();
  allNodes.onChange((key, now) => {
    if (now) missing.delete(key);
    else queue.add(SWEEP);
  });
  queue.add(SWEEP);

  function noteMissing(now: number): void {
    for (const pod of allPods.list()) {
      const node = pod.spec?.nodeName;
      if (node && !missing.has(node) && !allNodes.get(node)) missing.set(node, now);
    }
    for (const node of missing.keys()) if (allPods.byIndex("node", node).length === 0) missing.delete(node);
  }

  /** The cache may be behind: a node counts as gone when the server itself says so. */
  async function findGone(now: number, s: AbortSignal): Promise<ReadonlySet<string>> {
    const gone = new Set<string>();
    for (const [node, since] of missing) {
      if (now < since + settings.quarantineMs) continue;
      try {
        await o.client.resource(nodes).get(node, s);
      } catch (error) {
        if (!isReason(error, "NotFound")) throw error;
        gone.add(node);
      }
    }
    return gone;
  }

  async function remove(doomed: Doomed, reconcileId: string): Promise<void> {
    const { pod, reason } = doomed;
    const api = o.client.resource(pods, namespaceOf(pod));
    const cause = { component: NAME, reconcileId, reason, object: `nodes/${pod.spec?.nodeName ?? ""}` };
    const { uid, resourceVersion } = pod.metadata;
    const status = lastStatus(doomed, o.clock.now());
    try {
      if (status) {
        const body = { metadata: { uid, resourceVersion }, status };
        await api.patch(nameOf(pod), "application/merge-patch+json", body, { subresource: "status", cause });
      }
      await api.delete(nameOf(pod), { gracePeriodSeconds: 0, preconditions: { uid: uidOf(pod) }, cause });
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
    }
  }

  const reconcile: Reconcile = async (_, s, { reconcileId, log }) => {
    const now = o.clock.now();
    noteMissing(now);
    const gone = await findGone(now, s);
    const doomed = planPodGc(allPods.list(), {
      nodeOf: (name) => allNodes.get(name),
      isGone: (name) => gone.has(name),
      terminatedThreshold: settings.terminatedThreshold,
    });
    const results = await Promise.allSettled(doomed.map((d) => remove(d, reconcileId)));
    if (doomed.length > 0) log.info({ count: doomed.length }, "removed Pods that nobody else would");
    const failed = results.find((r) => r.status === "rejected");
    if (failed) throw failed.reason;
    const next = [...missing.values()].map((since) => since + settings.quarantineMs - now).filter((ms) => ms > 0);
    return { againAfterMs: Math.min(SWEEP_MS, ...next) };
  };
  await runController({ ...o, name: NAME, queue, reconcile, after: [allNodes, allPods] }, signal);
}
