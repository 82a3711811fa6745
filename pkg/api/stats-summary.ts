/** What a node's agent tells of its use: the kubelet's summary API (`/stats/summary`), as far as it is measured. */
import type { Time } from "./object.ts";

export interface CpuStats {
  readonly time: Time;
  /** Over the last `windowSeconds`; absent as long as there was only one look. */
  readonly usageNanoCores?: number;
  /** Cumulative, in CPU-nanoseconds. */
  readonly usageCoreNanoSeconds: number;
  /** Ours: between which two looks the rate lies. */
  readonly windowSeconds?: number;
}

export interface MemoryStats {
  readonly time: Time;
  readonly availableBytes?: number;
  readonly usageBytes: number;
  readonly workingSetBytes: number;
  readonly rssBytes: number;
}

export interface ContainerSummary {
  readonly name: string;
  readonly startTime?: Time;
  readonly cpu: CpuStats;
  readonly memory: MemoryStats;
}

export interface PodSummary {
  readonly podRef: { readonly name: string; readonly namespace: string; readonly uid: string };
  readonly containers: readonly ContainerSummary[];
}

export interface Summary {
  readonly node: { readonly nodeName: string; readonly cpu: CpuStats; readonly memory: MemoryStats };
  readonly pods: readonly PodSummary[];
}
