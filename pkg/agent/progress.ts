/** How far a Pod has come: what has started, what is done, what there is no way back from. Pure. */
import { isRestartableInit } from "../api/pod.ts";
import type { RuntimeContainer, RuntimePod } from "../runtime/runtime.ts";
import {
  type Container,
  containersOf,
  initContainersOf,
  isStale,
  newestOf,
  type Pod,
  type PodFacts,
  restartPolicyOf,
} from "./facts.ts";
import { mayRestart, specHash } from "./restart.ts";

export interface Seen {
  readonly pod: Pod;
  readonly actual: RuntimePod | undefined;
  readonly facts: PodFacts;
}

/** Whether a running container counts as started: its postStart hook and its startup probe are behind it. */
export function hasStarted(c: Container, running: RuntimeContainer, facts: PodFacts): boolean {
  if (facts.postStarts.has(running.id)) return false;
  return facts.probes.get(running.id)?.started ?? c.startupProbe === undefined;
}

/** Whether it is ready, as far as it has been asked. */
export function isReady(c: Container, running: RuntimeContainer, facts: PodFacts): boolean {
  if (!hasStarted(c, running, facts)) return false;
  return facts.probes.get(running.id)?.ready ?? c.readinessProbe === undefined;
}

/**
 * How many init containers, from the first, have done their part in the present sandbox: succeeded, or (sidecars)
 * started. Once a main container exists in it, all have. What stands before the last one that exists has done its part,
 * even where somebody has removed it since.
 */
export function initsDone({ pod, actual, facts }: Seen): number {
  const inits = initContainersOf(pod);
  const here = (c: Container) => {
    const newest = newestOf(actual, c.name);
    return newest && !isStale(newest, actual) ? newest : undefined;
  };
  if (containersOf(pod).some(here)) return inits.length;
  const last = inits.findLastIndex(here);
  const [c, newest] = [inits[last], inits[last] && here(inits[last])];
  if (!c || !newest) return 0;
  const done = isRestartableInit(c)
    ? newest.state === "running" && hasStarted(c, newest, facts)
    : newest.state === "exited" && newest.exitCode === 0;
  return done ? last + 1 : last;
}

/** Has ended, and will not run again. */
export function isOver(pod: Pod, c: Container, newest: RuntimeContainer | undefined): boolean {
  if (newest?.state !== "exited" || mayRestart(pod, c, newest)) return false;
  return newest.specHash === specHash(c) || restartPolicyOf(pod) === "Never";
}

/** Every main container has run to its end: what else there is of the Pod only keeps it waiting. */
export function mainsOver({ pod, actual }: Pick<Seen, "pod" | "actual">): boolean {
  return containersOf(pod).every((c) => isOver(pod, c, newestOf(actual, c.name)));
}

/** An init container has failed for good, so that the main ones will never run. */
export function initFailed({ pod, actual }: Pick<Seen, "pod" | "actual">): boolean {
  return initContainersOf(pod).some((c) => {
    const newest = newestOf(actual, c.name);
    return newest?.exitCode !== 0 && isOver(pod, c, newest);
  });
}
