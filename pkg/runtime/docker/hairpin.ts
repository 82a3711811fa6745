/**
 * A Pod that calls its own Service gets its own packet back, through the port of the bridge by which it came: that, a
 * bridge does only if told so for the port. Where this process may not (another machine's daemon, not root), nothing but
 * that call is missing.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Cheap enough to do after every start of a sandbox: a file of a few bytes for each Pod of the node. */
export function allowHairpin(bridge: string, sysfs = "/sys/class/net"): void {
  const ports = join(sysfs, bridge, "brif");
  try {
    for (const port of readdirSync(ports)) {
      const file = join(ports, port, "hairpin_mode");
      if (readFileSync(file, "utf8").trim() === "0") writeFileSync(file, "1");
    }
  } catch {
    // A port that went meanwhile, or no bridge of this machine.
  }
}
