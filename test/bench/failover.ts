/**
 * How long a cluster of separate programs does without what was killed (kill -9). Everything is real and on this machine
 * (three etcd members, two of each component, TLS), but for the containers of the nodes: agents, heartbeats and evictions
 * are real, what they run only pretends to.
 */
import type { ConfigMap, Deployment, Pod, ReplicaSet } from "../../pkg/api/generated/types.ts";
import { deployments } from "../../pkg/api/kinds/apps/deployment.ts";
import { replicaSets } from "../../pkg/api/kinds/apps/replicaset.ts";
import { configMaps } from "../../pkg/api/kinds/core/configmap.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { Client } from "../../pkg/client/client.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { FAKE_IMAGE } from "./fake-nodes.ts";
import { type Elected, nodeNames, Programs } from "./programs.ts";
import { quantile, Report, round } from "./report.ts";

const TRIALS = 20;
const MEMBERS = 3;
const REPLICAS = 2;
/** As many nodes are lost at a time as there are deployments; never most of them. */
const NODES = 8;
const LOST_AT_ONCE = 3;
/** How long it is written before something is killed. */
const WARM_MS = 200;
const EVERY_MS = 20;
const AGAIN_MS = 20;
const DEADLINE_MS = 60_000;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Gap {
  readonly gap: number;
  readonly longest: number;
}

class Failover {
  readonly #cluster: Programs;
  readonly #report: Report;
  #names = 0;

  constructor(cluster: Programs, report: Report) {
    this.#cluster = cluster;
    this.#report = report;
  }

  /**
   * A write is begun every {@link EVERY_MS}, whatever becomes of those before it. `gap`: from the kill to the first that
   * was begun after it and is acknowledged; `longest`: what the slowest of those begun before had to wait for an answer.
   */
  async #gapOfWrites(first: number, kill: () => Promise<unknown>): Promise<Gap> {
    const transport = this.#cluster.transport(first);
    const client = new Client(transport, "bench").resource<ConfigMap>(configMaps, "default");
    let [killedAt, gap, longest] = [Infinity, 0, 0];
    const write = async () => {
      const begun = performance.now();
      const done = await client.create({ metadata: { name: this.#name("written") }, data: {} }).then(
        () => true,
        () => false,
      );
      const now = performance.now();
      longest = Math.max(longest, now - begun);
      if (done && begun >= killedAt && gap === 0) gap = now - killedAt;
    };
    const writes: Promise<void>[] = [];
    const begin = async (until: () => boolean) => {
      while (!until()) {
        writes.push(write());
        await sleep(EVERY_MS);
      }
    };
    const warm = performance.now() + WARM_MS;
    await begin(() => performance.now() >= warm);
    killedAt = performance.now();
    await kill();
    await begin(() => gap > 0 || performance.now() > killedAt + DEADLINE_MS);
    await Promise.all(writes);
    transport.close();
    if (gap === 0) throw new Error(`no write was acknowledged within ${DEADLINE_MS} ms`);
    return { gap, longest };
  }

  async apiServers(): Promise<void> {
    const { apis } = this.#cluster;
    const gaps: Gap[] = [];
    for (let trial = 0; trial < TRIALS; trial++) {
      const victim = trial % REPLICAS;
      gaps.push(await this.#gapOfWrites(victim, () => this.#cluster.kill(apis[victim])));
      await this.#cluster.startApi(victim);
    }
    this.#gaps("API server killed → next write of its client", gaps);
  }

  async etcdLeaders(): Promise<void> {
    const { etcd } = this.#cluster;
    const gaps: Gap[] = [];
    for (let trial = 0; trial < TRIALS; trial++) {
      const victim = await etcd.leader();
      gaps.push(await this.#gapOfWrites(trial % REPLICAS, () => etcd.kill(victim)));
      await etcd.restart(victim);
    }
    this.#gaps(`etcd leader of ${MEMBERS} killed → next write`, gaps);
  }

  async schedulers(): Promise<void> {
    const client = this.#cluster.client.resource<Pod>(pods, "default");
    const bound = async () => {
      const name = this.#name("bound");
      await client.create(podOf(name));
      await this.#untilPod((pod) => pod.metadata.name === name && pod.spec?.nodeName !== undefined);
    };
    this.#row("leading scheduler killed → a new Pod is bound", await this.#leaders("scheduler", bound));
  }

  async controllerManagers(): Promise<void> {
    const client = this.#cluster.client.resource<ReplicaSet>(replicaSets, "default");
    const made = async () => {
      const name = this.#name("made");
      const labels = { app: name };
      const template = { metadata: { labels }, spec: { containers: [CONTAINER] } };
      await client.create({ metadata: { name }, spec: { replicas: 1, selector: { matchLabels: labels }, template } });
      await this.#untilPod((pod) => pod.metadata.labels?.["app"] === name);
    };
    const ms = await this.#leaders("controller-manager", made);
    this.#row("leading controller-manager killed → a new replica is made", ms);
  }

  async #leaders(what: Elected, work: () => Promise<void>): Promise<number[]> {
    const ms: number[] = [];
    for (let trial = 0; trial < TRIALS; trial++) {
      const victim = await this.#cluster.leader(what);
      const killedAt = performance.now();
      await this.#cluster.kill(this.#cluster.electing[what][victim]);
      await work();
      ms.push(performance.now() - killedAt);
      await this.#cluster.startElected(what, victim);
    }
    return ms;
  }

  /** Each Deployment has one Pod, on a node of its own; several are lost at a time, as they come. */
  async nodes(): Promise<void> {
    let trial = 0;
    const ms: number[] = [];
    const losing = async (_: unknown, worker: number) => {
      const name = `lost-${worker}`;
      await this.#cluster.client.resource<Deployment>(deployments, "default").create(lonely(name));
      while (trial++ < TRIALS) {
        const { spec } = await this.#untilPod((pod) => ofApp(pod, name) && isUp(pod));
        const node = spec?.nodeName ?? "";
        const process = node.replace(/-0$/, "");
        const killedAt = performance.now();
        await this.#cluster.nodes.get(process)?.kill();
        await this.#untilPod((pod) => ofApp(pod, name) && isUp(pod) && pod.spec?.nodeName !== node);
        ms.push(performance.now() - killedAt);
        await this.#cluster.startNodes(process, 1);
      }
    };
    await Promise.all(Array.from({ length: LOST_AT_ONCE }, losing));
    this.#row("node killed → its Pod Running on another (grace 6 s, no toleration; containers are fake)", ms, "< 15 s");
  }

  /** The first Pod that is as wanted, now or later. */
  async #untilPod(wanted: (pod: DeepReadonly<Pod>) => boolean): Promise<DeepReadonly<Pod>> {
    const client = this.#cluster.client.resource<Pod>(pods, "default");
    const end = AbortSignal.timeout(DEADLINE_MS);
    // A watch may be cut with the server that it was from: then from the beginning.
    while (!end.aborted) {
      try {
        const { items, metadata } = await client.list();
        const there = items.find((pod) => wanted(pod as DeepReadonly<Pod>));
        if (there) return there as DeepReadonly<Pod>;
        const stop = new AbortController();
        const events = client.watch(
          { resourceVersion: metadata.resourceVersion ?? "" },
          AbortSignal.any([stop.signal, end]),
        );
        for await (const e of events) {
          if (e.type === "BOOKMARK" || e.type === "DELETED" || !wanted(e.object)) continue;
          stop.abort();
          return e.object;
        }
      } catch {
        await sleep(AGAIN_MS);
      }
    }
    throw new Error(`no such Pod within ${DEADLINE_MS} ms: ${wanted.toString()}`);
  }

  #name(prefix: string): string {
    return `${prefix}-${this.#names++}`;
  }

