/** What containers use: read from the kernel's control groups where they can be seen, else told by the daemon. */
import { readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { readInterfaces } from "../../util/net-dev.ts";
import type { NetworkUsage, Usage } from "../runtime.ts";

export interface DockerStats {
  readonly cpu_stats: { readonly cpu_usage: { readonly total_usage: number } };
  readonly pids_stats?: { readonly current?: number };
  readonly memory_stats: { readonly usage?: number; readonly stats?: Readonly<Record<string, number>> };
}

export function toUsage(s: DockerStats): Usage {
  const { usage = 0, stats = {} } = s.memory_stats;
  const processes = s.pids_stats?.current;
  return {
    cpuNanoseconds: s.cpu_stats.cpu_usage.total_usage,
    ...memory(usage, stats),
    ...(processes !== undefined && { processes }),
  };
}

/** `stats` as in memory.stat: of cgroup v1 with all its children (`total_…`), or of v2. */
function memory(usage: number, stats: Readonly<Record<string, number>>): Omit<Usage, "cpuNanoseconds"> {
  const inactive = stats["total_inactive_file"] ?? stats["inactive_file"] ?? 0;
  return {
    memoryUsageBytes: usage,
    memoryWorkingSetBytes: Math.max(0, usage - inactive),
    memoryRssBytes: stats["total_rss"] ?? stats["anon"] ?? stats["rss"] ?? 0,
  };
}

/** Where one container's numbers stand, below the root of all groups. */
interface Files {
  readonly cpu: string;
  readonly cpuNanoseconds: (text: string) => number;
  readonly memory: string;
  readonly memoryStat: string;
  readonly pids: string;
  /** Ids of its processes, one a line. */
  readonly procs: string;
}

/** Cgroup v1 has a tree for each controller, v2 one for all. */
const versions: readonly ((group: string) => Files)[] = [
  (group) => ({
    cpu: join(group, "cpu.stat"),
    cpuNanoseconds: (text) => (pairs(text)["usage_usec"] ?? 0) * 1000,
    memory: join(group, "memory.current"),
    memoryStat: join(group, "memory.stat"),
    pids: join(group, "pids.current"),
    procs: join(group, "cgroup.procs"),
  }),
  (group) => ({
    cpu: join("cpuacct", group, "cpuacct.usage"),
    cpuNanoseconds: Number,
    memory: join("memory", group, "memory.usage_in_bytes"),
    memoryStat: join("memory", group, "memory.stat"),
    pids: join("pids", group, "pids.current"),
    procs: join("memory", group, "cgroup.procs"),
  }),
];

/** What Docker's two drivers (cgroupfs, systemd) call a container's group. */
const groups: readonly ((id: string) => string)[] = [(id) => `docker/${id}`, (id) => `system.slice/docker-${id}.scope`];

const layouts = versions.flatMap((files) => groups.map((group) => (id: string) => files(group(id))));

/** One daemon puts all its containers into groups of one layout: the first that is found is kept to. */
export class Cgroups {
  readonly #root: string;
  #layout: ((id: string) => Files) | undefined;

  constructor(root = "/sys/fs/cgroup") {
    this.#root = root;
  }

  /** Undefined when the groups are not to be seen here, or the container has just ended. */
  async usage(id: string): Promise<Usage | undefined> {
    for (const layout of this.#layout ? [this.#layout] : layouts) {
      const usage = await this.#read(layout(id));
      if (!usage) continue;
      this.#layout = layout;
      return usage;
    }
    return undefined;
  }

  /** As one of its processes sees it; undefined on the network of the machine itself, and where processes are not to be seen. */
  async #network(pid: string): Promise<readonly NetworkUsage[] | undefined> {
    if (pid === "" || pid === "0") return undefined;
    try {
      const [its, ours] = await Promise.all([readlink(`/proc/${pid}/ns/net`), readlink("/proc/self/ns/net")]);
      return its === ours ? undefined : readInterfaces(await readFile(`/proc/${pid}/net/dev`, "utf8"));
    } catch {
      return undefined;
    }
  }

  async #read(f: Files): Promise<Usage | undefined> {
    const text = (path: string) => readFile(join(this.#root, path), "utf8");
    try {
      const [cpu, used, stat, pids, procs] = await Promise.all([
        text(f.cpu),
        text(f.memory),
        text(f.memoryStat),
        text(f.pids).catch(() => ""), // a kernel without
        text(f.procs).catch(() => ""),
      ]);
      const network = await this.#network(procs.split("\n")[0] ?? "");
      return {
        cpuNanoseconds: f.cpuNanoseconds(cpu),
        ...memory(Number(used), pairs(stat)),
        ...(pids !== "" && { processes: Number(pids) }),
        ...(network && { network }),
      };
    } catch {
      return undefined; // no such group: another layout, or the daemon, will know
    }
  }
}

/** Lines of `name number`. */
function pairs(text: string): Record<string, number> {
  return Object.fromEntries(text.split("\n").flatMap((line) => (line ? [toPair(line)] : [])));
}

function toPair(line: string): [string, number] {
  const [name = "", value] = line.split(" ");
  return [name, Number(value)];
}
