/** A Pod's status from what is known of it, in the kubelet's words. Pure; the previous status only lends it its times. */
import type { ContainerState, ContainerStateTerminated, ContainerStatus, PodStatus } from "../api/generated/types.ts";
import { qosClass } from "../api/pod.ts";
import type { RuntimeContainer, RuntimePod } from "../runtime/runtime.ts";
import { rfc3339 } from "../util/clock.ts";
import type { DeepReadonly } from "../util/types.ts";
import { podConditions } from "./conditions.ts";
import {
  type Container,
  containersOf,
  deadlineOf,
  initContainersOf,
  isStale,
  isTerminalPhase,
  newestOf,
  type Pod,
  type PodFacts,
  restartPolicyOf,
  SHOW_ERROR_MS,
  type StepError,
} from "./facts.ts";
import { mayRestart, restartAt, restartDelayMs } from "./restart.ts";

export interface StatusInput {
  readonly pod: Pod;
  readonly actual: RuntimePod | undefined;
  readonly facts: PodFacts;
  readonly hostIP: string;
  readonly now: number;
}

/**
 *  S1  Same input, same status: nothing in it depends on when it is computed, but for the end of a back-off display.
 *  S2  A terminal phase stays, and so do the terminated states of containers that are no longer there to ask.
 *  S3  A condition's lastTransitionTime changes only with its status.
 */
export function podStatus(i: StatusInput): PodStatus {
  const { pod, facts, now } = i;
  const old = pod.status;
  const startTime = old?.startTime ?? rfc3339(now);
  if (facts.refused) return refusedStatus(i, startTime);
  const inits = initContainersOf(pod).map((c) => containerStatus(i, c, "init"));
  const initialized = initContainersOf(pod).every((c, n) => initDone(i, c, inits[n]));
  const kind = initialized ? "main" : "blocked";
  const mains = containersOf(pod).map((c) => containerStatus(i, c, kind));
  const failure = failureOf(i, startTime);
  const phase = failure?.phase ?? phaseOf(pod, inits, mains, initialized);
  const ip = i.actual?.sandbox?.state === "running" ? (i.actual.sandbox.ip ?? hostIPOf(i)) : old?.podIP;
  const conditions = podConditions({
    pod,
    phase,
    inits,
    mains,
    initialized,
    sandboxReady: i.actual?.sandbox?.state === "running",
    now,
  });
  return {
    ...carriedOver(old),
    ...(pod.metadata.generation !== undefined && { observedGeneration: pod.metadata.generation }),
    phase,
    conditions,
    ...(failure?.reason !== undefined && { reason: failure.reason }),
    ...(failure?.message !== undefined && { message: failure.message }),
    hostIP: i.hostIP,
    hostIPs: [{ ip: i.hostIP }],
    ...(ip && { podIP: ip, podIPs: [{ ip }] }),
    startTime,
    ...(inits.length > 0 && { initContainerStatuses: inits }),
    containerStatuses: mains,
    qosClass: qosClass(pod),
  };
}

