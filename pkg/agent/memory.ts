/** The worker's own memory of a Pod, which the planner reads as {@link PodFacts}. */
import type { RuntimePod } from "../runtime/runtime.ts";
import { backoffMs, type BackoffOptions } from "../util/backoff.ts";
import {
  containersOf,
  type ImageFact,
  initContainersOf,
  newestOf,
  type Pod,
  type PodFacts,
  type ProbeFact,
  type StepError,
} from "./facts.ts";
import { RESTART_BACKOFF, ranLong, specHash } from "./restart.ts";

/** What waits for somebody to create a ConfigMap is tried more often than what loads a registry or the daemon. */
const CONFIG_BACKOFF = { initialMs: 1_000, maxMs: 10_000 };
/** What every namespace has comes a moment after it: its first Pods need not wait a second for that. */
const MOUNT_BACKOFF = { initialMs: 200, maxMs: 10_000 };
const BACKOFFS: Readonly<Record<string, BackoffOptions>> = {
  CreateContainerConfigError: CONFIG_BACKOFF,
  FailedMount: MOUNT_BACKOFF,
  FailedCreatePodSandBox: CONFIG_BACKOFF,
  FailedKillPod: CONFIG_BACKOFF,
};

export class PodMemory {
  readonly images = new Map<string, ImageFact>();
  readonly errors = new Map<string, StepError>();
  readonly streaks = new Map<string, number>();
  readonly attempts = new Map<string, number>();
  readonly probes = new Map<string, ProbeFact>();
  sandboxError: StepError | undefined;
  /** Id of the one whose start failed. */
  brokenSandbox: string | undefined;
  sandboxAttempt = 0;
  volumes: PodFacts["volumes"] = "unknown";
  refused: PodFacts["refused"];
  deleted = false;
  volumesRemoved = false;
  orphanGraceSeconds = 30;

  facts(busy: boolean): PodFacts {
    const { images, errors, streaks, attempts, probes, sandboxAttempt, volumes, deleted, volumesRemoved } = this;
    return {
      images,
      errors,
      streaks,
      attempts,
      probes,
      sandboxAttempt,
      volumes,
      deleted,
      volumesRemoved,
      busy,
      orphanGraceSeconds: this.orphanGraceSeconds,
      ...(this.sandboxError && { sandboxError: this.sandboxError }),
      ...(this.brokenSandbox !== undefined && { brokenSandbox: this.brokenSandbox }),
      ...(this.refused && { refused: this.refused }),
    };
  }

  /** Takes over from an earlier agent what its status tells: restart counts go on, not back to 0. */
  adopt(pod: Pod): void {
    for (const s of [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])]) {
      if (s.containerID !== undefined) this.#seen(s.name, s.restartCount);
    }
  }

  /** Learns from what the runtime shows. */
  observed(pod: Pod | undefined, actual: RuntimePod | undefined): void {
    for (const c of actual?.containers ?? []) this.#seen(c.name, c.attempt);
    this.sandboxAttempt = Math.max(this.sandboxAttempt, (actual?.sandbox?.attempt ?? -1) + 1);
    for (const c of pod ? [...initContainersOf(pod), ...containersOf(pod)] : []) {
      const newest = newestOf(actual, c.name);
      if (newest?.state !== "exited") continue;
      if (newest.specHash !== specHash(c)) this.streaks.set(c.name, newest.attempt + 1);
      else if (ranLong(newest)) this.streaks.set(c.name, newest.attempt);
      if (this.errors.get(c.name)?.reason === "RunContainerError") this.errors.delete(c.name);
    }
  }

  /** The next failure after `before`, with its time of retry. */
  failure(before: StepError | undefined, e: { reason: string; message: string }, now: number): StepError {
    const failures = (before?.failures ?? 0) + 1;
    const pause = backoffMs(failures, BACKOFFS[e.reason] ?? RESTART_BACKOFF);
    return { reason: e.reason, message: e.message, at: now, failures, retryAt: now + pause };
  }

  #seen(name: string, attempt: number): void {
    this.attempts.set(name, Math.max(this.attempts.get(name) ?? 0, attempt));
  }
}
