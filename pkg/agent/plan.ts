/**
 * What to do next for one Pod, as plain data. Pure: the worker carries the actions out and asks again after each.
 *
 *  P1  Same input, same plan. Actions of one plan do not depend on each other: all may run at once.
 *  P2  A sandbox is created only when no container of an earlier sandbox runs, so creation times tell who belongs to whom.
 *  P3  A main container starts only after every init container has succeeded in the present sandbox.
 *  P4  What runs as it should is never touched: adopted Pods get an empty plan.
 *  P5  The API object is deleted last, when nothing of the Pod is left on the node.
 *  P6  Every exited container keeps its newest dead attempt for `logs --previous`; older ones go when all else is done.
 */
import type { RuntimeContainer, RuntimePod } from "../runtime/runtime.ts";
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
  type VolumesReady,
} from "./facts.ts";
import { needsPodIP } from "./env.ts";
import { mayRestart, restartAt, specHash } from "./restart.ts";

export type ActionReason =
  | "PodStarting"
  | "SandboxChanged"
  | "SandboxFailed"
  | "ContainerMissing"
  | "ContainerDied"
  | "SpecChanged"
  | "Unhealthy"
  | "PodDeleted"
  | "PodGone"
  | "PodTerminal"
  | "DeadlineExceeded"
  | "Rejected"
  | "OldAttempt"
  | "NeverStarted"
  | "BackOff"
  | "Deadline"
  | "Refresh";

export type PodAction =
  | { readonly type: "createSandbox"; readonly attempt: number; readonly reason: ActionReason }
  | { readonly type: "startSandbox"; readonly id: string; readonly reason: ActionReason }
  | { readonly type: "removeSandbox"; readonly id: string; readonly reason: ActionReason }
  | { readonly type: "prepareVolumes"; readonly reason: ActionReason }
  | { readonly type: "removeVolumes"; readonly reason: ActionReason }
  | {
      readonly type: "ensureImage";
      readonly container: string;
      readonly attempt: number;
      readonly image: string;
      readonly policy: "Always" | "IfNotPresent" | "Never";
      readonly reason: ActionReason;
    }
  | {
      readonly type: "createContainer";
      readonly container: string;
      readonly attempt: number;
      readonly sandboxId: string;
      readonly reason: ActionReason;
    }
  | { readonly type: "startContainer"; readonly container: string; readonly id: string; readonly reason: ActionReason }
  | {
      readonly type: "stopContainer";
      readonly container: string;
      readonly id: string;
      readonly graceSeconds: number;
      readonly reason: ActionReason;
    }
  | { readonly type: "removeContainer"; readonly container: string; readonly id: string; readonly reason: ActionReason }
  | { readonly type: "deletePod"; readonly reason: ActionReason }
  /** Nothing to do before then. */
  | { readonly type: "wait"; readonly until: number; readonly reason: ActionReason };

export function planPod(
  pod: Pod | undefined,
  actual: RuntimePod | undefined,
  facts: PodFacts,
  now: number,
): readonly PodAction[] {
  if (!pod) return planRemoval(undefined, actual, facts, { graceSeconds: facts.orphanGraceSeconds, reason: "PodGone" });
  if (pod.metadata.deletionTimestamp !== undefined) {
    const graceSeconds = Math.max(1, pod.metadata.deletionGracePeriodSeconds ?? 30);
    return planRemoval(pod, actual, facts, { graceSeconds, reason: "PodDeleted" });
  }
  const end = endOf(pod, facts, now);
  if (end) return planEnd(actual, facts, { graceSeconds: graceOf(pod), reason: end });
  const actions = planRun({ pod, actual, facts, now });
  const deadline = deadlineOf(pod);
  return deadline === undefined ? actions : [...actions, { type: "wait", until: deadline, reason: "Deadline" }];
}

/** Why a Pod that still has its API object must not run (any more). */
function endOf(pod: Pod, facts: PodFacts, now: number): ActionReason | undefined {
  if (facts.refused) return "Rejected";
  if (isTerminalPhase(pod.status?.phase)) return "PodTerminal";
  const deadline = deadlineOf(pod);
  return deadline !== undefined && now >= deadline ? "DeadlineExceeded" : undefined;
}

