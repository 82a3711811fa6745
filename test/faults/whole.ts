/** Whether a cluster is as it was before the fault, judged from outside. */
import type { Deployment, Pod } from "../../pkg/api/generated/types.ts";
import { condition, isReady } from "../../pkg/api/pod.ts";
import { deployments } from "../../pkg/api/kinds/apps/deployment.ts";
import { configMaps } from "../../pkg/api/kinds/core/configmap.ts";
import { nodes } from "../../pkg/api/kinds/core/node.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { podsOn } from "./leftovers.ts";
import { ELECTED, type Machines } from "./machines.ts";
import { pause, type Server } from "./workload.ts";

export const REPLICAS = 6;
const LABELS = { app: "steady" };
const SELECTOR = { labelSelector: "app=steady" };
const NAMESPACE = "default";
const SAMPLE_MS = 250;

/** On all machines alike, as far as there is room. */
export const deployment: Deployment = {
  metadata: { name: "steady", namespace: NAMESPACE },
  spec: {
    replicas: REPLICAS,
    selector: { matchLabels: LABELS },
    template: {
      metadata: { labels: LABELS },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [{ name: "main", image: "busybox:1.36", command: ["sleep", "1000000"] }],
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: "kubernetes.io/hostname",
            whenUnsatisfiable: "ScheduleAnyway",
            labelSelector: { matchLabels: LABELS },
          },
        ],
      },
    },
  },
};

const listPods = async ({ client }: Server): Promise<readonly DeepReadonly<Pod>[]> =>
  (await client.resource(pods, NAMESPACE).list(SELECTOR)).items;

/** One phrase for each thing that is not as it should be. */
async function missing(m: Machines, servers: readonly Server[]): Promise<string[]> {
  const perServer = await Promise.all(servers.map((server) => missingAt(server).catch((e: unknown) => [String(e)])));
  const found = perServer.flatMap((problems, i) => problems.map((p) => `${servers[i]?.name}: ${p}`));
  for (const component of Object.keys(ELECTED))
    if (m.leaders.leader(component) === undefined) found.push(`nobody leads as ${component}`);
  const [first] = servers;
  if (found.length > 0 || !first) return found;
  const all = await listPods(first);
  const stray = await Promise.all(
    m.all.map(async (host) => {
      const bound = new Set(all.filter((p) => p.spec?.nodeName === host.name).map((p) => p.metadata.uid ?? ""));
      const here = await podsOn(host).catch(() => undefined);
      if (!here) return [`${host.name}: no Docker`];
      return [...here].filter((uid) => !bound.has(uid)).map((uid) => `${host.name}: containers of Pod ${uid} are left`);
    }),
  );
  return stray.flat();
}

/** As this server sees it. */
async function missingAt(server: Server): Promise<string[]> {
  const { client } = server;
  await client.resource(configMaps, NAMESPACE).create({ metadata: { generateName: "probe-" }, data: {} });
  const [allPods, allNodes] = await Promise.all([listPods(server), client.resource(nodes).list()]);
  const found: string[] = [];
  for (const { metadata, spec, status } of allNodes.items) {
    if (condition(status?.conditions, "Ready")?.status !== "True") found.push(`${metadata.name} is not ready`);
    if (spec?.taints && spec.taints.length > 0) found.push(`${metadata.name} has the taint ${spec.taints[0]?.key}`);
  }
  const ready = allPods.filter((p) => isReady(p) && !p.metadata.deletionTimestamp);
  if (ready.length !== REPLICAS || allPods.length !== REPLICAS)
    found.push(`${ready.length} of ${REPLICAS} Pods are ready, and ${allPods.length} are there`);
  return found;
}

/** When it was; throws with what is missing after `limitMs`. */
export async function untilWhole(m: Machines, servers: readonly Server[], limitMs: number): Promise<number> {
  const end = performance.now() + limitMs;
  for (;;) {
    const problems = await missing(m, servers);
    if (problems.length === 0) return performance.now();
    if (performance.now() > end) throw new Error(`not whole after ${limitMs / 1000} s: ${problems.join("; ")}`);
    await pause(100);
  }
}

/** The Pods are made anew, on all machines alike. */
export async function rebalance(m: Machines, servers: readonly Server[], limitMs: number): Promise<void> {
  const [first] = servers;
  if (!first) throw new Error("no servers");
  const { client } = first;
  await client.resource(configMaps, NAMESPACE).deleteCollection();
  const found = await client.resource(deployments, NAMESPACE).list();
  if (found.items.length === 0) await client.resource(deployments, NAMESPACE).create(deployment);
  else {
    const used = new Set((await listPods(first)).map((p) => p.spec?.nodeName));
    if (used.size < m.all.length) await client.resource(pods, NAMESPACE).deleteCollection(SELECTOR);
  }
  await untilWhole(m, servers, limitMs);
}

/** How many replicas were ready, over time. */
export class Strength implements AsyncDisposable {
  readonly #samples: { readonly at: number; readonly pods: readonly DeepReadonly<Pod>[] }[] = [];
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(servers: readonly Server[]) {
    this.#running = this.#run(servers);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** From then until the last moment at which there were too few; milliseconds. */
  weakFor(since: number): number {
    const weak = this.#samples.findLast(({ at, pods: all }) => at > since && countReady(all) < REPLICAS);
    return weak ? weak.at - since : 0;
  }

  /** How many were there at once that were not about to go: two that act at the same time make too many. */
  get most(): number {
    return Math.max(0, ...this.#samples.map((s) => s.pods.filter((p) => !p.metadata.deletionTimestamp).length));
  }

  /** As many as wanted are ready on other machines. */
  fullWithout(node: string): boolean {
    const last = this.#samples.at(-1);
    return last !== undefined && countReady(last.pods.filter((p) => p.spec?.nodeName !== node)) >= REPLICAS;
  }

  async #run(servers: readonly Server[]): Promise<void> {
    while (!this.#stop.signal.aborted) {
      // Whoever answers: that one server is away is no loss of Pods.
      const asked = await Promise.any(servers.map(listPods)).catch(() => undefined);
      if (asked) this.#samples.push({ at: performance.now(), pods: asked });
      await pause(SAMPLE_MS);
    }
  }
}

const countReady = (all: readonly DeepReadonly<Pod>[]) =>
  all.filter((p) => isReady(p) && !p.metadata.deletionTimestamp).length;
