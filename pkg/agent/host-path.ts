/** Whether a path of the node is what a hostPath volume says, made where it may be; in the kubelet's words. */
import type { Stats } from "node:fs";
import { mkdir, stat, writeFile } from "node:fs/promises";

interface PathType {
  readonly is: (s: Stats) => boolean;
  readonly name: string;
}

const TYPES = {
  Directory: { is: (s) => s.isDirectory(), name: "directory" },
  File: { is: (s) => s.isFile(), name: "file" },
  Socket: { is: (s) => s.isSocket(), name: "socket file" },
  CharDevice: { is: (s) => s.isCharacterDevice(), name: "character device" },
  BlockDevice: { is: (s) => s.isBlockDevice(), name: "block device" },
} as const satisfies Record<string, PathType>;

/** Rejects when it is not. Without a type anything will do, and what is missing becomes a directory, as Docker makes it. */
export async function checkHostPath(path: string, type: string): Promise<void> {
  const found = await stat(path).catch(ifMissing);
  if (type === "") return found ? undefined : void (await mkdir(path, { recursive: true, mode: 0o755 }));
  if (!found && type === "DirectoryOrCreate") return void (await mkdir(path, { recursive: true, mode: 0o755 }));
  if (!found && type === "FileOrCreate") return writeFile(path, "", { mode: 0o644 });
  const wanted = type.replace("OrCreate", "");
  if (!isPathType(wanted)) throw new Error(`${type} is an invalid volume type`);
  if (!found) throw new Error(`hostPath ${path} doesn't exist`);
  if (TYPES[wanted].is(found)) return;
  const actual = Object.keys(TYPES).find((t) => isPathType(t) && TYPES[t].is(found)) ?? "unknown type";
  throw new Error(`hostPath type check failed: ${path} is not a ${TYPES[wanted].name}, it's a ${actual}`);
}

function isPathType(type: string): type is keyof typeof TYPES {
  return Object.hasOwn(TYPES, type);
}

function ifMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT" && error.code !== "ENOTDIR") throw error;
}
