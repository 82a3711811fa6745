/** Files of a volume, changed all at once: the symlink swap of Kubernetes' AtomicWriter. */
import { createHash } from "node:crypto";
import { chmod, lchown, mkdir, readdir, readlink, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setGroup } from "./ownership.ts";

export interface VolumeFile {
  /** Inside the volume; descends only. */
  readonly path: string;
  readonly data: Buffer;
  readonly mode: number;
  /** Who may read it beside root. */
  readonly uid?: number;
}

export interface WriteOptions {
  /** Whose group may read all of it. */
  readonly gid?: number;
}

/**
 * The files are written into a fresh directory, then `..data` is turned to it in one rename; the names in `dir` point
 * through `..data`. A reader sees either the old files or the new ones, never a mixture. Nothing is written when nothing
 * has changed. Resolves with whether something has.
 */
export async function writeAtomically(
  dir: string,
  files: readonly VolumeFile[],
  { gid }: WriteOptions = {},
): Promise<boolean> {
  const version = `..${hashOf(files, gid)}`;
  if ((await readlink(join(dir, "..data")).catch(() => "")) === version) return false;
  const target = join(dir, version);
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true });
  for (const f of files) await writeOne(target, f);
  if (gid !== undefined) await setGroup(target, gid, { readOnly: true, onRootMismatch: false });
  const next = join(dir, "..data_tmp");
  await rm(next, { force: true });
  await symlink(version, next);
  await rename(next, join(dir, "..data"));
  await linkNames(dir, new Set(files.map((f) => f.path.split("/")[0] ?? "")));
  for (const old of await readdir(dir)) {
    if (old.startsWith("..") && old !== "..data" && old !== version) {
      await rm(join(dir, old), { recursive: true, force: true });
    }
  }
  return true;
}

async function writeOne(target: string, f: VolumeFile): Promise<void> {
  const path = join(target, f.path);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, f.data, { mode: f.mode });
  await chmod(path, f.mode); // the umask may have taken bits away
  if (f.uid !== undefined) await lchown(path, f.uid, -1);
}

async function linkNames(dir: string, names: ReadonlySet<string>): Promise<void> {
  const there = (await readdir(dir)).filter((n) => !n.startsWith(".."));
  for (const gone of there.filter((n) => !names.has(n))) await rm(join(dir, gone), { force: true });
  for (const name of names) if (!there.includes(name)) await symlink(join("..data", name), join(dir, name));
}

function hashOf(files: readonly VolumeFile[], gid: number | undefined): string {
  const hash = createHash("sha256").update(gid === undefined ? "" : `${gid}\0`);
  for (const { path, data, mode, uid } of files)
    hash.update(`${path}\0${mode}\0${uid ?? ""}\0${data.length}\0`).update(data);
  return hash.digest("hex").slice(0, 20);
}
