/** A volume's group, as `fsGroup` wants it. */
import { chmod, lchown, lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

const READ_WRITE = 0o660;
const READ_ONLY = 0o440;
const SETGID = 0o2000;
const SEARCH = 0o110;

/** Only root gives files away. */
export function mayChangeOwners(): boolean {
  return process.getuid?.() === 0;
}

/** The group may read (and write) what has this mode; what is made in a directory belongs to the group as well. */
export function groupMode(mode: number, o: { directory: boolean; readOnly: boolean }): number {
  const own = o.readOnly ? READ_ONLY : READ_WRITE;
  return (mode & 0o7777) | own | (o.directory ? SETGID | SEARCH : 0);
}

/**
 * Gives everything below `root`, and then `root`, to the group. `onRootMismatch`: only when `root` is not the group's
 * already, so that a large volume costs its walk once; that is why `root` comes last.
 */
export async function setGroup(
  root: string,
  gid: number,
  o: { readonly readOnly: boolean; readonly onRootMismatch: boolean },
): Promise<void> {
  if (o.onRootMismatch && (await belongsTo(root, gid, o.readOnly))) return;
  await setGroupBelow(root, gid, o.readOnly);
}

async function belongsTo(path: string, gid: number, readOnly: boolean): Promise<boolean> {
  const found = await lstat(path);
  return found.gid === gid && groupMode(found.mode, { directory: true, readOnly }) === (found.mode & 0o7777);
}

async function setGroupBelow(path: string, gid: number, readOnly: boolean): Promise<void> {
  const found = await lstat(path);
  const directory = found.isDirectory();
  if (directory) for (const name of await readdir(path)) await setGroupBelow(join(path, name), gid, readOnly);
  if (found.gid !== gid) await lchown(path, found.uid, gid);
  // A link has no mode, and following it could lead out of the volume.
  if (!found.isSymbolicLink()) await chmod(path, groupMode(found.mode, { directory, readOnly }));
}
