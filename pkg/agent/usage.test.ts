import { describe, expect, test } from "@jest/globals";
import type { Summary } from "../api/stats-summary.ts";
import type { RuntimePod } from "../runtime/runtime.ts";
import { FakeClock } from "../util/fake-clock.ts";
import { readInterfaces } from "../util/net-dev.ts";
import { AgentMetrics } from "./agent-metrics.ts";
import type { Measurement } from "./node-status.ts";
import { summarize } from "./stats-summary.ts";
import { podOf } from "./testing/harness.ts";
import { UsagePages } from "./usage.ts";

const START = Date.UTC(2026, 0, 1);
const memory = { memoryUsageBytes: 300, memoryWorkingSetBytes: 200, memoryRssBytes: 100 };
const eth0 = { name: "eth0", rxBytes: 10, rxErrors: 1, txBytes: 20, txErrors: 2 };

const pod = podOf("web", [{ name: "app" }]);
const actual: RuntimePod = {
  uid: "web-uid",
  name: "web",
  namespace: "default",
  sandbox: { id: "s", state: "running", createdAt: START, attempt: 0 },
  containers: [
    {
      id: "c1",
      name: "app",
      attempt: 0,
      state: "running",
      image: "nginx",
      imageId: "sha256:1",
      createdAt: START,
      specHash: "h",
      resources: { cpuShares: 512, cpuQuota: 50_000, memoryBytes: 1024 },
    },
  ],
};
const measured: Measurement = {
  diskTotal: 1000,
  diskAvailable: 400,
  inodes: { total: 10, free: 4 },
  memoryAvailable: 1,
  machineId: "m",
  bootId: "b",
  pids: { max: 100, running: 7 },
};

function summary(): Summary {
  const node = { cpuNanoseconds: 1e9, ...memory, memoryAvailableBytes: 1000, network: [eth0] };
  const of = { id: "c1", podUid: "web-uid", podName: "web", podNamespace: "default", name: "app", ...memory };
  const sample = (at: number, cpuNanoseconds: number) => ({
    at,
    node,
    containers: new Map([["c1", { ...of, at, cpuNanoseconds, processes: 3, network: [eth0] }]]),
  });
  return summarize({ nodeName: "n1", startedAt: () => START }, sample(START, 0), sample(START + 10_000, 5e9));
}

class Fixture {
  readonly clock = new FakeClock(START + 10_000);
  looks = 0;
  readonly metrics = new AgentMetrics({
    nodeName: "n1",
    startedAt: START / 1000,
    pods: () => [{ actual }],
    evictions: () => new Map([["memory.available", 2]]),
  });
  readonly pages = new UsagePages({
    clock: this.clock,
    stats: { summary: () => Promise.resolve(summary()) },
    metrics: this.metrics,
    machine: () => ({ cpus: 4, memoryBytes: 8000 }),
    measured: () => measured,
    pods: () => [{ pod, actual }],
    disk: () => {
      this.looks++;
      return Promise.resolve({
        containers: new Map([["app", { layer: 70, logs: 30 }]]),
        volumes: new Map([["tmp", 5]]),
        inodes: 3,
      });
    },
  });

  async text(what: string, query = ""): Promise<string> {
    return (await this.pages.page(what, new URLSearchParams(query), new AbortController().signal))?.text ?? "";
  }
}

