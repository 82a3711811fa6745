/** What a container may use and what it is handed, as every runtime is told. */

/** Microseconds; the kernel's own default. */
export const CPU_PERIOD = 100_000;

export interface ContainerResources {
  /** Relative weight: 1024 for one CPU. */
  readonly cpuShares?: number;
  /** CPU time in each {@link CPU_PERIOD}, in microseconds. Absent: no limit, as for all that follow. */
  readonly cpuQuota?: number;
  /** Bytes; swap is none beside it. */
  readonly memoryBytes?: number;
  /** Processes and threads. */
  readonly pids?: number;
  /** Set once: an update leaves it as it is. */
  readonly oomScoreAdj?: number;
}

/** What can be changed, and read back, while a container runs. */
export type LiveResources = Pick<ContainerResources, "cpuShares" | "cpuQuota" | "memoryBytes">;

export interface DeviceMapping {
  readonly hostPath: string;
  readonly containerPath: string;
  /** Of `r`, `w`, `m`. */
  readonly permissions: string;
}

/** Devices of one container. */
export interface ContainerDevices {
  /** Ids by resource name (`nvidia.com/gpu`): kept with the container, so that they are known to whoever comes later (R1). */
  readonly allocated: DeviceIds;
  readonly mappings: readonly DeviceMapping[];
  /** Ids that the runtime's own NVIDIA driver is asked for. */
  readonly nvidia?: readonly string[];
}

export type DeviceIds = Readonly<Record<string, readonly string[]>>;
