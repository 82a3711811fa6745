/** The worker's own memory of a Pod, which the planner reads as {@link PodFacts}. */
import type { RuntimePod } from "../runtime/runtime.ts";
import { backoffMs, type BackoffOptions } from "../util/backoff.ts";
import { own } from "../util/keys.ts";
import {
  allContainersOf,
  type Eviction,
  type ImageFact,
  newestOf,
  type Pod,
  type PodFacts,
  type ProbeFact,
  type StepError,
  type StopFact,
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
  readonly postStarts = new Map<string, "due" | "failed">();
  readonly stops = new Map<string, StopFact>();
  readonly resizes = new Map<string, StepError>();
  readonly messages = new Map<string, string>();
  endingSince: number | undefined;
  drained: boolean;
  sandboxError: StepError | undefined;
  /** Id of the one whose start failed. */
  brokenSandbox: string | undefined;
  sandboxAttempt = 0;
  volumes: PodFacts["volumes"] = "unknown";
  refused: PodFacts["refused"];
  evicted: Eviction | undefined;
  deleted = false;
  volumesRemoved = false;
  orphanGraceSeconds = 30;

  constructor(o: { readonly drained: boolean }) {
    this.drained = o.drained;
  }

  facts(busy: boolean): PodFacts {
    const { images, errors, streaks, attempts, probes, sandboxAttempt, volumes, deleted, volumesRemoved } = this;
    const { postStarts, stops, resizes, messages, drained, endingSince, orphanGraceSeconds } = this;
    const known = { images, errors, streaks, attempts, probes, postStarts, stops, resizes, messages };
    return {
      ...known,
      sandboxAttempt,
      volumes,
      deleted,
      volumesRemoved,
      drained,
      busy,
      orphanGraceSeconds,
      ...(endingSince !== undefined && { endingSince }),
      ...(this.sandboxError && { sandboxError: this.sandboxError }),
      ...(this.brokenSandbox !== undefined && { brokenSandbox: this.brokenSandbox }),
      ...(this.refused && { refused: this.refused }),
      ...(this.evicted && { evicted: this.evicted }),
    };
  }

  /** Takes over from an earlier agent what its status tells: restart counts go on, not back to 0. */
  adopt(pod: Pod): void {
    const { initContainerStatuses = [], containerStatuses = [], ephemeralContainerStatuses = [] } = pod.status ?? {};
    for (const s of [...initContainerStatuses, ...containerStatuses, ...ephemeralContainerStatuses]) {
      if (s.containerID !== undefined) this.#seen(s.name, s.restartCount);
    }
  }

  /** Learns from what the runtime shows. */
  observed(pod: Pod | undefined, actual: RuntimePod | undefined): void {
    for (const c of actual?.containers ?? []) this.#seen(c.name, c.attempt);
    this.#forget(actual);
    this.sandboxAttempt = Math.max(this.sandboxAttempt, (actual?.sandbox?.attempt ?? -1) + 1);
    for (const c of pod ? allContainersOf(pod) : []) {
      const newest = newestOf(actual, c.name);
      if (newest?.state !== "exited") continue;
      if (newest.specHash !== specHash(c)) this.streaks.set(c.name, newest.attempt + 1);
      else if (ranLong(newest)) this.streaks.set(c.name, newest.attempt);
      if (this.errors.get(c.name)?.reason === "RunContainerError") this.errors.delete(c.name);
    }
  }

  /** The first order to end counts, however many follow. */
  stopping(id: string, now: number): StopFact {
    const stop = this.stops.get(id) ?? { since: this.endingSince ?? now, hooked: false };
    this.stops.set(id, stop);
    return stop;
  }

  /** What is about containers that run no more, and messages of those that are gone. */
  #forget(actual: RuntimePod | undefined): void {
    const there = actual?.containers ?? [];
    const running = new Set(there.flatMap((c) => (c.state === "running" ? [c.id] : [])));
    for (const facts of [this.postStarts, this.stops, this.resizes]) {
      for (const id of facts.keys()) if (!running.has(id)) facts.delete(id);
    }
    for (const id of this.messages.keys()) if (!there.some((c) => c.id === id)) this.messages.delete(id);
  }

  /** The next failure after `before`, with its time of retry. */
  failure(before: StepError | undefined, e: { reason: string; message: string }, now: number): StepError {
    const failures = (before?.failures ?? 0) + 1;
    const pause = backoffMs(failures, own(BACKOFFS, e.reason) ?? RESTART_BACKOFF);
    return { reason: e.reason, message: e.message, at: now, failures, retryAt: now + pause };
  }

  #seen(name: string, attempt: number): void {
    this.attempts.set(name, Math.max(this.attempts.get(name) ?? 0, attempt));
  }
}
