/** Of several replicas of a component, one acts. */
import { randomUUID } from "node:crypto";
import { runAsLeader } from "../../pkg/reconcile/leader.ts";
import type { Parts } from "./parts.ts";

/** Of this run of this process: one that is started anew is another one. */
export const newIdentity = (host: string) => `${host}_${randomUUID()}`;

export interface Election {
  /** The Lease in kube-system. */
  readonly lease: string;
  /** Undefined: there are no others, so nobody is asked. */
  readonly identity: string | undefined;
  /** So long the others wait for a sign of life of the leader before one takes over. Default: 5. */
  readonly leaseSeconds?: number | undefined;
}

/**
 * Longer than a busy machine keeps an API server from answering, or the lead would go to and fro; and short enough that
 * nobody waits for long when the leader has died. Renewals are most of what an idle cluster writes, each on every etcd
 * member's disk: no more of them than that takes.
 */
const LEASE_SECONDS = 5;
const RETRY_MS = 1_000;
/** What a leader that could not renew has to stop in. */
const STOP_MS = 1_000;

/** Runs `lead` until the signal aborts, while this replica is the leader. Rejects when `lead` broke. */
export function elected(
  parts: Parts,
  { lease: name, identity, leaseSeconds = LEASE_SECONDS }: Election,
  lead: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  if (identity === undefined) return lead(signal);
  const leaseMs = leaseSeconds * 1000;
  const times = { leaseMs, renewMs: leaseMs - STOP_MS, retryMs: RETRY_MS };
  return runAsLeader({ ...parts, ...times, identity, lease: { namespace: "kube-system", name } }, lead, signal);
}
