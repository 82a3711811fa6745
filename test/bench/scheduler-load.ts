/**
 * One measurement of the scheduler in a process of its own, forked by scheduler.ts: API server and scheduler in one
 * process, as `mini-kube up` has them, with Node objects that nobody stands behind. The clock runs from the scheduler's
 * start, when all Pods wait, until the API has every binding.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Node, Pod, PodSpec } from "../../pkg/api/generated/types.ts";
import { nodes } from "../../pkg/api/kinds/core/node.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { ApiServer } from "../../pkg/apiserver/server.ts";
import { Client } from "../../pkg/client/client.ts";
import { runScheduler } from "../../pkg/scheduler/scheduler.ts";
import { openStore } from "../../pkg/store/open.ts";
import { systemClock, systemRandom } from "../../pkg/util/clock.ts";
import { silent } from "../../pkg/util/log.ts";

export interface SchedulerJob {
  readonly store: "lmdb" | "memory";
  readonly nodes: number;
  readonly pods: number;
  readonly load: Load;
}

export interface SchedulerResult {
  /** Pods bound per second. */
  readonly rate: number;
  /** Per second of CPU time of the whole process: tells more on a machine that others use too. */
  readonly cpuRate: number;
}

/** What the Pods ask for beside cpu and memory. */
export type Load = "plain" | "spreading" | "anti-affinity";

const ZONE = "topology.kubernetes.io/zone";
const HOST = "kubernetes.io/hostname";
const ZONES = 3;
const IN_FLIGHT = 64;

/** As scheduler_perf: per replica set, a skew of five over zones; or never two on one host. */
const SPECS: Readonly<Record<Load, (labels: Record<string, string>) => Partial<PodSpec>>> = {
  plain: () => ({}),
  spreading: (matchLabels) => ({
    topologySpreadConstraints: [
      { maxSkew: 5, topologyKey: ZONE, whenUnsatisfiable: "DoNotSchedule", labelSelector: { matchLabels } },
    ],
  }),
  "anti-affinity": (matchLabels) => ({
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: HOST, labelSelector: { matchLabels } }],
      },
    },
  }),
};

function nodeOf(n: number): Node {
  const labels = { [HOST]: `node-${n}`, [ZONE]: `zone-${n % ZONES}` };
  const allocatable = { cpu: "32", memory: "64Gi", pods: "110" };
  return { metadata: { name: `node-${n}`, labels }, status: { allocatable, capacity: allocatable } };
}

function podOf(n: number, { load, nodes: count }: SchedulerJob): Pod {
  // Sets of half as many replicas as there are nodes: all fit, though each needs a host of its own.
  const labels = { app: `app-${Math.floor(n / (count / 2))}` };
  const resources = { requests: { cpu: "100m", memory: "256Mi" } };
  return {
    metadata: { name: `pod-${n}`, namespace: "default", labels },
    spec: { containers: [{ name: "app", image: "app", resources }], ...SPECS[load](labels) },
  };
}

/** A new node is tainted until somebody has seen it ready. */
async function addNode(client: Client, node: Node): Promise<void> {
  const { metadata } = await client.resource(nodes).create(node);
  await client.resource(nodes).patch(metadata.name ?? "", "application/merge-patch+json", { spec: { taints: null } });
}

async function atOnce(count: number, one: (n: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await one(next++);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
}

/** Resolves when a watch has shown this many Pods with a node, each once. */
async function untilBound(client: Client, count: number): Promise<void> {
  const stop = new AbortController();
  const bound = new Set<string>();
  for await (const e of client.resource(pods).watch({ resourceVersion: "0" }, stop.signal)) {
    if (e.type !== "BOOKMARK" && e.object.spec?.nodeName) bound.add(e.object.metadata.name ?? "");
    if (bound.size === count) return stop.abort();
  }
}

async function measure(job: SchedulerJob): Promise<SchedulerResult> {
  const dataDir = mkdtempSync(join(tmpdir(), "mk-bench-"));
  const parts = { clock: systemClock, random: systemRandom, log: silent };
  const store = await openStore(job.store, { dataDir, clock: systemClock, log: silent });
  const server = await ApiServer.open({ ...parts, store });
  try {
    const client = new Client(server.transport(), "bench");
    await atOnce(job.nodes, (n) => addNode(client, nodeOf(n)));
    await atOnce(job.pods, (n) => client.resource(pods, "default").create(podOf(n, job)));
    const stop = new AbortController();
    const all = untilBound(client, job.pods);
    const [started, before] = [performance.now(), process.cpuUsage()];
    const user = { name: "system:kube-scheduler", groups: ["system:authenticated"] };
    const scheduler = runScheduler(
      { ...parts, client: new Client(server.transport(user), "default-scheduler") },
      stop.signal,
    );
    await all;
    const rate = job.pods / ((performance.now() - started) / 1000);
    const used = process.cpuUsage(before);
    const cpuRate = job.pods / ((used.user + used.system) / 1e6);
    stop.abort();
    await scheduler;
    return { rate, cpuRate };
  } finally {
    await server.close();
    await store.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

process.on("message", (job: SchedulerJob) => {
  void measure(job)
    .then((result) => process.send?.(result))
    .catch((error: unknown) => process.send?.({ error: String(error) }));
});
process.once("disconnect", () => process.exit(0));
