/** What the agent does with many Pods, beside Docker Swarm on the same daemon and the raw Docker API: all take turns. */
import { TestCluster } from "../harness/cluster.ts";
import { BUSYBOX_IMAGE, ensureTestImages } from "../images/images.ts";
import { cpuPercent, deletePods, heal, memoryOf, names, untilRunning } from "./cluster-pods.ts";
import { RawDocker } from "./raw-docker.ts";
import { median, Report, round } from "./report.ts";
import { Swarm } from "./swarm.ts";

const ONE_ROUNDS = 5;
const HEAL_ROUNDS = 5;
const COUNTS = [30, 100];
const RAW_IN_FLIGHT = 4;
const LOOK_SECONDS = 30;

const report = new Report("Many Pods", "Docker Swarm");

/** Times of the same work in milliseconds; below 1 × we are the faster. */
function compare(what: string, ours: readonly number[], swarm: readonly number[], raw?: number): void {
  const [mine, theirs] = [median(ours), median(swarm)];
  const peer = `${round(theirs)} ms${raw === undefined ? "" : ` (raw Docker: ${round(raw)} ms)`}`;
  report.row({ what, ours: `${round(mine)} ms`, peer, ratio: `${round(mine / theirs, 2)} ×`, aim: "< 1 ×" });
}

async function one(cluster: TestCluster, swarm: Swarm): Promise<void> {
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let n = 0; n < ONE_ROUNDS; n++) {
    ours.push(await untilRunning(cluster, [`single-${n}`]));
    theirs.push(await swarm.run(1));
    await swarm.remove();
  }
  await deletePods(cluster);
  compare("one Pod, created → running", ours, theirs);
}

async function many(cluster: TestCluster, swarm: Swarm, raw: RawDocker, count: number): Promise<void> {
  const started = performance.now();
  await raw.rate(count, RAW_IN_FLIGHT);
  const plain = performance.now() - started;
  const removing = performance.now();
  await raw.removeAll();
  const plainRemoved = performance.now() - removing;
  const ours = await untilRunning(cluster, names(`many-${count}`, count));
  const oursGone = await deletePods(cluster);
  const theirs = await swarm.run(count);
  const theirsGone = await swarm.remove();
  compare(`${count} Pods, created → all running`, [ours], [theirs], plain);
  compare(`${count} Pods, deleted → all gone`, [oursGone], [theirsGone], plainRemoved);
}

async function heals(cluster: TestCluster, swarm: Swarm): Promise<void> {
  const [ours, theirs]: [number[], number[]] = [[], []];
  await swarm.run(1);
  for (let n = 0; n < HEAL_ROUNDS; n++) {
    ours.push(await heal(cluster, `heal-${n}`));
    theirs.push(await swarm.heal());
  }
  await swarm.remove();
  await deletePods(cluster);
  compare("`docker kill` → running again (Swarm without its default delay of 5 s)", ours, theirs);
}

/** CPU and memory of the whole cluster's process: API server, controllers, scheduler and agent. */
async function atRest(cluster: TestCluster): Promise<void> {
  const row = (what: string, ours: string, aim = "") => report.row({ what, ours, aim });
  await untilRunning(cluster, names("idle", 100));
  await settled();
  row(
    "CPU with 100 idle Pods, all components",
    `${round(await cpuPercent(cluster, LOOK_SECONDS), 1)} % of a core`,
    "< 1 %",
  );
  row("memory with 100 idle Pods, all components", `${round(memoryOf(cluster.pid) / 1e6)} MB`);
  await deletePods(cluster);
  const command = ["httpd", "-f", "-p", "8080"];
  await untilRunning(cluster, names("probed", 100), {
    command,
    livenessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
  });
  await settled();
  row("CPU with 100 Pods probed every second", `${round(await cpuPercent(cluster, LOOK_SECONDS), 1)} % of a core`);
  await deletePods(cluster);
}

/** What follows a start (statuses, events) is over. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 15_000));

export async function benchAgent(): Promise<Report> {
  const socket = (process.env.DOCKER_HOST ?? "").replace("unix://", "") || "/var/run/docker.sock";
  const { sandbox } = await ensureTestImages(socket);
  const raw = new RawDocker(socket, { sandbox, app: BUSYBOX_IMAGE });
  const cluster = await TestCluster.start();
  const swarm = await Swarm.start(BUSYBOX_IMAGE);
  const cleanUp = async () => {
    await raw.removeAll();
    await swarm.close();
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void cleanUp().finally(() => process.exit(1)));
  }
  try {
    await one(cluster, swarm);
    await heals(cluster, swarm);
    for (const count of COUNTS) await many(cluster, swarm, raw, count);
    await atRest(cluster);
  } finally {
    await cleanUp();
    await cluster.remove();
  }
  return report;
}
