/** Everything about a node's images: how Pods get them, which were pulled, and when they go again. */
import { join } from "node:path";
import { nodes } from "../../api/kinds/core/node.ts";
import type { ContainerRuntime } from "../../runtime/runtime.ts";
import type { Clock } from "../../util/clock.ts";
import type { Logger } from "../../util/log.ts";
import type { Events } from "../context.ts";
import { containersOf, initContainersOf, isTerminalPhase, type Pod } from "../facts.ts";
import { ImageStore } from "../images.ts";
import type { Measurement } from "../node-status.ts";
import { PulledImages } from "./ledger.ts";
import { ImageGc } from "./loop.ts";
import { IMAGE_GC_DEFAULTS, type ImageGcSettings } from "./plan.ts";

export interface NodeImagesOptions {
  readonly runtime: ContainerRuntime;
  readonly clock: Clock;
  readonly log: Logger;
  readonly nodeName: string;
  readonly dataDir: string;
  /** Default 3. */
  readonly parallelPulls?: number;
  readonly pullProgressMs?: number;
  readonly imageGc?: Partial<ImageGcSettings>;
  readonly events: Events;
  readonly measure: () => Promise<Measurement>;
  /** All Pods of this node. */
  readonly pods: () => Iterable<Pod>;
}

const PARALLEL_PULLS = 3;

export class NodeImages {
  readonly store: ImageStore;
  readonly #ledger: PulledImages;
  readonly #gc: ImageGc;

  constructor(o: NodeImagesOptions) {
    const { runtime, clock, log, parallelPulls = PARALLEL_PULLS } = o;
    this.#ledger = new PulledImages({ file: join(o.dataDir, "pulled-images.json"), log });
    const { pullProgressMs } = o;
    this.store = new ImageStore({ runtime, clock, parallelPulls, pullProgressMs, ledger: this.#ledger });
    const node = { apiVersion: "v1", kind: nodes.kind, name: o.nodeName, uid: o.nodeName };
    this.#gc = new ImageGc({
      runtime,
      clock,
      log,
      ledger: this.#ledger,
      settings: { ...IMAGE_GC_DEFAULTS, ...o.imageGc },
      disk: async () => diskOf(await o.measure()),
      wanted: () => wantedBy(o.pods()),
      event: (type, reason, message) => o.events.event(node, type, reason, message),
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    await this.#ledger.load();
    await this.#gc.run(signal);
    await this.#ledger.save();
  }

  /** Frees the disk of all images that the agent has pulled and nobody uses. */
  async removeUnused(signal: AbortSignal): Promise<void> {
    await this.#gc.removeUnused(signal);
  }
}

function diskOf({ imageDisk, diskTotal, diskAvailable }: Measurement) {
  return imageDisk ?? { total: diskTotal, available: diskAvailable };
}

function wantedBy(pods: Iterable<Pod>): string[] {
  return [...pods].flatMap((pod) =>
    isTerminalPhase(pod.status?.phase)
      ? []
      : [...initContainersOf(pod), ...containersOf(pod)].flatMap((c) => (c.image === undefined ? [] : [c.image])),
  );
}
