/** emptyDir volumes in memory, as the runtime is told of them: the kernel sees to it that they never exceed their size. Pure. */
import type { Volume } from "../api/generated/types.ts";
import { bytes } from "../api/quantity.ts";
import type { MemoryVolume } from "../runtime/isolation.ts";
import type { DeepReadonly } from "../util/types.ts";
import { containersOf, type Pod } from "./facts.ts";

type AnyVolume = DeepReadonly<Volume>;

export function isInMemory(v: AnyVolume): boolean {
  return v.emptyDir !== undefined && Boolean(v.emptyDir.medium);
}

/** Of the Pod's volumes those that are in memory. `nodeMemory`: bytes that Pods may have. */
export function memoryVolumesOf(pod: Pod, nodeMemory: number): MemoryVolume[] {
  return (pod.spec?.volumes ?? []).filter(isInMemory).map((v) => memoryVolume(pod, v, nodeMemory));
}

export function memoryVolume(pod: Pod, v: AnyVolume, nodeMemory: number): MemoryVolume {
  const name = `mk_${pod.metadata.uid ?? ""}_${v.name}`;
  const gid = pod.spec?.securityContext?.fsGroup;
  const owned = gid === undefined ? ["mode=0777"] : [`gid=${gid}`, "mode=2777"];
  const medium = v.emptyDir?.medium ?? "";
  if (medium === "Memory") {
    const size = memorySize(pod, v, nodeMemory);
    const options = [...(size === undefined ? [] : [`size=${size}`]), ...owned].join(",");
    return { name, type: "tmpfs", options };
  }
  const [, pages] = /^HugePages-(.+)$/.exec(medium) ?? [];
  const options = [...(pages === undefined ? [] : [`pagesize=${bytes(pages)}`]), ...owned].join(",");
  return { name, type: "hugetlbfs", options };
}

/** The least of what it may have, what the Pod's containers may have together, and what there is. */
function memorySize(pod: Pod, v: AnyVolume, nodeMemory: number): number | undefined {
  const limits = containersOf(pod).map((c) => c.resources?.limits?.["memory"]);
  const limited = limits.every((l) => l !== undefined);
  const sizes = [
    ...(v.emptyDir?.sizeLimit === undefined ? [] : [bytes(v.emptyDir.sizeLimit)]),
    ...(limited ? [limits.reduce((sum, l) => sum + bytes(l ?? "0"), 0)] : []),
    nodeMemory,
  ].filter((size) => size > 0);
  return sizes.length > 0 ? Math.min(...sizes) : undefined;
}
