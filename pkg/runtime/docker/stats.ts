/** What containers use: read from the kernel's control groups where they can be seen, else told by the daemon. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Usage } from "../runtime.ts";

export interface DockerStats {
  readonly cpu_stats: { readonly cpu_usage: { readonly total_usage: number } };
  readonly memory_stats: { readonly usage?: number; readonly stats?: Readonly<Record<string, number>> };
}

export function toUsage(s: DockerStats): Usage {
  const { usage = 0, stats = {} } = s.memory_stats;
  return { cpuNanoseconds: s.cpu_stats.cpu_usage.total_usage, ...memory(usage, stats) };
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
}

/** Cgroup v1 has a tree for each controller, v2 one for all. */
const versions: readonly ((group: string) => Files)[] = [
  (group) => ({
    cpu: join(group, "cpu.stat"),
    cpuNanoseconds: (text) => (pairs(text)["usage_usec"] ?? 0) * 1000,
    memory: join(group, "memory.current"),
    memoryStat: join(group, "memory.stat"),
  }),
  (group) => ({
    cpu: join("cpuacct", group, "cpuacct.usage"),
    cpuNanoseconds: Number,
    memory: join("memory", group, "memory.usage_in_bytes"),
    memoryStat: join("memory", group, "memory.stat"),
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

  async #read(f: Files): Promise<Usage | undefined> {
    const text = (path: string) => readFile(join(this.#root, path), "utf8");
    try {
      const [cpu, used, stat] = await Promise.all([text(f.cpu), text(f.memory), text(f.memoryStat)]);
      return { cpuNanoseconds: f.cpuNanoseconds(cpu), ...memory(Number(used), pairs(stat)) };
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
