/**
 * A whole cluster in one process, on a fake clock and fake runtimes: API server, scheduler, controllers and any number of
 * agents, joined by function calls. Nothing waits for real time, and chance comes from a seed, so a run can be repeated.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AgentOptions, runAgent } from "../../pkg/agent/agent.ts";
import { evictionSettings } from "../../pkg/agent/eviction/thresholds.ts";
import { Stats } from "../../pkg/agent/stats.ts";
import type { User } from "../../pkg/apiserver/handler.ts";
import { ApiServer } from "../../pkg/apiserver/server.ts";
import { metricsHandlers } from "../../pkg/apiserver/virtual/metrics.ts";
import type { Container, CoreV1Event, Node, Pod, PodSpec } from "../../pkg/api/generated/types.ts";
import { type ApiObject, nameOf, type WatchEvent } from "../../pkg/api/object.ts";
import { events } from "../../pkg/api/kinds/core/event.ts";
import { nodes } from "../../pkg/api/kinds/core/node.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { condition } from "../../pkg/api/pod.ts";
import { ApiError, isReason } from "../../pkg/api/status.ts";
import { Client } from "../../pkg/client/client.ts";
import type { Call, Transport } from "../../pkg/client/transport.ts";
import { runControllers } from "../../pkg/controllers/controllers.ts";
import { FakeRuntime } from "../../pkg/runtime/fake.ts";
import { runScheduler } from "../../pkg/scheduler/scheduler.ts";
import { MemoryStore } from "../../pkg/store/memory.ts";
import { type Random, seededRandom } from "../../pkg/util/clock.ts";
import { FakeClock, settle } from "../../pkg/util/fake-clock.ts";
import type { Logger } from "../../pkg/util/log.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";

/** What an agent is given beside the cluster's own. */
export type NodeSpec = Partial<
  Pick<AgentOptions, "labels" | "taints" | "extendedResources" | "maxPods" | "dataDir" | "staticPodsDir">
> & {
  readonly cpus?: number;
};

/** The way to the API server, which can be cut, and where calls can be made to fail. */
class Wire {
  server: ApiServer | undefined;
  /** Told of every call that is made as somebody. */
  seen: (user: User, c: Call) => void = () => {};
  /** Open watches of all clients. */
  watches = 0;
  /** Throw to refuse the call; give a function to be called when it has succeeded, and throw there to lose the answer. */
  fault: (c: Call) => void | (() => void) = () => {};

  /** Default: as the server itself. */
  as(user?: User): Transport {
    return {
      call: async (c, signal) => {
        const lose = this.#ask(user, c);
        const answer = await this.#reach(user).call(c, signal);
        lose?.();
        return answer;
      },
      watch: (c, signal) => this.#watch(user, c, signal),
    };
  }

  async *#watch(user: User | undefined, c: Call, signal: AbortSignal): AsyncGenerator<WatchEvent<ApiObject>> {
    if (user) this.seen(user, c);
    this.watches++;
    try {
      for await (const event of this.#reach(user).watch(c, signal)) {
        this.fault(c);
        yield event;
      }
    } finally {
      this.watches--;
    }
  }

  #ask(user: User | undefined, c: Call): void | (() => void) {
    if (user) this.seen(user, c);
    return this.fault(c);
  }

  #reach(user: User | undefined): Transport {
    if (!this.server) throw new ApiError("ServiceUnavailable", "connection refused");
    return this.server.transport(user);
  }
}

/** As the components of a real cluster are known. */
function component(name: string, ...groups: string[]): User {
  return { name: `system:${name}`, groups: [...groups, "system:authenticated"] };
}

/** One machine: its runtime lives on when its agent is killed. */
export class SimulatedNode {
  readonly name: string;
  readonly runtime: FakeRuntime;
  /** As the agent's endpoint tells them; here nothing listens. */
  readonly stats: Stats;
  readonly #run: (signal: AbortSignal) => Promise<void>;
  #agent: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;

  constructor(name: string, runtime: FakeRuntime, clock: FakeClock, run: (signal: AbortSignal) => Promise<void>) {
    this.name = name;
    this.runtime = runtime;
    const startedAt = ({ id }: { id: string }) => runtime.world.containers.get(id)?.status("").startedAt;
    this.stats = new Stats({ runtime, clock, nodeName: name, startedAt, machine: () => Promise.resolve(IDLE_MACHINE) });
    this.#run = run;
  }

