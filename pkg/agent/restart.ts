/** When a container that has ended may start again. Pure. */
import { createHash } from "node:crypto";
import type { RuntimeContainer } from "../runtime/runtime.ts";
import { backoffMs } from "../util/backoff.ts";
import type { Container, Pod } from "./facts.ts";
import { restartPolicyOf } from "./facts.ts";

/** Kubernetes' own: 10 s doubling to 5 min. */
export const RESTART_BACKOFF = { initialMs: 10_000, maxMs: 300_000 };
/** A container that ran this long is forgiven its past. */
export const RESET_AFTER_MS = 600_000;

/**
 * The pause before the attempt after `c`. The first restart of a streak has none; then 10 s, 20 s … 5 min.
 * `streak` is the attempt from which on restarts count.
 */
export function restartDelayMs(c: RuntimeContainer, streak: number): number {
  if (ranLong(c)) return 0;
  const restarts = c.attempt - streak;
  return restarts <= 0 ? 0 : backoffMs(restarts, RESTART_BACKOFF);
}

export function restartAt(c: RuntimeContainer, streak: number): number {
  return (c.finishedAt ?? c.createdAt) + restartDelayMs(c, streak);
}

export function ranLong(c: RuntimeContainer): boolean {
  return c.startedAt !== undefined && c.finishedAt !== undefined && c.finishedAt - c.startedAt >= RESET_AFTER_MS;
}

/** An init container that has failed is retried under OnFailure and Always alike; one that succeeded is done. */
export function mayRestart(pod: Pod, c: RuntimeContainer, init: boolean): boolean {
  const policy = restartPolicyOf(pod);
  if (policy === "Never") return false;
  if (policy === "OnFailure" || init) return c.exitCode !== 0;
  return true;
}

/** Of what a running container cannot change in place: a different hash means a new container. */
export function specHash(c: Container): string {
  return createHash("sha256")
    .update(JSON.stringify([c.name, c.image]))
    .digest("hex")
    .slice(0, 16);
}
