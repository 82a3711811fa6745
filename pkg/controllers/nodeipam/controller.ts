/** Hands out the addresses of the Pods to the nodes. */
import type { Node } from "../../api/generated/types.ts";
import { nodes } from "../../api/kinds/core/node.ts";
import { nameOf, uidOf } from "../../api/object.ts";
import { isReason } from "../../api/status.ts";
import { type Reconcile, runController } from "../../reconcile/controller.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ControllerParts } from "../parts.ts";
import { planCidrs } from "./plan.ts";

const NAME = "node-ipam-controller";
/** There is one thing to do: to see who has none. */
const ALL = "all";

/** Runs until the signal aborts; where no range is set, it has nothing to do. */
export async function runNodeIpam(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const ranges = o.nodeRanges;
  if (!ranges) return;
  const all = o.informers.of(nodes);
  const queue = new WorkQueue(o);
  using recorder = new EventRecorder({ ...o, component: NAME });
  /** What was written and the informer does not show yet, by Node; a Node made anew is another. */
  const given = new Map<string, { readonly uid: string; readonly cidr: string }>();
  const told = new Set<string>();
  all.onChange((key, now, old) => {
    if (now?.spec?.podCIDR || given.get(key)?.uid !== (now && uidOf(now))) given.delete(key);
    if (!now) told.delete(key);
    if (!now || !old) queue.add(ALL);
  });

  function tellExhausted(node: DeepReadonly<Node>): void {
    if (told.has(nameOf(node))) return;
    told.add(nameOf(node));
    const message = `Node ${nameOf(node)} status is now: CIDRNotAvailable`;
    recorder.event(subjectOf(nodes, node), "Normal", "CIDRNotAvailable", message);
  }

  const reconcile: Reconcile = async (_key, _signal, { reconcileId, log }) => {
    const written = new Map([...given].map(([name, { cidr }]) => [name, cidr]));
    const { assign, exhausted } = planCidrs(all.list(), ranges, written);
    for (const { node, cidr } of assign) {
      const [name, uid] = [nameOf(node), uidOf(node)];
      const cause = { component: NAME, reconcileId, reason: "CIDRAssigned", object: `nodes/${name}` };
      // Before the answer: the informer may show it sooner.
      given.set(name, { uid, cidr });
      try {
        const body = { metadata: { uid }, spec: { podCIDR: cidr, podCIDRs: [cidr] } };
        await o.client.resource(nodes).patch(name, "application/merge-patch+json", body, { cause });
        log.info({ node: name, cidr }, "the node's Pods have their addresses");
      } catch (error) {
        given.delete(name);
        // Gone, or another of its name: that is news of its own.
        if (!isReason(error, "NotFound", "Conflict")) throw error;
      }
    }
    for (const node of exhausted) {
      log.warn({ node: nameOf(node) }, "no addresses are left for the node's Pods");
      tellExhausted(node);
    }
    return "done";
  };
  await runController({ ...o, name: NAME, queue, reconcile, after: [all] }, signal);
}
