import type { ClusterEvent, ProfilePlugin } from "./framework.ts";
import type { NodeInfo } from "./node-info.ts";
import type { PodInfo } from "./pod-info.ts";
import type { Snapshot } from "./snapshot.ts";

/**
 * Whether what happened at this node may help a Pod that the plugin refused. "No" is certain: the plugin would refuse the
 * node as before, and the Pod could not make room there either. So a thousand Pods that wait for a big node do not all
 * try again whenever a small one gets a little emptier.
 */
export function mayHelp(
  plugin: ProfilePlugin,
  event: ClusterEvent,
  pod: PodInfo,
  { node, snapshot }: { readonly node: NodeInfo; readonly snapshot: Snapshot },
): boolean {
  if (!plugin.wakeOn.includes(event)) return false;
  if (!plugin.local) return true;
  const ready = plugin.ready(pod, snapshot);
  const verdict = ready === "skip" ? undefined : ready.filter?.(node);
  if (!verdict || verdict.ok) return true;
  return verdict.fixable && [...node.pods.values()].some((p) => p.priority < pod.priority);
}
