/**
 * Node ports at 127.0.0.1. The kernel takes packets from a loopback address to another machine, and answers to one, for
 * forged, unless the device is told that they are not. So the bridge of this node's Pods is told, which goes with the
 * cluster; what is really forged, the table drops (`services-sources`).
 */
import { readFileSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { includes, parseIpv4, parseIpv4Cidr } from "../../util/ipv4.ts";
import type { Logger } from "../../util/log.ts";

/** The devices of this machine that have an address in one of the networks. */
export function devicesIn(
  podCidrs: readonly string[],
  interfaces: Readonly<Record<string, readonly { readonly address: string }[] | undefined>>,
): readonly string[] {
  const networks = podCidrs.flatMap((c) => parseIpv4Cidr(c) ?? []);
  const inside = (address: string) => {
    const number = parseIpv4(address);
    return number !== undefined && networks.some((n) => includes(n, number));
  };
  return Object.entries(interfaces).flatMap(([name, all]) => (all?.some((a) => inside(a.address)) ? [name] : []));
}

/** Cheap where nothing is to be done; never throws. */
export function openLocalhost(podCidrs: readonly string[], log: Logger): void {
  for (const device of devicesIn(podCidrs, networkInterfaces())) {
    const file = `/proc/sys/net/ipv4/conf/${device}/route_localnet`;
    try {
      if (readFileSync(file, "utf8").trim() === "1") continue;
      writeFileSync(file, "1");
    } catch (error) {
      log.debug({ err: error, device }, "node ports are not reached at 127.0.0.1");
    }
  }
}
