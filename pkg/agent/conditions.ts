/** The Pod conditions that the agent owns, as the kubelet words them. Pure. */
import type { ContainerStatus, PodCondition } from "../api/generated/types.ts";
import { isRestartableInit } from "../api/pod.ts";
import { rfc3339 } from "../util/clock.ts";
import { initContainersOf, type Pod } from "./facts.ts";

export interface ConditionsInput {
  readonly pod: Pod;
  readonly phase: string;
  readonly inits: readonly ContainerStatus[];
  readonly mains: readonly ContainerStatus[];
  readonly initialized: boolean;
  readonly sandboxReady: boolean;
  /** Why it has to go for the sake of others. */
  readonly disrupted?: string;
  readonly now: number;
}

type Verdict = Pick<PodCondition, "status" | "reason" | "message">;

const YES: Verdict = { status: "True" };
const no = (reason: string, message?: string): Verdict => ({
  status: "False",
  reason,
  ...(message !== undefined && { message }),
});

export function podConditions(i: ConditionsInput): PodCondition[] {
  const containersReady = containersReadyOf(i);
  const own: Readonly<Record<string, Verdict>> = {
    PodReadyToStartContainers: i.sandboxReady ? YES : { status: "False" },
    Initialized: initializedOf(i),
    Ready: readyOf(i, containersReady),
    ContainersReady: containersReady,
    PodScheduled: YES,
    ...(i.disrupted !== undefined && {
      DisruptionTarget: { status: "True", reason: "TerminationByKubelet", message: i.disrupted },
    }),
  };
  const old = i.pod.status?.conditions ?? [];
  const mine = Object.entries(own).map(([type, verdict]): PodCondition => {
    const before = old.find((c) => c.type === type);
    const since = before?.status === verdict.status ? before.lastTransitionTime : undefined;
    const generation = i.pod.metadata.generation;
    return {
      type,
      ...verdict,
      lastTransitionTime: since ?? rfc3339(i.now),
      ...(generation !== undefined && { observedGeneration: generation }),
    };
  });
  return [...mine, ...old.filter((c) => !(c.type in own)).map((c) => ({ ...c }))];
}

function initializedOf(i: ConditionsInput): Verdict {
  if (i.initialized) return i.phase === "Succeeded" ? { status: "True", reason: "PodCompleted" } : YES;
  const sidecars = sidecarsOf(i);
  const done = (s: ContainerStatus) => (sidecars.has(s.name) ? s.started : s.state?.terminated?.exitCode === 0);
  const open = i.inits.filter((s) => !done(s)).map((s) => s.name);
  return no("ContainersNotInitialized", `containers with incomplete status: [${open.join(" ")}]`);
}

function containersReadyOf(i: ConditionsInput): Verdict {
  if (i.phase === "Succeeded") return no("PodCompleted");
  if (i.phase === "Failed") return no("PodFailed");
  const sidecars = sidecarsOf(i);
  const needed = [...i.inits.filter((s) => sidecars.has(s.name)), ...i.mains];
  const unready = needed.filter((s) => !s.ready).map((s) => s.name);
  if (unready.length === 0) return YES;
  return no("ContainersNotReady", `containers with unready status: [${unready.join(" ")}]`);
}

/** Names of the init containers that run as long as the Pod. */
function sidecarsOf({ pod }: ConditionsInput): ReadonlySet<string> {
  return new Set(initContainersOf(pod).flatMap((c) => (isRestartableInit(c) ? [c.name] : [])));
}

function readyOf(i: ConditionsInput, containersReady: Verdict): Verdict {
  if (containersReady.status !== "True") return containersReady;
  const unmet = (i.pod.spec?.readinessGates ?? []).flatMap(({ conditionType }) => {
    const c = i.pod.status?.conditions?.find((x) => x.type === conditionType);
    if (!c) return [`corresponding condition of pod readiness gate "${conditionType}" does not exist.`];
    if (c.status === "True") return [];
    return [`the status of pod readiness gate "${conditionType}" is not "True", but ${c.status}`];
  });
  return unmet.length === 0 ? YES : no("ReadinessGatesNotReady", unmet.join(", "));
}
