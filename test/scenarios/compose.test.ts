/** The cluster of docker-compose.yml: several machines, each a container, and what becomes of it when parts of it die. */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { COMPOSE, COMPOSE_FILE, ComposeCluster, composeV2, SMALL_FILE } from "../harness/compose.ts";
import { eventually, run } from "../harness/process.ts";
import { parseWho, WHO_LABELS, WHO_PATH, whoDeployment } from "../harness/who.ts";
import { ensureTestImages } from "../images/images.ts";
import { ensureTrixieImage } from "../images/trixie.ts";

const LIMIT = 900_000;
const WORKERS = ["worker-1", "worker-2", "worker-3"];

/** One on each worker, while there are so many. */
const SPREAD = {
  topologySpreadConstraints: [
    {
      maxSkew: 1,
      topologyKey: "kubernetes.io/hostname",
      whenUnsatisfiable: "ScheduleAnyway",
      labelSelector: { matchLabels: WHO_LABELS },
    },
  ],
};
const SERVICE = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web" },
  spec: { selector: WHO_LABELS, ports: [{ port: 80, targetPort: "http" }] },
};
const ASKER = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "asker" },
  spec: {
    nodeName: "worker-1",
    terminationGracePeriodSeconds: 0,
    containers: [{ name: "main", image: "busybox:1.36", command: ["sleep", "3600"] }],
  },
};
const SECRET = { apiVersion: "v1", kind: "Secret", metadata: { name: "word" }, stringData: { word: "open sesame" } };

/** What the story of a run is told by, in the docs, too. */
const tell = (what: string, since: number) =>
  process.stderr.write(`compose: ${what} after ${((Date.now() - since) / 1000).toFixed(1)} s\n`);

interface PodRow {
  readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName?: string };
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

const items = async <T>(cluster: ComposeCluster, args: readonly string[]): Promise<readonly T[]> => {
  const { stdout, code } = await cluster.kubectl(["get", ...args, "-o", "json", "--request-timeout=10s"]);
  return code === 0 ? (JSON.parse(stdout) as { items: readonly T[] }).items : [];
};
const isReady = ({ metadata, status }: PodRow) =>
  metadata.deletionTimestamp === undefined &&
  (status.conditions ?? []).some((c) => c.type === "Ready" && c.status === "True");

beforeAll(async () => {
  await Promise.all([ensureTestImages(), ensureTrixieImage()]);
}, LIMIT);

