/**
 * How containers end. Pure.
 *
 *  E1  A container with a preStop hook is told to end only when the hook has, or when its grace is over.
 *  E2  Main, init and ephemeral containers end together; a sidecar when these and all later sidecars are gone.
 *  E3  A Pod that is being deleted keeps running until no traffic comes to it any more. Hooks run meanwhile.
 *  E4  When the grace is over nothing is waited for: what still runs is stopped at once.
 */
import type { RuntimeContainer, RuntimePod } from "../runtime/runtime.ts";
import { allContainersOf, initContainersOf, type Pod, type PodFacts, roleOf } from "./facts.ts";
import type { ActionReason, PodAction } from "./plan-action.ts";

export interface Ending {
  readonly graceSeconds: number;
  readonly reason: ActionReason;
}

export interface StopInput {
  /** Undefined: gone from the API, and its spec with it. */
  readonly pod: Pod | undefined;
  readonly actual: RuntimePod | undefined;
  readonly facts: PodFacts;
  readonly now: number;
}

/** Everything that runs comes to its end. Empty: nothing runs. */
export function planEnding(i: StopInput, e: Ending): PodAction[] {
  const { pod, facts } = i;
  const running = runningOf(i.actual);
  if (running.length === 0) return [];
  const end = graceEnd(e, facts.endingSince ?? i.now);
  if (i.now >= end) return running.map((c) => stop(c, e));
  const drains = pod !== undefined && e.reason === "PodDeleted" && !facts.drained;
  const turn = whoseTurn(pod, running);
  const steps = running.flatMap((c): PodAction[] => {
    const hook = planHook(i, c, e);
    if (hook) return hook;
    return drains || !turn(c) ? [] : [stop(c, e)];
  });
  const waits = running.some((c) => !steps.some((a) => a.type === "stopContainer" && a.id === c.id));
  return [
    ...(drains ? [{ type: "drain", reason: e.reason } as const] : []),
    ...steps,
    ...(waits ? [{ type: "wait", until: end, reason: "Grace" } as const] : []),
  ];
}

/** One container of a Pod that goes on. */
export function planStop(i: StopInput, c: RuntimeContainer, e: Ending): PodAction[] {
  const end = graceEnd(e, i.facts.stops.get(c.id)?.since ?? i.now);
  const hook = i.now < end ? planHook(i, c, e) : undefined;
  return hook ? [...hook, { type: "wait", until: end, reason: "Grace" }] : [stop(c, e)];
}

/** Undefined: there is nothing (more) to be done before the signal. */
function planHook({ pod, facts }: StopInput, c: RuntimeContainer, e: Ending): PodAction[] | undefined {
  const spec = pod && allContainersOf(pod).find((x) => x.name === c.name);
  if (!spec?.lifecycle?.preStop || facts.stops.get(c.id)?.hooked) return undefined;
  return [{ type: "preStop", container: c.name, id: c.id, ...e }];
}

/** E2. */
function whoseTurn(pod: Pod | undefined, running: readonly RuntimeContainer[]): (c: RuntimeContainer) => boolean {
  if (!pod) return () => true;
  const order = initContainersOf(pod).map((c) => c.name);
  const place = (c: RuntimeContainer) => (roleOf(pod, c.name) === "sidecar" ? order.indexOf(c.name) : Infinity);
  const last = Math.max(...running.map(place));
  return (c) => place(c) === last;
}

export function runningOf(actual: RuntimePod | undefined): readonly RuntimeContainer[] {
  return (actual?.containers ?? []).filter((c) => c.state === "running");
}

function graceEnd(e: Ending, since: number): number {
  return since + e.graceSeconds * 1000;
}

function stop(c: RuntimeContainer, e: Ending): PodAction {
  return { type: "stopContainer", container: c.name, id: c.id, ...e };
}
