import type { Fault } from "./fault.ts";
import { disks } from "./rows/disk.ts";
import { freezes } from "./rows/freeze.ts";
import { kills } from "./rows/kill.ts";
import { machineFaults } from "./rows/machine.ts";
import { partitions } from "./rows/partition.ts";

/** In the order of the table. */
export const faults: readonly Fault[] = [...kills, ...partitions, ...freezes, ...disks, ...machineFaults];
