/** What the agent's endpoint tells of use: `/stats/summary` and the pages of `/metrics`. */
import type { FsStats, Summary } from "../api/stats-summary.ts";
import type { RuntimePod } from "../runtime/runtime.ts";
import type { Clock } from "../util/clock.ts";
import { rfc3339 } from "../util/clock.ts";
import { PROMETHEUS_TYPE } from "../util/metrics.ts";
import type { AgentMetrics } from "./agent-metrics.ts";
import { cadvisorMetrics } from "./cadvisor-metrics.ts";
import { type PodDisk, sumOf, totalDisk } from "./eviction/local-storage.ts";
import { newestOf, type Pod } from "./facts.ts";
import type { FileSystem, Measurement } from "./node-status.ts";
import { resourceMetrics } from "./stats-metrics.ts";
import type { Stats } from "./stats.ts";

export interface UsageOptions {
  readonly clock: Clock;
  readonly stats: Pick<Stats, "summary">;
  readonly metrics: Pick<AgentMetrics, "text" | "probesText">;
  readonly machine: () => { readonly cpus: number; readonly memoryBytes: number };
  /** As last measured. */
  readonly measured: () => Measurement | undefined;
  readonly pods: () => Iterable<{ readonly pod: Pod | undefined; readonly actual: RuntimePod | undefined }>;
  readonly disk: (pod: Pod, actual: RuntimePod, signal: AbortSignal) => Promise<PodDisk>;
}

export interface UsagePage {
  readonly type: string;
  readonly text: string;
}

const JSON_TYPE = "application/json";
/** Disks are counted file by file: not more often than this. As the kubelet. */
const DISK_FRESH_MS = 60_000;

export class UsagePages {
  readonly #o: UsageOptions;
  readonly #disks = new Map<string, { readonly at: number; readonly disk: PodDisk }>();

  constructor(o: UsageOptions) {
    this.#o = o;
  }

  /** Undefined: there is no such page. Rejects with RuntimeError. */
  async page(what: string, query: URLSearchParams, signal: AbortSignal): Promise<UsagePage | undefined> {
    const { stats, metrics } = this.#o;
    const prometheus = (text: string) => ({ type: PROMETHEUS_TYPE, text });
    switch (what) {
      case "stats/summary": {
        const summary = await stats.summary(signal);
        const all = query.get("only_cpu_and_memory") === "true" ? summary : await this.#withDisks(summary, signal);
        return { type: JSON_TYPE, text: JSON.stringify(all) };
      }
      case "metrics/":
        return prometheus(await metrics.text());
      case "metrics/probes":
        return prometheus(await metrics.probesText());
      case "metrics/resource":
        return prometheus(resourceMetrics(await stats.summary(signal)));
      case "metrics/cadvisor":
        return prometheus(this.#cadvisor(await this.#withDisks(await stats.summary(signal), signal)));
      default:
        return undefined;
    }
  }

  #cadvisor(summary: Summary): string {
    const actual = new Map([...this.#o.pods()].map((p) => [p.pod?.metadata.uid ?? "", p.actual]));
    const container = (uid: string, name: string) => newestOf(actual.get(uid), name);
    return cadvisorMetrics({ summary, machine: this.#o.machine(), container });
  }

  async #withDisks(summary: Summary, signal: AbortSignal): Promise<Summary> {
    const disks = await this.#read(signal);
    const time = rfc3339(this.#o.clock.now());
    const measured = this.#o.measured();
    const pods = summary.pods.map((p) => {
      const disk = disks.get(p.podRef.uid);
      return disk ? withDisk(p, disk, time) : p;
    });
    return { node: measured ? { ...summary.node, ...nodeDisks(measured, time) } : summary.node, pods };
  }

  async #read(signal: AbortSignal): Promise<ReadonlyMap<string, PodDisk>> {
    const now = this.#o.clock.now();
    for (const [uid, { at }] of this.#disks) if (now - at >= DISK_FRESH_MS) this.#disks.delete(uid);
    for (const { pod, actual } of this.#o.pods()) {
      const uid = pod?.metadata.uid ?? "";
      if (!pod || !actual || this.#disks.has(uid)) continue;
      this.#disks.set(uid, { at: now, disk: await this.#o.disk(pod, actual, signal) });
    }
    return new Map([...this.#disks].map(([uid, { disk }]) => [uid, disk]));
  }
}

function withDisk(p: Summary["pods"][number], disk: PodDisk, time: string): Summary["pods"][number] {
  const used = (bytes: number): FsStats => ({ time, usedBytes: bytes });
  return {
    ...p,
    containers: p.containers.map((c) => {
      const own = disk.containers.get(c.name);
      return own ? { ...c, rootfs: used(own.layer), logs: used(sumOf(own) - own.layer) } : c;
    }),
    ...(disk.volumes.size > 0 && { volume: [...disk.volumes].map(([name, n]) => ({ name, ...used(n) })) }),
    "ephemeral-storage": { ...used(totalDisk(disk)), inodesUsed: disk.inodes },
  };
}

function nodeDisks(m: Measurement, time: string): Pick<Summary["node"], "fs" | "runtime" | "rlimit"> {
  const node = fsStats({ total: m.diskTotal, available: m.diskAvailable, ...(m.inodes && { inodes: m.inodes }) }, time);
  const images = m.imageDisk ? fsStats(m.imageDisk, time) : node;
  return {
    fs: node,
    runtime: { imageFs: images, containerFs: images },
    ...(m.pids && { rlimit: { time, maxpid: m.pids.max, curproc: m.pids.running } }),
  };
}

function fsStats({ total, available, inodes }: FileSystem, time: string): FsStats {
  return {
    time,
    availableBytes: available,
    capacityBytes: total,
    usedBytes: total - available,
    ...(inodes && { inodesFree: inodes.free, inodes: inodes.total, inodesUsed: inodes.total - inodes.free }),
  };
}