interface Ending {
  readonly graceSeconds: number;
  readonly reason: ActionReason;
}

function stopAll(actual: RuntimePod | undefined, e: Ending): PodAction[] {
  return (actual?.containers ?? [])
    .filter((c) => c.state === "running")
    .map((c) => ({ type: "stopContainer", container: c.name, id: c.id, ...e }));
}

/** Down to nothing: containers, sandbox, volumes, API object. */
function planRemoval(pod: Pod | undefined, actual: RuntimePod | undefined, facts: PodFacts, e: Ending): PodAction[] {
  const stops = stopAll(actual, e);
  if (stops.length > 0 || facts.busy) return stops;
  const { reason } = e;
  const removals: PodAction[] = (actual?.containers ?? []).map((c) => removal(c, reason));
  if (actual?.sandbox) removals.push({ type: "removeSandbox", id: actual.sandbox.id, reason });
  if (removals.length > 0) return removals;
  if (!facts.volumesRemoved) return [{ type: "removeVolumes", reason }];
  return pod && !facts.deleted ? [{ type: "deletePod", reason }] : [];
}

/** Nothing runs any more, the network is given back; the dead containers stay for their logs. */
function planEnd(actual: RuntimePod | undefined, facts: PodFacts, e: Ending): PodAction[] {
  const stops = stopAll(actual, e);
  if (stops.length > 0 || facts.busy) return stops;
  const { reason } = e;
  const removals: PodAction[] = (actual?.containers ?? [])
    .filter((c) => c.state === "created")
    .map((c) => removal(c, reason));
  if (actual?.sandbox) removals.push({ type: "removeSandbox", id: actual.sandbox.id, reason });
  return removals;
}

interface Input {
  readonly pod: Pod;
  readonly actual: RuntimePod | undefined;
  readonly facts: PodFacts;
  readonly now: number;
}

function planRun(i: Input): PodAction[] {
  const steps = hasSandbox(i) ? planContainers(i) : planSandbox(i);
  const waiting = steps.every((a) => a.type === "wait");
  return waiting && !i.facts.busy ? [...steps, ...planOldAttempts(i)] : steps;
}

/** One that runs or can be started. */
function hasSandbox({ actual, facts }: Input): boolean {
  const sandbox = actual?.sandbox;
  if (!sandbox || sandbox.state === "exited") return false;
  return sandbox.state === "running" || sandbox.id !== facts.brokenSandbox;
}

/** There is no living sandbox: clear away what is left of the old one, then create the next. */
function planSandbox(i: Input): PodAction[] {
  const { pod, actual, facts, now } = i;
  const reason = actual?.sandbox?.state === "created" ? "SandboxFailed" : "SandboxChanged";
  const stops = stopAll(actual, { graceSeconds: graceOf(pod), reason });
  if (stops.length > 0 || facts.busy) return stops;
  const cleanup: PodAction[] = (actual?.containers ?? [])
    .filter((c) => c.state === "created")
    .map((c) => removal(c, reason));
  if (actual?.sandbox) cleanup.push({ type: "removeSandbox", id: actual.sandbox.id, reason });
  if (cleanup.length > 0) return cleanup;
  if (!anythingToRun(i)) return [];
  const error = facts.sandboxError;
  if (error && now < error.retryAt) return [{ type: "wait", until: error.retryAt, reason: "BackOff" }];
  const why = (actual?.containers.length ?? 0) > 0 ? reason : "PodStarting";
  return [{ type: "createSandbox", attempt: facts.sandboxAttempt, reason: why }, ...planAhead(i)];
}

/** A new sandbox starts everything anew, except what has ended for good. */
function anythingToRun({ pod, actual }: Input): boolean {
  if (restartPolicyOf(pod) === "Never") return (actual?.containers.length ?? 0) === 0;
  return containersOf(pod).some((c) => {
    const newest = newestOf(actual, c.name);
    return !newest || newest.state !== "exited" || mayRestart(pod, newest, false);
  });
}

