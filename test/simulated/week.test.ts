/**
 * A week of a cluster's life in a minute: every kind of workload at once, each day some changes by users and some faults at
 * random, and after each day's trouble all must be as it was asked to be: nothing above its bound at any moment, no
 * ordinal twice, no orphan, every Job counted once.
 */
import { expect } from "@jest/globals";
import type {
  CronJob,
  DaemonSet,
  Deployment,
  Job,
  Pod,
  ReplicaSet,
  StatefulSet,
} from "../../pkg/api/generated/types.ts";
import { daemonSets } from "../../pkg/api/kinds/apps/daemonset.ts";
import { deployments } from "../../pkg/api/kinds/apps/deployment.ts";
import { replicaSets } from "../../pkg/api/kinds/apps/replicaset.ts";
import { statefulSets } from "../../pkg/api/kinds/apps/statefulset.ts";
import { cronJobs } from "../../pkg/api/kinds/batch/cronjob.ts";
import { jobs } from "../../pkg/api/kinds/batch/job.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { type ApiObject, nameOf, type WatchEvent } from "../../pkg/api/object.ts";
import { condition } from "../../pkg/api/pod.ts";
import type { ResourceDef } from "../../pkg/api/resource.ts";
import { ApiError, conflict } from "../../pkg/api/status.ts";
import type { Call } from "../../pkg/client/transport.ts";
import { type Random, seededRandom } from "../../pkg/util/clock.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { Dice } from "../harness/dice.ts";
import { testSeeds } from "../harness/seeds.ts";
import { isReady, type SimulatedNode, SimulatedCluster } from "../harness/simulated.ts";

const DAYS = 7;
const HOUR = 3_600_000;
const NODES = 4;
const MAX_SURGE = 2;
const HISTORY = 3;
const MERGE = "application/merge-patch+json";

const template = (app: string, version: string, more: object = {}) => ({
  metadata: { labels: { app }, annotations: { version } },
  spec: { containers: [{ name: "main", image: "app", imagePullPolicy: "IfNotPresent", ...more }] },
});
const selector = (app: string) => ({ matchLabels: { app } });
const work = { restartPolicy: "Never", containers: [{ name: "work", image: "app", command: ["sleep", "30"] }] };

const WEB: Deployment = {
  metadata: { name: "web" },
  spec: {
    replicas: 4,
    revisionHistoryLimit: HISTORY,
    strategy: { rollingUpdate: { maxSurge: MAX_SURGE, maxUnavailable: 1 } },
    selector: selector("web"),
    template: template("web", "0"),
  },
};
const DB: StatefulSet = {
  metadata: { name: "db" },
  spec: { replicas: 3, serviceName: "db", selector: selector("db"), template: template("db", "0") },
};
const LOGS: DaemonSet = {
  metadata: { name: "logs" },
  spec: { selector: selector("logs"), template: template("logs", "0") },
};
const NIGHTLY: CronJob = {
  metadata: { name: "nightly" },
  spec: {
    schedule: "0 3-21/6 * * *",
    successfulJobsHistoryLimit: 2,
    jobTemplate: { spec: { template: { spec: work } } },
  },
};

class Life {
  readonly #c: SimulatedCluster;
  readonly #dice: Dice;
  readonly #broken: string[] = [];
  /** Of the Jobs that users started: the Pods that were seen to succeed, by Job. */
  readonly #succeeded = new Map<string, Set<string>>();
  /** Jobs that ran while there was no API server to watch: some of their Pods may have come and gone unseen. */
  readonly #unseen = new Set<string>();
  readonly #stop = new AbortController();
  /** The most that the web may have been asked for since its last roll-out ended. */
  #most = WEB.spec?.replicas ?? 0;
  #versions = 0;
  #jobs = 0;

  constructor(c: SimulatedCluster, random: Random) {
    this.#c = c;
    this.#dice = new Dice(random);
  }

  get broken(): readonly string[] {
    return this.#broken;
  }

