/** The scheduler: alone or as one of several. */
import type { Transport } from "../../pkg/client/transport.ts";
import { runScheduler } from "../../pkg/scheduler/scheduler.ts";
import type { Logger } from "../../pkg/util/log.ts";
import type { Metrics } from "../../pkg/util/metrics.ts";
import { elected } from "./elected.ts";
import { partsOf } from "./parts.ts";

export const SCHEDULER_USER = "system:kube-scheduler";

export interface SchedulerProgram {
  /** As {@link SCHEDULER_USER}. */
  readonly transport: Transport;
  /** Undefined: there is no other one. */
  readonly identity: string | undefined;
  readonly leaseSeconds?: number | undefined;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
}

/** Settles when the signal aborts, or when it breaks. */
export function startScheduler(
  { transport, identity, leaseSeconds, log, metrics }: SchedulerProgram,
  signal: AbortSignal,
): Promise<void> {
  const parts = partsOf("default-scheduler", transport, log, metrics);
  return elected(parts, { lease: "kube-scheduler", identity, leaseSeconds }, (s) => runScheduler(parts, s), signal);
}