/** Images and volumes need no sandbox: they are got ready beside it. */
function planAhead(i: Input): PodAction[] {
  const inits = initContainersOf(i.pod);
  const first = inits.length > 0 ? inits.slice(0, 1) : containersOf(i.pod);
  return [
    ...first.flatMap((c) => planImage(i, c, nextAttempt(i, c), "PodStarting") ?? []),
    ...(planVolumes(i, "PodStarting") ?? []),
  ];
}

function planContainers(i: Input): PodAction[] {
  const { actual, pod } = i;
  const sandbox = actual?.sandbox;
  const start: PodAction[] =
    sandbox?.state === "created" ? [{ type: "startSandbox", id: sandbox.id, reason: "PodStarting" }] : [];
  const init = initPending(i);
  if (init === "failed") return start;
  if (init) return [...start, ...planContainer(i, init, true)];
  return [...start, ...containersOf(pod).flatMap((c) => planContainer(i, c, false)), ...planRefresh(i)];
}

/** The init container whose turn it is. Once a main container exists in this sandbox, their time is over. */
function initPending({ pod, actual }: Input): Container | "failed" | undefined {
  const inSandbox = (c: RuntimeContainer | undefined) => c !== undefined && !isStale(c, actual);
  if (containersOf(pod).some((c) => inSandbox(newestOf(actual, c.name)))) return undefined;
  for (const c of initContainersOf(pod)) {
    const newest = newestOf(actual, c.name);
    if (!newest || !inSandbox(newest) || newest.state !== "exited") return c;
    if (newest.exitCode !== 0) return mayRestart(pod, newest, true) ? c : "failed";
  }
  return undefined;
}

function planContainer(i: Input, c: Container, init: boolean): PodAction[] {
  const { pod, actual, facts } = i;
  const newest = newestOf(actual, c.name);
  if (!newest) return planCreate(i, c, facts.attempts.has(c.name) ? "ContainerMissing" : "PodStarting");
  const stale = isStale(newest, actual);
  const changed = newest.specHash !== specHash(c);
  const unhealthy = facts.probes.get(newest.id)?.unhealthy;
  const stop = (reason: ActionReason, graceSeconds = graceOf(pod)): PodAction[] => [
    { type: "stopContainer", container: c.name, id: newest.id, graceSeconds, reason },
  ];
  switch (newest.state) {
    case "running":
      if (stale) return stop("SandboxChanged");
      if (changed && !init) return stop("SpecChanged");
      return unhealthy ? stop("Unhealthy", c[`${unhealthy.probe}Probe`]?.terminationGracePeriodSeconds) : [];
    case "created":
      if (stale || changed) return [removal(newest, stale ? "SandboxChanged" : "SpecChanged")];
      return planStart(i, newest);
    case "exited":
      if (stale) return init || mayRestart(pod, newest, init) ? planCreate(i, c, "SandboxChanged") : [];
      if (changed && restartPolicyOf(pod) !== "Never") return planCreate(i, c, "SpecChanged");
      return planRestart(i, c, newest, init);
  }
}

function planStart({ actual, facts, now }: Input, c: RuntimeContainer): PodAction[] {
  if (actual?.sandbox?.state !== "running") return [];
  const error = facts.errors.get(c.name);
  if (error && now < error.retryAt) return [{ type: "wait", until: error.retryAt, reason: "BackOff" }];
  const reason = c.attempt === 0 ? "PodStarting" : "ContainerDied";
  return [{ type: "startContainer", container: c.name, id: c.id, reason }];
}

function planRestart(i: Input, c: Container, dead: RuntimeContainer, init: boolean): PodAction[] {
  if (!mayRestart(i.pod, dead, init)) return [];
  const at = restartAt(dead, i.facts.streaks.get(c.name) ?? 0);
  return i.now < at ? [{ type: "wait", until: at, reason: "BackOff" }] : planCreate(i, c, "ContainerDied");
}

