/** One container's status from what is known of it, in the kubelet's words. Pure. */
import type {
  ContainerState,
  ContainerStateTerminated,
  ContainerStatus,
  PodStatus,
  VolumeMountStatus,
} from "../api/generated/types.ts";
import type { RuntimeContainer, RuntimePod } from "../runtime/runtime.ts";
import { rfc3339 } from "../util/clock.ts";
import type { DeepReadonly } from "../util/types.ts";
import {
  type Container,
  initContainersOf,
  isStale,
  isTerminalPhase,
  newestOf,
  type Pod,
  type PodFacts,
  type Role,
  roleOf,
  SHOW_ERROR_MS,
  type StepError,
} from "./facts.ts";
import { duration } from "./duration.ts";
import { hasStarted, isReady } from "./progress.ts";
import { mayRestart, restartAt, restartDelayMs } from "./restart.ts";

export interface StatusInput {
  readonly pod: Pod;
  readonly actual: RuntimePod | undefined;
  readonly facts: PodFacts;
  readonly hostIP: string;
  readonly now: number;
}

/** Nothing of the Pod will be started any more. */
export function nothingStarts({ pod, facts }: Pick<StatusInput, "pod" | "facts">): boolean {
  return isTerminalPhase(pod.status?.phase) || pod.metadata.deletionTimestamp !== undefined || !!facts.evicted;
}

/** `blocked`: its turn has not come. */
export interface Place {
  readonly role: Role;
  readonly blocked: boolean;
}

export function containerStatus(i: StatusInput, c: Container, place: Place): ContainerStatus {
  const newest = newestOf(i.actual, c.name);
  const old = oldStatusOf(i.pod, c.name);
  const seen = newest?.attempt ?? i.facts.attempts.get(c.name);
  const base = { name: c.name, image: c.image ?? "", restartCount: seen ?? old?.restartCount ?? 0 };
  const started = place.role === "ephemeral" ? {} : { started: false };
  if (!newest) return { ...base, ...started, ...missing(i, c, place, old) };
  const dead = i.actual?.containers.find(
    (x) => x.name === c.name && x.attempt < newest.attempt && x.state === "exited",
  );
  const lastState: ContainerState = dead ? { terminated: terminated(i, dead) } : {};
  const ids = { image: newest.image, imageID: newest.imageId, containerID: containerID(newest) };
  const rest = { ...base, ...ids, ready: false, ...started, lastState, ...granted(c) };
  switch (newest.state) {
    case "running":
      return { ...rest, ...running(i, c, newest, place) };
    case "created": {
      const error = i.facts.errors.get(c.name);
      return { ...rest, state: { waiting: error ? shown(error) : creating(i.pod, place) } };
    }
    case "exited":
      return { ...rest, ...exited(i, c, newest, lastState) };
  }
}

/** P9: before its postStart hook has ended it is only being created. */
function running(i: StatusInput, c: Container, newest: RuntimeContainer, { role }: Place): Partial<ContainerStatus> {
  if (i.facts.postStarts.has(newest.id)) return { state: { waiting: creating(i.pod, { role, blocked: false }) } };
  const state = { running: { startedAt: rfc3339(newest.startedAt ?? newest.createdAt) } };
  if (role === "ephemeral") return { state };
  return { state, started: hasStarted(c, newest, i.facts), ready: role !== "init" && isReady(c, newest, i.facts) };
}

/** Dead: for good, about to come back, or held back. */
function exited(i: StatusInput, c: Container, dead: RuntimeContainer, lastState: ContainerState) {
  const end: ContainerState = { terminated: terminated(i, dead) };
  const ready = roleOf(i.pod, c.name) === "init" && dead.exitCode === 0;
  if (nothingStarts(i) || !mayRestart(i.pod, c, dead)) return { state: end, ready };
  const waiting = waitingToRestart(i, c, dead);
  return waiting ? { state: { waiting }, lastState: end } : { state: end, lastState };
}

