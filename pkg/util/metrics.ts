/** What a program counts about itself, as Prometheus reads it. The home of prom-client: loaded by whoever counts. */
import { Counter, Gauge, Histogram, type Metric as PromMetric, Registry } from "prom-client";

export const PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export type LabelValues = Readonly<Record<string, string>>;

export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
}

/** One program's metrics, in the order in which they were made. Who asks for one that is there already adds to that. */
export class Metrics {
  readonly #registry = new Registry();

  counter(m: Metric): (labels?: LabelValues, by?: number) => void {
    const counter = this.#once(m, () => new Counter(this.#config(m)));
    return (labels = {}, by = 1) => counter.inc({ ...labels }, by);
  }

  /** `read` is asked at each look: what it does not name is not there. It takes the place of one that is there. */
  gauge(m: Metric, read: () => Iterable<readonly [LabelValues, number]>): void {
    this.#registry.removeSingleMetric(m.name);
    new Gauge({
      ...this.#config(m),
      collect() {
        this.reset();
        for (const [labels, value] of read()) this.set({ ...labels }, value);
      },
    });
  }

  /** One that goes up and down with each call. */
  level(m: Metric): (labels: LabelValues, by: 1 | -1) => void {
    const gauge = this.#once(m, () => new Gauge(this.#config(m)));
    return (labels, by) => gauge.inc({ ...labels }, by);
  }

  /** One that is as it was last said to be. */
  state(m: Metric): (labels: LabelValues, value: number) => void {
    const gauge = this.#once(m, () => new Gauge(this.#config(m)));
    return (labels, value) => gauge.set({ ...labels }, value);
  }

  histogram(m: Metric & { readonly buckets: readonly number[] }): (labels: LabelValues, value: number) => void {
    const histogram = this.#once(m, () => new Histogram({ ...this.#config(m), buckets: [...m.buckets] }));
    return (labels, value) => histogram.observe({ ...labels }, value);
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #once<M extends PromMetric>({ name }: Metric, make: () => M): M {
    return (this.#registry.getSingleMetric(name) as M | undefined) ?? make();
  }

  #config({ name, help, labels = [] }: Metric) {
    return { name, help, labelNames: [...labels], registers: [this.#registry] };
  }
}

/** Of the process that runs this. */
export function processMetrics(m: Metrics, startedAtSeconds: number): void {
  const one = (value: number) => [[{}, value]] as const;
  m.gauge({ name: "process_resident_memory_bytes", help: "Resident memory size in bytes." }, () =>
    one(process.memoryUsage.rss()),
  );
  m.gauge({ name: "process_cpu_seconds_total", help: "Total user and system CPU time spent in seconds." }, () => {
    const { user, system } = process.cpuUsage();
    return one((user + system) / 1e6);
  });
  m.gauge({ name: "process_start_time_seconds", help: "Start time of the process since unix epoch in seconds." }, () =>
    one(startedAtSeconds),
  );
}
