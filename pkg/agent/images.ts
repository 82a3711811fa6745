/** Getting images onto the node: for all Pods together, so that one image is pulled once and not too many at a time. */
import type { ImageInfo } from "../runtime/images.ts";
import { type ContainerRuntime, RuntimeError } from "../runtime/runtime.ts";
import type { Clock } from "../util/clock.ts";
import { Limiter } from "./limiter.ts";
import { READ_LIMIT_MS, withinLimit } from "./time-limit.ts";

export type PullPolicy = "Always" | "IfNotPresent" | "Never";

export interface EnsuredImage {
  readonly info: ImageInfo;
  /** Absent: it was there already. */
  readonly pulledMs?: number;
}

export class ImageStore {
  readonly #runtime: ContainerRuntime;
  readonly #clock: Clock;
  readonly #limit: Limiter;
  readonly #pulls = new Map<string, Promise<ImageInfo>>();

  constructor(o: { runtime: ContainerRuntime; clock: Clock; parallelPulls: number }) {
    this.#runtime = o.runtime;
    this.#clock = o.clock;
    this.#limit = new Limiter(o.parallelPulls);
  }

  /** `onPull` is called when a pull really is about to begin. Rejects with RuntimeError. */
  async ensure(image: string, policy: PullPolicy, onPull: () => void, signal: AbortSignal): Promise<EnsuredImage> {
    const present = policy === "Always" ? undefined : await this.#inspect(image, signal);
    if (present) return { info: present };
    if (policy === "Never") {
      const why = `Container image "${image}" is not present with pull policy of Never`;
      throw new RuntimeError("ErrImageNeverPull", why);
    }
    onPull();
    const began = this.#clock.now();
    const info = await this.#pull(image, signal);
    return { info, pulledMs: this.#clock.now() - began };
  }

  #inspect(image: string, signal: AbortSignal): Promise<ImageInfo | undefined> {
    const limit = { clock: this.#clock, ms: READ_LIMIT_MS, what: "inspectImage", signal };
    return withinLimit(limit, (s) => this.#runtime.inspectImage(image, s));
  }

  /** Whoever asks for an image on its way shares that pull; it ends with the signal of who began it. */
  #pull(image: string, signal: AbortSignal): Promise<ImageInfo> {
    const under = this.#pulls.get(image);
    if (under) return under;
    const pull = this.#begin(image, signal).finally(() => this.#pulls.delete(image));
    this.#pulls.set(image, pull);
    return pull;
  }

  async #begin(image: string, signal: AbortSignal): Promise<ImageInfo> {
    using _place = await this.#limit.acquire(signal);
    return await this.#runtime.pullImage(image, signal);
  }
}
