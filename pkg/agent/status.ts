/** A Pod's status from what is known of it, in the kubelet's words. Pure; the previous status only lends it its times. */
import type { ContainerStatus, PodStatus } from "../api/generated/types.ts";
import { isRestartableInit, qosClass } from "../api/pod.ts";
import { rfc3339 } from "../util/clock.ts";
import type { DeepReadonly } from "../util/types.ts";
import { podConditions } from "./conditions.ts";
import { containerStatus, nothingStarts, type StatusInput } from "./container-status.ts";
import {
  containersOf,
  deadlineOf,
  ephemeralContainersOf,
  initContainersOf,
  isTerminalPhase,
  newestOf,
  type Pod,
  roleOf,
} from "./facts.ts";
import { runningOf } from "./plan-stop.ts";
import { initFailed, initsDone } from "./progress.ts";
import { mayRestart } from "./restart.ts";

export type { StatusInput };

/**
 *  S1  Same input, same status: nothing in it depends on when it is computed, but for the end of a back-off display.
 *  S2  A terminal phase stays, and so do the terminated states of containers that are no longer there to ask.
 *  S3  A condition's lastTransitionTime changes only with its status.
 *  S4  No Pod is called Succeeded or Failed while a container of it runs.
 */
export function podStatus(i: StatusInput): PodStatus {
  const { pod, facts, now } = i;
  const old = pod.status;
  const startTime = old?.startTime ?? rfc3339(now);
  if (facts.refused) return refusedStatus(i, startTime);
  const done = countDone(i);
  const inits = initContainersOf(pod).map((c, n) =>
    containerStatus(i, c, { role: roleOf(pod, c.name), blocked: n > done }),
  );
  const initialized = done === inits.length;
  const mains = containersOf(pod).map((c) => containerStatus(i, c, { role: "main", blocked: !initialized }));
  const ephemerals = ephemeralContainersOf(pod).map((c) =>
    containerStatus(i, c, { role: "ephemeral", blocked: false }),
  );
  const { phase, ...why } = ending(i, startTime) ?? { phase: phaseOf(i, { inits, mains, initialized }) };
  const sandboxReady = i.actual?.sandbox?.state === "running";
  const ip = sandboxReady ? (i.actual?.sandbox?.ip ?? hostIPOf(i)) : old?.podIP;
  const disrupted = facts.evicted?.disrupted && { disrupted: facts.evicted.message };
  const conditions = podConditions({ pod, phase, inits, mains, initialized, sandboxReady, now, ...disrupted });
  return {
    ...carriedOver(old),
    ...(pod.metadata.generation !== undefined && { observedGeneration: pod.metadata.generation }),
    phase,
    conditions,
    ...why,
    hostIP: i.hostIP,
    hostIPs: [{ ip: i.hostIP }],
    ...(ip && { podIP: ip, podIPs: [{ ip }] }),
    startTime,
    ...(inits.length > 0 && { initContainerStatuses: inits }),
    containerStatuses: mains,
    ...(ephemerals.length > 0 && { ephemeralContainerStatuses: ephemerals }),
    qosClass: qosClass(pod),
  };
}

/** How many init containers have done their part; of a Pod that is ending, what its status said last. */
function countDone(i: StatusInput): number {
  const { pod, actual } = i;
  const inits = initContainersOf(pod);
  if (!nothingStarts(i)) return initsDone(i);
  const mainsThere = containersOf(pod).some((c) => newestOf(actual, c.name) !== undefined);
  const wasDone = pod.status?.conditions?.some((c) => c.type === "Initialized" && c.status === "True");
  return mainsThere || wasDone ? inits.length : initsDone(i);
}

/** Parts of the status that others write. */
function carriedOver(old: Pod["status"]): Partial<PodStatus> {
  const kept: Partial<DeepReadonly<PodStatus>> = {
    ...(old?.nominatedNodeName !== undefined && { nominatedNodeName: old.nominatedNodeName }),
    ...(old?.resourceClaimStatuses && { resourceClaimStatuses: old.resourceClaimStatuses }),
  };
  return structuredClone(kept) as Partial<PodStatus>;
}

function hostIPOf(i: StatusInput): string | undefined {
  return i.pod.spec?.hostNetwork ? i.hostIP : undefined;
}

function refusedStatus(i: StatusInput, startTime: string): PodStatus {
  const { reason = "", message = "" } = i.facts.refused ?? {};
  return { phase: "Failed", reason, message: `Pod was rejected: ${message}`, startTime, qosClass: qosClass(i.pod) };
}

interface End {
  readonly phase: string;
  readonly reason?: string;
  readonly message?: string;
}

/** A Pod that has come to its end, or was brought there. */
function ending(i: StatusInput, startTime: string): End | undefined {
  const { status: old, metadata } = i.pod;
  if (isTerminalPhase(old?.phase) && old?.phase) {
    const { phase, reason, message } = old;
    return { phase, ...(reason !== undefined && { reason }), ...(message !== undefined && { message }) };
  }
  if (runningOf(i.actual).length > 0 || i.facts.busy) return undefined; // S4
  if (i.facts.evicted) return { phase: "Failed", reason: i.facts.evicted.reason, message: i.facts.evicted.message };
  const deadline = deadlineOf({ ...i.pod, status: { ...old, startTime } });
  if (deadline === undefined || i.now < deadline || metadata.deletionTimestamp !== undefined) return undefined;
  const message = "Pod was active on the node longer than the specified deadline";
  return { phase: "Failed", reason: "DeadlineExceeded", message };
}

interface Parts {
  readonly inits: readonly ContainerStatus[];
  readonly mains: readonly ContainerStatus[];
  readonly initialized: boolean;
}

/** As the kubelet's getPhase; sidecars that run keep a Pod Running, those that have ended do not count. */
function phaseOf(i: StatusInput, { inits, mains, initialized }: Parts): string {
  const { pod, actual } = i;
  const running = runningOf(actual).length > 0;
  if (!initialized) return initFailed(i) && !running ? "Failed" : "Pending";
  const sidecarsRun = initContainersOf(pod).some((c, n) => isRestartableInit(c) && inits[n]?.state?.running);
  if (mains.some((s) => s.state?.waiting && !s.lastState?.terminated)) return "Pending";
  if (mains.some((s) => s.state?.running) || sidecarsRun || running) return "Running";
  const ended = (s: ContainerStatus) => s.state?.terminated ?? s.lastState?.terminated;
  const allSucceeded = mains.every((s) => ended(s)?.exitCode === 0);
  const verdict = allSucceeded ? "Succeeded" : "Failed";
  if (pod.metadata.deletionTimestamp !== undefined || i.facts.evicted) return verdict;
  const comesBack = containersOf(pod).some((c, n) => {
    const s = mains[n];
    const end = s && ended(s);
    return end === undefined || mayRestart(pod, c, end);
  });
  return comesBack ? "Running" : verdict;
}
