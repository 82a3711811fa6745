/** What the containers of one name used, over all Pods of a target and all of the past that still counts. */
import { rfc3339 } from "../../util/clock.ts";
import { DecayingHistogram, exponentialBuckets, type SavedHistogram } from "./histogram.ts";

export const DAY_MS = 86_400_000;
const HALF_LIFE_MS = DAY_MS;
const GROWTH = 1.05;
/** CPUs: from a hundredth to a thousand. */
const CPU_BUCKETS = exponentialBuckets({ first: 0.01, ratio: GROWTH, max: 1000 });
/** Bytes: from 10 MB to 1 TB. */
const MEMORY_BUCKETS = exponentialBuckets({ first: 1e7, ratio: GROWTH, max: 1e12 });
const MIN_CPU_WEIGHT = 0.1;
/** Memory is about peaks: one counts for a container and a day. */
const PEAK_WINDOW_MS = DAY_MS;
/** Who was killed for lack of memory would have used more. */
const OOM_RATIO = 1.2;
const OOM_BYTES = 100 * 2 ** 20;

export interface Sample {
  /** Whose peak it may be: a container of one Pod. */
  readonly instance: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly cpus: number;
  readonly memoryBytes: number;
  /** CPUs asked for: a raised request makes older samples weigh less. */
  readonly requestedCpus: number;
}

interface Peak {
  readonly until: number;
  readonly bytes: number;
}

/** As in the status of a VerticalPodAutoscalerCheckpoint. */
export interface SavedUsage {
  readonly version: string;
  readonly firstSampleStart: string;
  readonly lastSampleStart: string;
  readonly totalSamplesCount: number;
  readonly cpuHistogram: SavedHistogram;
  readonly memoryHistogram: SavedHistogram;
}

const VERSION = "v3";

export class ContainerUsage {
  readonly cpu = new DecayingHistogram(CPU_BUCKETS, HALF_LIFE_MS);
  readonly memory = new DecayingHistogram(MEMORY_BUCKETS, HALF_LIFE_MS);
  #first = Infinity;
  #last = 0;
  #count = 0;
  readonly #seen = new Map<string, number>();
  readonly #peaks = new Map<string, Peak>();

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Grows with the days of history, and with a sample a minute: 7 after a week. */
  get confidence(): number {
    return Math.max(0, Math.min((this.#last - this.#first) / DAY_MS, this.#count / (24 * 60)));
  }

  /** A second look at the same measurement is none. */
  add(s: Sample): void {
    if ((this.#seen.get(s.instance) ?? 0) >= s.at) return;
    this.#seen.set(s.instance, s.at);
    this.cpu.add(s.cpus, Math.max(s.requestedCpus, MIN_CPU_WEIGHT), s.at);
    this.#peak(s.instance, s.memoryBytes, s.at);
    this.#first = Math.min(this.#first, s.at);
    this.#last = Math.max(this.#last, s.at);
    this.#count++;
  }

  /** Killed at `at` for want of memory, of which it had asked for so much. */
  ranOutOfMemory(instance: string, requestedBytes: number, at: number): void {
    const used = Math.max(requestedBytes, this.#peaks.get(instance)?.bytes ?? 0);
    this.#peak(instance, Math.max(used * OOM_RATIO, used + OOM_BYTES), at);
  }

  /** Forgets whose peaks will not grow any more. */
  keepOnly(instances: ReadonlySet<string>): void {
    for (const known of [this.#seen, this.#peaks])
      for (const name of known.keys()) if (!instances.has(name)) known.delete(name);
  }

  save(): SavedUsage {
    return {
      version: VERSION,
      firstSampleStart: rfc3339(this.#first),
      lastSampleStart: rfc3339(this.#last),
      totalSamplesCount: this.#count,
      cpuHistogram: this.cpu.save(),
      memoryHistogram: this.memory.save(),
    };
  }

  /** What another version saved is not understood, and left alone. */
  load(saved: SavedUsage): void {
    if (saved.version !== VERSION) return;
    this.cpu.load(saved.cpuHistogram);
    this.memory.load(saved.memoryHistogram);
    this.#first = Date.parse(saved.firstSampleStart);
    this.#last = Date.parse(saved.lastSampleStart);
    this.#count = saved.totalSamplesCount;
  }

  /** A window's peak counts once, from the end of the window on. */
  #peak(instance: string, bytes: number, at: number): void {
    const known = this.#peaks.get(instance);
    const old = known && at < known.until ? known : undefined;
    if (old && old.bytes >= bytes) return;
    const until = old?.until ?? nextWindow(known?.until ?? at, at);
    if (old) this.memory.subtract(old.bytes, 1, until);
    this.memory.add(bytes, 1, until);
    this.#peaks.set(instance, { until, bytes });
  }
}

function nextWindow(from: number, at: number): number {
  return from + (Math.floor((at - from) / PEAK_WINDOW_MS) + 1) * PEAK_WINDOW_MS;
}
