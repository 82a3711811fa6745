/**
 * A network of network namespaces: switches, a router between them, and whoever is plugged in. Nothing of it is in the
 * machine's own network; when the process that made it ends, however it ends, the kernel takes all of it away.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { PATIENCE_MS, runOk, type RunOptions } from "./process.ts";

/** A network namespace, by a process in it. */
export interface Place {
  readonly pid: number;
  /** For `nsenter`. */
  readonly enter: readonly string[];
}

/** A network namespace that lives as long as the process that waits in it. */
export class Namespace implements Place {
  readonly #process: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#process = child;
  }

  static async make(): Promise<Namespace> {
    const child = spawn("unshare", ["--net", "sh", "-c", "ip link set lo up && echo ready && exec cat"], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    child.stdin.on("error", () => {});
    await once(child.stdout, "data", { signal: AbortSignal.timeout(PATIENCE_MS) });
    return new Namespace(child);
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  get enter(): readonly string[] {
    return ["--target", String(this.pid), "--net"];
  }

  async remove(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const gone = once(this.#process, "exit");
    this.#process.stdin?.end();
    await gone;
  }
}

/** Link n has the addresses `192.168.(50 + n).0/24`; .1 is the router, hosts begin at .11, .200 is outside the cluster. */
export const linkAddress = (link: number, host: number): string => `192.168.${50 + link}.${host}`;

export const inside = (place: Place, command: string, args: readonly string[], o: RunOptions = {}): Promise<string> =>
  runOk("nsenter", [...place.enter, command, ...args], o);

/** A cable with a new device at each end. */
async function cable(a: Place & { device: string }, b: Place & { device: string }): Promise<void> {
  const peer = ["peer", "name", b.device, "netns", String(b.pid)];
  await inside(a, "ip", ["link", "add", a.device, "type", "veth", ...peer]);
  await inside(b, "ip", ["link", "set", b.device, "up"]);
  await inside(a, "ip", ["link", "set", a.device, "up"]);
}

export class Switches {
  readonly #switches: Namespace[] = [];
  readonly #namespaces: Namespace[] = [];
  #router: Namespace | undefined;

  /** So many links, each a switch, with a router on all of them. */
  static async start(links: number): Promise<Switches> {
    const all = new Switches();
    try {
      all.#router = await all.namespace();
      await inside(all.router, "sysctl", ["-qw", "net.ipv4.ip_forward=1"]);
      for (let link = 0; link < links; link++) await all.#link(link);
      return all;
    } catch (error) {
      await all.remove();
      throw error;
    }
  }

  get router(): Place {
    if (!this.#router) throw new Error("no router");
    return this.#router;
  }

  /** Plugged in nowhere yet. */
  async namespace(): Promise<Namespace> {
    const made = await Namespace.make();
    this.#namespaces.push(made);
    return made;
  }

  /** An end device: its way to everything else is the router. */
  async join(place: Place, o: { link: number; ip: string }): Promise<void> {
    await this.#plug(place, { ...o, device: "eth0" });
    await inside(place, "ip", ["route", "add", "default", "via", linkAddress(o.link, 1)]);
  }

  /**
   * From now on no packet of a link gets from one address of `from` to one of `to`, or back; nobody is told. Without
   * `to`: to none at all. Replaces what was cut on that link before.
   */
  async cut(link: number, pairs: readonly { readonly from: readonly string[]; readonly to?: readonly string[] }[]) {
    const set = (ips: readonly string[]) => `{ ${ips.join(", ")} }`;
    const rules = pairs.flatMap(({ from, to }) => [
      `ip saddr ${set(from)} ${to ? `ip daddr ${set(to)} ` : ""}drop`,
      `ip daddr ${set(from)} ${to ? `ip saddr ${set(to)} ` : ""}drop`,
    ]);
    const chain = ["chain forward {", "type filter hook forward priority 0", ...rules, "}"];
    const table = ["table bridge cut {", ...(rules.length > 0 ? chain : []), "}"];
    const input = ["table bridge cut", "delete table bridge cut", ...table, ""].join("\n");
    await inside(this.#at(link), "nft", ["-f", "-"], { input });
  }

  async remove(): Promise<void> {
    for (const one of this.#namespaces.toReversed()) await one.remove();
  }

  #at(link: number): Namespace {
    const at = this.#switches[link];
    if (!at) throw new Error(`no link ${link}`);
    return at;
  }

  async #link(link: number): Promise<void> {
    const switched = await this.namespace();
    this.#switches.push(switched);
    await inside(switched, "ip", ["link", "add", "br0", "type", "bridge"]);
    await inside(switched, "ip", ["link", "set", "br0", "up"]);
    await this.#plug(this.router, { link, ip: linkAddress(link, 1), device: `link${link}` });
  }

  async #plug(place: Place, o: { link: number; ip: string; device: string }): Promise<void> {
    const at = this.#at(o.link);
    const port = `p${o.ip.split(".")[3]}`;
    await cable(
      { pid: at.pid, enter: at.enter, device: port },
      { pid: place.pid, enter: place.enter, device: o.device },
    );
    await inside(at, "ip", ["link", "set", port, "master", "br0"]);
    await inside(place, "ip", ["addr", "add", `${o.ip}/24`, "dev", o.device]);
  }
}
