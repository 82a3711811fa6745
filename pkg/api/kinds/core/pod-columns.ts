/** How `kubectl get pods` puts a Pod's state in a word: upstream's `printPod`, rule by rule. */
import type { DeepReadonly } from "../../../util/types.ts";
import { humanAge } from "../../duration.ts";
import type { ContainerState, ContainerStateTerminated, ContainerStatus, Pod } from "../../generated/types.ts";
import { condition, isReady, isRestartableInit, isTerminal } from "../../pod.ts";
import type { Column } from "../../resource.ts";
import { AGE, NAME } from "../columns.ts";

type ReadonlyPod = DeepReadonly<Pod>;
type Status = DeepReadonly<ContainerStatus>;

export interface PodSummary {
  readonly ready: number;
  readonly total: number;
  /** `Running`, `Init:0/1`, `CrashLoopBackOff`, `Terminating`, … */
  readonly status: string;
  readonly restarts: number;
  /** When the latest of the containers that restarted had ended. */
  readonly lastRestart: string | undefined;
}

export function summarize(pod: ReadonlyPod): PodSummary {
  const sidecars = new Set((pod.spec?.initContainers ?? []).filter(isRestartableInit).map((c) => c.name));
  const init = initialization(pod, sidecars);
  const total = (pod.spec?.containers ?? []).length + sidecars.size;
  const initialized = condition(pod.status?.conditions, "Initialized")?.status === "True";
  const inits = pod.status?.initContainerStatuses ?? [];
  if (init.pending !== undefined && !initialized) {
    const seen = inits.slice(0, init.seen);
    return { ready: init.ready, total, status: finalStatus(pod, init.pending), ...restartsOf(seen) };
  }
  const containers = pod.status?.containerStatuses ?? [];
  const running = containers.filter(
    (c) => c.ready && c.state?.running && !c.state.waiting && !c.state.terminated,
  ).length;
  const reason = mainReason(containers) ?? init.pending ?? initialReason(pod);
  // One that has finished beside one that runs does not make the Pod "Completed".
  const status = reason === "Completed" && running > 0 ? (isReady(pod) ? "Running" : "NotReady") : reason;
  const counted = [...inits.slice(0, init.seen).filter((c) => sidecars.has(c.name)), ...containers];
  return { ready: init.ready + running, total, status: finalStatus(pod, status), ...restartsOf(counted) };
}

function initialReason(pod: ReadonlyPod): string {
  if (condition(pod.status?.conditions, "PodScheduled")?.reason === "SchedulingGated") return "SchedulingGated";
  return pod.status?.reason || (pod.status?.phase ?? "");
}

interface Initialization {
  /** What the first init container that has not done its part says; undefined when all have. */
  pending: string | undefined;
  /** How many init containers were looked at. */
  seen: number;
  /** Sidecars that are ready. */
  ready: number;
}

function initialization(pod: ReadonlyPod, sidecars: ReadonlySet<string>): Initialization {
  const statuses = pod.status?.initContainerStatuses ?? [];
  let ready = 0;
  for (const [i, c] of statuses.entries()) {
    if (c.state?.terminated?.exitCode === 0) continue;
    if (sidecars.has(c.name) && c.started) {
      if (c.ready) ready++;
      continue;
    }
    const progress = `${i}/${(pod.spec?.initContainers ?? []).length}`;
    return { pending: `Init:${initReason(c.state) ?? progress}`, seen: i + 1, ready };
  }
  return { pending: undefined, seen: statuses.length, ready };
}

function initReason(state: DeepReadonly<ContainerState> | undefined): string | undefined {
  if (state?.terminated) return endReason(state.terminated);
  const waiting = state?.waiting?.reason;
  return waiting && waiting !== "PodInitializing" ? waiting : undefined;
}

function endReason(t: DeepReadonly<ContainerStateTerminated>): string {
  return t.reason || (t.signal ? `Signal:${t.signal}` : `ExitCode:${t.exitCode}`);
}

/** The first container with something to say says it for all. */
function mainReason(containers: readonly Status[]): string | undefined {
  for (const { state } of containers) {
    if (state?.waiting?.reason) return state.waiting.reason;
    if (state?.terminated) return endReason(state.terminated);
  }
  return undefined;
}

function finalStatus(pod: ReadonlyPod, status: string): string {
  if (pod.metadata.deletionTimestamp === undefined) return status;
  if (pod.status?.reason === "NodeLost") return "Unknown";
  return isTerminal(pod) ? status : "Terminating";
}

function restartsOf(containers: readonly Status[]): Pick<PodSummary, "restarts" | "lastRestart"> {
  const ends = containers.flatMap((c) => c.lastState?.terminated?.finishedAt ?? []);
  return { restarts: containers.reduce((n, c) => n + (c.restartCount ?? 0), 0), lastRestart: ends.sort().at(-1) };
}

function restarts(pod: ReadonlyPod, now: number): string {
  const s = summarize(pod);
  return s.restarts > 0 && s.lastRestart ? `${s.restarts} (${humanAge(s.lastRestart, now)} ago)` : `${s.restarts}`;
}

function readinessGates(pod: ReadonlyPod): string {
  const gates = pod.spec?.readinessGates ?? [];
  if (gates.length === 0) return "<none>";
  const open = gates.filter((g) => condition(pod.status?.conditions, g.conditionType)?.status === "True");
  return `${open.length}/${gates.length}`;
}

export const podColumns: readonly Column<Pod>[] = [
  NAME,
  {
    name: "Ready",
    type: "string",
    description: "The aggregate readiness state of this pod for accepting traffic.",
    cell: (o) => {
      const s = summarize(o);
      return `${s.ready}/${s.total}`;
    },
  },
  {
    name: "Status",
    type: "string",
    description: "The aggregate status of the containers in this pod.",
    cell: (o) => summarize(o).status,
  },
  {
    name: "Restarts",
    type: "string",
    description:
      "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.",
    cell: restarts,
  },
  AGE,
  { name: "IP", type: "string", wide: true, cell: (o) => o.status?.podIPs?.[0]?.ip || o.status?.podIP || "<none>" },
  { name: "Node", type: "string", wide: true, cell: (o) => o.spec?.nodeName || "<none>" },
  { name: "Nominated Node", type: "string", wide: true, cell: (o) => o.status?.nominatedNodeName || "<none>" },
  { name: "Readiness Gates", type: "string", wide: true, cell: readinessGates },
];
