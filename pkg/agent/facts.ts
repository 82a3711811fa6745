/**
 * What the planner and the status read beside the Pod and the runtime: the little that only the agent's memory knows.
 * Losing all of it (a restarted agent) costs at most a repeated attempt, never a container (Agent A1).
 */
import type { Pod as ApiPod, Container as ApiContainer } from "../api/generated/types.ts";
import { isRestartableInit } from "../api/pod.ts";
import type { RuntimeContainer, RuntimePod } from "../runtime/runtime.ts";
import type { DeepReadonly } from "../util/types.ts";

export type Pod = DeepReadonly<ApiPod>;
export type Container = DeepReadonly<ApiContainer>;

/** Why a step failed and when it is worth another try. */
export interface StepError {
  /** As a waiting reason: ErrImagePull, CreateContainerConfigError … */
  readonly reason: string;
  readonly message: string;
  readonly at: number;
  readonly failures: number;
  readonly retryAt: number;
}

/** Of the image of one attempt of one container. */
export type ImageFact =
  | { readonly state: "present"; readonly attempt: number; readonly id: string; readonly user?: string }
  | { readonly state: "failed"; readonly attempt: number; readonly error: StepError };

/** Of one running container, by its id: a new container starts with none. */
export interface ProbeFact {
  readonly started: boolean;
  readonly ready: boolean;
  /** Liveness or startup has failed for good: kill it. */
  readonly unhealthy?: { readonly probe: "liveness" | "startup"; readonly message: string };
}

/** Of one running container that is to end, by its id. */
export interface StopFact {
  readonly since: number;
  /** Its preStop hook has ended, or had no time left. */
  readonly hooked: boolean;
}

/** Why the Pod must end though nobody has deleted it. */
export interface Eviction {
  readonly reason: string;
  readonly message: string;
  /** Default: the Pod's own. */
  readonly graceSeconds?: number;
  /** It had to go for the sake of others: the condition DisruptionTarget says so. */
  readonly disrupted?: boolean;
}

/** Files that may change are looked at again then. */
export interface VolumesReady {
  readonly refreshAt: number;
}

export interface PodFacts {
  /** By container name. */
  readonly images: ReadonlyMap<string, ImageFact>;
  /** Create and start failures by container name. */
  readonly errors: ReadonlyMap<string, StepError>;
  /** The attempt from which restarts count for the back-off, by container name. */
  readonly streaks: ReadonlyMap<string, number>;
  /** The highest attempt ever seen, by container name: also of containers somebody removed. */
  readonly attempts: ReadonlyMap<string, number>;
  /** By container id. */
  readonly probes: ReadonlyMap<string, ProbeFact>;
  /** By container id: a postStart hook that has not succeeded (yet). */
  readonly postStarts: ReadonlyMap<string, "due" | "failed">;
  /** By container id. */
  readonly stops: ReadonlyMap<string, StopFact>;
  /** By container id: changes of its resources that failed. */
  readonly resizes: ReadonlyMap<string, StepError>;
  /** Since when the Pod as a whole is being brought to its end. */
  readonly endingSince?: number;
  /** No traffic comes any more, or nobody sends any. */
  readonly drained: boolean;
  /** What containers that have ended left as their message, by id. */
  readonly messages: ReadonlyMap<string, string>;
  readonly sandboxError?: StepError;
  /** Id of the sandbox whose start failed. It is not tried twice: what it held (an address, a port) may be half taken. */
  readonly brokenSandbox?: string;
  /** The attempt of the next sandbox. */
  readonly sandboxAttempt: number;
  readonly volumes: "unknown" | VolumesReady | StepError;
  /** The node will not run it (OutOfcpu …). */
  readonly refused?: { readonly reason: string; readonly message: string };
  readonly evicted?: Eviction;
  /** Verbs under way that may still change what the runtime holds. */
  readonly busy: boolean;
  /** A delete of the API object was acknowledged. */
  readonly deleted: boolean;
  readonly volumesRemoved: boolean;
  readonly orphanGraceSeconds: number;
}

export const NO_FACTS: PodFacts = {
  images: new Map(),
  errors: new Map(),
  streaks: new Map(),
  attempts: new Map(),
  probes: new Map(),
  postStarts: new Map(),
  stops: new Map(),
  resizes: new Map(),
  messages: new Map(),
  drained: true,
  sandboxAttempt: 0,
  volumes: "unknown",
  busy: false,
  deleted: false,
  volumesRemoved: false,
  orphanGraceSeconds: 30,
};

/** After a failure the status shows its own reason this long, then that of the back-off. */
export const SHOW_ERROR_MS = 2_000;

export function containersOf(pod: Pod): readonly Container[] {
  return pod.spec?.containers ?? [];
}

export function initContainersOf(pod: Pod): readonly Container[] {
  return pod.spec?.initContainers ?? [];
}

/** They have the fields of a container, and a target. */
export type EphemeralContainer = Container & { readonly targetContainerName?: string };

export function ephemeralContainersOf(pod: Pod): readonly EphemeralContainer[] {
  return pod.spec?.ephemeralContainers ?? [];
}

/** In the order in which they begin. */
export function allContainersOf(pod: Pod): readonly Container[] {
  return [...initContainersOf(pod), ...containersOf(pod), ...ephemeralContainersOf(pod)];
}

export type Role = "init" | "sidecar" | "main" | "ephemeral";

export function roleOf(pod: Pod, name: string): Role {
  const init = initContainersOf(pod).find((c) => c.name === name);
  if (init) return isRestartableInit(init) ? "sidecar" : "init";
  return ephemeralContainersOf(pod).some((c) => c.name === name) ? "ephemeral" : "main";
}

export function newestOf(actual: RuntimePod | undefined, name: string): RuntimeContainer | undefined {
  let newest: RuntimeContainer | undefined;
  for (const c of actual?.containers ?? []) if (c.name === name && c.attempt >= (newest?.attempt ?? 0)) newest = c;
  return newest;
}

/**
 * A container belongs to the present sandbox unless it was created before it: a new sandbox is only ever created once no
 * container runs (Plan P2).
 */
export function isStale(c: RuntimeContainer, actual: RuntimePod | undefined): boolean {
  const s = actual?.sandbox;
  return !s || s.state === "exited" || c.createdAt < s.createdAt;
}

export function restartPolicyOf(pod: Pod): "Always" | "OnFailure" | "Never" {
  const policy = pod.spec?.restartPolicy;
  return policy === "Never" || policy === "OnFailure" ? policy : "Always";
}

export function millis(time: string | undefined): number | undefined {
  return time === undefined ? undefined : Date.parse(time);
}

export function isTerminalPhase(phase: string | undefined): boolean {
  return phase === "Succeeded" || phase === "Failed";
}

/** When the Pod has run longer than it may; undefined without a limit or before its start. */
export function deadlineOf(pod: Pod): number | undefined {
  const start = millis(pod.status?.startTime);
  const seconds = pod.spec?.activeDeadlineSeconds;
  return start === undefined || seconds === undefined ? undefined : start + seconds * 1000;
}