describe("/stats/summary", () => {
  test("tells of disks and networks, too; disks are looked at once a minute at most", async () => {
    const f = new Fixture();
    const all = JSON.parse(await f.text("stats/summary")) as Summary;
    expect(all.node).toMatchObject({
      network: { name: "eth0", rxBytes: 10, interfaces: [eth0] },
      fs: { capacityBytes: 1000, availableBytes: 400, usedBytes: 600, inodesUsed: 6 },
      runtime: { imageFs: { capacityBytes: 1000 } },
      rlimit: { maxpid: 100, curproc: 7 },
    });
    expect(all.pods[0]).toMatchObject({
      cpu: { usageNanoCores: 5e8, usageCoreNanoSeconds: 5e9 },
      memory: { workingSetBytes: 200 },
      network: { rxBytes: 10 },
      process_stats: { process_count: 3 },
      volume: [{ name: "tmp", usedBytes: 5 }],
      "ephemeral-storage": { usedBytes: 105, inodesUsed: 3 },
      containers: [{ rootfs: { usedBytes: 70 }, logs: { usedBytes: 30 } }],
    });
    await f.clock.advance(59_000);
    await f.text("stats/summary");
    expect(f.looks).toBe(1);
    await f.clock.advance(1_000);
    await f.text("stats/summary");
    expect(f.looks).toBe(2);
  });

  test("of CPU and memory alone no disk is looked at", async () => {
    const f = new Fixture();
    expect(JSON.parse(await f.text("stats/summary", "only_cpu_and_memory=true"))).not.toHaveProperty("node.fs");
    expect(f.looks).toBe(0);
  });
});

test("/metrics/cadvisor has cAdvisor's names and labels", async () => {
  const lines = (await new Fixture().text("metrics/cadvisor")).split("\n");
  const of = 'container="app",id="/docker/c1",image="nginx",name="c1",namespace="default",pod="web"';
  const ofPod = 'container="",id="/podweb-uid",image="",name="",namespace="default",pod="web"';
  const at = START + 10_000;
  expect(lines).toEqual(
    expect.arrayContaining([
      "# TYPE container_cpu_usage_seconds_total counter",
      `container_cpu_usage_seconds_total{${of}} 5 ${at}`,
      `container_cpu_usage_seconds_total{container="",id="/",image="",name="",namespace="",pod=""} 1 ${at}`,
      `container_memory_working_set_bytes{${of}} 200 ${at}`,
      `container_spec_cpu_quota{${of}} 50000 ${at}`,
      `container_fs_usage_bytes{${of}} 70 ${at}`,
      `container_network_transmit_bytes_total{${ofPod},interface="eth0"} 20 ${at}`,
      "machine_cpu_cores 4",
    ]),
  );
  for (const line of lines.filter((l) => l !== "" && !l.startsWith("#")))
    expect(line).toMatch(/^\w+(\{[^{}]*\})? -?[\d.e+-]+( \d+)?$/);
});

test("/metrics counts what the agent does, /metrics/probes what it asks", async () => {
  const f = new Fixture();
  f.metrics.operation("createContainer", { ms: 20, failed: false });
  f.metrics.operation("createContainer", { ms: 20, failed: true });
  f.metrics.status(pod, { phase: "Running", startTime: "2026-01-01T00:00:00Z" }, START + 2_000);
  f.metrics.probed({ pod, container: "app", kind: "liveness", ok: false });
  const own = await f.text("metrics/");
  for (const line of [
    "kubelet_running_pods 1",
    'kubelet_running_containers{container_state="running"} 1',
    'kubelet_evictions{eviction_signal="memory.available"} 2',
    'kubelet_runtime_operations_total{operation_type="create_container"} 2',
    'kubelet_runtime_operations_errors_total{operation_type="create_container"} 1',
    "kubelet_pod_start_duration_seconds_sum 2",
  ])
    expect(own.split("\n")).toContain(line);
  expect(await f.text("metrics/probes")).toContain(
    'prober_probe_total{probe_type="Liveness",result="failed",container="app",pod="web",namespace="default",pod_uid="web-uid"} 1',
  );
});

test("what there is not is not told", async () => {
  expect(
    await new Fixture().pages.page("metrics/nonsense", new URLSearchParams(), new AbortController().signal),
  ).toBeUndefined();
});

test("interfaces as Linux counts them", () => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0:      10       1    1    0    0     0          0         0       20       1    2    0    0     0       0          0
`;
  expect(readInterfaces(text)).toEqual([eth0]);
});
