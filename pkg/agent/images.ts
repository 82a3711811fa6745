/**
 * Getting images onto the node: for all Pods together.
 *
 *  I1  One image is pulled once at a time, for all who ask for it with the same credentials; not too many at a time.
 *  I2  Credentials count: who has the wrong ones does not share in the pull of who has the right ones, nor in its end.
 *  I3  A pull goes on as long as anybody waits for it.
 *  I4  What was made on this machine, and no registry has, is used when it cannot be pulled.
 */
import { type ImageInfo, imageRef, type RegistryAuth } from "../runtime/images.ts";
import { type ContainerRuntime, RuntimeError } from "../runtime/runtime.ts";
import type { Clock } from "../util/clock.ts";
import type { PulledImages } from "./image-gc/ledger.ts";
import { credentialsFor, type Keyring } from "./keyring.ts";
import { Limiter } from "./limiter.ts";
import { PullReport } from "./pull-report.ts";
import { duration } from "./duration.ts";
import { READ_LIMIT_MS, withinLimit } from "./time-limit.ts";

export type PullPolicy = "Always" | "IfNotPresent" | "Never";

export interface EnsuredImage {
  readonly info: ImageInfo;
  /** As a status has it in `imageID`. */
  readonly ref: string;
  /** Absent: it was there already. */
  readonly pulledMs?: number;
  /** Why it could not be pulled, though it is here: no registry has it. */
  readonly madeHere?: string;
}

export interface ImageRequest {
  readonly image: string;
  readonly policy: PullPolicy;
  /** Asked for only when there is something to pull. */
  readonly keyring: (signal: AbortSignal) => Promise<Keyring>;
  /** A pull really is about to begin. */
  readonly onPull: () => void;
  /** A message worth an event. */
  readonly onProgress: (message: string) => void;
}

interface SharedPull {
  readonly done: Promise<ImageInfo>;
  readonly listeners: Set<(message: string) => void>;
  readonly stop: AbortController;
}

export interface ImageStoreOptions {
  readonly runtime: ContainerRuntime;
  readonly clock: Clock;
  readonly parallelPulls: number;
  /** A pull that brings nothing for so long is given up. Default: the runtime's. */
  readonly pullProgressMs?: number | undefined;
  readonly ledger?: PulledImages;
}

export class ImageStore {
  readonly #runtime: ContainerRuntime;
  readonly #clock: Clock;
  readonly #limit: Limiter;
  readonly #stallsMs: number | undefined;
  readonly #ledger: PulledImages | undefined;
  readonly #pulls = new Map<string, SharedPull>();

  constructor(o: ImageStoreOptions) {
    this.#runtime = o.runtime;
    this.#stallsMs = o.pullProgressMs;
    this.#clock = o.clock;
    this.#limit = new Limiter(o.parallelPulls);
    this.#ledger = o.ledger;
  }

  /** Rejects with RuntimeError. */
  async ensure(o: ImageRequest, signal: AbortSignal): Promise<EnsuredImage> {
    const got = await this.#get(o, signal);
    this.#ledger?.used(got.info.id, this.#clock.now());
    return { ...got, ref: imageRef(got.info, o.image) };
  }

