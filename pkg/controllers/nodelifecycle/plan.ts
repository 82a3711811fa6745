/** What a node's silence and its conditions mean: for the Node, for where Pods go, and for the Pods on it. Pure. */
import type { Node, NodeCondition, Taint } from "../../api/generated/types.ts";
import { condition, isReady } from "../../api/pod.ts";
import { rfc3339 } from "../../util/clock.ts";
import { own } from "../../util/keys.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { withCondition } from "../workload/conditions.ts";
import type { ReadonlyPod } from "../workload/pods.ts";

export type ReadonlyNode = DeepReadonly<Node>;

const NOT_READY = "node.kubernetes.io/not-ready";
const UNREACHABLE = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE = "node.kubernetes.io/unschedulable";

/** Condition and status → the taint that keeps Pods away. */
const TAINT_OF: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Ready: { False: NOT_READY, Unknown: UNREACHABLE },
  MemoryPressure: { True: "node.kubernetes.io/memory-pressure" },
  DiskPressure: { True: "node.kubernetes.io/disk-pressure" },
  PIDPressure: { True: "node.kubernetes.io/pid-pressure" },
  NetworkUnavailable: { True: "node.kubernetes.io/network-unavailable" },
};
const KEEPS_AWAY: ReadonlySet<string> = new Set([
  UNSCHEDULABLE,
  ...Object.values(TAINT_OF).flatMap((by) => Object.values(by)),
]);
const DRIVES_OUT: ReadonlySet<string> = new Set([NOT_READY, UNREACHABLE]);

export function readyStatus(node: ReadonlyNode): string | undefined {
  return condition(node.status?.conditions, "Ready")?.status;
}

/** What the agent reports, of which nothing is known once it is silent. */
const REPORTED = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/** The conditions of a node that is silent; undefined: they say so already. */
export function silentConditions(node: ReadonlyNode, now: number): readonly NodeCondition[] | undefined {
  const old = node.status?.conditions as readonly NodeCondition[] | undefined;
  const open = REPORTED.filter((type) => condition(old, type)?.status !== "Unknown");
  if (open.length === 0) return undefined;
  return open.reduce<readonly NodeCondition[]>((list, type) => {
    const before = condition(old, type);
    const said = before
      ? { ...before, reason: "NodeStatusUnknown", message: "Kubelet stopped posting node status." }
      : {
          type,
          reason: "NodeStatusNeverUpdated",
          message: "Kubelet never posted node status.",
          lastHeartbeatTime: node.metadata.creationTimestamp ?? rfc3339(now),
        };
    return withCondition(list, { ...said, status: "Unknown" }, now);
  }, old ?? []);
}

/** The taint that takes the Pods off a node in this state. */
export function evictionTaint(node: ReadonlyNode): string | undefined {
  return TAINT_OF["Ready"]?.[readyStatus(node) ?? ""];
}

export function isBeingEmptied(node: ReadonlyNode): boolean {
  return node.spec?.taints?.some((t) => t.effect === "NoExecute" && DRIVES_OUT.has(t.key)) ?? false;
}

/**
 * The taints as they should be; undefined: they are. `evict`: Pods may be taken off it if its state asks for that.
 * One that never said that it is ready gets no new Pods, as the API server has it from its creation on.
 */
export function planTaints(node: ReadonlyNode, evict: boolean, now: number): readonly Taint[] | undefined {
  const old = (node.spec?.taints ?? []) as readonly Taint[];
  const wanted = new Map<string, Pick<Taint, "key" | "effect">>();
  const want = (key: string | undefined, effect: string) => key && wanted.set(`${key}:${effect}`, { key, effect });
  for (const c of node.status?.conditions ?? []) want(own(TAINT_OF, c.type)?.[c.status], "NoSchedule");
  if (readyStatus(node) === undefined) want(NOT_READY, "NoSchedule");
  if (node.spec?.unschedulable) want(UNSCHEDULABLE, "NoSchedule");
  if (evict) want(evictionTaint(node), "NoExecute");
  const kept = old.filter((t) => !isOurs(t) || wanted.has(`${t.key}:${t.effect}`));
  for (const t of kept) wanted.delete(`${t.key}:${t.effect}`);
  if (kept.length === old.length && wanted.size === 0) return undefined;
  return [...kept, ...[...wanted.values()].map((t) => ({ ...t, timeAdded: rfc3339(now) }))];
}

function isOurs({ key, effect }: Taint): boolean {
  return (effect === "NoSchedule" && KEEPS_AWAY.has(key)) || (effect === "NoExecute" && DRIVES_OUT.has(key));
}

/**
 * The Pods on a node that is not ready which still say that they are, and were not told so since it is not (`told`): one
 * that says it again has an agent that lives, and knows better. The two must not contradict each other without end.
 */
export function mustBeUnready(
  node: ReadonlyNode,
  pods: readonly ReadonlyPod[],
  told: (pod: ReadonlyPod) => boolean,
): readonly ReadonlyPod[] {
  const status = readyStatus(node);
  if (status === undefined || status === "True") return [];
  return pods.filter((pod) => isReady(pod) && !told(pod));
}

export function unreadyStatus(pod: ReadonlyPod, now: number): ReadonlyPod["status"] {
  const ready = { ...condition(pod.status?.conditions, "Ready"), type: "Ready", status: "False" };
  return { ...pod.status, conditions: withCondition(pod.status?.conditions, ready, now) };
}
