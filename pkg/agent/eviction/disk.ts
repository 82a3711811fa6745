/** What a Pod takes on its node's disk. */
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ContainerRuntime, RuntimeContainer } from "../../runtime/runtime.ts";
import type { Pod } from "../facts.ts";
import type { ContainerDisk, PodDisk } from "./local-storage.ts";

export interface DirectoryUse {
  readonly bytes: number;
  readonly inodes: number;
}

export interface PodDiskInput {
  readonly runtime: Pick<ContainerRuntime, "writableSize" | "logSize">;
  readonly dataDir: string;
  readonly pod: Pod;
  readonly containers: readonly RuntimeContainer[];
}

/** What cannot be seen (on a daemon's machine elsewhere) counts as nothing. */
export async function readPodDisk(i: PodDiskInput, signal: AbortSignal): Promise<PodDisk> {
  const emptyDirs = (i.pod.spec?.volumes ?? []).filter((v) => v.emptyDir && v.emptyDir.medium !== "Memory");
  const [containers, volumes] = await Promise.all([
    Promise.all(i.containers.map((c) => containerDisk(i, c, signal))),
    Promise.all(
      emptyDirs.map(async ({ name }): Promise<[string, DirectoryUse]> => {
        const dir = join(i.dataDir, "pods", i.pod.metadata.uid ?? "", "volumes", name);
        return [name, await directoryUse(dir, signal)];
      }),
    ),
  ]);
  return {
    containers: new Map(containers),
    volumes: new Map(volumes.map(([name, use]) => [name, use.bytes])),
    inodes: volumes.reduce((sum, [, use]) => sum + use.inodes, 0),
  };
}

async function containerDisk(
  { runtime }: PodDiskInput,
  c: RuntimeContainer,
  signal: AbortSignal,
): Promise<[string, ContainerDisk]> {
  const [layer, logs] = await Promise.all([runtime.writableSize(c.id, signal), runtime.logSize(c.id)]);
  return [c.name, { layer: layer ?? 0, logs: logs ?? 0 }];
}

/**
 * Like `du -x`: blocks, not lengths; a file with several names counts once; other file systems are not entered. What goes
 * away meanwhile counts as nothing, and so does a directory that is not there.
 */
export async function directoryUse(root: string, signal: AbortSignal): Promise<DirectoryUse> {
  const first = await lstat(root).catch(() => undefined);
  if (!first) return { bytes: 0, inodes: 0 };
  const seen = new Set<number>();
  const use = { bytes: first.blocks * 512, inodes: 1 };
  const waiting = [root];
  for (let dir = waiting.pop(); dir !== undefined; dir = waiting.pop()) {
    signal.throwIfAborted();
    for (const entry of await readdir(dir).catch(() => [])) {
      const path = join(dir, entry);
      const s = await lstat(path).catch(() => undefined);
      if (!s || s.dev !== first.dev || (s.nlink > 1 && !s.isDirectory() && seen.has(s.ino))) continue;
      seen.add(s.ino);
      use.bytes += s.blocks * 512;
      use.inodes++;
      if (s.isDirectory()) waiting.push(path);
    }
  }
  return use;
}
