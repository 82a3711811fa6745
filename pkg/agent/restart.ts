/** When a container that has ended may start again. Pure. */
import { createHash } from "node:crypto";
import { RESTART_BACKOFF, restartBackoff } from "../api/restart-backoff.ts";
import type { RuntimeContainer } from "../runtime/runtime.ts";
import { backoffMs } from "../util/backoff.ts";
import type { Container, Pod } from "./facts.ts";
import { restartPolicyOf, roleOf } from "./facts.ts";

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

/**
 * Sidecars come back always, ephemeral containers never. Of the others the container's own rules are heard first, then
 * its own policy, then the Pod's. An init container that has succeeded is done, whatever the policy.
 */
export function mayRestart(pod: Pod, c: Container, end: { readonly exitCode?: number }): boolean {
  const role = roleOf(pod, c.name);
  if (role === "sidecar") return true;
  if (role === "ephemeral") return false;
  const exitCode = end.exitCode ?? 0;
  if (role === "init" && exitCode === 0) return false;
  if (c.restartPolicy !== undefined && matches(c, exitCode)) return true;
  const policy = c.restartPolicy ?? restartPolicyOf(pod);
  if (policy === "Never") return false;
  return policy === "Always" || exitCode !== 0;
}

/** Whether one of its restart rules is about this exit code. */
function matches(c: Container, exitCode: number): boolean {
  return (c.restartPolicyRules ?? []).some(({ action, exitCodes }) => {
    const listed = exitCodes?.values?.includes(exitCode) ?? false;
    return action === "Restart" && exitCodes !== undefined && listed === (exitCodes.operator === "In");
  });
}

/** Of what a running container cannot change in place: a different hash means a new container. */
export function specHash(c: Container): string {
  return createHash("sha256")
    .update(JSON.stringify([c.name, c.image]))
    .digest("hex")
    .slice(0, 16);
}
