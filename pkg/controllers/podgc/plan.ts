/** Which Pods nobody else will ever take away. Pure. */
import type { Node } from "../../api/generated/types.ts";
import { nameOf } from "../../api/object.ts";
import { condition, isTerminal } from "../../api/pod.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { withCondition } from "../workload/conditions.ts";
import type { ReadonlyPod } from "../workload/pods.ts";

export interface PodGcSettings {
  /** Pods that have ended are kept, up to this many of them; then the oldest go. */
  readonly terminatedThreshold: number;
  /** A node that is not there may be about to come. It takes an agent two heartbeats to be back. */
  readonly quarantineMs: number;
}

/** Kubernetes has as many, and 40 s. */
export const POD_GC: PodGcSettings = { terminatedThreshold: 12_500, quarantineMs: 8_000 };

export type Reason = "Orphaned" | "Terminated" | "OutOfService" | "Unscheduled";

export interface Doomed {
  readonly pod: ReadonlyPod;
  readonly reason: Reason;
}

type NodeOf = (name: string) => DeepReadonly<Node> | undefined;

/**
 * `isGone`: the node is known not to exist, and for long enough. Each Pod is named once.
 *  - Orphaned: bound to a node that is gone; no agent is left to stop it.
 *  - OutOfService: on its way out, on a node that somebody declared to be off.
 *  - Unscheduled: on its way out, and never was anywhere.
 *  - Terminated: has ended, and there are too many of those.
 */
export function planPodGc(
  pods: readonly ReadonlyPod[],
  o: { nodeOf: NodeOf; isGone: (node: string) => boolean; terminatedThreshold: number },
): readonly Doomed[] {
  const found = new Map<ReadonlyPod, Reason>();
  for (const pod of pods) {
    const reason = reasonFor(pod, o);
    if (reason) found.set(pod, reason);
  }
  const ended = pods.filter(isTerminal);
  for (const pod of oldest(ended, ended.length - o.terminatedThreshold)) {
    if (!found.has(pod)) found.set(pod, "Terminated");
  }
  return [...found].map(([pod, reason]) => ({ pod, reason }));
}

function reasonFor(pod: ReadonlyPod, o: { nodeOf: NodeOf; isGone: (n: string) => boolean }): Reason | undefined {
  const name = pod.spec?.nodeName ?? "";
  const leaving = pod.metadata.deletionTimestamp !== undefined;
  if (name === "") return leaving ? "Unscheduled" : undefined;
  const node = o.nodeOf(name);
  if (!node) return o.isGone(name) ? "Orphaned" : undefined;
  return leaving && isOff(node) ? "OutOfService" : undefined;
}

function isOff(node: DeepReadonly<Node>): boolean {
  const ready = condition(node.status?.conditions, "Ready")?.status === "True";
  return !ready && (node.spec?.taints?.some((t) => t.key === "node.kubernetes.io/out-of-service") ?? false);
}

/** Those that were evicted first, then by age: nobody counts on them any more. */
function oldest(pods: readonly ReadonlyPod[], count: number): readonly ReadonlyPod[] {
  if (count <= 0) return [];
  const rank = (p: ReadonlyPod) => {
    const evicted = p.status?.phase === "Failed" && p.status.reason === "Evicted";
    return `${evicted ? 0 : 1} ${p.metadata.creationTimestamp ?? ""} ${nameOf(p)}`;
  };
  const ranked = pods.map((pod) => ({ pod, rank: rank(pod) }));
  return ranked
    .toSorted((a, b) => (a.rank < b.rank ? -1 : 1))
    .slice(0, count)
    .map(({ pod }) => pod);
}

/** What must be written before the Pod goes: nothing runs any more that could report its end. */
export function lastStatus({ pod, reason }: Doomed, now: number): ReadonlyPod["status"] | undefined {
  if (isTerminal(pod)) return undefined;
  const status = { ...pod.status, phase: "Failed" };
  if (reason !== "Orphaned") return status;
  const message = "PodGC: node no longer exists";
  const why = { type: "DisruptionTarget", status: "True", reason: "DeletionByPodGC", message };
  return { ...status, conditions: withCondition(pod.status?.conditions, why, now) };
}