  #gaps(what: string, gaps: readonly Gap[]): void {
    this.#row(
      what,
      gaps.map(({ gap }) => gap),
    );
    this.#row(
      `${what}: the write that waited longest for its answer`,
      gaps.map(({ longest }) => longest),
    );
  }

  #row(what: string, ms: readonly number[], aim?: string): void {
    const seconds = (q: number) => `${round(quantile(ms, q) / 1000, 2)} s`;
    this.#report.row({
      what: `${what}, ${ms.length} trials`,
      ours: `p50 ${seconds(0.5)}, p99 ${seconds(0.99)}`,
      ...(aim !== undefined && { aim }),
    });
  }
}

const CONTAINER = { name: "app", image: FAKE_IMAGE, imagePullPolicy: "IfNotPresent" };

const podOf = (name: string): Pod => ({ metadata: { name }, spec: { containers: [CONTAINER] } });

const LOST = { lost: "true" };

function lonely(name: string): Deployment {
  const labels = { ...LOST, app: name };
  const apart = { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: LOST } };
  const affinity = { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [apart] } };
  return {
    metadata: { name },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { affinity, containers: [CONTAINER], terminationGracePeriodSeconds: 0 } },
    },
  };
}

const ofApp = (pod: DeepReadonly<Pod>, app: string) => pod.metadata.labels?.["app"] === app;
const isUp = (pod: DeepReadonly<Pod>) =>
  pod.status?.phase === "Running" && pod.metadata.deletionTimestamp === undefined;

export async function benchFailover(): Promise<Report> {
  const report = new Report("failover, by kill -9", "");
  await using cluster = await Programs.start({ etcd: MEMBERS, replicas: REPLICAS });
  for (const name of nodeNames("node", NODES)) await cluster.startNodes(name, 1);
  const failover = new Failover(cluster, report);
  await failover.apiServers();
  await failover.etcdLeaders();
  await Promise.all([failover.schedulers(), failover.controllerManagers()]);
  await failover.nodes();
  return report;
}
