/** Reads the machine: disks, memory, processes, identity. */
import { readdir, readFile, stat, statfs } from "node:fs/promises";
import { freemem } from "node:os";
import { join } from "node:path";
import type { FileSystem, Measurement } from "./node-status.ts";

const HUGE_PAGES = "/sys/kernel/mm/hugepages";

/** `imageDir`: where the runtime keeps images and containers, as far as that is on this machine. */
export async function measureMachine(dataDir: string, imageDir?: string): Promise<Measurement> {
  const [disk, imageDisk, meminfo, machineId, bootId, pids, hugePages] = await Promise.all([
    fileSystem(dataDir).catch(() => fileSystem("/")),
    separate(imageDir, dataDir),
    text("/proc/meminfo"),
    text("/etc/machine-id"),
    text("/proc/sys/kernel/random/boot_id"),
    processes(),
    hugePagesOf(HUGE_PAGES),
  ]);
  const available = /^MemAvailable:\s+(\d+) kB/m.exec(meminfo)?.[1];
  const total = /^MemTotal:\s+(\d+) kB/m.exec(meminfo)?.[1];
  return {
    diskTotal: disk.total,
    diskAvailable: disk.available,
    inodes: disk.inodes,
    ...(imageDisk && { imageDisk }),
    memoryAvailable: available === undefined ? freemem() : Number(available) * 1024,
    ...(total !== undefined && { memoryTotal: Number(total) * 1024 }),
    machineId: machineId.trim(),
    bootId: bootId.trim(),
    ...(pids && { pids }),
    hugePages,
  };
}

async function fileSystem(path: string): Promise<FileSystem> {
  const fs = await statfs(path);
  return {
    total: fs.blocks * fs.bsize,
    available: fs.bavail * fs.bsize,
    inodes: { total: fs.files, free: fs.ffree },
  };
}

/** Undefined where it is the same disk, or not to be seen. */
async function separate(dir: string | undefined, from: string): Promise<FileSystem | undefined> {
  if (dir === undefined) return undefined;
  const [a, b] = await Promise.all([stat(dir), stat(from)].map((s) => s.catch(() => undefined)));
  return !a || a.dev === b?.dev ? undefined : fileSystem(dir);
}

async function processes(): Promise<Measurement["pids"]> {
  const [max, threads, load] = await Promise.all([
    text("/proc/sys/kernel/pid_max"),
    text("/proc/sys/kernel/threads-max"),
    text("/proc/loadavg"),
  ]);
  const running = /\d+\/(\d+)/.exec(load)?.[1];
  if (running === undefined) return undefined;
  return { max: Math.min(Number(max) || Infinity, Number(threads) || Infinity), running: Number(running) };
}

/** Bytes by resource name (`hugepages-2Mi`), for each size that this kernel knows. */
async function hugePagesOf(dir: string): Promise<Record<string, number>> {
  const sizes = await readdir(dir).catch(() => []);
  const found = await Promise.all(
    sizes.map(async (size): Promise<[string, number]> => {
      const kib = Number(/^hugepages-(\d+)kB$/.exec(size)?.[1] ?? 0);
      const pages = Number(await text(join(dir, size, "nr_hugepages")));
      return [`hugepages-${kib >= 2 ** 20 ? `${kib / 2 ** 20}Gi` : `${kib / 1024}Mi`}`, pages * kib * 1024];
    }),
  );
  return Object.fromEntries(found);
}

/** Empty on a machine that has no such file. */
async function text(path: string): Promise<string> {
  return await readFile(path, "utf8").catch(() => "");
}