  start(): void {
    if (this.#agent) throw new Error(`the agent of ${this.name} runs already`);
    const stop = new AbortController();
    this.#agent = { stop, done: this.#run(stop.signal) };
  }

  /** What it started keeps running. */
  async kill(): Promise<void> {
    this.#agent?.stop.abort(new Error("killed"));
    await this.#agent?.done;
    this.#agent = undefined;
  }
}

/** The kubelet's own heartbeat. */
const SLOW_NODES = { heartbeatMs: 10_000 };

/** Of a node whose heart beats that slowly, as Kubernetes has it. */
function graceOf({ heartbeatMs }: Partial<typeof SLOW_NODES>): { graceMs?: number } {
  return heartbeatMs === undefined ? {} : { graceMs: heartbeatMs * 4 };
}

/** Error lines that no fault of the world around excuses. */
const BUGS: ReadonlySet<string> = new Set(["worker failed", "scheduling failed", "informer: a change handler threw"]);

export class SimulatedCluster implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly nodes = new Map<string, SimulatedNode>();
  /** Of the components; a test's own calls never fail. */
  readonly wire = new Wire();
  readonly random: Random;
  readonly client: Client;
  readonly #store = new MemoryStore();
  /** Of the nodes: real, and gone with the cluster. */
  readonly #disks = mkdtempSync(join(tmpdir(), "mk-simulated-"));
  readonly #ours = new Wire();
  readonly #stop = new AbortController();
  readonly #bugs: string[] = [];
  readonly #nodeDefaults: Partial<typeof SLOW_NODES>;
  readonly #log: Logger = this.#logger({});
  #loops: Promise<void>[] = [];

