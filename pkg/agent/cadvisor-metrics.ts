/** The summary under cAdvisor's names, as dashboards and alerts ask for them. Pure. */
import type { ContainerSummary, InterfaceStats, PodSummary, Summary } from "../api/stats-summary.ts";
import { CPU_PERIOD } from "../runtime/resources.ts";
import type { RuntimeContainer } from "../runtime/runtime.ts";
import { type LabelValues, type Sample, type SampleFamily, samplesText } from "./samples-text.ts";

export interface CadvisorInput {
  readonly summary: Summary;
  readonly machine: { readonly cpus: number; readonly memoryBytes: number };
  /** Of a Pod, the running container of that name. */
  readonly container: (podUid: string, name: string) => RuntimeContainer | undefined;
}

interface Row {
  readonly summary: ContainerSummary;
  readonly actual: RuntimeContainer | undefined;
}

interface ContainerFamily extends SampleFamily {
  readonly value: (r: Row) => number | undefined;
}

const family = (
  type: SampleFamily["type"],
  name: string,
  help: string,
  value: ContainerFamily["value"],
): ContainerFamily => ({ name, help, type, value });

const OF_CONTAINERS: readonly ContainerFamily[] = [
  family(
    "counter",
    "container_cpu_usage_seconds_total",
    "Cumulative cpu time consumed in seconds.",
    (r) => r.summary.cpu.usageCoreNanoSeconds / 1e9,
  ),
  family(
    "gauge",
    "container_memory_usage_bytes",
    "Current memory usage in bytes, including all memory regardless of when it was accessed",
    (r) => r.summary.memory.usageBytes,
  ),
  family(
    "gauge",
    "container_memory_working_set_bytes",
    "Current working set in bytes.",
    (r) => r.summary.memory.workingSetBytes,
  ),
  family("gauge", "container_memory_rss", "Size of RSS in bytes.", (r) => r.summary.memory.rssBytes),
  family(
    "gauge",
    "container_fs_usage_bytes",
    "Number of bytes that are consumed by the container on this filesystem.",
    (r) => r.summary.rootfs?.usedBytes,
  ),
  family("gauge", "container_start_time_seconds", "Start time of the container since unix epoch in seconds.", (r) =>
    r.summary.startTime === undefined ? undefined : Date.parse(r.summary.startTime) / 1000,
  ),
  family(
    "gauge",
    "container_last_seen",
    "Last time a container was seen by the exporter",
    (r) => Date.parse(r.summary.cpu.time) / 1000,
  ),
  family("gauge", "container_spec_cpu_shares", "CPU share of the container.", (r) => r.actual?.resources?.cpuShares),
  family("gauge", "container_spec_cpu_period", "CPU period of the container.", (r) =>
    r.actual?.resources?.cpuQuota === undefined ? undefined : CPU_PERIOD,
  ),
  family("gauge", "container_spec_cpu_quota", "CPU quota of the container.", (r) => r.actual?.resources?.cpuQuota),
  family(
    "gauge",
    "container_spec_memory_limit_bytes",
    "Memory limit for the container.",
    (r) => r.actual?.resources?.memoryBytes ?? 0,
  ),
];

const OF_INTERFACES = (
  [
    ["receive_bytes", "received", "rxBytes"],
    ["receive_errors", "errors encountered while receiving", "rxErrors"],
    ["transmit_bytes", "transmitted", "txBytes"],
    ["transmit_errors", "errors encountered while transmitting", "txErrors"],
  ] as const
).map(([name, what, field]) => ({
  family: {
    name: `container_network_${name}_total`,
    help: field.endsWith("Bytes") ? `Cumulative count of bytes ${what}` : `Cumulative count of ${what}`,
    type: "counter",
  } satisfies SampleFamily,
  value: (i: InterfaceStats) => i[field],
}));

const PROCESSES: SampleFamily = {
  name: "container_processes",
  help: "Number of processes running inside the container.",
  type: "gauge",
};
const CORES: SampleFamily = { name: "machine_cpu_cores", help: "Number of logical CPU cores.", type: "gauge" };
const MEMORY: SampleFamily = {
  name: "machine_memory_bytes",
  help: "Amount of memory installed on the machine.",
  type: "gauge",
};

export function cadvisorMetrics(i: CadvisorInput): string {
  const { pods, node } = i.summary;
  const rows = pods.flatMap((p) => p.containers.map((summary) => ({ p, row: rowOf(i, p, summary) })));
  const containers = OF_CONTAINERS.map((f) => ({
    family: f,
    samples: [
      ...ofNode(f.name, node),
      ...rows.flatMap(({ p, row }) => sampled(f.value(row), containerLabels(p, row), row.summary.cpu.time)),
    ],
  }));
  const networks = OF_INTERFACES.map(({ family: f, value }) => ({
    family: f,
    samples: pods.flatMap((p) =>
      (p.network?.interfaces ?? []).flatMap((n) =>
        sampled(value(n), { ...podLabels(p), interface: n.name }, p.network?.time ?? ""),
      ),
    ),
  }));
  const processes = pods.flatMap((p) => sampled(p.process_stats?.process_count, podLabels(p), p.cpu?.time ?? ""));
  return samplesText([
    ...containers,
    ...networks,
    { family: PROCESSES, samples: processes },
    { family: CORES, samples: [{ labels: {}, value: i.machine.cpus }] },
    { family: MEMORY, samples: [{ labels: {}, value: i.machine.memoryBytes }] },
  ]);
}

function rowOf(i: CadvisorInput, p: PodSummary, summary: ContainerSummary): Row {
  return { summary, actual: i.container(p.podRef.uid, summary.name) };
}

/** The root group: all of the machine. */
function ofNode(name: string, { cpu, memory }: Summary["node"]): Sample[] {
  const values: Readonly<Record<string, number>> = {
    container_cpu_usage_seconds_total: cpu.usageCoreNanoSeconds / 1e9,
    container_memory_usage_bytes: memory.usageBytes,
    container_memory_working_set_bytes: memory.workingSetBytes,
    container_memory_rss: memory.rssBytes,
  };
  return sampled(values[name], { container: "", id: "/", image: "", name: "", namespace: "", pod: "" }, cpu.time);
}

function sampled(value: number | undefined, labels: LabelValues, time: string): Sample[] {
  return value === undefined ? [] : [{ labels, value, at: Date.parse(time) }];
}

function containerLabels(p: PodSummary, { summary, actual }: Row): LabelValues {
  const { namespace, name: pod } = p.podRef;
  const id = actual ? `/docker/${actual.id}` : "";
  return { container: summary.name, id, image: actual?.image ?? "", name: actual?.id ?? "", namespace, pod };
}

function podLabels({ podRef: { namespace, name: pod, uid } }: PodSummary): LabelValues {
  return { container: "", id: `/pod${uid}`, image: "", name: "", namespace, pod };
}
