/** emptyDir volumes: those in memory as the runtime is told of them, and what those on disk have grown to. */
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
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

/** Bytes on disk by volume. Those in memory never exceed their size: the kernel sees to that. */
export async function emptyDirUsage(dataDir: string, pod: Pod): Promise<ReadonlyMap<string, number>> {
  const usage = new Map<string, number>();
  for (const v of pod.spec?.volumes ?? []) {
    if (!v.emptyDir || isInMemory(v)) continue;
    usage.set(v.name, await sizeOf(join(dataDir, "pods", pod.metadata.uid ?? "", "volumes", v.name), new Set()));
  }
  return usage;
}

/** Blocks, not lengths: a sparse file takes only what it holds, and one of several names is counted once. */
async function sizeOf(path: string, seen: Set<number>): Promise<number> {
  const found = await lstat(path).catch(() => undefined); // it may have gone meanwhile
  if (!found || seen.has(found.ino)) return 0;
  if (found.nlink > 1 && !found.isDirectory()) seen.add(found.ino);
  let size = found.blocks * 512;
  if (!found.isDirectory()) return size;
  for (const name of await readdir(path).catch(() => [])) size += await sizeOf(join(path, name), seen);
  return size;
}