describe("docker-compose.yml", () => {
  let cluster: ComposeCluster;
  const k = (command: string) => cluster.kubectlOk(command.split(" "));
  const webPods = () => items<PodRow>(cluster, ["pods", "-l", "app=web"]);
  const readyOn = async () => (await webPods()).filter(isReady).map((pod) => pod.spec.nodeName ?? "");

  beforeAll(async () => {
    cluster = await ComposeCluster.prepare({ compose: COMPOSE, files: [COMPOSE_FILE] });
    await cluster.build();
    const started = Date.now();
    try {
      await cluster.up(WORKERS.length);
    } catch (error) {
      throw new Error(`${String(error)}\n${await cluster.logs()}`, { cause: error });
    }
    tell("all nodes are Ready", started);
    await cluster.loadImages(["busybox:1.36"]);
  }, LIMIT);
  afterAll(() => cluster?.remove(), LIMIT);

  test("every worker is a Node of its own, with its own address and Docker", async () => {
    interface NodeRow {
      readonly metadata: { readonly name: string };
      readonly status: {
        readonly addresses: readonly { readonly type: string; readonly address: string }[];
        readonly nodeInfo: { readonly containerRuntimeVersion: string };
      };
    }
    const nodes = await items<NodeRow>(cluster, ["nodes"]);
    expect(nodes.map((n) => n.metadata.name)).toEqual(WORKERS);
    const addresses = nodes.flatMap((n) => n.status.addresses.filter((a) => a.type === "InternalIP"));
    expect(new Set(addresses.map((a) => a.address)).size).toBe(WORKERS.length);
    for (const { status } of nodes) expect(status.nodeInfo.containerRuntimeVersion).toMatch(/^docker:\/\/\d/);
  });

  test("Pods run on every worker, and a Service is balanced across them", async () => {
    const list = { apiVersion: "v1", kind: "List", items: [whoDeployment(3, SPREAD), SERVICE, ASKER, SECRET] };
    const started = Date.now();
    await cluster.kubectlOk(["apply", "-f", "-"], { input: JSON.stringify(list) });
    await k("rollout status deployment/web --timeout=90s");
    tell("three Pods on three workers are Ready", started);
    expect((await readyOn()).toSorted()).toEqual(WORKERS);
    await k("wait --for=condition=Ready pod/asker --timeout=60s");
    const ask = `for i in $(seq 60); do printf 'GET ${WHO_PATH} HTTP/1.0\\r\\n\\r\\n' | nc -w 5 web 80 | tail -n 1; done`;
    const answers = await cluster.kubectlOk(["exec", "asker", "--", "sh", "-c", ask]);
    const pods = answers
      .trim()
      .split("\n")
      .map((line) => parseWho(line)[0]);
    expect(pods).toHaveLength(60);
    const names = (await webPods()).map((pod) => pod.metadata.name);
    expect([...new Set(pods)].toSorted()).toEqual(names.toSorted());
    // Each answers a third of them; none less than a ninth, but for a chance of one in a million.
    for (const name of names) expect(pods.filter((pod) => pod === name).length).toBeGreaterThan(6);
  });

  test("a worker that is killed: its Pods run elsewhere, and it comes back as itself", async () => {
    const victim = "worker-2";
    const container = await cluster.container("worker", 2);
    const killed = Date.now();
    await run("docker", ["kill", container]);
    const elsewhere = await eventually(readyOn, (nodes) => nodes.filter((n) => n !== victim).length >= 3);
    tell("a worker was killed; its Pods are Ready elsewhere", killed);
    expect(elsewhere.filter((n) => n !== victim)).toHaveLength(3);
    // 15 s are promised; the machine that tests may be busy.
    expect(Date.now() - killed).toBeLessThan(30_000);
    const back = Date.now();
    await run("docker", ["start", container]);
    await k(`wait --for=condition=Ready node/${victim} --timeout=60s`);
    tell("the worker was started again and is Ready", back);
    expect((await items(cluster, ["nodes"])).length).toBe(WORKERS.length);
  });

  test("the leader of etcd is killed: writes go on after the election, and none that was confirmed is lost", async () => {
    const leader = await etcdLeader(cluster);
    const container = await cluster.container(leader);
    const confirmed: string[] = [];
    const failed: string[] = [];
    let writing = true;
    let killed = 0;
    let sinceKill = 0;
    const writer = (async () => {
      for (let i = 0; writing; i++) {
        const args = ["create", "configmap", `w-${i}`, `--from-literal=i=${i}`, "--request-timeout=10s"];
        const { code, stderr } = await cluster.kubectl(args);
        if (code === 0) confirmed.push(`w-${i}`);
        else failed.push(stderr.trim());
        if (code === 0 && sinceKill === 0 && killed > 0) sinceKill = Date.now() - killed;
      }
    })();
    await eventually(
      async () => confirmed.length,
      (n) => n >= 5,
    );
    await run("docker", ["kill", container]);
    killed = Date.now();
    const before = confirmed.length;
    await eventually(
      async () => confirmed.length,
      (n) => n >= before + 20,
    );
    writing = false;
    await writer;
    process.stderr.write(
      `compose: ${leader} led etcd and was killed; the next write was confirmed ${sinceKill} ms later, ` +
        `${failed.length} failed${failed.length > 0 ? `: ${failed.join("; ")}` : ""}\n`,
    );
    expect(confirmed.length).toBeGreaterThanOrEqual(before + 20);
    // One write is under way at a time, and the election takes some seconds.
    expect(failed.length).toBeLessThanOrEqual(5);
    const there = new Set((await k("get configmaps -o name")).trim().split("\n"));
    expect(confirmed.filter((name) => !there.has(`configmap/${name}`))).toEqual([]);
    await run("docker", ["start", container]);
  });

  test("down and up: everything is as it was", async () => {
    const state = async () => {
      const uids = await k("get deployments,services,secrets,configmaps,nodes -o jsonpath={.items[*].metadata.uid}");
      const word = await k("get secret word -o jsonpath={.data.word}");
      return { uids: uids.split(" ").toSorted(), word };
    };
    const before = await state();
    const stopping = Date.now();
    await cluster.down();
    tell("down: it is stopped", stopping);
    const started = Date.now();
    await cluster.up(WORKERS.length);
    tell("up again: all nodes are Ready", started);
    expect(await state()).toEqual(before);
    await eventually(readyOn, (nodes) => nodes.length === 3);
    tell("and all Pods run again", started);
    expect(await readyOn()).toHaveLength(3);
    await k("wait --for=condition=Ready pod/asker --timeout=60s");
    const ask = `printf 'GET ${WHO_PATH} HTTP/1.0\\r\\n\\r\\n' | nc -w 5 web 80 | tail -n 1`;
    const answer = await eventually(
      () => cluster.kubectl(["exec", "asker", "--", "sh", "-c", ask]),
      ({ stdout }) => stdout.startsWith("web-"),
    );
    expect(answer.stdout).toMatch(/^web-/);
  });
});

