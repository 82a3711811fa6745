/** Reads the machine: disk, memory, identity. */
import { readFile, statfs } from "node:fs/promises";
import { freemem } from "node:os";
import type { Measurement } from "./node-status.ts";

export async function measureMachine(dataDir: string): Promise<Measurement> {
  const [disk, meminfo, machineId, bootId] = await Promise.all([
    statfs(dataDir).catch(() => statfs("/")),
    text("/proc/meminfo"),
    text("/etc/machine-id"),
    text("/proc/sys/kernel/random/boot_id"),
  ]);
  const available = /^MemAvailable:\s+(\d+) kB/m.exec(meminfo)?.[1];
  return {
    diskTotal: disk.blocks * disk.bsize,
    diskAvailable: disk.bavail * disk.bsize,
    memoryAvailable: available === undefined ? freemem() : Number(available) * 1024,
    machineId: machineId.trim(),
    bootId: bootId.trim(),
  };
}

/** Empty on a machine that has no such file. */
async function text(path: string): Promise<string> {
  return await readFile(path, "utf8").catch(() => "");
}
