/** The summary as Prometheus reads it: the kubelet's `/metrics/resource`, name by name. Pure. */
import type { CpuStats, MemoryStats, Summary } from "../api/stats-summary.ts";

interface Row {
  readonly labels: Readonly<Record<string, string>>;
  readonly cpu?: CpuStats;
  readonly memory?: MemoryStats;
  readonly startTime?: string | undefined;
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
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
    pod: s.pods.map((p) => ({ labels: podLabels(p), ...podTotals(p) })),
    container: s.pods.flatMap((p) =>
      p.containers.map((c) => ({ labels: { container: c.name, ...podLabels(p) }, ...c })),
    ),
  };
  return families
    .flatMap((f) => [
      `# HELP ${f.name} [STABLE] ${f.help}`,
      `# TYPE ${f.name} ${f.type}`,
      ...rows[f.of].flatMap((r) => line(f, r)),
    ])
    .concat(
      "# HELP resource_scrape_error [STABLE] 1 if there was an error while getting container metrics, 0 otherwise",
    )
    .concat("# TYPE resource_scrape_error gauge", "resource_scrape_error 0", "")
    .join("\n");
}

function line({ name, value }: Family, row: Row): string[] {
  const n = value(row);
  if (n === undefined) return [];
  const labels = Object.entries(row.labels).map(([key, text]) => `${key}=${JSON.stringify(text)}`);
  const time = name.endsWith("start_time_seconds") ? "" : ` ${Date.parse(row.cpu?.time ?? row.memory?.time ?? "")}`;
  return [`${name}${labels.length ? `{${labels.join(",")}}` : ""} ${n}${time}`];
}

const podLabels = ({ podRef: { namespace, name: pod } }: Summary["pods"][number]) => ({ namespace, pod });

function podTotals({ containers }: Summary["pods"][number]): Omit<Row, "labels"> {
  const [first] = containers;
  if (!first) return {};
  const cpu = containers.reduce((n, c) => n + c.cpu.usageCoreNanoSeconds, 0);
  const memory = containers.reduce((n, c) => n + c.memory.workingSetBytes, 0);
  return {
    cpu: { ...first.cpu, usageCoreNanoSeconds: cpu },
    memory: { ...first.memory, workingSetBytes: memory },
  };
}
