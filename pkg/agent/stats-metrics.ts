/** The summary as Prometheus reads it: the kubelet's `/metrics/resource`, name by name. Pure. */
import type { CpuStats, MemoryStats, Summary } from "../api/stats-summary.ts";
import { type LabelValues, type Sample, type SampleFamily, samplesText } from "./samples-text.ts";

interface Row {
  readonly labels: LabelValues;
  readonly cpu?: CpuStats;
  readonly memory?: MemoryStats;
  readonly startTime?: string | undefined;
}

interface Family extends SampleFamily {
  readonly of: "node" | "pod" | "container";
  readonly value: (r: Row) => number | undefined;
}

const cpuSeconds = ({ cpu }: Row) => cpu && cpu.usageCoreNanoSeconds / 1e9;
const workingSet = ({ memory }: Row) => memory?.workingSetBytes;

const families: readonly Family[] = [
  {
    name: "container_cpu_usage_seconds_total",
    help: "Cumulative cpu time consumed by the container in core-seconds",
    type: "counter",
    of: "container",
    value: cpuSeconds,
  },
  {
    name: "container_memory_working_set_bytes",
    help: "Current working set of the container in bytes",
    type: "gauge",
    of: "container",
    value: workingSet,
  },
  {
    name: "container_start_time_seconds",
    help: "Start time of the container since unix epoch in seconds",
    type: "gauge",
    of: "container",
    value: ({ startTime }) => (startTime === undefined ? undefined : Date.parse(startTime) / 1000),
  },
  {
    name: "node_cpu_usage_seconds_total",
    help: "Cumulative cpu time consumed by the node in core-seconds",
    type: "counter",
    of: "node",
    value: cpuSeconds,
  },
  {
    name: "node_memory_working_set_bytes",
    help: "Current working set of the node in bytes",
    type: "gauge",
    of: "node",
    value: workingSet,
  },
  {
    name: "pod_cpu_usage_seconds_total",
    help: "Cumulative cpu time consumed by the pod in core-seconds",
    type: "counter",
    of: "pod",
    value: cpuSeconds,
  },
  {
    name: "pod_memory_working_set_bytes",
    help: "Current working set of the pod in bytes",
    type: "gauge",
    of: "pod",
    value: workingSet,
  },
];

export function resourceMetrics(s: Summary): string {
  const rows: Readonly<Record<Family["of"], readonly Row[]>> = {
    node: [{ labels: {}, ...s.node }],
    pod: s.pods.map((p) => ({ ...p, labels: podLabels(p) })),
    container: s.pods.flatMap((p) =>
      p.containers.map((c) => ({ labels: { container: c.name, ...podLabels(p) }, ...c })),
    ),
  };
  const stable = families.map((f) => ({
    family: { ...f, help: `[STABLE] ${f.help}` },
    samples: rows[f.of].flatMap((r) => sample(f, r)),
  }));
  return samplesText([...stable, { family: SCRAPE_ERROR, samples: [{ labels: {}, value: 0 }] }]);
}

const SCRAPE_ERROR: SampleFamily = {
  name: "resource_scrape_error",
  help: "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise",
  type: "gauge",
};

function sample({ name, value }: Family, row: Row): Sample[] {
  const n = value(row);
  if (n === undefined) return [];
  const at = Date.parse(row.cpu?.time ?? row.memory?.time ?? "");
  return [{ labels: row.labels, value: n, ...(!name.endsWith("start_time_seconds") && { at }) }];
}

const podLabels = ({ podRef: { namespace, name: pod } }: Summary["pods"][number]) => ({ namespace, pod });
