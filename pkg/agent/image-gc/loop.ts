/** Looks at the disk now and then, and clears away images as {@link planImageGc} says. */
import type { ContainerRuntime } from "../../runtime/runtime.ts";
import type { Clock } from "../../util/clock.ts";
import type { Logger } from "../../util/log.ts";
import { READ_LIMIT_MS, withinLimit } from "../time-limit.ts";
import type { PulledImages } from "./ledger.ts";
import { type Disk, type ImageGcSettings, planImageGc, type Removal, usedIds } from "./plan.ts";

export interface ImageGcOptions {
  readonly runtime: ContainerRuntime;
  readonly clock: Clock;
  readonly log: Logger;
  readonly ledger: PulledImages;
  readonly settings: ImageGcSettings;
  /** Of the file system that holds the images. */
  readonly disk: () => Promise<Disk>;
  /** Images of Pods that are to run here; what containers use is asked of the runtime. */
  readonly wanted: () => Iterable<string>;
  /** Something for the Node's events. */
  readonly event: (type: "Normal" | "Warning", reason: string, message: string) => void;
}

/** As often as the kubelet. */
const PERIOD_MS = 300_000;
/** Somebody who wants images to go sooner wants it looked at sooner. */
const SHORTEST_PERIOD_MS = 1_000;

export class ImageGc {
  readonly #o: ImageGcOptions;

  constructor(o: ImageGcOptions) {
    this.#o = o;
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, settings } = this.#o;
    const period = Math.min(PERIOD_MS, Math.max(SHORTEST_PERIOD_MS, settings.minimumAgeMs));
    while (!signal.aborted) {
      await clock.sleep(period, signal).catch(() => {}); // an abort; the loop sees it
      if (signal.aborted) return;
      await this.look(settings, signal).catch((error: unknown) => {
        if (!signal.aborted) log.warn({ err: error }, "images were not looked at; next time again");
      });
    }
  }

  /** Under pressure: all that nobody uses, young or not. The bytes freed, as far as the images' sizes tell. */
  async removeUnused(signal: AbortSignal): Promise<number> {
    return this.look({ highPercent: 0, lowPercent: 0, minimumAgeMs: 0, maximumAgeMs: 0 }, signal);
  }

  /** Rejects when the runtime does not answer. */
  async look(settings: ImageGcSettings, signal: AbortSignal): Promise<number> {
    const { runtime, clock, ledger, disk, wanted, event } = this.#o;
    const limit = { clock, ms: READ_LIMIT_MS, what: "listImages", signal };
    const [images, pods] = await Promise.all([
      withinLimit(limit, (s) => runtime.listImages(s)),
      withinLimit({ ...limit, what: "listPods" }, (s) => runtime.listPods(s)),
    ]);
    const inUse = [...wanted(), ...pods.flatMap((p) => p.containers.flatMap((c) => [c.image, c.imageId]))];
    const now = clock.now();
    for (const id of usedIds(images, inUse)) ledger.used(id, now);
    for (const id of ledger.images.keys()) if (!images.some((i) => i.id === id)) ledger.forget(id);
    const plan = planImageGc({ images, pulled: ledger.images, inUse, disk: await disk(), now }, settings);
    const freed = await this.#remove(plan.removals, plan.bytesToFree, signal);
    await ledger.save();
    if (plan.bytesToFree > 0 && freed < plan.bytesToFree && settings.highPercent > 0) {
      const missing = `Failed to garbage collect required amount of images. Attempted to free ${plan.bytesToFree} bytes`;
      event("Warning", "FreeDiskSpaceFailed", `${missing}, but only found ${freed} bytes eligible to free.`);
    }
    return freed;
  }

  async #remove(removals: readonly Removal[], enough: number, signal: AbortSignal): Promise<number> {
    let freed = 0;
    for (const r of removals) {
      if (r.reason === "DiskFull" && freed >= enough) continue;
      if (!(await this.#removeOne(r, signal))) continue;
      freed += r.sizeBytes;
    }
    return freed;
  }

  /** False: somebody uses it after all. */
  async #removeOne({ id, tags, reason, sizeBytes }: Removal, signal: AbortSignal): Promise<boolean> {
    const { runtime, clock, ledger, log } = this.#o;
    for (const name of [...tags, id]) {
      const limit = { clock, ms: READ_LIMIT_MS, what: "removeImage", signal };
      if (!(await withinLimit(limit, (s) => runtime.removeImage(name, s)))) return false;
    }
    ledger.forget(id);
    log.info({ image: id, tags, reason, sizeBytes }, "image removed");
    return true;
  }
}
