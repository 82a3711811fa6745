/** What lies between this machine and others. */
import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";

const ETHERNET_MTU = 1500;
/** What VXLAN adds to a packet: outer IP, UDP and VXLAN headers, and the inner Ethernet's. */
export const VXLAN_OVERHEAD = 50;

/** The most that a packet of a Pod may hold to get out whole: with `address`, to another node by VXLAN, too. */
export function podMtu(address: string | undefined): number {
  const device = address === undefined ? defaultDevice() : deviceOf(address);
  const uplink = device === undefined ? ETHERNET_MTU : mtuOf(device);
  return address === undefined ? uplink : uplink - VXLAN_OVERHEAD;
}

/** `192.168.1.10/24` of an address that this machine has. */
export function withPrefix(address: string): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((a) => a ?? []);
  return all.find((a) => a.address === address)?.cidr ?? undefined;
}

export function deviceOf(address: string): string | undefined {
  return Object.entries(networkInterfaces()).find(([, all]) => all?.some((a) => a.address === address))?.[0];
}

function defaultDevice(): string | undefined {
  try {
    const rows = readFileSync("/proc/net/route", "utf8").split("\n").slice(1);
    return rows
      .map((row) => row.split("\t"))
      .find(([, to, , , , , , mask]) => to === "00000000" && mask === "00000000")?.[0];
  } catch {
    return undefined;
  }
}

function mtuOf(device: string): number {
  try {
    return Number(readFileSync(`/sys/class/net/${device}/mtu`, "utf8"));
  } catch {
    return ETHERNET_MTU;
  }
}