  async begin(): Promise<{ end: () => Promise<void> }> {
    await this.#api(deployments).create(WEB);
    await this.#api(statefulSets).create(DB);
    await this.#api(daemonSets).create(LOGS);
    await this.#api(cronJobs).create(NIGHTLY);
    const watching = [this.#follow<ReplicaSet>(replicaSets, this.#seeSets()), this.#follow<Pod>(pods, this.#seePods())];
    return {
      end: async () => {
        this.#stop.abort();
        await Promise.allSettled(watching);
      },
    };
  }

  /** Some trouble, then a calm in which all must come right; what is not right at the day's end. */
  async day(): Promise<readonly string[]> {
    for (let n = 3 + this.#dice.upTo(6); n > 0; n--) {
      await this.#dice.pick(this.#changes)();
      await this.#dice.pick(this.#faults)();
      await this.#c.clock.advance(this.#dice.upTo(300_000));
      this.#noOrdinalTwice();
    }
    await this.#heal();
    await this.#c
      .until(async () => (await this.#wrong()).length === 0, 2 * HOUR, 30_000)
      .catch(async () => Promise.reject(new Error(`not as it should be: ${JSON.stringify(await this.#wrong())}`)));
    this.#most = (await this.#api(deployments).get("web")).spec?.replicas ?? 0;
    await this.#c.clock.advance(24 * HOUR - (this.#c.clock.now() % (24 * HOUR)));
    return this.#wrong();
  }

  readonly #changes: readonly (() => Promise<unknown>)[] = [
    () => this.#patch(deployments, "web", { template: template("web", this.#version()) }),
    () => this.#patch(deployments, "web", { template: template("web", this.#version(), { image: "missing:1" }) }),
    () => this.#scaleWeb(1 + this.#dice.upTo(8)),
    () => this.#patch(deployments, "web", { paused: this.#dice.chance(0.5) }),
    () => this.#patch(statefulSets, "db", { replicas: 1 + this.#dice.upTo(4) }),
    () => this.#patch(statefulSets, "db", { template: template("db", this.#version()) }),
    () => this.#patch(daemonSets, "logs", { template: template("logs", this.#version()) }),
    () => this.#startJob(),
    () => this.#deleteSomePod(),
  ];

  readonly #faults: readonly (() => unknown)[] = [
    () => this.#wireFails(this.#dice.pick([0, 0.05, 0.2])),
    () => this.#dieOne(this.#node()),
    () => this.#node().runtime.loseEvents(this.#dice.chance(0.5)),
    () => this.#restart(this.#node(), this.#dice.upTo(120_000)),
    // So long that its Pods are given up.
    () => this.#restart(this.#node(), this.#dice.pick([0, HOUR])),
    () => this.#restartApiServer(),
  ];

  /** All that is not as it was asked to be. */
  async #wrong(): Promise<readonly string[]> {
    const all = await this.#c.pods();
    const [web, db, logs] = await Promise.all([
      this.#api(deployments).get("web"),
      this.#api(statefulSets).get("db"),
      this.#api(daemonSets).get("logs"),
    ]);
    const ofApp = (app: string) => all.filter((p) => p.metadata.labels?.["app"] === app);
    const checks: readonly (readonly [string, unknown, unknown])[] = [
      ["web's Pods", current(ofApp("web")), Array(web.spec?.replicas).fill(versionOf(web))],
      ["web's status", web.status?.availableReplicas, web.spec?.replicas],
      ["db's Pods", ofApp("db").map(nameOf).toSorted(), ordinals("db", db.spec?.replicas ?? 0)],
      ["db's versions", current(ofApp("db")), Array(db.spec?.replicas).fill(versionOf(db))],
      ["logs' Pods", current(ofApp("logs")), Array(NODES).fill(versionOf(logs))],
      ["logs' nodes", new Set(ofApp("logs").map((p) => p.spec?.nodeName)).size, NODES],
      ["Jobs", (await this.#wrongJobs()).join(), ""],
      ["old ReplicaSets", Math.max(0, (await this.#api(replicaSets).list()).items.length - HISTORY - 1), 0],
      ["orphans", await this.#orphans(all), []],
      ["strays on nodes", this.#strays(all), []],
    ];
    return checks
      .filter(([, is, should]) => JSON.stringify(is) !== JSON.stringify(should))
      .map(([what, is, should]) => `${what}: ${JSON.stringify(is)}, not ${JSON.stringify(should)}`);
  }

  /** Users' Jobs end, with as many successes as they were to have, each of another Pod; and no run of the CronJob twice. */
  async #wrongJobs(): Promise<readonly string[]> {
    const { items } = await this.#api(jobs).list();
    const mine = items.filter((j) => nameOf(j).startsWith("job-"));
    const runs = items.filter((j) => nameOf(j).startsWith("nightly-"));
    const complete = (j: DeepReadonly<Job>) => condition(j.status?.conditions, "Complete")?.status === "True";
    const counted = (j: DeepReadonly<Job>) => {
      const seen = this.#succeeded.get(nameOf(j))?.size ?? 0;
      const { succeeded = 0, failed = 0 } = j.status ?? {};
      // One that was to go counts as failed at once, and may end well yet.
      const once = (this.#unseen.has(nameOf(j)) || seen >= succeeded) && seen <= succeeded + failed;
      return succeeded === j.spec?.completions && once;
    };
    return [
      ...mine
        .filter((j) => !complete(j) || !counted(j))
        .map(
          (j) =>
            `${nameOf(j)} of ${j.spec?.completions} (${this.#succeeded.get(nameOf(j))?.size} seen) ${JSON.stringify(j.status)}`,
        ),
      ...runs.filter((j) => !complete(j)).map((j) => `${nameOf(j)} does not end`),
      ...(runs.length > 2 ? [`${runs.length} runs are kept`] : []),
    ];
  }

  /** Pods whose owner is gone. */
  async #orphans(all: readonly DeepReadonly<Pod>[]): Promise<readonly string[]> {
    const kinds = [replicaSets, statefulSets, daemonSets, jobs] as readonly ResourceDef[];
    const lists = await Promise.all(kinds.map(async (def) => (await this.#api(def).list()).items));
    const uids = new Set(lists.flat().map((o) => o.metadata.uid));
    return all.filter((p) => !p.metadata.ownerReferences?.every((r) => uids.has(r.uid))).map(nameOf);
  }

  /** Sandboxes on nodes without a Pod that would have one there. */
  #strays(all: readonly DeepReadonly<Pod>[]): readonly string[] {
    return [...this.#c.nodes.values()].flatMap(({ name, runtime }) =>
      [...runtime.world.sandboxes.values()]
        .filter(({ config }) => !all.some((p) => p.metadata.uid === config.uid && p.spec?.nodeName === name))
        .map(({ config }) => `${config.name} on ${name}`),
    );
  }

  /** A StatefulSet's Pod never runs in two places, whatever happens to nodes. */
  #noOrdinalTwice(): void {
    const running = this.#c.running().filter((name) => name.startsWith("db-"));
    const twice = running.filter((name, n) => running.indexOf(name) !== n);
    if (twice.length > 0) this.#broken.push(`twice at once: ${twice.join()}`);
  }

  #seeSets() {
    const wanted = new Map<string, number>();
    return ({ type, object }: DeepReadonly<WatchEvent<ReplicaSet>>) => {
      wanted.set(nameOf(object), type === "DELETED" ? 0 : (object.spec?.replicas ?? 0));
      const total = [...wanted.values()].reduce((sum, n) => sum + n, 0);
      if (total > this.#most + MAX_SURGE) this.#broken.push(`${total} wanted of ${this.#most}`);
    };
  }

  #seePods() {
    return ({ object }: DeepReadonly<WatchEvent<Pod>>) => {
      const job = object.metadata.labels?.["job-name"];
      if (!job?.startsWith("job-") || object.status?.phase !== "Succeeded") return;
      const uids = this.#succeeded.get(job) ?? new Set();
      this.#succeeded.set(job, uids.add(object.metadata.uid ?? ""));
    };
  }

  /** Over API servers that go and come. */
  async #follow<T extends ApiObject>(
    def: ResourceDef<T>,
    see: (e: DeepReadonly<WatchEvent<T>>) => void,
  ): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const { items, metadata } = await this.#c.client.resource<T>(def, "default").list();
        for (const object of items) see({ type: "MODIFIED", object } as DeepReadonly<WatchEvent<T>>);
        const resourceVersion = metadata.resourceVersion ?? "0";
        for await (const e of this.#c.client.resource<T>(def, "default").watch({ resourceVersion }, signal))
          if (e.type !== "BOOKMARK") see(e);
      } catch {
        await this.#c.clock.sleep(100, signal).catch(() => {});
      }
    }
  }

  #scaleWeb(replicas: number): Promise<unknown> {
    this.#most = Math.max(this.#most, replicas);
    return this.#patch(deployments, "web", { replicas });
  }

  async #startJob(): Promise<void> {
    const completions = 1 + this.#dice.upTo(5);
    const spec = {
      completions,
      parallelism: 1 + this.#dice.upTo(3),
      backoffLimit: 1_000,
      ttlSecondsAfterFinished: 3 * 86_400,
    };
    await this.#api(jobs).create({
      metadata: { name: `job-${this.#jobs++}` },
      spec: { ...spec, template: { spec: work } },
    });
  }

  async #deleteSomePod(): Promise<void> {
    const { items } = await this.#api(pods).list();
    if (items.length > 0) await this.#api(pods).delete(nameOf(this.#dice.pick(items)));
  }

  #dieOne({ runtime }: SimulatedNode): void {
    const running = [...runtime.world.containers.values()].filter((c) => c.state === "running");
    if (running.length > 0) this.#dice.pick(running).exit(1);
  }

  async #restart(node: SimulatedNode, awayMs: number): Promise<void> {
    await node.kill();
    await this.#c.clock.advance(awayMs);
    node.start();
  }

  async #restartApiServer(): Promise<void> {
    await this.#c.stopApiServer();
    for (let n = 0; n < this.#jobs; n++) this.#unseen.add(`job-${n}`);
    await this.#c.clock.advance(this.#dice.upTo(30_000));
    await this.#c.startApiServer();
  }

  /** Refused before it is done, or done and the answer lost, or in conflict. */
  #wireFails(share: number): void {
    this.#c.wire.fault = (call: Call) => {
      if (!this.#dice.chance(call.verb === "watch" ? share / 10 : share)) return;
      if (this.#dice.chance(0.4)) return unavailable;
      if (call.verb === "update") throw conflict({ group: call.group, resource: call.resource }, call.name ?? "");
      unavailable();
    };
  }

  async #heal(): Promise<void> {
    this.#c.wire.fault = () => {};
    for (const { runtime } of this.#c.nodes.values()) runtime.loseEvents(false);
    await this.#patch(deployments, "web", { paused: null, template: template("web", this.#version()) });
  }

  #patch<T extends ApiObject>(def: ResourceDef<T>, name: string, spec: object): Promise<unknown> {
    return this.#api(def).patch(name, MERGE, { spec });
  }

  #api<T extends ApiObject>(def: ResourceDef<T>) {
    return this.#c.client.resource<T>(def, "default");
  }

  #version(): string {
    return String(++this.#versions);
  }

  #node(): SimulatedNode {
    return this.#dice.pick([...this.#c.nodes.values()]);
  }
}