/** Parts of the status that others write. */
function carriedOver(old: Pod["status"]): Partial<PodStatus> {
  const kept: Partial<DeepReadonly<PodStatus>> = {
    ...(old?.nominatedNodeName !== undefined && { nominatedNodeName: old.nominatedNodeName }),
    ...(old?.resourceClaimStatuses && { resourceClaimStatuses: old.resourceClaimStatuses }),
    ...(old?.ephemeralContainerStatuses && { ephemeralContainerStatuses: old.ephemeralContainerStatuses }),
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

function failureOf(
  i: StatusInput,
  startTime: string,
): { phase: string; reason?: string; message?: string } | undefined {
  const old = i.pod.status;
  if (isTerminalPhase(old?.phase) && old?.phase) {
    return {
      phase: old.phase,
      ...(old.reason !== undefined && { reason: old.reason }),
      ...(old.message !== undefined && { message: old.message }),
    };
  }
  const deadline = deadlineOf({ ...i.pod, status: { ...old, startTime } });
  if (deadline === undefined || i.now < deadline || i.pod.metadata.deletionTimestamp !== undefined) return undefined;
  const message = "Pod was active on the node longer than the specified deadline";
  return { phase: "Failed", reason: "DeadlineExceeded", message };
}

/** As the kubelet's getPhase. */
function phaseOf(pod: Pod, inits: ContainerStatus[], mains: ContainerStatus[], initialized: boolean): string {
  const ended = (s: ContainerStatus) => s.state?.terminated ?? s.lastState?.terminated;
  const never = restartPolicyOf(pod) === "Never";
  const deleted = pod.metadata.deletionTimestamp !== undefined;
  if (!initialized) {
    const failed = inits.some((s) => s.state?.terminated && s.state.terminated.exitCode !== 0);
    return failed && never ? "Failed" : "Pending";
  }
  if (mains.some((s) => s.state?.waiting && !s.lastState?.terminated)) return "Pending";
  if (mains.some((s) => s.state?.running)) return "Running";
  const allSucceeded = mains.every((s) => ended(s)?.exitCode === 0);
  if (deleted) return allSucceeded ? "Succeeded" : "Failed";
  if (restartPolicyOf(pod) === "Always") return "Running";
  if (allSucceeded) return "Succeeded";
  return never ? "Failed" : "Running";
}

function initDone(i: StatusInput, c: Container, s: ContainerStatus | undefined): boolean {
  const mainsExist = containersOf(i.pod).some((m) => {
    const newest = newestOf(i.actual, m.name);
    return newest !== undefined && !isStale(newest, i.actual);
  });
  if (mainsExist) return true;
  const newest = newestOf(i.actual, c.name);
  if (newest && i.actual?.sandbox && isStale(newest, i.actual) && !over(i)) return false;
  return s?.state?.terminated?.exitCode === 0;
}

/** Nothing of the Pod will be started any more. */
function over({ pod }: StatusInput): boolean {
  return isTerminalPhase(pod.status?.phase) || pod.metadata.deletionTimestamp !== undefined;
}

type Kind = "init" | "main" | "blocked";

function containerStatus(i: StatusInput, c: Container, kind: Kind): ContainerStatus {
  const newest = newestOf(i.actual, c.name);
  const old = oldStatusOf(i.pod, c.name);
  const seen = newest?.attempt ?? i.facts.attempts.get(c.name);
  const base = { name: c.name, image: c.image ?? "", restartCount: seen ?? old?.restartCount ?? 0 };
  if (!newest) return { ...base, ...missing(i, c, kind, old) };
  const dead = i.actual?.containers.find(
    (x) => x.name === c.name && x.attempt < newest.attempt && x.state === "exited",
  );
  const earlier = dead ? { terminated: terminated(dead) } : undefined;
  const ids = { image: newest.image, imageID: newest.imageId, containerID: containerID(newest) };
  const rest = { ...base, ...ids, ready: false, started: false };
  switch (newest.state) {
    case "running": {
      const probe = i.facts.probes.get(newest.id) ?? probeDefault(c);
      const state = { running: { startedAt: rfc3339(newest.startedAt ?? newest.createdAt) } };
      return {
        ...rest,
        ...lastState(earlier),
        state,
        ready: probe.ready && probe.started && kind !== "init",
        started: probe.started,
      };
    }
    case "created": {
      const error = i.facts.errors.get(c.name);
      return { ...rest, ...lastState(earlier), state: { waiting: error ? shown(error) : creating(i.pod) } };
    }
    case "exited":
      return { ...rest, ...exited(i, c, newest, earlier, kind) };
  }
}

function probeDefault(c: Container): { ready: boolean; started: boolean } {
  return { ready: !c.readinessProbe, started: !c.startupProbe };
}

function lastState(s: ContainerState | undefined): { lastState: ContainerState } {
  return { lastState: s ?? {} };
}

/** Dead: for good, about to come back, or held back. */
function exited(
  i: StatusInput,
  c: Container,
  dead: RuntimeContainer,
  earlier: ContainerState | undefined,
  kind: Kind,
): Pick<ContainerStatus, "state" | "lastState"> & Partial<ContainerStatus> {
  const init = kind === "init";
  const end: ContainerState = { terminated: terminated(dead) };
  const ready = init && dead.exitCode === 0;
  if (over(i) || !mayRestart(i.pod, dead, init)) return { state: end, ...lastState(earlier), ready };
  const waiting = waitingToRestart(i, c, dead);
  return waiting ? { state: { waiting }, lastState: end } : { state: end, ...lastState(earlier) };
}

function waitingToRestart(i: StatusInput, c: Container, dead: RuntimeContainer): Reason | undefined {
  const error = i.facts.errors.get(c.name) ?? imageError(i, c);
  if (error) return shownAt(error, i.now, c);
  const streak = i.facts.streaks.get(c.name) ?? 0;
  if (isStale(dead, i.actual) || i.now >= restartAt(dead, streak)) return undefined;
  const { namespace, name, uid } = i.pod.metadata;
  const pause = `${duration(restartDelayMs(dead, streak))}`;
  const message = `back-off ${pause} restarting failed container=${c.name} pod=${name}_${namespace}(${uid})`;
  return { reason: "CrashLoopBackOff", message };
}

interface Reason {
  reason: string;
  message?: string;
}

/** No container of that name on the node: not yet created, or gone behind our back. */
function missing(
  i: StatusInput,
  c: Container,
  kind: Kind,
  old: DeepReadonly<ContainerStatus> | undefined,
): Omit<ContainerStatus, "name" | "image" | "restartCount"> {
  const last = old?.state?.terminated ?? old?.lastState?.terminated;
  if (over(i) && old) {
    const end = old.state?.terminated ?? (old.state?.running ? unknownEnd(old.containerID) : undefined);
    if (end) {
      const ids = { imageID: old.imageID, ...(old.containerID !== undefined && { containerID: old.containerID }) };
      return {
        ...ids,
        state: { terminated: { ...end } },
        lastState: {},
        ready: kind === "init" && end.exitCode === 0,
        started: false,
      };
    }
  }
  const error = i.facts.errors.get(c.name) ?? (kind === "blocked" ? undefined : imageError(i, c));
  const waiting = error ? shownAt(error, i.now, c) : creating(i.pod);
  return {
    imageID: "",
    ready: false,
    started: false,
    state: { waiting },
    lastState: last ? { terminated: { ...last } } : {},
  };
}

function unknownEnd(id: string | undefined): ContainerStateTerminated {
  return {
    exitCode: 137,
    reason: "ContainerStatusUnknown",
    message: "The container could not be located when the pod was terminated",
    ...(id !== undefined && { containerID: id }),
  };
}

/** Where there are init containers, all wait for the Pod rather than for themselves. */
function creating(pod: Pod): Reason {
  return { reason: initContainersOf(pod).length === 0 ? "ContainerCreating" : "PodInitializing" };
}

function imageError(i: StatusInput, c: Container): StepError | undefined {
  const fact = i.facts.images.get(c.name);
  return fact?.state === "failed" ? fact.error : undefined;
}

/** A failed pull shows its error first, then that it is being waited for. */
function shownAt(error: StepError, now: number, c: Container): Reason {
  if (error.reason !== "ErrImagePull" || now < error.at + SHOW_ERROR_MS) return shown(error);
  return {
    reason: "ImagePullBackOff",
    message: `Back-off pulling image "${c.image}": ${error.reason}: ${error.message}`,
  };
}

function shown(error: StepError): Reason {
  return { reason: error.reason, message: error.message };
}

function terminated(c: RuntimeContainer): ContainerStateTerminated {
  const exitCode = c.exitCode ?? 0;
  const reason = c.oomKilled
    ? "OOMKilled"
    : c.error !== undefined
      ? "ContainerCannotRun"
      : exitCode === 0
        ? "Completed"
        : "Error";
  return {
    exitCode,
    reason,
    ...(c.error !== undefined && { message: c.error }),
    startedAt: rfc3339(c.startedAt ?? c.createdAt),
    finishedAt: rfc3339(c.finishedAt ?? c.createdAt),
    containerID: containerID(c),
  };
}

export function containerID(c: Pick<RuntimeContainer, "id">): string {
  return `docker://${c.id}`;
}

function oldStatusOf(pod: Pod, name: string): DeepReadonly<ContainerStatus> | undefined {
  const all = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  return all.find((s) => s.name === name);
}

/** `10s`, `1m20s`, as Go prints durations. */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  return minutes > 0 ? `${minutes}m${seconds % 60}s` : `${seconds}s`;
}
