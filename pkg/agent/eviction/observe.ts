/** From what was measured to what thresholds are held against. Pure. */
import type { FileSystem, Measurement } from "../node-status.ts";
import type { Observation, Observations } from "./plan.ts";

/** Where images have no disk of their own, theirs is the node's. What was not measured is left out. */
export function observe(m: Measurement): Observations {
  const disk: FileSystem = { total: m.diskTotal, available: m.diskAvailable, ...(m.inodes && { inodes: m.inodes }) };
  const images = m.imageDisk ?? disk;
  return {
    ...(m.memoryTotal !== undefined && {
      "memory.available": { available: m.memoryAvailable, capacity: m.memoryTotal },
    }),
    "nodefs.available": { available: disk.available, capacity: disk.total },
    "imagefs.available": { available: images.available, capacity: images.total },
    ...inodes("nodefs.inodesFree", disk),
    ...inodes("imagefs.inodesFree", images),
    ...(m.pids && { "pid.available": { available: m.pids.max - m.pids.running, capacity: m.pids.max } }),
  };
}

/** Some file systems (btrfs) have no such number. */
function inodes<K extends string>(signal: K, fs: FileSystem): Partial<Record<K, Observation>> {
  if (!fs.inodes?.total) return {};
  const observation: Observation = { available: fs.inodes.free, capacity: fs.inodes.total };
  return { [signal]: observation } as Record<K, Observation>;
}
