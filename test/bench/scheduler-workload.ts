/**
 * One Deployment grown to many replicas, then left alone: a whole cluster on LMDB in one process, whose agents run fake
 * containers that start at once. Forked by scheduler.ts.
 */
import { setMaxListeners } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runAgent } from "../../pkg/agent/agent.ts";
import type { Node } from "../../pkg/api/generated/types.ts";
import { deployments } from "../../pkg/api/kinds/apps/deployment.ts";
import { nodes } from "../../pkg/api/kinds/core/node.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { keyOf } from "../../pkg/api/object.ts";
import { condition, isReady } from "../../pkg/api/pod.ts";
import { ApiServer } from "../../pkg/apiserver/server.ts";
import { Client } from "../../pkg/client/client.ts";
import { runControllers } from "../../pkg/controllers/controllers.ts";
import { Informer } from "../../pkg/informer/informer.ts";
import { FakeRuntime } from "../../pkg/runtime/fake.ts";
import { runScheduler } from "../../pkg/scheduler/scheduler.ts";
import { openStore } from "../../pkg/store/open.ts";
import { seededRandom, systemClock, systemRandom } from "../../pkg/util/clock.ts";
import { silent } from "../../pkg/util/log.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";

export interface WorkloadJob {
  readonly nodes: number;
  readonly replicas: number;
  readonly idleMs: number;
}

export interface WorkloadResult {
  /** Pods per second, from the change of `replicas` on. */
  readonly createdRate: number;
  readonly readyRate: number;
  /** CPU time by wall time, of the whole process: API server, controllers, scheduler and all agents. */
  readonly idleCpu: number;
}

const PARTS = { clock: systemClock, random: systemRandom, log: silent };
const MACHINE = { diskTotal: 1e11, diskAvailable: 5e10, memoryAvailable: 4e9, machineId: "m", bootId: "b" };
/** What the growth has left to do is done by then. */
const SETTLE_MS = 10_000;

function startAgent(server: ApiServer, n: number, dataDir: string, signal: AbortSignal): Promise<void> {
  const name = `node-${n}`;
  const runtime = new FakeRuntime({
    clock: systemClock,
    random: seededRandom(n + 1),
    info: { cpus: 64 },
    images: ["app"],
    subnet: `10.0.${n}`,
  });
  const user = { name: `system:node:${name}`, groups: ["system:nodes", "system:authenticated"] };
  const client = new Client(server.transport(user), "kubelet");
  const measure = () => Promise.resolve(MACHINE);
  return runAgent(
    { ...PARTS, client, runtime, nodeName: name, address: `192.168.0.${n + 1}`, dataDir, measure },
    signal,
  );
}

function deploymentOf(replicas: number) {
  const labels = { app: "web" };
  const containers = [{ name: "app", image: "app", imagePullPolicy: "IfNotPresent" }];
  return {
    metadata: { name: "web", namespace: "default" },
    spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } },
  };
}

async function measure(job: WorkloadJob): Promise<WorkloadResult> {
  const dataDir = mkdtempSync(join(tmpdir(), "mk-bench-"));
  const store = await openStore("lmdb", { dataDir, clock: systemClock, log: silent });
  const server = await ApiServer.open({ ...PARTS, store });
  const stop = new AbortController();
  const { signal } = stop;
  setMaxListeners(0, signal);
  const client = new Client(server.transport(), "bench");
  const seenNodes = new Informer({ ...PARTS, resource: client.resource(nodes) });
  const seenPods = new Informer({ ...PARTS, resource: client.resource(pods) });
  const loops = [
    seenNodes.run(signal),
    seenPods.run(signal),
    runControllers({ ...PARTS, client: new Client(server.transport(), "kube-controller-manager") }, signal),
    runScheduler({ ...PARTS, client: new Client(server.transport(), "default-scheduler") }, signal),
    ...Array.from({ length: job.nodes }, (_, n) => startAgent(server, n, dataDir, signal)),
  ];
  try {
    await seenNodes.until(() => seenNodes.list().filter(isUp).length === job.nodes, signal);
    const [created, ready] = [new Set<string>(), new Set<string>()];
    seenPods.onChange((_, now) => {
      if (now) created.add(keyOf(now));
      if (now && isReady(now)) ready.add(keyOf(now));
    });
    await client.resource(deployments, "default").create(deploymentOf(0));
    const started = performance.now();
    await client.resource(deployments, "default").patch("web", "application/merge-patch+json", {
      spec: { replicas: job.replicas },
    });
    const rateWhen = async (reached: ReadonlySet<string>) => {
      await seenPods.until(() => reached.size >= job.replicas, signal);
      return job.replicas / ((performance.now() - started) / 1000);
    };
    const [createdRate, readyRate] = await Promise.all([rateWhen(created), rateWhen(ready)]);
    return { createdRate, readyRate, idleCpu: await idleCpu(job.idleMs) };
  } finally {
    stop.abort(new Error("measured"));
    await Promise.all(loops);
    await server.close();
    await store.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

const isUp = (node: DeepReadonly<Node>) => condition(node.status?.conditions, "Ready")?.status === "True";

async function idleCpu(ms: number): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const [before, started] = [process.cpuUsage(), performance.now()];
  await new Promise((resolve) => setTimeout(resolve, ms));
  const used = process.cpuUsage(before);
  return (used.user + used.system) / 1000 / (performance.now() - started);
}

process.on("message", (job: WorkloadJob) => {
  void measure(job)
    .then((result) => process.send?.(result))
    .catch((error: unknown) => process.send?.({ error: String(error) }));
});
process.once("disconnect", () => process.exit(0));
