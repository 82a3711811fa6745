/**
 * Pods and the cluster as a whole, beside the raw Docker API: the two take turns, so that a change of the machine's speed
 * meets both.
 */
import { TestCluster } from "../harness/cluster.ts";
import { BUSYBOX_IMAGE, ensureTestImages } from "../images/images.ts";
import { deletePods, heal, memoryOf, names, untilRunning } from "./cluster-pods.ts";
import { RawDocker } from "./raw-docker.ts";
import { median, Report, round } from "./report.ts";

const POD_ROUNDS = 9;
const RATE_ROUNDS = 3;
const RATE_PODS = 30;
const UP_ROUNDS = 5;
const KILL_ROUNDS = 5;
const IN_FLIGHT = [2, 4, 8];

const report = new Report("Pods", "raw Docker API");

function row(what: string, ours: string, peer: string, ratio: string, aim: string): void {
  report.row({ what, ours, peer, ratio, aim });
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
    ours.push(RATE_PODS / ((await untilRunning(cluster, names(`many-${i}`, RATE_PODS))) / 1000));
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
  for (let i = 0; i < KILL_ROUNDS; i++) times.push(await heal(cluster, `killed-${i}`));
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
  row(what, `${round(memoryOf(cluster.pid) / 1e6)} MB`, "", "", aim);
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
