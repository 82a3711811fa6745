/**
 * What to do next for one Pod, as plain data. Pure: the worker carries the actions out and asks again after each.
 *
 *  P1  Same input, same plan. Actions of one plan do not depend on each other: all may run at once.
 *  P2  A sandbox is created only when no container of an earlier sandbox runs, so creation times tell who belongs to whom.
 *  P3  Init containers start one after the other, each once those before it have done their part in the present sandbox:
 *      succeeded or, sidecars, started. Main containers start after all of them.
 *  P4  What runs as it should is never touched: adopted Pods get an empty plan.
 *  P5  The API object is deleted last, when nothing of the Pod is left on the node.
 *  P6  Every exited container keeps its newest dead attempt for `logs --previous`; older ones go when all else is done.
 *  P7  A sidecar runs as long as a main container may still run, whatever the restart policy, and no longer.
 *  P8  An ephemeral container starts once, whatever else the Pod is about, and nothing waits for it.
 *  P9  A container whose postStart hook has not ended counts as not started; one whose hook has failed is stopped.
 *  How containers end: E1–E4 (plan-stop.ts).
 */
import type { LiveResources } from "../runtime/resources.ts";
import type { RuntimeContainer, RuntimePod } from "../runtime/runtime.ts";
import { isRestartableInit } from "../api/pod.ts";
import {
  allContainersOf,
  type Container,
  containersOf,
  deadlineOf,
  ephemeralContainersOf,
  initContainersOf,
  isStale,
  isTerminalPhase,
  newestOf,
  type Pod,
  type PodFacts,
  restartPolicyOf,
} from "./facts.ts";
import { needsPodIP } from "./env.ts";
import type { ActionReason, PodAction } from "./plan-action.ts";
import { planImage, type PlanInput, planRefresh, planVolumes } from "./plan-needs.ts";
import { type Ending, planEnding, planStop } from "./plan-stop.ts";
import { initFailed, initsDone, isOver, mainsOver } from "./progress.ts";
import { planResize } from "./resize/plan.ts";
import { mayRestart, restartAt, specHash } from "./restart.ts";

export function planPod(
  pod: Pod | undefined,
  actual: RuntimePod | undefined,
  facts: PodFacts,
  now: number,
): readonly PodAction[] {
  const of = { actual, facts, now };
  if (!pod) return planRemoval({ ...of, pod }, { graceSeconds: facts.orphanGraceSeconds, reason: "PodGone" });
  const i: PlanInput = { ...of, pod };
  if (pod.metadata.deletionTimestamp !== undefined) {
    const graceSeconds = Math.max(1, pod.metadata.deletionGracePeriodSeconds ?? 30);
    return planRemoval(i, { graceSeconds, reason: "PodDeleted" });
  }
  const end = endOf(i);
  if (end) return planEnd(i, end);
  const actions = planRun(i);
  const deadline = deadlineOf(pod);
  return deadline === undefined ? actions : [...actions, { type: "wait", until: deadline, reason: "Deadline" }];
}

/** Why and how a Pod that still has its API object must not run (any more). */
function endOf(i: PlanInput): Ending | undefined {
  const { pod, facts, now } = i;
  const graceSeconds = graceOf(pod);
  if (facts.refused) return { graceSeconds, reason: "Rejected" };
  if (facts.evicted) return { graceSeconds: facts.evicted.graceSeconds ?? graceSeconds, reason: "Evicted" };
  if (isTerminalPhase(pod.status?.phase) || mainsOver(i) || initFailed(i))
    return { graceSeconds, reason: "PodTerminal" };
  const deadline = deadlineOf(pod);
  return deadline !== undefined && now >= deadline ? { graceSeconds, reason: "DeadlineExceeded" } : undefined;
}

