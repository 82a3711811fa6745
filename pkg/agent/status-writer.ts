/** Brings a Pod's status to the API server. */
import type { Pod as ApiPod, PodStatus } from "../api/generated/types.ts";
import { semanticEqual } from "../api/equal.ts";
import { isReason } from "../api/status.ts";
import type { ResourceClient } from "../client/client.ts";
import { backoffMs } from "../util/backoff.ts";
import type { Clock, Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import type { Pod } from "./facts.ts";

const RETRY = { initialMs: 100, maxMs: 10_000, jitter: 0.3 };

/**
 *  W1  One write at a time; what is set meanwhile replaces what waits, so the last status always arrives.
 *  W2  A status is retried until the server has it, or the Pod of this uid is gone.
 *  W3  Equal statuses are not written.
 */
export class StatusWriter {
  readonly #pods: ResourceClient<ApiPod>;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Logger;
  /** The newest object seen, from the watch or from our own writes. */
  #base: Pod;
  #wanted: PodStatus | undefined;
  #writing: Promise<void> | undefined;
  #gone = false;

  constructor(o: { pods: ResourceClient<ApiPod>; clock: Clock; random: Random; log: Logger; pod: Pod }) {
    this.#pods = o.pods;
    this.#clock = o.clock;
    this.#random = o.random;
    this.#log = o.log;
    this.#base = o.pod;
  }

  /** What was last asked for; undefined before. */
  get wanted(): PodStatus | undefined {
    return this.#wanted;
  }

  /** Whether it writes to this object, and not to another of its name. */
  isOf(pod: Pod): boolean {
    return pod.metadata.uid === this.#base.metadata.uid;
  }

  observed(pod: Pod): void {
    if (revision(pod) > revision(this.#base)) this.#base = pod;
  }

  set(status: PodStatus, signal: AbortSignal): void {
    this.#wanted = status;
    if (this.#settled()) return;
    this.#writing ??= this.#run(signal).finally(() => (this.#writing = undefined));
  }

  /** Resolves when the last status has arrived, or there is nowhere for it to arrive, or on abort. */
  async flushed(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  #settled(): boolean {
    return this.#gone || this.#wanted === undefined || semanticEqual(this.#wanted, this.#base.status);
  }

  async #run(signal: AbortSignal): Promise<void> {
    await Promise.resolve(); // let #writing be set before it is cleared
    for (let failures = 0; !this.#settled() && !signal.aborted;) {
      try {
        this.observed(await this.#pods.updateStatus({ ...this.#base, status: this.#wanted ?? {} }));
        failures = 0;
      } catch (error) {
        if (isReason(error, "Conflict")) await this.#refresh(signal);
        else if (isReason(error, "NotFound")) this.#gone = true;
        else {
          failures++;
          this.#log.warn({ err: error, failures }, "pod status not written, will retry");
          await this.#clock.sleep(backoffMs(failures, RETRY, this.#random), signal).catch(() => {}); // an abort; the loop sees it
        }
      }
    }
  }

  /** Somebody else wrote the Pod: take theirs as the base. One of another uid is another Pod. */
  async #refresh(signal: AbortSignal): Promise<void> {
    try {
      const now = await this.#pods.get(this.#base.metadata.name ?? "", signal);
      if (now.metadata.uid === this.#base.metadata.uid) this.#base = now;
      else this.#gone = true;
    } catch (error) {
      if (isReason(error, "NotFound")) this.#gone = true;
      else await this.#clock.sleep(RETRY.initialMs, signal).catch(() => {}); // an abort; the loop sees it
    }
  }
}

function revision(pod: Pod): bigint {
  return BigInt(pod.metadata.resourceVersion ?? "0");
}