function waitingToRestart(i: StatusInput, c: Container, dead: RuntimeContainer): Reason | undefined {
  const error = i.facts.errors.get(c.name) ?? imageError(i, c);
  if (error) return shownAt(error, i.now, c);
  const streak = i.facts.streaks.get(c.name) ?? 0;
  if (isStale(dead, i.actual) || i.now >= restartAt(i.pod, dead, streak)) return undefined;
  const { namespace, name, uid } = i.pod.metadata;
  const pause = `${duration(restartDelayMs(i.pod, dead, streak))}`;
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
  place: Place,
  old: DeepReadonly<ContainerStatus> | undefined,
): Pick<ContainerStatus, "imageID" | "ready" | "state" | "lastState"> {
  const last = old?.state?.terminated ?? old?.lastState?.terminated;
  const done = place.role === "ephemeral" || (place.role === "init" && !place.blocked);
  if (old && (nothingStarts(i) || (done && last))) {
    const end = old.state?.terminated ?? (old.state?.running ? unknownEnd(old.containerID) : undefined);
    if (end) {
      const ids = { imageID: old.imageID, ...(old.containerID !== undefined && { containerID: old.containerID }) };
      const ready = place.role === "init" && end.exitCode === 0;
      return { ...ids, state: { terminated: { ...end } }, lastState: {}, ready };
    }
  }
  const error = i.facts.errors.get(c.name) ?? (place.blocked ? undefined : imageError(i, c));
  const waiting = error ? shownAt(error, i.now, c) : creating(i.pod, place);
  return { imageID: "", ready: false, state: { waiting }, lastState: last ? { terminated: { ...last } } : {} };
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
function creating(pod: Pod, { role }: Place): Reason {
  const alone = role === "ephemeral" || initContainersOf(pod).length === 0;
  return { reason: alone ? "ContainerCreating" : "PodInitializing" };
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

function terminated({ facts }: StatusInput, c: RuntimeContainer): ContainerStateTerminated {
  const exitCode = c.exitCode ?? 0;
  const message = c.error ?? facts.messages.get(c.id);
  return {
    exitCode,
    reason: endReason(c, exitCode),
    ...(message && { message }),
    startedAt: rfc3339(c.startedAt ?? c.createdAt),
    finishedAt: rfc3339(c.finishedAt ?? c.createdAt),
    containerID: containerID(c),
  };
}

function endReason(c: RuntimeContainer, exitCode: number): string {
  if (c.oomKilled) return "OOMKilled";
  if (c.error !== undefined) return "ContainerCannotRun";
  return exitCode === 0 ? "Completed" : "Error";
}

/** What a container that is there was given. */
function granted(c: Container): Partial<ContainerStatus> {
  const { requests, limits } = c.resources ?? {};
  const mounts = (c.volumeMounts ?? []).map(({ name, mountPath, readOnly }): VolumeMountStatus => ({
    name,
    mountPath,
    ...(readOnly && { readOnly, recursiveReadOnly: "Disabled" }),
  }));
  return {
    ...(requests && { allocatedResources: { ...requests } }),
    resources: { ...(limits && { limits: { ...limits } }), ...(requests && { requests: { ...requests } }) },
    ...(mounts.length > 0 && { volumeMounts: mounts }),
    ...(c.lifecycle?.stopSignal && { stopSignal: c.lifecycle.stopSignal }),
  };
}

export function containerID(c: Pick<RuntimeContainer, "id">): string {
  return `docker://${c.id}`;
}

function oldStatusOf(pod: Pod, name: string): DeepReadonly<ContainerStatus> | undefined {
  return allStatuses(pod.status).find((s) => s.name === name);
}

export function allStatuses(s: DeepReadonly<PodStatus> | undefined): readonly DeepReadonly<ContainerStatus>[] {
  const { initContainerStatuses = [], containerStatuses = [], ephemeralContainerStatuses = [] } = s ?? {};
  return [...initContainerStatuses, ...containerStatuses, ...ephemeralContainerStatuses];
}
