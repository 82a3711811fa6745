/** When a container that has ended may start again. Pure. */
import { createHash } from "node:crypto";
import { RESTART_BACKOFF, restartBackoff } from "../api/restart-backoff.ts";
import { restartsAfter } from "../api/restart-policy.ts";
import type { RuntimeContainer } from "../runtime/runtime.ts";
import { backoffMs } from "../util/backoff.ts";
import type { Container, Pod } from "./facts.ts";
import { roleOf } from "./facts.ts";

export { RESTART_BACKOFF };
/** A container that ran this long is forgiven its past. */
export const RESET_AFTER_MS = 600_000;

/**
 * The pause before the attempt after `c`. The first restart of a streak has none; then 10 s, 20 s … 5 min, or as the
 * Pod's annotations say. `streak` is the attempt from which on restarts count.
 */
export function restartDelayMs(pod: Pod | undefined, c: RuntimeContainer, streak: number): number {
  if (ranLong(c)) return 0;
  const restarts = c.attempt - streak;
  return restarts <= 0 ? 0 : backoffMs(restarts, restartBackoff(pod?.metadata.annotations));
}

export function restartAt(pod: Pod, c: RuntimeContainer, streak: number): number {
  return (c.finishedAt ?? c.createdAt) + restartDelayMs(pod, c, streak);
}

export function ranLong(c: RuntimeContainer): boolean {
  return c.startedAt !== undefined && c.finishedAt !== undefined && c.finishedAt - c.startedAt >= RESET_AFTER_MS;
}

/** Sidecars come back always, ephemeral containers never. An init container that has succeeded is done. */
export function mayRestart(pod: Pod, c: Container, end: { readonly exitCode?: number }): boolean {
  const role = roleOf(pod, c.name);
  if (role === "sidecar") return true;
  if (role === "ephemeral") return false;
  const exitCode = end.exitCode ?? 0;
  return (role !== "init" || exitCode !== 0) && restartsAfter(pod.spec, c, exitCode);
}

/** Of what a running container cannot change in place: a different hash means a new container. */
export function specHash(c: Container): string {
  return createHash("sha256")
    .update(JSON.stringify([c.name, c.image]))
    .digest("hex")
    .slice(0, 16);
}