/** The next attempt of a container, or what it still lacks. */
function planCreate(i: Input, c: Container, reason: ActionReason): PodAction[] {
  const { actual, facts, now } = i;
  const attempt = nextAttempt(i, c);
  const lacks = [...(planImage(i, c, attempt, reason) ?? []), ...(planVolumes(i, reason) ?? [])];
  if (lacks.length > 0) return lacks;
  const sandbox = actual?.sandbox;
  if (!sandbox || (needsPodIP(c) && sandbox.state !== "running")) return [];
  const error = facts.errors.get(c.name);
  if (error && now < error.retryAt) return [{ type: "wait", until: error.retryAt, reason: "BackOff" }];
  return [{ type: "createContainer", container: c.name, attempt, sandboxId: sandbox.id, reason }];
}

function nextAttempt({ actual, facts }: Input, c: Container): number {
  const seen = Math.max(newestOf(actual, c.name)?.attempt ?? -1, facts.attempts.get(c.name) ?? -1);
  return seen + 1;
}

/** Undefined when the image is there for this attempt. `Always` asks the registry anew for each attempt. */
function planImage(i: Input, c: Container, attempt: number, reason: ActionReason): PodAction[] | undefined {
  const policy = pullPolicyOf(c);
  const fact = i.facts.images.get(c.name);
  if (fact?.state === "present" && (fact.attempt === attempt || policy !== "Always")) return undefined;
  const image = c.image ?? "";
  const ensure: PodAction = { type: "ensureImage", container: c.name, attempt, image, policy, reason };
  return fact?.state === "failed" ? retry(fact.error, i.now, ensure) : [ensure];
}

function planVolumes(i: Input, reason: ActionReason): PodAction[] | undefined {
  const { volumes } = i.facts;
  if (isReady(volumes) || !i.pod.spec?.volumes?.length) return undefined;
  const prepare: PodAction = { type: "prepareVolumes", reason };
  return volumes === "unknown" ? [prepare] : retry(volumes, i.now, prepare);
}

/** Files of ConfigMaps, Secrets and tokens follow what they come from. */
function planRefresh({ pod, facts: { volumes }, now }: Input): PodAction[] {
  if (!isReady(volumes) || volumes.refreshAt === Infinity || !pod.spec?.volumes?.length) return [];
  if (now < volumes.refreshAt) return [{ type: "wait", until: volumes.refreshAt, reason: "Refresh" }];
  return [{ type: "prepareVolumes", reason: "Refresh" }];
}

function isReady(volumes: PodFacts["volumes"]): volumes is VolumesReady {
  return typeof volumes === "object" && "refreshAt" in volumes;
}

/** Meanwhile the status changes from the error's own reason to the back-off's: look again then, too. */
function retry(error: StepError, now: number, action: PodAction): PodAction[] {
  if (now >= error.retryAt) return [action];
  const until = now < error.at + SHOW_ERROR_MS ? Math.min(error.at + SHOW_ERROR_MS, error.retryAt) : error.retryAt;
  return [{ type: "wait", until, reason: "BackOff" }];
}

function planOldAttempts({ pod, actual }: Input): PodAction[] {
  return [...initContainersOf(pod), ...containersOf(pod)].flatMap(({ name }) => {
    const [newest, ...older] = (actual?.containers ?? [])
      .filter((c) => c.name === name)
      .toSorted((a, b) => b.attempt - a.attempt);
    const kept = newest?.state === "exited" ? newest : older.find((c) => c.state === "exited");
    return older.filter((c) => c !== kept).map((c) => removal(c, "OldAttempt"));
  });
}

function removal(c: RuntimeContainer, reason: ActionReason): PodAction {
  return { type: "removeContainer", container: c.name, id: c.id, reason };
}

function graceOf(pod: Pod): number {
  return pod.spec?.terminationGracePeriodSeconds ?? 30;
}

function pullPolicyOf(c: Container): "Always" | "IfNotPresent" | "Never" {
  const policy = c.imagePullPolicy;
  return policy === "Always" || policy === "Never" ? policy : "IfNotPresent";
}
