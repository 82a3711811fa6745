/** How Docker is told, and tells, what a container may use. Pure. */
import {
  type ContainerDevices,
  type ContainerResources,
  CPU_PERIOD,
  type DeviceMapping,
  type LiveResources,
} from "../resources.ts";

/** Of `HostConfig`, and of `/containers/ID/update`. */
export interface ResourcesBody {
  readonly Memory?: number;
  readonly MemorySwap?: number;
  readonly CpuShares?: number;
  readonly CpuPeriod?: number;
  readonly CpuQuota?: number;
  readonly PidsLimit?: number;
}

/**
 * Quota and period, not `NanoCpus`: of those Docker refuses less than a hundredth of a CPU and more than there are, and a
 * Pod may say either.
 */
export function resourcesBody(r: ContainerResources): ResourcesBody {
  return {
    // MemorySwap counts memory and swap together: equal means no swap.
    ...(r.memoryBytes ? { Memory: r.memoryBytes, MemorySwap: r.memoryBytes } : {}),
    ...(r.cpuQuota ? { CpuPeriod: CPU_PERIOD, CpuQuota: r.cpuQuota } : {}),
    ...(r.cpuShares ? { CpuShares: r.cpuShares } : {}),
    ...(r.pids ? { PidsLimit: r.pids } : {}),
  };
}

/** What a container has, from its inspection. */
export function liveResources(h: ResourcesBody): LiveResources {
  return {
    ...(h.CpuShares ? { cpuShares: h.CpuShares } : {}),
    ...(h.CpuQuota && h.CpuQuota > 0 ? { cpuQuota: h.CpuQuota } : {}),
    ...(h.Memory ? { memoryBytes: h.Memory } : {}),
  };
}

export function devicesBody(d: ContainerDevices | undefined, volumes: readonly DeviceMapping[] = []): object {
  const mappings = [...(d?.mappings ?? []), ...volumes];
  const requests = d?.nvidia?.length
    ? [{ Driver: "nvidia", DeviceIDs: d.nvidia, Capabilities: [["gpu"]], Options: {} }]
    : [];
  return {
    ...(mappings.length > 0 && {
      Devices: mappings.map((m) => ({
        PathOnHost: m.hostPath,
        PathInContainer: m.containerPath,
        CgroupPermissions: m.permissions,
      })),
    }),
    ...(requests.length > 0 && { DeviceRequests: requests }),
  };
}
