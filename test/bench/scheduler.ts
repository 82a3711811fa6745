/** How fast Pods get their nodes, and how fast one workload grows: each figure from a process of its own. */
import { Child } from "./child.ts";
import type { Load, SchedulerJob, SchedulerResult } from "./scheduler-load.ts";
import type { WorkloadJob, WorkloadResult } from "./scheduler-workload.ts";
import { Report, round } from "./report.ts";

const PODS = 10_000;
const NODES = [100, 1_000, 5_000];
/** Three times what Kubernetes' scheduler_perf asks for at 5,000 nodes. */
const AIMS: Readonly<Record<Load, string>> = {
  plain: "≥ 2,040 Pods/s",
  spreading: "≥ 660 Pods/s",
  "anti-affinity": "≥ 660 Pods/s",
};
const WORKLOAD: WorkloadJob = { nodes: 20, replicas: 1_000, idleMs: 30_000 };

async function once<T>(module: string, job: unknown): Promise<T> {
  const child = new Child(module);
  try {
    return await child.ask<T>(job);
  } finally {
    await child.end();
  }
}

const rates = ({ rate, cpuRate }: SchedulerResult) => `${round(rate)} Pods/s (${round(cpuRate)} per CPU second)`;

export async function benchScheduler(): Promise<Report> {
  const report = new Report("the scheduler", "in memory");
  for (const nodes of NODES) {
    for (const [load, aim] of Object.entries(AIMS) as [Load, string][]) {
      const job = (store: SchedulerJob["store"]): SchedulerJob => ({ store, nodes, pods: PODS, load });
      const memory = await once<SchedulerResult>("scheduler-load.ts", job("memory"));
      const lmdb = await once<SchedulerResult>("scheduler-load.ts", job("lmdb"));
      report.row({
        what: `${PODS} Pods on ${nodes} nodes, ${load}, LMDB`,
        ours: rates(lmdb),
        peer: rates(memory),
        ratio: `${round(lmdb.rate / memory.rate, 2)} ×`,
        ...(nodes === NODES.at(-1) && { aim }),
      });
    }
  }
  const { createdRate, readyRate, idleCpu } = await once<WorkloadResult>("scheduler-workload.ts", WORKLOAD);
  const { replicas, nodes } = WORKLOAD;
  report.row({
    what: `a Deployment scaled to ${replicas} on ${nodes} fake nodes, LMDB`,
    ours: `${round(createdRate)} Pods/s created, ${round(readyRate)} Pods/s ready`,
  });
  report.row({
    what: `CPU of the idle cluster with ${replicas} Pods`,
    ours: `${round(idleCpu * 100, 1)} % of one core`,
    aim: "< 2 %",
  });
  return report;
}
