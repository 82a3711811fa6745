/** The events that a change of status is worth. Pure. */
import type { ContainerStatus, PodStatus } from "../api/generated/types.ts";
import type { DeepReadonly } from "../util/types.ts";
import { allStatuses } from "./container-status.ts";
import type { Pod } from "./facts.ts";

export interface StatusEvent {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
  readonly container?: string;
}

type Statuses = DeepReadonly<PodStatus> | undefined;

/** Back-offs begin without a verb of ours, so no step tells of them. */
export function statusEvents(pod: Pod, before: Statuses, after: PodStatus): readonly StatusEvent[] {
  const events = allStatuses(after).flatMap((now) => {
    const old = allStatuses(before).find((s) => s.name === now.name);
    const reason = now.state?.waiting?.reason;
    if (reason === old?.state?.waiting?.reason) return [];
    return reason === "CrashLoopBackOff" || reason === "ImagePullBackOff" ? backOff(pod, now, reason) : [];
  });
  if (after.reason !== "DeadlineExceeded" || before?.reason === after.reason) return events;
  return [...events, { type: "Normal", reason: "DeadlineExceeded", message: after.message ?? "" }];
}

function backOff(
  pod: Pod,
  s: DeepReadonly<ContainerStatus>,
  why: "CrashLoopBackOff" | "ImagePullBackOff",
): StatusEvent[] {
  const container = s.name;
  if (why === "CrashLoopBackOff") {
    const { name, namespace, uid } = pod.metadata;
    const message = `Back-off restarting failed container ${container} in pod ${name}_${namespace}(${uid})`;
    return [{ type: "Warning", reason: "BackOff", message, container }];
  }
  return [
    { type: "Normal", reason: "BackOff", message: `Back-off pulling image "${s.image}"`, container },
    { type: "Warning", reason: "Failed", message: `Error: ${why}`, container },
  ];
}
