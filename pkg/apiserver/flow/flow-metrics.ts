/** What is counted of levels and queues, under Kubernetes' names. */
import type { LabelValues, Metrics } from "../../util/metrics.ts";
import type { Level, Waiting } from "./level.ts";

export type Refusal = "queue-full" | "concurrency-limit" | "time-out" | "cancelled";

type Names = Waiting["names"];

const LABELS = ["priority_level", "flow_schema"];
const SECONDS = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30];
const PREFIX = "apiserver_flowcontrol_";

interface Counts {
  readonly dispatched: (labels: LabelValues) => void;
  readonly rejected: (labels: LabelValues) => void;
  readonly waited: (labels: LabelValues, seconds: number) => void;
}

export class FlowMetrics {
  readonly #levels: () => Iterable<Level>;
  /** As soon as somebody wants to know. */
  #counts: Counts | undefined;

  constructor(levels: () => Iterable<Level>) {
    this.#levels = levels;
  }

  on(m: Metrics): void {
    this.#counts = {
      dispatched: m.counter({
        name: `${PREFIX}dispatched_requests_total`,
        help: "Number of requests executed by API Priority and Fairness subsystem",
        labels: LABELS,
      }),
      rejected: m.counter({
        name: `${PREFIX}rejected_requests_total`,
        help: "Number of requests rejected by API Priority and Fairness subsystem",
        labels: [...LABELS, "reason"],
      }),
      waited: m.histogram({
        name: `${PREFIX}request_wait_duration_seconds`,
        help: "Length of time a request spent waiting in its queue",
        labels: [...LABELS, "execute"],
        buckets: SECONDS,
      }),
    };
    this.#level(m, "current_inqueue_requests", "Number of requests currently pending in queues", (l) => l.waiting);
    this.#level(m, "current_executing_requests", "Number of requests currently executing", (l) => l.running);
    this.#level(m, "current_executing_seats", "Seats occupied by the currently executing requests", (l) => l.used);
    this.#level(m, "nominal_limit_seats", "Nominal number of execution seats", (l) =>
      l.exempt ? 0 : l.limits.nominal,
    );
    this.#level(m, "lower_limit_seats", "Seats that are never lent", (l) => l.limits.kept);
  }

  started(names: Names, seconds: number): void {
    this.#counts?.dispatched(names);
    // What never waited is in the count of those dispatched; most of them.
    if (seconds > 0) this.#counts?.waited({ ...names, execute: "true" }, seconds);
  }

  refused(names: Names, reason: Refusal, seconds: number): void {
    this.#counts?.rejected({ ...names, reason });
    this.#counts?.waited({ ...names, execute: "false" }, seconds);
  }

  #level(m: Metrics, name: string, help: string, value: (l: Level) => number): void {
    m.gauge({ name: PREFIX + name, help, labels: ["priority_level"] }, () =>
      [...this.#levels()].map((l) => [{ priority_level: l.name }, value(l)] as const),
    );
  }
}
