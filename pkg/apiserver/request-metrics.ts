/** What the API server counts of its requests, under Kubernetes' names. Calls within the process come no wire and are not counted. */
import type { ServerResponse } from "node:http";
import type { Attributes } from "../api/rbac/attributes.ts";
import type { Clock } from "../util/clock.ts";
import { own } from "../util/keys.ts";
import { type LabelValues, Metrics, processMetrics } from "../util/metrics.ts";

export interface RequestMetricsOptions {
  readonly clock: Clock;
  /** How many there are, by resource. */
  readonly objects: () => Iterable<readonly [resource: string, count: number]>;
  /** Where it counts. Default: its own. */
  readonly metrics?: Metrics | undefined;
}

/** What a request turned out to be; undefined before it was read. */
export interface Asked {
  readonly attributes: Attributes | undefined;
  readonly version: string;
}

const VERBS: Readonly<Record<string, string>> = { create: "POST", update: "PUT" };
const READING: ReadonlySet<string> = new Set(["get", "list", "watch"]);
const LONG: ReadonlySet<string> = new Set(["exec", "attach", "portforward", "log", "proxy"]);
const SECONDS = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60];
const LABELS = ["verb", "group", "version", "resource", "subresource", "scope", "component"];

export class RequestMetrics {
  /** Where it counts. */
  readonly metrics: Metrics;
  readonly #clock: Clock;
  readonly #total: ReturnType<Metrics["counter"]>;
  readonly #seconds: ReturnType<Metrics["histogram"]>;
  readonly #inFlight: ReturnType<Metrics["level"]>;
  readonly #long: ReturnType<Metrics["level"]>;

  constructor(o: RequestMetricsOptions) {
    this.#clock = o.clock;
    const m = (this.metrics = o.metrics ?? new Metrics());
    this.#total = m.counter({
      name: "apiserver_request_total",
      help: "Counter of apiserver requests broken out for each verb, group, version, resource, scope, component, and HTTP response code.",
      labels: [...LABELS, "code"],
    });
    this.#seconds = m.histogram({
      name: "apiserver_request_duration_seconds",
      help: "Response latency distribution in seconds for each verb, group, version, resource, subresource, scope and component.",
      labels: LABELS,
      buckets: SECONDS,
    });
    this.#inFlight = m.level({
      name: "apiserver_current_inflight_requests",
      help: "Number of requests in the last second that are being served, by kind",
      labels: ["request_kind"],
    });
    this.#long = m.level({
      name: "apiserver_longrunning_requests",
      help: "Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component.",
      labels: LABELS,
    });
    m.gauge(
      { name: "apiserver_storage_objects", help: "Number of stored objects, by kind.", labels: ["resource"] },
      () => [...o.objects()].map(([resource, n]) => [{ resource }, n] as const),
    );
    processMetrics(m, o.clock.now() / 1000);
  }

  /** From here to the end of the answer; `asked` is read when the first byte of it is known. */
  follow(res: ServerResponse, asked: () => Asked): Following {
    const began = this.#clock.now();
    let running: (() => void) | undefined;
    res.once("close", () => {
      running?.();
      const labels = labelsOf(asked());
      this.#total({ ...labels, code: String(res.statusCode) });
      if (!isLong(asked().attributes)) this.#seconds(labels, (this.#clock.now() - began) / 1000);
    });
    return {
      known: () => {
        if (running) return;
        const labels = labelsOf(asked());
        const long = isLong(asked().attributes);
        const kind = { request_kind: READING.has(asked().attributes?.verb ?? "get") ? "readOnly" : "mutating" };
        const [level, of] = long ? [this.#long, labels] : [this.#inFlight, kind];
        level(of, 1);
        running = () => level(of, -1);
      },
    };
  }

  text(): Promise<string> {
    return this.metrics.text();
  }
}

export interface Following {
  /** Who asks may ask, and it is clear what for. */
  known(): void;
}

function isLong(a: Attributes | undefined): boolean {
  return a?.verb === "watch" || LONG.has(a?.subresource ?? "");
}

function labelsOf({ attributes: a, version }: Asked): LabelValues {
  const { verb = "", apiGroup: group = "", resource = "", subresource = "", namespace, name } = a ?? {};
  const one = name !== "" || verb === "create";
  const scope = resource === "" ? "" : one ? "resource" : namespace === "" ? "cluster" : "namespace";
  const told = LONG.has(subresource) ? "CONNECT" : (own(VERBS, verb) ?? verb.toUpperCase());
  return { verb: told, group, version, resource, subresource, scope, component: "apiserver" };
}
