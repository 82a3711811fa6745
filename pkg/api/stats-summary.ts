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

/** Of a file system, or of a part of it: then `usedBytes` is that part's alone. */
export interface FsStats {
  readonly time: Time;
  readonly availableBytes?: number;
  readonly capacityBytes?: number;
  readonly usedBytes?: number;
  readonly inodesFree?: number;
  readonly inodes?: number;
  readonly inodesUsed?: number;
}

export interface InterfaceStats {
  readonly name: string;
  readonly rxBytes: number;
  readonly rxErrors: number;
  readonly txBytes: number;
  readonly txErrors: number;
}

/** The first interface, and all of them. */
export interface NetworkStats extends InterfaceStats {
  readonly time: Time;
  readonly interfaces: readonly InterfaceStats[];
}

export interface ContainerSummary {
  readonly name: string;
  readonly startTime?: Time;
  readonly cpu: CpuStats;
  readonly memory: MemoryStats;
  readonly rootfs?: FsStats;
  readonly logs?: FsStats;
}

export interface PodSummary {
  readonly podRef: { readonly name: string; readonly namespace: string; readonly uid: string };
  readonly startTime?: Time;
  readonly containers: readonly ContainerSummary[];
  readonly cpu?: CpuStats;
  readonly memory?: MemoryStats;
  readonly network?: NetworkStats;
  readonly volume?: readonly (FsStats & { readonly name: string })[];
  readonly "ephemeral-storage"?: FsStats;
  readonly process_stats?: { readonly process_count: number };
}

export interface Summary {
  readonly node: {
    readonly nodeName: string;
    readonly cpu: CpuStats;
    readonly memory: MemoryStats;
    readonly network?: NetworkStats;
    readonly fs?: FsStats;
    readonly runtime?: { readonly imageFs: FsStats; readonly containerFs: FsStats };
    readonly rlimit?: { readonly time: Time; readonly maxpid: number; readonly curproc: number };
  };
  readonly pods: readonly PodSummary[];
}
