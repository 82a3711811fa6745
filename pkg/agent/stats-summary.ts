/** From two looks at what runs to the summary of it. Pure. */
import type {
  ContainerSummary,
  CpuStats,
  MemoryStats,
  NetworkStats,
  PodSummary,
  Summary,
} from "../api/stats-summary.ts";
import type { ContainerStats, NetworkUsage, Usage } from "../runtime/runtime.ts";
import { rfc3339 } from "../util/clock.ts";

export interface NodeUsage extends Usage {
  readonly memoryAvailableBytes: number;
}

/** One look at everything. */
export interface Sample {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly node: NodeUsage;
  /** By container id. */
  readonly containers: ReadonlyMap<string, ContainerStats>;
}

export interface SummaryOptions {
  readonly nodeName: string;
  /** When the container was started, if that is known. */
  readonly startedAt: (c: ContainerStats) => number | undefined;
}

/** Of a life shorter than this, the rate since its start is told before there were two looks at it. */
const YOUNG_MS = 60_000;
const MIN_WINDOW_MS = 1_000;

/** `now` must be later than `earlier`. */
export function summarize(o: SummaryOptions, earlier: Sample, now: Sample): Summary {
  const byPod = new Map<string, ContainerStats[]>();
  for (const c of now.containers.values()) byPod.set(c.podUid, [...(byPod.get(c.podUid) ?? []), c]);
  const told = (c: ContainerStats) => container(c, earlier.containers.get(c.id), o.startedAt(c));
  const node = { at: now.at, ...now.node };
  return {
    node: {
      nodeName: o.nodeName,
      cpu: cpu(node, { at: earlier.at, ...earlier.node }),
      memory: { availableBytes: node.memoryAvailableBytes, ...memory(node) },
      ...(node.network && { network: networkStats(node.network, node.at) }),
    },
    pods: [...byPod.values()].map((mine) => pod(mine, mine.map(told))),
  };
}

/** Sums of its containers. */
function pod(stats: readonly ContainerStats[], containers: readonly ContainerSummary[]): PodSummary {
  const [any] = stats;
  const sum = (numbers: readonly (number | undefined)[]) => numbers.reduce<number>((total, n) => total + (n ?? 0), 0);
  const rates = containers.map((c) => c.cpu.usageNanoCores);
  const time = containers[0]?.cpu.time ?? "";
  const processes = stats.map((c) => c.processes);
  const network = stats.find((c) => c.network)?.network;
  return {
    podRef: { name: any?.podName ?? "", namespace: any?.podNamespace ?? "", uid: any?.podUid ?? "" },
    containers,
    cpu: {
      time,
      ...(rates.every((n) => n !== undefined) && { usageNanoCores: sum(rates) }),
      usageCoreNanoSeconds: sum(containers.map((c) => c.cpu.usageCoreNanoSeconds)),
    },
    memory: {
      time,
      usageBytes: sum(containers.map((c) => c.memory.usageBytes)),
      workingSetBytes: sum(containers.map((c) => c.memory.workingSetBytes)),
      rssBytes: sum(containers.map((c) => c.memory.rssBytes)),
    },
    ...(network && any && { network: networkStats(network, any.at) }),
    ...(processes.every((n) => n !== undefined) && { process_stats: { process_count: sum(processes) } }),
  };
}

export function networkStats(interfaces: readonly NetworkUsage[], at: number): NetworkStats {
  const [first = { name: "", rxBytes: 0, rxErrors: 0, txBytes: 0, txErrors: 0 }] = interfaces;
  return { time: rfc3339(at), ...first, interfaces };
}

function container(
  now: ContainerStats,
  earlier: ContainerStats | undefined,
  startedAt: number | undefined,
): ContainerSummary {
  const young = startedAt !== undefined && now.at - startedAt < YOUNG_MS;
  const born = young ? { at: startedAt, cpuNanoseconds: 0 } : undefined;
  return {
    name: now.name,
    ...(startedAt !== undefined && { startTime: rfc3339(startedAt) }),
    cpu: cpu(now, earlier ?? born),
    memory: memory(now),
  };
}

type Counted = Pick<Usage, "cpuNanoseconds"> & { readonly at: number };

function cpu(now: Counted, earlier: Counted | undefined): CpuStats {
  const total = { time: rfc3339(now.at), usageCoreNanoSeconds: now.cpuNanoseconds };
  const ms = earlier ? now.at - earlier.at : 0;
  if (!earlier || ms < MIN_WINDOW_MS) return total;
  const used = Math.max(0, now.cpuNanoseconds - earlier.cpuNanoseconds);
  return { ...total, usageNanoCores: Math.round((used * 1000) / ms), windowSeconds: ms / 1000 };
}

function memory(u: Usage & { readonly at: number }): MemoryStats {
  return {
    time: rfc3339(u.at),
    usageBytes: u.memoryUsageBytes,
    workingSetBytes: u.memoryWorkingSetBytes,
    rssBytes: u.memoryRssBytes,
  };
}
