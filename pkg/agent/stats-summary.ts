/** From two looks at what runs to the summary of it. Pure. */
import type { ContainerSummary, CpuStats, MemoryStats, PodSummary, Summary } from "../api/stats-summary.ts";
import type { ContainerStats, Usage } from "../runtime/runtime.ts";
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
  const byPod = new Map<string, { podRef: PodSummary["podRef"]; containers: ContainerSummary[] }>();
  for (const c of now.containers.values()) {
    const podRef = { name: c.podName, namespace: c.podNamespace, uid: c.podUid };
    const pod = byPod.get(c.podUid) ?? { podRef, containers: [] };
    byPod.set(c.podUid, pod);
    pod.containers.push(container(c, earlier.containers.get(c.id), o.startedAt(c)));
  }
  const node = { at: now.at, ...now.node };
  return {
    node: {
      nodeName: o.nodeName,
      cpu: cpu(node, { at: earlier.at, ...earlier.node }),
      memory: { availableBytes: node.memoryAvailableBytes, ...memory(node) },
    },
    pods: [...byPod.values()],
  };
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