  private constructor(seed: number, nodeDefaults: Partial<typeof SLOW_NODES>) {
    this.#nodeDefaults = nodeDefaults;
    this.random = seededRandom(seed);
    this.client = new Client(this.#ours.as(), "test");
  }

  /**
   * With this many plain nodes. Resolves when they are Ready. Their hearts beat seldom, and they are missed late, so that
   * weeks pass quickly; `lively`: as in a real cluster.
   */
  static async start(
    o: { nodes?: number; seed?: number; lively?: boolean; heartbeatMs?: number } = {},
  ): Promise<SimulatedCluster> {
    const { heartbeatMs = SLOW_NODES.heartbeatMs } = o;
    const cluster = new SimulatedCluster(o.seed ?? 1, o.lively ? {} : { heartbeatMs });
    await cluster.startApiServer();
    const { signal } = cluster.#stop;
    const parts = (name: string, user: string) => ({
      ...cluster.#parts(),
      client: new Client(cluster.wire.as(component(user)), name),
    });
    cluster.#loops = [
      runScheduler(parts("default-scheduler", "kube-scheduler"), signal),
      runControllers(
        {
          ...parts("kube-controller-manager", "kube-controller-manager"),
          nodeLifecycle: graceOf(cluster.#nodeDefaults),
        },
        signal,
      ),
    ];
    for (let n = 1; n <= (o.nodes ?? 1); n++) cluster.addNode(`node-${n}`);
    await cluster.untilNodesReady();
    return cluster;
  }

  addNode(name: string, spec: NodeSpec = {}): SimulatedNode {
    const { cpus = 4, ...more } = spec;
    const { heartbeatMs } = this.#nodeDefaults;
    const n = this.nodes.size;
    const runtime = new FakeRuntime({
      clock: this.clock,
      random: seededRandom(n + 1),
      info: { cpus },
      images: ["app"],
      subnet: `10.${n >> 8}.${n & 255}`,
    });
    const agent = {
      ...this.#parts(),
      client: new Client(this.wire.as(component(`node:${name}`, "system:nodes")), "kubelet"),
      runtime,
      nodeName: name,
      address: `192.168.${n >> 8}.${n & 255}`,
      dataDir: join(this.#disks, name),
      measure: () => Promise.resolve(MACHINE),
      ...this.#nodeDefaults,
      ...(heartbeatMs !== undefined && { eviction: { ...evictionSettings(), lookMs: heartbeatMs } }),
      ...more,
    };
    const node = new SimulatedNode(name, runtime, this.clock, (signal) => runAgent(agent, signal));
    this.nodes.set(name, node);
    node.start();
    return node;
  }

  node(name = "node-1"): SimulatedNode {
    const node = this.nodes.get(name);
    if (!node) throw new Error(`no node ${name}`);
    return node;
  }

  /** Over what an earlier one has left in the store. */
  async startApiServer(): Promise<void> {
    const server = await ApiServer.open({ ...this.#parts(), store: this.#store });
    const summary = (node: DeepReadonly<Node>, signal: AbortSignal) => this.node(nameOf(node)).stats.summary(signal);
    for (const [kind, handler] of metricsHandlers({ clock: this.clock, summary })) server.virtual.set(kind, handler);
    this.wire.server = this.#ours.server = server;
  }

  async stopApiServer(): Promise<void> {
    const { server } = this.wire;
    this.wire.server = this.#ours.server = undefined;
    await server?.close();
  }

  async create(name: string, containers: readonly Partial<Container>[] = [{}], o: CreateOptions = {}): Promise<Pod> {
    const { namespace = "default", labels, ...spec } = o;
    const pod: Pod = {
      metadata: { name, namespace, ...(labels && { labels }) },
      spec: {
        containers: containers.map((c, n) => ({ name: `c${n}`, image: "app", imagePullPolicy: "IfNotPresent", ...c })),
        ...spec,
      },
    };
    return (await this.client.resource<Pod>(pods, namespace).create(pod)) as Pod;
  }

  async delete(name: string, gracePeriodSeconds?: number): Promise<void> {
    const o = gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds };
    await this.client.resource<Pod>(pods, "default").delete(name, o);
  }

  async pod(name: string, namespace = "default"): Promise<DeepReadonly<Pod> | undefined> {
    try {
      return await this.client.resource<Pod>(pods, namespace).get(name);
    } catch (error) {
      if (isReason(error, "NotFound")) return undefined;
      throw error;
    }
  }

  async pods(): Promise<readonly DeepReadonly<Pod>[]> {
    return (await this.client.resource<Pod>(pods).list()).items as readonly DeepReadonly<Pod>[];
  }

  /** `reason: message` of what was told about the Pod (or all), in the order in which it was last written. */
  async events(name?: string): Promise<string[]> {
    const all = (await this.client.resource<CoreV1Event>(events).list()).items as readonly DeepReadonly<CoreV1Event>[];
    return all
      .filter((e) => name === undefined || e.involvedObject.name === name)
      .toSorted((a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion))
      .map((e) => `${e.reason}: ${e.message}`);
  }

  /** Moves time on until it holds; throws after `limitMs` of fake time. */
  async until(done: () => boolean | Promise<boolean>, limitMs = 60_000, stepMs = 10): Promise<void> {
    await this.clock.advanceUntil(done, limitMs, stepMs);
  }

  async untilReady(...names: readonly string[]): Promise<void> {
    await this.until(async () => {
      for (const name of names) if (!isReady(await this.pod(name))) return false;
      return true;
    });
  }

  async untilNodesReady(): Promise<void> {
    const ready = async () => {
      const { items } = await this.client.resource<Node>(nodes).list();
      const up = items.filter((n) => condition(n.status?.conditions, "Ready")?.status === "True");
      return up.length === this.nodes.size;
    };
    await this.until(ready, 30_000);
    await settle();
  }

  /** Names of what runs, as `pod/container`, over all nodes. */
  running(): string[] {
    return [...this.nodes.values()]
      .flatMap((n) => [...n.runtime.world.containers.values()])
      .filter((c) => c.state === "running")
      .map((c) => `${c.config.podName}/${c.config.name}`)
      .toSorted();
  }

  /** Containers and sandboxes of all nodes, dead ones included. */
  get leftovers(): number {
    let count = 0;
    for (const { runtime } of this.nodes.values())
      count += runtime.world.containers.size + runtime.world.sandboxes.size;
    return count;
  }

  /** Stops everything and throws when something is left: a timer, a watch, an error that nobody expected. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.wire.fault = () => {};
    this.#stop.abort(new Error("the test is over"));
    await Promise.all([...this.#loops, ...[...this.nodes.values()].map((n) => n.kill())]);
    if (this.wire.watches > 0) throw new Error(`${this.wire.watches} watches leaked`);
    await this.stopApiServer();
    await this.#store.close();
    rmSync(this.#disks, { recursive: true, force: true });
    for (const { runtime } of this.nodes.values()) for (const c of runtime.world.containers.values()) c.dispose();
    if (this.clock.pending > 0) throw new Error(`${this.clock.pending} timers leaked`);
    if (this.#bugs.length > 0) throw new Error(`unexpected errors:\n${this.#bugs.join("\n")}`);
  }

  #parts() {
    return { clock: this.clock, random: this.random, log: this.#log };
  }

  #logger(about: object): Logger {
    const nothing = () => {};
    const error = (fields: object, message: string) => {
      if (BUGS.has(message)) this.#bugs.push(`${message} ${describe({ ...about, ...fields })}`);
    };
    return { debug: nothing, info: nothing, warn: nothing, error, child: (f) => this.#logger({ ...about, ...f }) };
  }
}

export type CreateOptions = Partial<PodSpec> & { namespace?: string; labels?: Record<string, string> };

const IDLE_MACHINE = {
  cpuNanoseconds: 0,
  memoryUsageBytes: 1e9,
  memoryWorkingSetBytes: 1e9,
  memoryRssBytes: 1e9,
  memoryAvailableBytes: 4e9,
};
const MACHINE = { diskTotal: 1e11, diskAvailable: 5e10, memoryAvailable: 4e9, machineId: "m", bootId: "b" };

export function isReady(pod: DeepReadonly<Pod> | undefined): boolean {
  return condition(pod?.status?.conditions, "Ready")?.status === "True";
}

function describe(fields: object): string {
  return JSON.stringify(fields, (_, v: unknown) => (v instanceof Error ? v.stack : v));
}