/** Down to nothing: containers, sandbox, volumes, API object. */
function planRemoval(i: Omit<PlanInput, "pod"> & { readonly pod: Pod | undefined }, e: Ending): PodAction[] {
  const { pod, actual, facts } = i;
  const stops = planEnding(i, e);
  if (stops.length > 0 || facts.busy) return stops;
  const { reason } = e;
  const removals: PodAction[] = (actual?.containers ?? []).map((c) => removal(c, reason));
  if (actual?.sandbox) removals.push({ type: "removeSandbox", id: actual.sandbox.id, reason });
  if (removals.length > 0) return removals;
  if (!facts.volumesRemoved) return [{ type: "removeVolumes", reason }];
  return pod && !facts.deleted ? [{ type: "deletePod", reason }] : [];
}

/** Nothing runs any more, the network is given back; the dead containers stay for their logs. */
function planEnd(i: PlanInput, e: Ending): PodAction[] {
  const { actual, facts } = i;
  const stops = planEnding(i, e);
  if (stops.length > 0 || facts.busy) return stops;
  const { reason } = e;
  const removals: PodAction[] = (actual?.containers ?? [])
    .filter((c) => c.state === "created")
    .map((c) => removal(c, reason));
  if (actual?.sandbox) removals.push({ type: "removeSandbox", id: actual.sandbox.id, reason });
  return removals;
}

function planRun(i: PlanInput): PodAction[] {
  const steps = hasSandbox(i) ? planContainers(i) : planSandbox(i);
  const waiting = steps.every((a) => a.type === "wait");
  return waiting && !i.facts.busy ? [...steps, ...planOldAttempts(i)] : steps;
}

/** One that runs or can be started. */
function hasSandbox({ actual, facts }: PlanInput): boolean {
  const sandbox = actual?.sandbox;
  if (!sandbox || sandbox.state === "exited") return false;
  return sandbox.state === "running" || sandbox.id !== facts.brokenSandbox;
}

