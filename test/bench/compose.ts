/** The cluster of docker-compose.yml: from `up` until every node is Ready, with and without a state to come back to. */
import { COMPOSE, COMPOSE_FILE, ComposeCluster } from "../harness/compose.ts";
import { run, runOk } from "../harness/process.ts";
import { ensureTrixieImage } from "../images/trixie.ts";
import { median, Report, round } from "./report.ts";

const ROUNDS = 2;
const WORKERS = 3;
/** What was begun at the start is done by then. */
const SETTLE_MS = 20_000;
/** Services, and of which part of the cluster they are. */
const SERVICES: Readonly<Record<string, string>> = {
  api1: "API server",
  api2: "API server",
  etcd1: "etcd member",
  etcd2: "etcd member",
  etcd3: "etcd member",
  scheduler: "scheduler",
  "controller-manager": "controller-manager",
  lb: "load balancer",
  worker: `worker with its Docker daemon`,
};

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/** MiB of each container, by the part that it is of. */
async function memory(cluster: ComposeCluster): Promise<Map<string, number[]>> {
  const format = '{{.Label "com.docker.compose.service"}} {{.Names}}';
  const filter = `label=com.docker.compose.project=${cluster.project}`;
  const listed = await runOk("docker", ["ps", "--filter", filter, "--format", format]);
  const services = new Map(
    listed
      .trim()
      .split("\n")
      .map((line) => line.split(" ").toReversed() as [string, string]),
  );
  const stats = await runOk("docker", [
    "stats",
    "--no-stream",
    "--format",
    "{{.Name}} {{.MemUsage}}",
    ...services.keys(),
  ]);
  const parts = new Map<string, number[]>();
  for (const [, name = "", used, unit = ""] of stats.matchAll(/^(\S+) ([\d.]+)(\w+)/gm)) {
    const part = SERVICES[services.get(name) ?? ""];
    if (part) parts.set(part, [...(parts.get(part) ?? []), Number(used) * (unit === "GiB" ? 1024 : 1)]);
  }
  return parts;
}

/** Undefined: it can be had. */
async function missing(): Promise<string | undefined> {
  try {
    const { code, stderr } = await run(COMPOSE, ["version"]);
    return code === 0 ? undefined : stderr;
  } catch (error) {
    return `${COMPOSE} cannot be run here: ${String(error)}`;
  }
}

export async function benchCompose(): Promise<Report> {
  const report = new Report(`docker-compose.yml, ${WORKERS} workers`, "");
  const why = await missing();
  if (why !== undefined) {
    report.row({ what: "compose up → all nodes Ready", ours: `not measured: ${why}` });
    return report;
  }
  await ensureTrixieImage();
  const [first, again]: [number[], number[]] = [[], []];
  for (let i = 0; i < ROUNDS; i++) {
    const cluster = await ComposeCluster.prepare({ compose: COMPOSE, files: [COMPOSE_FILE] });
    try {
      await cluster.build();
      first.push(await timed(() => cluster.up(WORKERS)));
      await cluster.down();
      again.push(await timed(() => cluster.up(WORKERS)));
      if (i === ROUNDS - 1) await memoryRows(report, cluster);
    } finally {
      await cluster.remove();
    }
  }
  report.row({ what: "compose up → all nodes Ready, first time", ours: `${round(median(first), 1)} s` });
  report.row({ what: "compose up → all nodes Ready, state kept", ours: `${round(median(again), 1)} s` });
  return report;
}

async function memoryRows(report: Report, cluster: ComposeCluster): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  for (const [part, mib] of await memory(cluster)) {
    report.row({ what: `memory, ${part}`, ours: mib.map((m) => `${round(m)} MiB`).join("; ") });
  }
}
