/** Keeps a node well: looks what it is short of, and lets Pods go for it. */
import type { ContainerRuntime, RuntimePod } from "../../runtime/runtime.ts";
import type { Clock } from "../../util/clock.ts";
import type { Logger } from "../../util/log.ts";
import { type Eviction, newestOf, type Pod } from "../facts.ts";
import type { Measurement } from "../node-status.ts";
import { READ_LIMIT_MS, withinLimit } from "../time-limit.ts";
import { readPodDisk } from "./disk.ts";
import { hasDiskLimit, overDiskLimit, type PodDisk, sumOf, totalDisk } from "./local-storage.ts";
import { observe } from "./observe.ts";
import { NO_PRESSURE, planPressure, unresolved } from "./plan.ts";
import { evictionMessage, isCritical, type PodUse, rankForEviction } from "./rank.ts";
import { type EvictionSettings, type Pressure, SIGNALS, type StarvedResource, type Threshold } from "./thresholds.ts";

/** What of a worker the manager needs. */
export interface Evictable {
  readonly pod: Pod | undefined;
  readonly actual: RuntimePod | undefined;
  /** Admitted, and not yet at its end. */
  readonly holdsResources: boolean;
  evict(e: Eviction): void;
}

export interface EvictionOptions {
  readonly settings: EvictionSettings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly runtime: Pick<ContainerRuntime, "stats" | "writableSize" | "logSize">;
  readonly dataDir: string;
  readonly measure: () => Promise<Measurement>;
  readonly pods: () => Iterable<Evictable>;
  /** Frees what nobody uses; undefined: nothing can be freed. */
  readonly reclaimDisk?: (signal: AbortSignal) => Promise<void>;
  /** {@link EvictionManager.pressures} are others now. */
  readonly onChange: () => void;
  /** About the node. */
  readonly event: (reason: string, message: string) => void;
  readonly podEvent: (pod: Pod, reason: string, message: string) => void;
}

const LOOK_MS = 10_000;
/** A Pod that was told to go is waited for, then the next one is. */
const PATIENCE_MS = 30_000;
/** What exceeds a hard limit gets little time to end. */
const IMMEDIATELY = 1;

/**
 *  N1  At most one Pod goes for a shortage at a time, and only when nothing else could be freed.
 *  N2  Nothing is measured of Pods that have no limit of the disk, unless the node is short of something.
 */
export class EvictionManager {
  readonly #o: EvictionOptions;
  #state = NO_PRESSURE;
  #pressures: readonly Pressure[] = [];
  #going: { readonly uid: string; readonly since: number } | undefined;
  /** Evictions so far, by signal. */
  readonly counts = new Map<string, number>();

  constructor(o: EvictionOptions) {
    this.#o = o;
  }

  get pressures(): readonly Pressure[] {
    return this.#pressures;
  }

  /** `then`: after each look. */
  async run(signal: AbortSignal, then: () => void = () => {}): Promise<void> {
    const { clock, log, settings } = this.#o;
    while (!signal.aborted) {
      await clock.sleep(settings.lookMs ?? LOOK_MS, signal).catch(() => {}); // an abort; the loop sees it
      if (signal.aborted) return;
      await this.look(signal).catch((error: unknown) => {
        if (!signal.aborted) log.warn({ err: error }, "cannot tell how the node is; next time again");
      });
      then();
    }
  }