/** There is no living sandbox: clear away what is left of the old one, then create the next. */
function planSandbox(i: PlanInput): PodAction[] {
  const { pod, actual, facts, now } = i;
  const reason = actual?.sandbox?.state === "created" ? "SandboxFailed" : "SandboxChanged";
  const stops = planEnding(i, { graceSeconds: graceOf(pod), reason });
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
function anythingToRun({ pod, actual }: PlanInput): boolean {
  return containersOf(pod).some((c) => {
    const newest = newestOf(actual, c.name);
    return !isOver(pod, c, newest);
  });
}

/** Images and volumes need no sandbox: they are got ready beside it. */
function planAhead(i: PlanInput): PodAction[] {
  const inits = initContainersOf(i.pod);
  const first = inits.length > 0 ? inits.slice(0, 1) : containersOf(i.pod);
  return [
    ...first.flatMap((c) => planImage(i, c, nextAttempt(i, c), "PodStarting") ?? []),
    ...(planVolumes(i, "PodStarting") ?? []),
  ];
}

function planContainers(i: PlanInput): PodAction[] {
  const { actual, pod } = i;
  const sandbox = actual?.sandbox;
  const start: PodAction[] =
    sandbox?.state === "created" ? [{ type: "startSandbox", id: sandbox.id, reason: "PodStarting" }] : [];
  const inits = initContainersOf(pod);
  const done = initsDone(i);
  const turn = inits.filter((c, n) => n === done || (n < done && isRestartableInit(c)));
  const mains = done === inits.length ? containersOf(pod) : [];
  return [
    ...start,
    ...[...turn, ...mains].flatMap((c) => planContainer(i, c)),
    ...ephemeralContainersOf(pod).flatMap((c) => planEphemeral(i, c)),
    ...(done === inits.length ? planRefresh(i) : []),
  ];
}

function planContainer(i: PlanInput, c: Container): PodAction[] {
  const { pod, actual, facts } = i;
  const newest = newestOf(actual, c.name);
  if (!newest) return planCreate(i, c, facts.attempts.has(c.name) ? "ContainerMissing" : "PodStarting");
  const stale = isStale(newest, actual);
  const changed = newest.specHash !== specHash(c);
  switch (newest.state) {
    case "running":
      return planRunning(i, c, newest);
    case "created":
      if (stale || changed) return [removal(newest, stale ? "SandboxChanged" : "SpecChanged")];
      return planStart(i, newest);
    case "exited": {
      const init = initContainersOf(pod).includes(c);
      if (stale) return init || mayRestart(pod, c, newest) ? planCreate(i, c, "SandboxChanged") : [];
      if (changed && restartPolicyOf(pod) !== "Never") return planCreate(i, c, "SpecChanged");
      return planRestart(i, c, newest);
    }
  }
}

/** P4, unless there is something wrong with it. */
function planRunning(i: PlanInput, c: Container, running: RuntimeContainer): PodAction[] {
  const { pod, actual, facts } = i;
  const stop = (reason: ActionReason, graceSeconds = graceOf(pod)) => planStop(i, running, { graceSeconds, reason });
  const unhealthy = facts.probes.get(running.id)?.unhealthy;
  const oneShot = initContainersOf(pod).includes(c) && !isRestartableInit(c);
  if (isStale(running, actual)) return stop("SandboxChanged");
  if (running.specHash !== specHash(c) && !oneShot) return stop("SpecChanged");
  switch (facts.postStarts.get(running.id)) {
    case "due":
      return [{ type: "postStart", container: c.name, id: running.id, reason: "PodStarting" }];
    case "failed":
      return stop("PostStartFailed");
    case undefined:
      if (unhealthy) return stop("Unhealthy", c[`${unhealthy.probe}Probe`]?.terminationGracePeriodSeconds);
  }
  const resize = planResize(pod, c, running);
  if (!resize) return [];
  return resize.type === "restart" ? stop("Resized") : planUpdate(i, c, { ...resize, id: running.id });
}

function planUpdate(i: PlanInput, c: Container, o: { id: string; resources: LiveResources }): PodAction[] {
  const error = i.facts.resizes.get(o.id);
  if (error && i.now < error.retryAt) return [{ type: "wait", until: error.retryAt, reason: "BackOff" }];
  return [{ type: "updateContainer", container: c.name, id: o.id, resources: o.resources, reason: "Resized" }];
}

/** P8. Created, it is started; everything else is not our business. */
function planEphemeral(i: PlanInput, c: Container): PodAction[] {
  const newest = newestOf(i.actual, c.name);
  if (!newest) return i.facts.attempts.has(c.name) ? [] : planCreate(i, c, "PodStarting");
  if (newest.state !== "created") return [];
  return isStale(newest, i.actual) ? [removal(newest, "SandboxChanged")] : planStart(i, newest);
}

function planStart({ actual, facts, now }: PlanInput, c: RuntimeContainer): PodAction[] {
  if (actual?.sandbox?.state !== "running") return [];
  const error = facts.errors.get(c.name);
  if (error && now < error.retryAt) return [{ type: "wait", until: error.retryAt, reason: "BackOff" }];
  const reason = c.attempt === 0 ? "PodStarting" : "ContainerDied";
  return [{ type: "startContainer", container: c.name, id: c.id, reason }];
}

function planRestart(i: PlanInput, c: Container, dead: RuntimeContainer): PodAction[] {
  if (!mayRestart(i.pod, c, dead)) return [];
  const at = restartAt(i.pod, dead, i.facts.streaks.get(c.name) ?? 0);
  return i.now < at ? [{ type: "wait", until: at, reason: "BackOff" }] : planCreate(i, c, "ContainerDied");
}

/** The next attempt of a container, or what it still lacks. */
function planCreate(i: PlanInput, c: Container, reason: ActionReason): PodAction[] {
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

function nextAttempt({ actual, facts }: PlanInput, c: Container): number {
  const seen = Math.max(newestOf(actual, c.name)?.attempt ?? -1, facts.attempts.get(c.name) ?? -1);
  return seen + 1;
}

function planOldAttempts({ pod, actual }: PlanInput): PodAction[] {
  return allContainersOf(pod).flatMap(({ name }) => {
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
