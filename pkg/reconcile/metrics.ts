/** What is counted of loops and of who leads, under Kubernetes' names. */
import type { ObjectKey } from "../api/object.ts";
import type { Clock } from "../util/clock.ts";
import type { Metrics } from "../util/metrics.ts";
import type { QueueObserver } from "./workqueue.ts";

/** As client-go has them: from what nobody notices to what everybody does. */
const SECONDS = [1e-3, 1e-2, 0.1, 1, 10, 100, 1000];

/** Of one queue: how much waits, for how long, and how long it is worked on. What was added was taken, or waits. */
export class QueueMetrics implements QueueObserver {
  readonly #o: { readonly name: string; readonly clock: Clock; readonly metrics: Metrics };
  readonly #added = new Map<ObjectKey, number>();
  readonly #taken = new Map<ObjectKey, number>();
  readonly #depth: () => void;
  readonly #adds: () => void;
  readonly #retries: () => void;
  readonly #waited: (seconds: number) => void;
  readonly #worked: (seconds: number) => void;

  constructor(o: { readonly name: string; readonly clock: Clock; readonly metrics: Metrics }) {
    this.#o = o;
    const { metrics: m } = o;
    const one = { name: o.name };
    const named = (name: string, help: string) => ({ name: `workqueue_${name}`, help, labels: ["name"] });
    const depth = m.state(named("depth", "Current depth of workqueue"));
    const adds = m.counter(named("adds_total", "Total number of adds handled by workqueue"));
    const retries = m.counter(named("retries_total", "Total number of retries handled by workqueue"));
    const waited = m.histogram({
      ...named("queue_duration_seconds", "How long in seconds an item stays in workqueue before being requested."),
      buckets: SECONDS,
    });
    const worked = m.histogram({
      ...named("work_duration_seconds", "How long in seconds processing an item from workqueue takes."),
      buckets: SECONDS,
    });
    this.#depth = () => depth(one, this.#added.size);
    this.#adds = () => adds(one);
    this.#retries = () => retries(one);
    this.#waited = (seconds) => waited(one, seconds);
    this.#worked = (seconds) => worked(one, seconds);
    this.#depth();
  }

  added(key: ObjectKey): void {
    this.#adds();
    this.#added.set(key, this.#o.clock.now());
    this.#depth();
  }

  taken(key: ObjectKey): void {
    this.#waited(this.#since(this.#added, key));
    this.#depth();
    this.#taken.set(key, this.#o.clock.now());
  }

  done(key: ObjectKey): void {
    this.#worked(this.#since(this.#taken, key));
  }

  retried(): void {
    this.#retries();
  }

  closed(): void {
    this.#added.clear();
    this.#taken.clear();
    this.#depth();
  }

  #since(times: Map<ObjectKey, number>, key: ObjectKey): number {
    const now = this.#o.clock.now();
    const then = times.get(key) ?? now;
    times.delete(key);
    return (now - then) / 1000;
  }
}

/** Tells of one Lease whether this replica has it: not, for now. */
export function leaderStatus(m: Metrics | undefined, name: string): (leads: boolean) => void {
  const help =
    "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master. 'name' is the string used to identify the lease.";
  const status = m?.state({ name: "leader_election_master_status", help, labels: ["name"] });
  status?.({ name }, 0);
  return (leads) => status?.({ name }, leads ? 1 : 0);
}