  async #get(o: ImageRequest, signal: AbortSignal): Promise<Omit<EnsuredImage, "ref">> {
    const { image, policy } = o;
    const present = await this.#inspect(image, signal);
    if (present && policy !== "Always") return { info: present };
    if (policy === "Never") {
      const why = `Container image "${image}" is not present with pull policy of Never`;
      throw new RuntimeError("ErrImageNeverPull", why);
    }
    const keyring = await o.keyring(signal);
    o.onPull();
    const began = this.#clock.now();
    try {
      const info = await this.#pull(o, credentialsFor(keyring, image), signal);
      // What somebody else has brought here is not ours to clear away.
      if (!present || this.#ledger?.has(present.id)) this.#ledger?.pulled(info.id, image, this.#clock.now());
      return { info, pulledMs: this.#clock.now() - began };
    } catch (error) {
      const madeHere = present !== undefined && !present.names.some((n) => n.includes("@"));
      if (signal.aborted || !madeHere || !(error instanceof RuntimeError) || error.reason !== "ErrImagePull")
        throw error;
      return { info: present, madeHere: error.message };
    }
  }

  #inspect(image: string, signal: AbortSignal): Promise<ImageInfo | undefined> {
    const limit = { clock: this.#clock, ms: READ_LIMIT_MS, what: "inspectImage", signal };
    return withinLimit(limit, (s) => this.#runtime.inspectImage(image, s));
  }

  async #pull(o: ImageRequest, auths: readonly RegistryAuth[], signal: AbortSignal): Promise<ImageInfo> {
    const key = JSON.stringify([o.image, auths]);
    const pull = this.#pulls.get(key) ?? this.#begin(key, o.image, auths);
    const listener = (message: string) => o.onProgress(message);
    pull.listeners.add(listener);
    try {
      return await unlessAborted(pull.done, signal);
    } finally {
      pull.listeners.delete(listener);
      if (pull.listeners.size === 0) this.#abandon(key, pull);
    }
  }

  #begin(key: string, image: string, auths: readonly RegistryAuth[]): SharedPull {
    const stop = new AbortController();
    const listeners: SharedPull["listeners"] = new Set();
    const report = (message: string) => {
      for (const tell of listeners) tell(message);
    };
    const pull = { listeners, stop, done: this.#tryAll(image, { auths, report }, stop.signal) };
    pull.done.catch(() => {}); // whoever waits hears of it
    this.#pulls.set(key, pull);
    return pull;
  }

  #abandon(key: string, pull: SharedPull): void {
    if (this.#pulls.get(key) === pull) this.#pulls.delete(key);
    pull.stop.abort(new RuntimeError("ErrImagePull", "nobody waits for it any more"));
  }

  /** With each of the credentials in turn; without any when none is known for the image. */
  async #tryAll(
    image: string,
    o: { auths: readonly RegistryAuth[]; report: (message: string) => void },
    signal: AbortSignal,
  ): Promise<ImageInfo> {
    using _place = await this.#limit.acquire(signal);
    const report = new PullReport(image, this.#clock.now());
    const failures: RuntimeError[] = [];
    for (const auth of o.auths.length > 0 ? o.auths : [undefined]) {
      try {
        return await this.#runtime.pullImage(image, signal, {
          ...(auth && { auth }),
          ...(this.#stallsMs !== undefined && { stallsMs: this.#stallsMs }),
          onProgress: (p) => {
            const message = report.due(p, this.#clock.now());
            if (message !== undefined) o.report(message);
          },
        });
      } catch (error) {
        if (signal.aborted || !(error instanceof RuntimeError) || error.reason !== "ErrImagePull") throw error;
        failures.push(error);
      }
    }
    const [first, ...more] = failures;
    if (first && more.length === 0) throw first;
    // As Kubernetes writes several errors in one.
    const messages = [...new Set(failures.map((e) => e.message))];
    throw new RuntimeError("ErrImagePull", messages.length === 1 ? (messages[0] ?? "") : `[${messages.join(", ")}]`);
  }
}

/** As the promise settles, unless the signal is first: then with its reason. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const stop = () => reject(signal.reason as Error);
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** For people. */
export function pulled(image: string, { info, pulledMs, madeHere }: EnsuredImage): string {
  if (madeHere !== undefined)
    return `Container image "${image}" was made on this machine: used as it is, for no registry gives it: ${madeHere}`;
  if (pulledMs === undefined) return `Container image "${image}" already present on machine`;
  const took = pulledMs < 1000 ? `${Math.round(pulledMs)}ms` : duration(pulledMs);
  return `Successfully pulled image "${image}" in ${took}. Image size: ${info.sizeBytes} bytes.`;
}
