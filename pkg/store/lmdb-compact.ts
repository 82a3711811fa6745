import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { freedBytes, MIN_FREE_BYTES, type Trees } from "./lmdb-space.ts";

/** LMDB's file never gets shorter by itself; below this it is not worth the copying. */
const WORTH_BYTES = 64 * 1024 * 1024;

/**
 * At the start, where most of the file is free pages: writes what is in use into a new file and puts that in its place.
 * A crash leaves the old one or the new one. Nobody else may have the store open. The trees to go on with.
 */
export async function compactFile(path: string, trees: Trees, reopen: () => Trees): Promise<Trees> {
  const copy = join(path, "compact");
  rmSync(copy, { recursive: true, force: true }); // of a start that was cut off
  const { size, used } = pages(trees);
  const { bavail, bsize } = statfsSync(path);
  const worth = size - used >= WORTH_BYTES && used < size / 2;
  if (!worth || bavail * bsize < used + MIN_FREE_BYTES) return trees;
  mkdirSync(copy, { mode: 0o700 });
  await trees.root.backup(copy, true);
  sync(join(copy, "data.mdb"));
  await trees.root.close();
  renameSync(join(copy, "data.mdb"), join(path, "data.mdb"));
  rmSync(copy, { recursive: true, force: true });
  sync(path);
  return reopen();
}

function pages(trees: Trees): { size: number; used: number } {
  const { lastPageNumber, pageSize } = trees.root.getStats() as { lastPageNumber: number; pageSize: number };
  const size = (lastPageNumber + 1) * pageSize;
  return { size, used: size - freedBytes(trees) };
}

function sync(path: string): void {
  const fd = openSync(path, "r");
  fsyncSync(fd);
  closeSync(fd);
}
