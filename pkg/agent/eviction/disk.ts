/** What a directory takes on its disk. */
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

export interface DirectoryUse {
  readonly bytes: number;
  readonly inodes: number;
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
