/**
 * What a cluster of separate programs costs that nobody asks anything of: memory of each process, processor time, and
 * writes to etcd; empty, and with many Pods on many nodes, whose agents are real and whose containers are made up.
 */
import type { Deployment } from "../../pkg/api/generated/types.ts";
import { deployments } from "../../pkg/api/kinds/apps/deployment.ts";
import { eventually } from "../harness/process.ts";
import { cpuSeconds, memoryOf } from "./cluster-pods.ts";
import { FAKE_IMAGE } from "./fake-nodes.ts";
import { Programs } from "./programs.ts";
import { Report, round } from "./report.ts";

const MEMBERS = 3;
const REPLICAS = 2;
const NODES = 50;
const PODS = 1_000;
const DEADLINE_MS = 90_000;
/** What was begun is done by then. */
const SETTLE_MS = 10_000;
const MEASURED_MS = 20_000;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The processes of each row. */
function processes(cluster: Programs, leading: Awaited<ReturnType<typeof leaders>>): [string, readonly number[]][] {
  const { apis, electing, etcd } = cluster;
  const split = (name: string, what: "scheduler" | "controller-manager"): [string, readonly number[]][] => [
    [`${name} that leads`, [electing[what][leading[what]]?.pid ?? -1]],
    [`${name} that waits`, electing[what].filter((_, i) => i !== leading[what]).map((p) => p.pid)],
  ];
  return [
    ["API server", apis.map((p) => p.pid)],
    ...split("scheduler", "scheduler"),
    ...split("controller-manager", "controller-manager"),
    ["etcd member", etcd.endpoints.map((_, i) => etcd.pid(i))],
    ...[...cluster.nodes].map(([name, child]): [string, readonly number[]] => [name, [child.pid]]),
  ];
}

async function leaders(cluster: Programs) {
  return {
    scheduler: await cluster.leader("scheduler"),
    "controller-manager": await cluster.leader("controller-manager"),
  };
}

async function measure(report: Report, cluster: Programs, when: string): Promise<void> {
  await sleep(SETTLE_MS);
  const rows = processes(cluster, await leaders(cluster));
  const cpu = () => rows.map(([, pids]) => pids.map(cpuSeconds));
  const [before, revision, started] = [cpu(), await cluster.etcd.revision(), performance.now()];
  await sleep(MEASURED_MS);
  const seconds = (performance.now() - started) / 1000;
  const after = cpu();
  const writes = Number((await cluster.etcd.revision()) - revision) / seconds;
  rows.forEach(([name, pids], i) => {
    const each = pids.map((pid, k) => ({
      mb: memoryOf(pid) / 1e6,
      percent: (((after[i]?.[k] ?? 0) - (before[i]?.[k] ?? 0)) / seconds) * 100,
    }));
    report.row({
      what: `${name}, ${when}`,
      ours: each.map(({ mb, percent }) => `${round(mb)} MB, ${round(percent, 1)} % of a core`).join("; "),
    });
  });
  report.row({ what: `writes to etcd, ${when}`, ours: `${round(writes, 1)}/s` });
}

/** How many of the Pods are ready in the end: on a machine that is busy with other things, not all. */
async function grow(cluster: Programs): Promise<number> {
  const client = cluster.client.resource<Deployment>(deployments, "default");
  const labels = { app: "many" };
  const containers = [{ name: "app", image: FAKE_IMAGE, imagePullPolicy: "IfNotPresent" }];
  await client.create({
    metadata: { name: "many" },
    spec: {
      replicas: PODS,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers } },
    },
  });
  const ready = async () => (await client.get("many")).status?.readyReplicas ?? 0;
  return eventually(ready, (n) => n === PODS, DEADLINE_MS);
}

export async function benchMemory(): Promise<Report> {
  const report = new Report("separate programs at rest", "");
  await using cluster = await Programs.start({ etcd: MEMBERS, replicas: REPLICAS });
  await measure(report, cluster, "empty");
  await cluster.startNodes(`${NODES} fake nodes`.replaceAll(" ", "-"), NODES);
  await measure(report, cluster, `${NODES} nodes`);
  const grown = await grow(cluster);
  await measure(report, cluster, `${NODES} nodes, ${grown} Pods`);
  return report;
}
