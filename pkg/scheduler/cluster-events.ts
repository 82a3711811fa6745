/** From what changed in the cluster to what that may mean for Pods that wait. Pure. */
import { deepEqual } from "../api/equal.ts";
import type { Node, Pod } from "../api/generated/types.ts";
import { isTerminal } from "../api/pod.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { ClusterEvent } from "./framework.ts";

/** A heartbeat gives none. */
export function nodeEvents(now: DeepReadonly<Node>, old: DeepReadonly<Node> | undefined): readonly ClusterEvent[] {
  if (!old) return ["NodeAdded"];
  const events: ClusterEvent[] = [];
  if (!deepEqual(now.status?.allocatable, old.status?.allocatable)) events.push("NodeAllocatableChanged");
  if (!deepEqual(now.metadata.labels, old.metadata.labels)) events.push("NodeLabelsChanged");
  const cordoned = Boolean(now.spec?.unschedulable) !== Boolean(old.spec?.unschedulable);
  if (cordoned || !deepEqual(now.spec?.taints, old.spec?.taints)) events.push("NodeTaintsChanged");
  return events;
}

/** Of Pods on nodes; a Pod that is not, neither takes nor gives room. */
export function podEvents(
  now: DeepReadonly<Pod> | undefined,
  old: DeepReadonly<Pod> | undefined,
): readonly ClusterEvent[] {
  const was = old !== undefined && standing(old);
  const is = now !== undefined && standing(now);
  if (was && !is) return ["PodGone"];
  if (!is) return [];
  if (!was || !deepEqual(now.metadata.labels, old?.metadata.labels)) return ["PodAssigned"];
  // Resized: its smaller appetite is like a Pod gone.
  return deepEqual(now.spec, old?.spec) ? [] : ["PodGone"];
}

/** Takes room on a node. */
export function standing(pod: DeepReadonly<Pod>): boolean {
  return Boolean(pod.spec?.nodeName) && !isTerminal(pod);
}
