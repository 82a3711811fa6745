/** The network of Pods, beside two containers on Docker's own bridge: the same programs, taking turns. */
import { ready, TestCluster } from "../harness/cluster.ts";
import { run, runOk } from "../harness/process.ts";
import { BUSYBOX_IMAGE, ensureTestImages } from "../images/images.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { median, Report, round } from "./report.ts";

const ROUNDS = 5;
const MEGABYTES = 300;
const PINGS = 1_000;
const PORT = 5001;
/** Sends so much to everybody, then hangs up. */
const SOURCE = `exec nc -ll -p ${PORT} -e dd if=/dev/zero bs=1M count=${MEGABYTES}`;

const report = new Report("Network", "two containers on Docker's bridge");

/** Two ends of a network: where the programs run, and the address of the far one. */
interface Pair {
  readonly peer: string;
  readonly inside: (script: string) => Promise<string>;
}

/** MB/s over one TCP connection. */
async function throughput({ peer, inside }: Pair): Promise<number> {
  const start = performance.now();
  const bytes = Number(await inside(`nc ${peer} ${PORT} < /dev/null | wc -c`));
  const seconds = (performance.now() - start) / 1000;
  if (bytes !== MEGABYTES * 2 ** 20) throw new Error(`${bytes} bytes came through`);
  return MEGABYTES / seconds;
}

/** Microseconds there and back, as the far end's kernel answers. */
async function roundTrip({ peer, inside }: Pair): Promise<number> {
  const text = await inside(`ping -A -q -c ${PINGS} ${peer}`);
  return Number(/= [\d.]+\/([\d.]+)\//.exec(text)?.[1]) * 1000;
}

/** In turns, so that a change of the machine's speed meets both. */
async function compare(
  pairs: { ours: Pair; peer: Pair },
  measure: (p: Pair) => Promise<number>,
): Promise<[number, number]> {
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let i = -1; i < ROUNDS; i++) {
    const [a, b] = [await measure(pairs.ours), await measure(pairs.peer)];
    // The first round warms both up.
    if (i < 0) continue;
    ours.push(a);
    theirs.push(b);
  }
  return [median(ours), median(theirs)];
}

async function podPair(cluster: TestCluster): Promise<Pair> {
  const resource = cluster.client.resource(pods, "default");
  for (const [name, command] of Object.entries({ near: "sleep 3600", far: SOURCE })) {
    const containers = [{ name: "main", image: BUSYBOX_IMAGE, command: ["sh", "-c", command] }];
    const spec = { containers, terminationGracePeriodSeconds: 0 };
    await resource.create({ metadata: { name, namespace: "default" }, spec });
  }
  await cluster.untilPod("near", ready);
  const far = await cluster.untilPod("far", ready);
  const [id = ""] = await cluster.containers("label=io.mini-kube.pod.name=near", "label=io.mini-kube.kind=container");
  return { peer: far.status?.podIP ?? "", inside: (script) => runOk("docker", ["exec", id, "sh", "-c", script]) };
}

async function dockerPair(names: readonly [near: string, far: string]): Promise<Pair> {
  const [near, far] = names;
  for (const [name, command] of [
    [near, "sleep 3600"],
    [far, SOURCE],
  ] as const)
    await runOk("docker", ["run", "-d", "--init", "--name", name, BUSYBOX_IMAGE, "sh", "-c", command]);
  const peer = await runOk("docker", ["inspect", "-f", "{{.NetworkSettings.IPAddress}}", far]);
  return { peer: peer.trim(), inside: (script) => runOk("docker", ["exec", near, "sh", "-c", script]) };
}

export async function benchNetwork(): Promise<Report> {
  await ensureTestImages();
  const names = [`mk-bench-near-${process.pid}`, `mk-bench-far-${process.pid}`] as const;
  const cluster = await TestCluster.start();
  try {
    const pairs = { ours: await podPair(cluster), peer: await dockerPair(names) };
    const [fast, bridge] = await compare(pairs, throughput);
    report.row({
      what: "Pod to Pod on one node, one connection",
      ours: `${round(fast)} MB/s`,
      peer: `${round(bridge)} MB/s`,
      ratio: `${round(fast / bridge, 2)} ×`,
      aim: "≥ 0.95 ×",
    });
    const [there, plain] = await compare(pairs, roundTrip);
    report.row({
      what: "Pod to Pod on one node, there and back",
      ours: `${round(there, 1)} µs`,
      peer: `${round(plain, 1)} µs`,
      ratio: `${round(there / plain, 2)} ×`,
      aim: "≤ 1.05 ×",
    });
  } finally {
    await run("docker", ["rm", "-f", ...names]);
    await cluster.remove();
  }
  return report;
}