test(
  "docker-compose.small.yml, by docker-compose 2: one of each, and two workers",
  async () => {
    const cluster = await ComposeCluster.prepare({ compose: await composeV2(), files: [COMPOSE_FILE, SMALL_FILE] });
    try {
      const started = Date.now();
      await cluster.up(2, ["--no-build"]);
      tell("small: all nodes are Ready", started);
      const services = (await cluster.compose(["ps", "--services"])).trim().split("\n");
      const going = ["api1", "controller-manager", "etcd1", "lb", "renew", "scheduler", "worker"];
      expect(services.filter((s) => !["init", "bootstrap"].includes(s)).toSorted()).toEqual(going);
      const renewed = await cluster.compose(["exec", "-T", "renew", "mini-kube", "pki", "renew", "/pki"]);
      expect(renewed).toContain("everything in /pki is good; nothing was changed");
      await cluster.loadImages(["busybox:1.36"]);
      await cluster.kubectlOk(["create", "deployment", "sleeper", "--image=busybox:1.36", "--", "sleep", "3600"]);
      await cluster.kubectlOk(["rollout", "status", "deployment/sleeper", "--timeout=60s"]);
      const names = await cluster.kubectlOk(["get", "nodes", "-o", "name"]);
      expect(names.trim().split("\n")).toEqual(["node/worker-1", "node/worker-2"]);
    } catch (error) {
      throw new Error(`${String(error)}\n${await cluster.logs()}`, { cause: error });
    } finally {
      await cluster.remove();
    }
  },
  LIMIT,
);

/** The service whose member leads. */
async function etcdLeader(cluster: ComposeCluster): Promise<string> {
  const out = await cluster.exec("etcd1", ["etcdctl", "endpoint", "status", "--cluster", "-w", "json"]);
  interface Status {
    readonly Endpoint: string;
    readonly Status: { readonly header: { readonly member_id: number }; readonly leader: number };
  }
  // Numbers of 64 bits: equal ones are rounded alike.
  const found = (JSON.parse(out) as readonly Status[]).find((s) => s.Status.header.member_id === s.Status.leader);
  if (!found) throw new Error(`no member of etcd leads: ${out}`);
  return new URL(found.Endpoint).hostname;
}
