/** What the scheduler counts of its work, under kube-scheduler's names. */
import type { Metrics } from "../util/metrics.ts";

export type Attempt = "scheduled" | "unschedulable" | "error";

type Pending = Readonly<Record<"active" | "backoff" | "parked" | "gated" | "in-flight", number>>;

const ATTEMPT_SECONDS = [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1];
const WAIT_SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 60, 300, 1200];
/** More attempts than this are told as this many. */
const MANY = 16;

export class SchedulerMetrics {
  /** One try to find a node. */
  readonly attempted: (result: Attempt, ms: number) => void;
  /** A Pod has its node, after so many attempts, so long after it was first seen. */
  readonly bound: (attempts: number, ms: number) => void;

  constructor(o: { readonly metrics: Metrics; readonly profile: string; readonly pending: () => Pending }) {
    const { metrics: m, profile } = o;
    const attempts = m.counter({
      name: "scheduler_schedule_attempts_total",
      help: "Number of attempts to schedule pods, by the result. 'unschedulable' means a pod could not be scheduled, while 'error' means an internal scheduler problem.",
      labels: ["profile", "result"],
    });
    const seconds = m.histogram({
      name: "scheduler_scheduling_attempt_duration_seconds",
      help: "Scheduling attempt latency in seconds (scheduling algorithm)",
      labels: ["profile", "result"],
      buckets: ATTEMPT_SECONDS,
    });
    const waited = m.histogram({
      name: "scheduler_pod_scheduling_sli_duration_seconds",
      help: "E2e latency for a pod being scheduled, from the time the pod enters the scheduling queue.",
      labels: ["attempts"],
      buckets: WAIT_SECONDS,
    });
    m.gauge(
      {
        name: "scheduler_pending_pods",
        help: "Number of pending pods, by the queue type. 'active' means number of pods in activeQ; 'backoff' means number of pods in backoffQ; 'unschedulable' means number of pods in unschedulablePods; 'gated' is the number of pods that have never been attempted to schedule because they are gated.",
        labels: ["queue"],
      },
      () => {
        const { active, backoff, parked, gated } = o.pending();
        return Object.entries({ active, backoff, unschedulable: parked, gated }).map(([queue, n]) => [{ queue }, n]);
      },
    );
    this.attempted = (result, ms) => {
      attempts({ profile, result });
      seconds({ profile, result }, ms / 1000);
    };
    this.bound = (n, ms) => waited({ attempts: n < MANY ? String(n) : `${MANY}+` }, ms / 1000);
  }
}
