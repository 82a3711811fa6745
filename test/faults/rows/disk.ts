/** The disk under an etcd member: a file system of its own, so that it alone is stopped, slow or full. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../harness/process.ts";
import type { EtcdMember } from "../../harness/etcd-members.ts";
import type { Fault } from "../fault.ts";
import { pause } from "../workload.ts";

const PULSE_MS = { stopped: 350, running: 50 };

/** Writes wait most of the time, until the returned function is called. */
function slow(member: EtcdMember): () => Promise<void> {
  let over = false;
  const pulses = (async () => {
    while (!over) {
      await member.stopDisk();
      await pause(PULSE_MS.stopped);
      await member.startDisk();
      await pause(PULSE_MS.running);
    }
  })();
  return () => {
    over = true;
    return pulses;
  };
}

const ballast = (member: EtcdMember) => join(member.disk, "ballast");

async function fill(member: EtcdMember): Promise<void> {
  // dd ends with an error when there is no room left, which is what is wanted.
  for (const size of ["1M", "4k"]) {
    const flags = ["oflag=append", "conv=notrunc,fsync", "status=none"];
    await run("dd", ["if=/dev/zero", `of=${ballast(member)}`, `bs=${size}`, ...flags]);
  }
}

export const disks: readonly Fault[] = [
  {
    name: "disk-stopped",
    what: "the etcd leader's disk stops: who writes waits",
    hold: [4, 10],
    limit: 20,
    inject: async (m) => {
      const leader = await m.etcd.leader();
      await leader.stopDisk();
      return { detail: leader.name, heal: () => leader.startDisk() };
    },
  },
  {
    name: "disk-slow",
    what: "the etcd leader's disk is slow: it writes in 50 ms of each 400 ms",
    hold: [6, 10],
    limit: 20,
    inject: async (m) => {
      const leader = await m.etcd.leader();
      return { detail: leader.name, heal: slow(leader) };
    },
  },
  {
    name: "disk-full",
    what: "one etcd member's disk is full, until there is room",
    hold: [4, 8],
    limit: 30,
    inject: async (m, dice) => {
      const member = dice.pick(m.etcd.all);
      await fill(member);
      return { detail: member.name, heal: () => rmSync(ballast(member)) };
    },
  },
];