  async look(signal: AbortSignal): Promise<void> {
    const observed = observe(await this.#o.measure());
    const plan = planPressure(this.#o.settings, observed, this.#state, this.#o.clock.now());
    this.#state = plan.state;
    const changed = plan.conditions.join() !== this.#pressures.join();
    this.#pressures = plan.conditions;
    if (changed) this.#o.onChange();
    if (await this.#enforceDiskLimits(signal)) return;
    if (plan.reclaim && !this.#isWaiting()) await this.#reclaim(plan.reclaim, signal);
  }

  /** True when a Pod was told to go. */
  async #enforceDiskLimits(signal: AbortSignal): Promise<boolean> {
    let any = false;
    for (const p of this.#candidates()) {
      if (!hasDiskLimit(p.pod) || isCritical(p.pod)) continue;
      const why = overDiskLimit(p.pod, await this.#disk(p, signal));
      if (why === undefined) continue;
      any = true;
      this.#evict(p, "ephemeral-storage.limit", { reason: "Evicted", message: why, graceSeconds: IMMEDIATELY });
    }
    return any;
  }

  async #reclaim(t: Threshold, signal: AbortSignal): Promise<void> {
    const { resource, condition } = SIGNALS[t.signal];
    this.#o.event("EvictionThresholdMet", `Attempting to reclaim ${resource}`);
    if (condition === "DiskPressure" && this.#o.reclaimDisk) {
      await this.#o.reclaimDisk(signal);
      const observed = observe(await this.#o.measure());
      if (unresolved(this.#o.settings, observed).length === 0) return;
    }
    const observed = observe(await this.#o.measure());
    const candidates = this.#candidates();
    const uses = await this.#uses(candidates, resource, signal);
    const [first] = rankForEviction(uses, resource);
    const chosen = candidates.find((c) => c.pod === first?.pod);
    if (!first || !chosen) return this.#o.log.warn({ signal: t.signal }, "the node is short, and no pod can go for it");
    const graceSeconds = t.graceMs === 0 ? IMMEDIATELY : this.#o.settings.maxPodGraceSeconds;
    const message = evictionMessage(first, t, observed);
    this.#going = { uid: first.pod.metadata.uid ?? "", since: this.#o.clock.now() };
    this.#evict(chosen, t.signal, { reason: "Evicted", message, graceSeconds, disrupted: true });
  }

  #evict(p: Candidate, signal: string, e: Eviction): void {
    this.counts.set(signal, (this.counts.get(signal) ?? 0) + 1);
    this.#o.log.info({ pod: p.pod.metadata.name, namespace: p.pod.metadata.namespace, why: e.message }, "pod evicted");
    this.#o.podEvent(p.pod, e.reason, e.message);
    p.worker.evict(e);
  }

  /** The last one is not gone yet. */
  #isWaiting(): boolean {
    const going = this.#going;
    if (!going || this.#o.clock.now() - going.since >= PATIENCE_MS) return false;
    const there = [...this.#o.pods()].find((w) => w.pod?.metadata.uid === going.uid);
    return there?.actual?.containers.some((c) => c.state === "running") ?? false;
  }

  /** Those that have something running and have not been told to go. */
  #candidates(): Candidate[] {
    return [...this.#o.pods()].flatMap((worker) => {
      const { pod, actual, holdsResources } = worker;
      const runs = actual?.containers.some((c) => c.state === "running") ?? false;
      const going = pod?.metadata.deletionTimestamp !== undefined;
      return pod && actual && runs && holdsResources && !going ? [{ worker, pod, actual }] : [];
    });
  }

  async #uses(candidates: readonly Candidate[], resource: StarvedResource, signal: AbortSignal): Promise<PodUse[]> {
    if (resource === "memory" || resource === "pids") return this.#liveUses(candidates, signal);
    return Promise.all(
      candidates.map(async (c): Promise<PodUse> => {
        const disk = await this.#disk(c, signal);
        const containers = [...disk.containers].map(([name, c]) => ({ name, disk: sumOf(c) }));
        return { pod: c.pod, used: { "ephemeral-storage": totalDisk(disk), inodes: disk.inodes }, containers };
      }),
    );
  }

  async #liveUses(candidates: readonly Candidate[], signal: AbortSignal): Promise<PodUse[]> {
    const limit = { clock: this.#o.clock, ms: READ_LIMIT_MS, what: "stats", signal };
    const stats = await withinLimit(limit, (s) => this.#o.runtime.stats(s));
    return candidates.map(({ pod }): PodUse => {
      const mine = stats.filter((s) => s.podUid === pod.metadata.uid);
      const memory = mine.reduce((sum, s) => sum + s.memoryWorkingSetBytes, 0);
      const pids = mine.reduce((sum, s) => sum + (s.processes ?? 0), 0);
      const containers = mine.map((s) => ({ name: s.name, memory: s.memoryWorkingSetBytes }));
      return { pod, used: mine.length > 0 ? { memory, pids } : {}, containers };
    });
  }

  #disk({ pod, actual }: Candidate, signal: AbortSignal): Promise<PodDisk> {
    const { runtime, dataDir } = this.#o;
    const newest = new Set(actual.containers.map((c) => c.name));
    const containers = [...newest].flatMap((name) => newestOf(actual, name) ?? []);
    return readPodDisk({ runtime, dataDir, pod, containers }, signal);
  }
}

interface Candidate {
  readonly worker: Evictable;
  readonly pod: Pod;
  readonly actual: RuntimePod;
}
