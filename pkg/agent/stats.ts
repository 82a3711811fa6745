/** What this node and its containers use, measured when somebody asks: a node nobody looks at costs nothing. */
import { cpus } from "node:os";
import { readFile } from "node:fs/promises";
import type { Summary } from "../api/stats-summary.ts";
import type { ContainerRuntime } from "../runtime/runtime.ts";
import type { Clock } from "../util/clock.ts";
import { readInterfaces } from "../util/net-dev.ts";
import { type NodeUsage, type Sample, summarize, type SummaryOptions } from "./stats-summary.ts";
import { withinLimit } from "./time-limit.ts";

export interface StatsOptions extends SummaryOptions {
  readonly runtime: Pick<ContainerRuntime, "stats">;
  readonly clock: Clock;
  /** Default: reads this machine. */
  readonly machine?: () => Promise<NodeUsage>;
}

/** Over which rates are taken, where looks lie far enough apart. */
const WINDOW_MS = 10_000;
/** Between the two looks of whoever asks after a long silence. */
const FIRST_WINDOW_MS = 1_000;
const KEPT_MS = 60_000;
const LIMIT_MS = 10_000;

/**
 *  T1  A rate lies between two looks at least a second apart; a long silence is broken by two of them.
 *  T2  Looks are at least a second apart, however many ask; nothing is looked at unasked.
 */
export class Stats {
  readonly #o: StatsOptions;
  /** Oldest first. */
  #samples: readonly Sample[] = [];
  #asked: Promise<Summary> | undefined;

  constructor(o: StatsOptions) {
    this.#o = o;
  }

  /** Who asks while another is being answered gets the same answer; the first one's signal ends it for all. Rejects with RuntimeError. */
  summary(signal: AbortSignal): Promise<Summary> {
    this.#asked ??= this.#summary(signal).finally(() => (this.#asked = undefined));
    return this.#asked;
  }

  async #summary(signal: AbortSignal): Promise<Summary> {
    let now = await this.#look(signal);
    if (this.#samples.length < 2) {
      await this.#o.clock.sleep(FIRST_WINDOW_MS, signal);
      now = await this.#look(signal);
    }
    return summarize(this.#o, this.#baseline(now), now);
  }

  /** The newest that makes a full window, else the oldest there is. */
  #baseline(now: Sample): Sample {
    const full = this.#samples.findLast((s) => now.at - s.at >= WINDOW_MS);
    return full ?? this.#samples[0] ?? now;
  }

  async #look(signal: AbortSignal): Promise<Sample> {
    const { clock, runtime, machine = measureUsage } = this.#o;
    const last = this.#samples.at(-1);
    if (last && clock.now() - last.at < FIRST_WINDOW_MS) return last;
    const limit = { clock, ms: LIMIT_MS, what: "stats", signal };
    const [node, containers] = await Promise.all([machine(), withinLimit(limit, (s) => runtime.stats(s))]);
    const at = clock.now();
    const sample = { at, node, containers: new Map(containers.map((c) => [c.id, c])) };
    this.#samples = [...this.#samples.filter((s) => at - s.at <= KEPT_MS), sample];
    return sample;
  }
}

/** Of the whole machine: memory that could not be had again at once counts as used. */
export async function measureUsage(): Promise<NodeUsage> {
  const busyMs = cpus().reduce((sum, { times: t }) => sum + t.user + t.nice + t.sys + t.irq, 0);
  const text = (path: string) => readFile(path, "utf8").catch(() => "");
  const [meminfo, interfaces] = await Promise.all([text("/proc/meminfo"), text("/proc/net/dev")]);
  const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(meminfo)?.[1] ?? 0) * 1024;
  const available = bytes("MemAvailable");
  return {
    cpuNanoseconds: busyMs * 1e6,
    memoryUsageBytes: bytes("MemTotal") - bytes("MemFree"),
    memoryWorkingSetBytes: bytes("MemTotal") - available,
    memoryRssBytes: bytes("AnonPages"),
    memoryAvailableBytes: available,
    network: readInterfaces(interfaces),
  };
}
