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
}

/**
 * Longer than a busy machine keeps an API server from answering, or the lead would go to and fro; and short enough that
 * nobody waits for long when the leader has died. Renewals are most of what an idle cluster writes, each on every etcd
 * member's disk: no more of them than that takes.
 */
const TIMES = { leaseMs: 5_000, renewMs: 4_000, retryMs: 1_000 };

/** Runs `lead` until the signal aborts, while this replica is the leader. Rejects when `lead` broke. */
export function elected(
  parts: Parts,
  { lease: name, identity }: Election,
  lead: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  if (identity === undefined) return lead(signal);
  return runAsLeader({ ...parts, ...TIMES, identity, lease: { namespace: "kube-system", name } }, lead, signal);
}
