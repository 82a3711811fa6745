/**
 * Pods and the cluster as a whole, beside the raw Docker API: the two take turns, so that a change of the machine's speed
 * meets both.
 */
import { readFileSync } from "node:fs";
import type { Pod } from "../../pkg/api/generated/types.ts";
import { pods as podResource } from "../../pkg/api/kinds/core/pod.ts";
import { nameOf } from "../../pkg/api/object.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { TestCluster } from "../harness/cluster.ts";
import { runOk } from "../harness/process.ts";
import { BUSYBOX_IMAGE, ensureTestImages } from "../images/images.ts";
import { RawDocker } from "./raw-docker.ts";
import { median, Report, round } from "./report.ts";

const POD_ROUNDS = 9;
const RATE_ROUNDS = 3;
const RATE_PODS = 30;
const UP_ROUNDS = 5;
const KILL_ROUNDS = 5;
const IN_FLIGHT = [2, 4, 8];
const DEADLINE_MS = 120_000;

const report = new Report("Pods", "raw Docker API");

function row(what: string, ours: string, peer: string, ratio: string, aim: string): void {
  report.row({ what, ours, peer, ratio, aim });
}

const podOf = (name: string): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "default", labels: { bench: "true" } },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: "app", image: BUSYBOX_IMAGE, command: ["sleep", "3600"] }],
  },
});

/** Milliseconds from the request that creates the Pods until a watch has shown each of them Running. */
async function untilRunning(cluster: TestCluster, names: readonly string[]): Promise<number> {
  const client = cluster.client.resource(podResource, "default");
  const stop = new AbortController();
  const waiting = new Set(names);
  const { metadata } = await client.list({ limit: 1 });
  const events = client.watch({ resourceVersion: metadata.resourceVersion ?? "", labelSelector: "bench" }, stop.signal);
  const seen = (async () => {
    for await (const e of events) {
      if (e.type !== "BOOKMARK" && running(e.object)) waiting.delete(nameOf(e.object));
      if (waiting.size === 0) return stop.abort();
    }
  })();
  const start = performance.now();
  await Promise.all(names.map((name) => client.create(podOf(name))));
  await Promise.race([seen, deadline()]);
  return performance.now() - start;
}

const running = (pod: DeepReadonly<Pod>): boolean => pod.status?.phase === "Running";

function deadline(): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`not done within ${DEADLINE_MS / 1000} s`)), DEADLINE_MS).unref();
  });
}

async function deletePods(cluster: TestCluster): Promise<void> {
  await cluster.cliOk(["delete", "pods", "-l", "bench", "--wait", "--grace-period=0", "--force"], {
    deadline: DEADLINE_MS,
  });
}

async function onePod(cluster: TestCluster, raw: RawDocker): Promise<void> {
  const [ours, theirs, ratios]: [number[], number[], number[]] = [[], [], []];
  for (let i = -1; i < POD_ROUNDS; i++) {
    const start = performance.now();
    await raw.runPod();
    const plain = performance.now() - start;
    const mine = await untilRunning(cluster, [`one-${i + 1}`]);
    // The first round warms both up.
    if (i < 0) continue;
    ours.push(mine);
    theirs.push(plain);
    ratios.push(mine / plain);
  }
  row(
    "one Pod, apply → Running",
    `${round(median(ours))} ms`,
    `${round(median(theirs))} ms`,
    `${round(median(ratios), 2)} ×`,
    "≤ 1.15 ×",
  );
  await raw.removeAll();
  await deletePods(cluster);
}

async function manyPods(cluster: TestCluster, raw: RawDocker): Promise<void> {
  const [ours, best]: [number[], number[]] = [[], []];
  for (let i = 0; i < RATE_ROUNDS; i++) {
    const rates: number[] = [];
    for (const inFlight of IN_FLIGHT) {
      rates.push(await raw.rate(RATE_PODS, inFlight));
      await raw.removeAll();
    }
    best.push(Math.max(...rates));
    const names = Array.from({ length: RATE_PODS }, (_, n) => `many-${i}-${n}`);
    ours.push(RATE_PODS / ((await untilRunning(cluster, names)) / 1000));
    await deletePods(cluster);
  }
  const ratios = ours.map((r, i) => r / (best[i] ?? Number.NaN));
  row(
    `${RATE_PODS} Pods at once`,
    `${round(median(ours), 1)} Pods/s`,
    `${round(median(best), 1)} Pods/s (best of ${IN_FLIGHT.join("/")} in flight)`,
    `${round(median(ratios), 2)} ×`,
    "≥ 0.9 ×",
  );
}

async function killed(cluster: TestCluster): Promise<void> {
  const times: number[] = [];
  for (let i = 0; i < KILL_ROUNDS; i++) {
    const name = `killed-${i}`;
    await untilRunning(cluster, [name]);
    const pod = await cluster.untilPod(name, running);
    const id = pod.status?.containerStatuses?.[0]?.containerID?.replace("docker://", "") ?? "";
    const back = cluster.untilPod(
      name,
      (p) =>
        (p.status?.containerStatuses?.[0]?.restartCount ?? 0) > 0 &&
        running(p) &&
        p.status?.containerStatuses?.[0]?.state?.running !== undefined,
    );
    const start = performance.now();
    await runOk("docker", ["kill", id]);
    await back;
    times.push(performance.now() - start);
  }
  row("a killed container is back", `${round(median(times))} ms`, "", "", "< 1000 ms");
  await deletePods(cluster);
}

async function start(): Promise<void> {
  const [first, again]: [number[], number[]] = [[], []];
  for (let i = 0; i < UP_ROUNDS; i++) {
    const cluster = await TestCluster.start();
    try {
      first.push(readyAfter(await cluster.cliOk(["status"])));
      await cluster.interrupt();
      await cluster.up();
      again.push(readyAfter(await cluster.cliOk(["status"])));
    } finally {
      await cluster.remove();
    }
  }
  row("process start → API ready, first time", `${round(median(first))} ms`, "", "", "≤ 1000 ms");
  row("process start → API ready, state kept", `${round(median(again))} ms`, "", "", "≤ 1000 ms");
}

const readyAfter = (status: string): number => Number(/ready (\d+) ms/.exec(status)?.[1]);

async function memory(cluster: TestCluster, what: string, aim: string): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 15_000));
  const rss = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${cluster.pid}/status`, "utf8"))?.[1];
  row(what, `${round((Number(rss) * 1024) / 1e6)} MB`, "", "", aim);
}

export async function benchPods(): Promise<Report> {
  const socket = (process.env.DOCKER_HOST ?? "").replace("unix://", "") || "/var/run/docker.sock";
  const { sandbox } = await ensureTestImages(socket);
  const raw = new RawDocker(socket, { sandbox, app: BUSYBOX_IMAGE });
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void raw.removeAll().finally(() => process.exit(1)));
  }
  await start();
  const cluster = await TestCluster.start();
  try {
    await memory(cluster, "memory, idle cluster", "≤ 150 MB");
    await onePod(cluster, raw);
    await manyPods(cluster, raw);
    await killed(cluster);
    await memory(cluster, "memory after all of it", "");
  } finally {
    await raw.removeAll();
    await cluster.remove();
  }
  return report;
}
