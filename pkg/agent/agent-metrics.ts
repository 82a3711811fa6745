/** What the agent counts of its own work, under the kubelet's names. */
import type { PodStatus } from "../api/generated/types.ts";
import type { RuntimePod } from "../runtime/runtime.ts";
import { Metrics, processMetrics } from "../util/metrics.ts";
import type { Pod } from "./facts.ts";

export interface ProbeCount {
  readonly pod: Pod;
  readonly container: string;
  readonly kind: "liveness" | "readiness" | "startup";
  readonly ok: boolean;
}

export interface AgentMetricsOptions {
  readonly nodeName: string;
  /** In seconds since the epoch. */
  readonly startedAt: number;
  readonly pods: () => Iterable<{ readonly actual: RuntimePod | undefined }>;
  /** By what the node was short of. */
  readonly evictions: () => ReadonlyMap<string, number>;
}

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const STATES = ["created", "running", "exited"] as const;
const PROBE_NAMES = { liveness: "Liveness", readiness: "Readiness", startup: "Startup" } as const;

export class AgentMetrics {
  readonly #metrics = new Metrics();
  readonly #probes = new Metrics();
  readonly #operations: ReturnType<Metrics["counter"]>;
  readonly #operationErrors: ReturnType<Metrics["counter"]>;
  readonly #operationSeconds: ReturnType<Metrics["histogram"]>;
  readonly #podStart: ReturnType<Metrics["histogram"]>;
  readonly #probed: ReturnType<Metrics["counter"]>;

  constructor(o: AgentMetricsOptions) {
    const m = this.#metrics;
    const labels = ["operation_type"];
    m.gauge({ name: "kubelet_node_name", help: "The node's name. The count is always 1.", labels: ["node"] }, () => [
      [{ node: o.nodeName }, 1],
    ]);
    m.gauge({ name: "kubelet_running_pods", help: "Number of pods that have a running pod sandbox" }, () => [
      [{}, [...o.pods()].filter((p) => p.actual?.sandbox?.state === "running").length],
    ]);
    m.gauge(
      {
        name: "kubelet_running_containers",
        help: "Number of containers currently running",
        labels: ["container_state"],
      },
      () => {
        const all = [...o.pods()].flatMap((p) => p.actual?.containers ?? []);
        return STATES.map((s) => [{ container_state: s }, all.filter((c) => c.state === s).length] as const);
      },
    );
    m.gauge(
      {
        name: "kubelet_evictions",
        help: "Cumulative number of pod evictions by eviction signal",
        labels: ["eviction_signal"],
      },
      () => [...o.evictions()].map(([signal, n]) => [{ eviction_signal: signal }, n] as const),
    );
    this.#podStart = m.histogram({
      name: "kubelet_pod_start_duration_seconds",
      help: "Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run",
      buckets: SECONDS,
    });
    this.#operations = m.counter({
      name: "kubelet_runtime_operations_total",
      help: "Cumulative number of runtime operations by operation type.",
      labels,
    });
    this.#operationErrors = m.counter({
      name: "kubelet_runtime_operations_errors_total",
      help: "Cumulative number of runtime operation errors by operation type.",
      labels,
    });
    this.#operationSeconds = m.histogram({
      name: "kubelet_runtime_operations_duration_seconds",
      help: "Duration in seconds of runtime operations. Broken down by operation type.",
      labels,
      buckets: SECONDS,
    });
    this.#probed = this.#probes.counter({
      name: "prober_probe_total",
      help: "Cumulative number of a liveness, readiness or startup probe for a container by result.",
      labels: ["probe_type", "result", "container", "pod", "namespace", "pod_uid"],
    });
    processMetrics(m, o.startedAt);
  }

  /** One step of a Pod's worker has ended. */
  operation(type: string, o: { readonly ms: number; readonly failed: boolean }): void {
    const of = { operation_type: snakeCase(type) };
    this.#operations(of);
    if (o.failed) this.#operationErrors(of);
    this.#operationSeconds(of, o.ms / 1000);
  }

  probed({ pod, container, kind, ok }: ProbeCount): void {
    const { name = "", namespace = "", uid = "" } = pod.metadata;
    const result = ok ? "successful" : "failed";
    this.#probed({ probe_type: PROBE_NAMES[kind], result, container, pod: name, namespace, pod_uid: uid });
  }

  /** Counts a Pod that has begun to run. */
  status(before: Pod, now: PodStatus, at: number): void {
    if (before.status?.phase === "Running" || now.phase !== "Running") return;
    const seen = Date.parse(now.startTime ?? "");
    if (!Number.isNaN(seen)) this.#podStart({}, Math.max(0, at - seen) / 1000);
  }

  text(): Promise<string> {
    return this.#metrics.text();
  }

  probesText(): Promise<string> {
    return this.#probes.text();
  }
}

const snakeCase = (name: string) => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