function unavailable(): never {
  throw new ApiError("ServiceUnavailable", "away");
}

const versionOf = (o: DeepReadonly<Deployment | StatefulSet | DaemonSet>) =>
  o.spec?.template.metadata?.annotations?.["version"];

/** The versions of the Pods that serve; those on their way count as `-`. */
const current = (of: readonly DeepReadonly<Pod>[]) =>
  of.map((p) => (isReady(p) && !p.metadata.deletionTimestamp ? p.metadata.annotations?.["version"] : "-"));

const ordinals = (name: string, n: number) => Array.from({ length: n }, (_, i) => `${name}-${i}`);

testSeeds(
  "a week of changes and faults: nothing is lost, nothing too much",
  1,
  async (seed) => {
    await using c = await SimulatedCluster.start({ nodes: NODES, seed, heartbeatMs: 300_000 });
    const life = new Life(c, seededRandom(seed));
    const { end } = await life.begin();
    try {
      for (let day = 0; day < DAYS; day++) expect(await life.day()).toEqual([]);
    } finally {
      await end();
    }
    expect(life.broken).toEqual([]);
    expect(
      (await c.client.resource<CronJob>(cronJobs, "default").get("nightly")).status?.lastSuccessfulTime,
    ).toBeDefined();
  },
  600_000,
);
