import type { ContainerStats } from "../runtime.ts";

export interface DockerStats {
  readonly cpu_stats: { readonly cpu_usage: { readonly total_usage: number } };
  readonly memory_stats: { readonly usage?: number; readonly stats?: Readonly<Record<string, number>> };
}

/** The working set is what the kernel could not drop at once: usage without the inactive page cache (cgroup v2 and v1). */
export function toStats(s: DockerStats): Pick<ContainerStats, "cpuNanoseconds" | "memoryWorkingSetBytes"> {
  const { usage = 0, stats = {} } = s.memory_stats;
  const inactive = stats["total_inactive_file"] ?? stats["inactive_file"] ?? 0;
  return { cpuNanoseconds: s.cpu_stats.cpu_usage.total_usage, memoryWorkingSetBytes: Math.max(0, usage - inactive) };
}
