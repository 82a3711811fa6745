/** The node agent: what the kubelet is to Kubernetes. */
import { join } from "node:path";
import type { Pod as ApiPod, Taint } from "../api/generated/types.ts";
import { pods } from "../api/kinds/core/pod.ts";
import type { Client } from "../client/client.ts";
import { Informer } from "../informer/informer.ts";
import { EventRecorder } from "../reconcile/events.ts";
import { together } from "../reconcile/scope.ts";
import type { ImageInfo } from "../runtime/images.ts";
import type { ContainerRuntime, ContainerStats, RuntimeInfo } from "../runtime/runtime.ts";
import type { Clock, Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import { DEFAULT_CLUSTER_DOMAIN } from "./config.ts";
import { AgentMetrics } from "./agent-metrics.ts";
import type { NodeContext } from "./context.ts";
import { capacityOf, type DeviceInventory } from "./devices/devices.ts";
import { readPodDisk } from "./eviction/disk.ts";
import { type EvictionSettings, evictionSettings } from "./eviction/thresholds.ts";
import type { Pod } from "./facts.ts";
import { Fleet } from "./fleet.ts";
import { NodeImages } from "./image-gc/node-images.ts";
import type { ImageGcSettings } from "./image-gc/plan.ts";
import { KEPT_LOGS_DEFAULTS, type KeptLogSettings } from "./kept-logs/plan.ts";
import { KeptLogs } from "./kept-logs/store.ts";
import { Limiter } from "./limiter.ts";
import { runReclaim } from "./reclaim.ts";
import { LiveVolumes } from "./reload.ts";
import { Tokens } from "./tokens.ts";
import { type AgentServer, serveAgent, type ServeOptions } from "./server.ts";
import { measureMachine } from "./measure.ts";
import { type Measurement, nodeAllocatable, nodeLabels, type NodeFacts, type NodeOptions } from "./node-status.ts";
import { HEARTBEAT_MS, NodeReporter } from "./node.ts";
import { type NetworkOptions, NodeNetwork } from "./network.ts";
import { PodFiles } from "./pod-files.ts";
import { Room } from "./room.ts";
import { ServiceLinks } from "./service-links.ts";
import { isMirror } from "./static-pods/plan.ts";
import { StaticPods } from "./static-pods/static-pods.ts";
import { Stats } from "./stats.ts";
import { UsagePages } from "./usage.ts";
import { READ_LIMIT_MS, withinLimit } from "./time-limit.ts";

export interface AgentOptions {
  readonly client: Client;
  readonly runtime: ContainerRuntime;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** The node's InternalIP; hostIP of its Pods. */
  readonly address: string;
  /** Addresses of the cluster's DNS. Default: none that Pods could reach. */
  readonly clusterDns?: readonly string[];
  /** Default: cluster.local. */
  readonly clusterDomain?: string;
  /** Volumes live below it. */
  readonly dataDir: string;
  /** Pods that run whatever the API says; one file each. */
  readonly staticPodsDir?: string;
  /** Those that outlive their Pods. Default: `persistent-volumes` in dataDir. */
  readonly volumesDir?: string;
  /** Announced as the kubelet endpoint where the agent does not serve itself. */
  readonly port?: number;
  readonly labels?: Readonly<Record<string, string>>;
  /** Set when the Node is first created. */
  readonly taints?: readonly Taint[];
  /** Default 110. */
  readonly maxPods?: number;
  /** Between two renewals of the Lease. Default 2 s. */
  readonly heartbeatMs?: number;
  /** Pods that may be starting containers at once. Default 4. */
  readonly parallelStarts?: number;
  /** Default 3. */
  readonly parallelPulls?: number;
  /** A pull that brings nothing for so long is given up. Default 60 s. */
  readonly pullProgressMs?: number;
  /** Where it differs from the kubelet's. */
  readonly imageGc?: Partial<ImageGcSettings>;
  /** Of Pods that are gone: by default 24 h, 256 MiB together and 1 MiB each. */
  readonly keptLogs?: Partial<KeptLogSettings>;
  readonly extendedResources?: Readonly<Record<string, string>>;
  /** Those that are found, or listed by hand. */
  readonly devices?: DeviceInventory;
  /** Of capacity, kept for what runs beside the Pods. Default: nothing. */
  readonly reserved?: Readonly<Record<string, string>>;
  /** Default: the kubelet's. */
  readonly eviction?: EvictionSettings;
  /** Processes and threads of one container. Default 4096: one that forks without end must not take the node along. */
  readonly podPidsLimit?: number;
  /** `v1.36.0+mini-kube` */
  readonly version?: string;
  /** See {@link NodeContext.drained}. */
  readonly drained?: NodeContext["drained"];
  /** See {@link NodeContext.guarded}. */
  readonly guarded?: NodeContext["guarded"];
  readonly serve?: ServeOptions;
  /** Default: the runtime's own, whatever it is. */
  readonly network?: NetworkOptions;
  /** Default: reads this machine. */
  readonly measure?: () => Promise<Measurement>;
  /** Called once the Node is registered. */
  readonly onReady?: () => void;
}

const IMAGES_MS = 60_000;
const PIDS_LIMIT = 4096;
/** A look at the machine is good for so long. */
const MEASURED_MS = 15_000;
const INFO_RETRY_MS = 2_000;

/** Runs until the signal aborts. What it started keeps running: the next agent adopts it. */
export async function runAgent(o: AgentOptions, signal: AbortSignal): Promise<void> {
  await new Agent(o).run(signal);
}

class Agent {
  readonly #o: AgentOptions;
  readonly #events: EventRecorder;
  readonly #informer: Informer<ApiPod>;
  readonly #services: ServiceLinks;
  readonly #reporter: NodeReporter;
  readonly #fleet: Fleet;
  readonly #live: LiveVolumes;
  readonly #static: StaticPods | undefined;
  readonly #network: NodeNetwork | undefined;
  readonly #eviction: EvictionSettings;
  readonly #room: Room;
  readonly #metrics: AgentMetrics;
  readonly #nodeImages: NodeImages;
  readonly #keptLogs: KeptLogs;
  #server: AgentServer | undefined;
  #port: number;
  #info: RuntimeInfo | undefined;
  #measured: Measurement | undefined;
  #measuredAt = -Infinity;
  #images: { readonly at: number; readonly list: readonly ImageInfo[] } = { at: -Infinity, list: [] };
  #runtimeDown: string | undefined = "the container runtime has not answered yet";
  #report: () => void = () => {};

  constructor(o: AgentOptions) {
    this.#o = o;
    this.#port = o.port ?? 10250;
    const { client, clock, log, random, nodeName } = o;
    this.#events = new EventRecorder({ client, component: "kubelet", instance: nodeName, clock, log, random });
    const listOptions = { fieldSelector: `spec.nodeName=${nodeName}` };
    this.#informer = new Informer({ resource: client.resource(pods), clock, log, random, listOptions });
    this.#services = new ServiceLinks(o);
    const node = () => this.#nodeOptions();
    this.#network = o.network && this.#makeNetwork(o.network);
    this.#reporter = new NodeReporter({ client, clock, random, log, node, facts: (s) => this.#facts(s) });
    this.#eviction = o.eviction ?? evictionSettings();
    this.#nodeImages = this.#makeNodeImages();
    this.#keptLogs = new KeptLogs({
      ...o,
      directory: join(o.dataDir, "kept-logs"),
      settings: { ...KEPT_LOGS_DEFAULTS, ...o.keptLogs },
    });
    this.#room = this.#makeRoom();
    this.#metrics = new AgentMetrics({
      nodeName,
      startedAt: clock.now() / 1000,
      pods: () => this.#fleet.workers(),
      evictions: () => this.#room.evictions,
    });
    this.#static = o.staticPodsDir === undefined ? undefined : this.#makeStatic(o.staticPodsDir);
    this.#fleet = new Fleet({
      ctx: this.#context(),
      desired: () => this.#desired(),
      onRuntime: (down) => this.#runtimeIs(down),
    });
    this.#live = new LiveVolumes({ ...o, onChange: (uid) => this.#fleet.worker(uid)?.refreshVolumes() });
  }

  async run(signal: AbortSignal): Promise<void> {
    using _events = this.#events;
    await using server = this.#o.serve ? await serveAgent(this.#o.serve, this.#serverContext()) : undefined;
    this.#server = server;
    this.#port = server?.port ?? this.#port;
    using _changes = this.#informer.onChange((_key, now, old) => {
      const mirror = now ?? old;
      if (mirror && isMirror(mirror)) return this.#static?.mirrorChanged(mirror);
      const [next, before] = [now?.metadata.uid, old?.metadata.uid];
      if (before !== undefined && before !== next) this.#fleet.podChanged(before, undefined);
      if (next !== undefined) this.#fleet.podChanged(next, now);
      if (before !== undefined) this.#live.podChanged(before, before === next ? now : undefined);
      if (next !== undefined) this.#live.podChanged(next, now);
    });
    await together(
      signal,
      (s) => this.#informer.run(s),
      (s) => this.#live.run(s),
      (s) => this.#services.run(s),
      ...(this.#static ? [(s: AbortSignal) => this.#static?.run(s) ?? Promise.resolve()] : []),
      (s) => this.#runNode(s),
      (s) => this.#runPods(s),
      ...(this.#network ? [(s: AbortSignal) => this.#network?.run(s) ?? Promise.resolve()] : []),
      (s) => this.#room.run(s),
      (s) => this.#nodeImages.run(s),
      (s) => this.#keptLogs.run(s),
      (s) => runReclaim({ ...this.#o, directory: this.#volumesDir() }, s),
    );
  }

  #makeStatic(directory: string): StaticPods {
    return new StaticPods({
      ...this.#o,
      directory,
      events: this.#events,
      nodeUid: () => this.#reporter.uid,
      known: () => (this.#informer.synced ? this.#informer.list() : undefined),
      onChange: (uid, pod) => this.#fleet.podChanged(uid, pod),
    });
  }

  /** What a mirror shows runs by its file, if it still does. */
  #desired(): { pods: readonly Pod[]; complete: boolean } {
    const own = this.#static?.pods() ?? [];
    const complete = this.#informer.synced && this.#services.synced;
    return { pods: complete ? [...own, ...this.#informer.list().filter((p) => !isMirror(p))] : own, complete };
  }

  #makeRoom(): Room {
    const { devices = {}, podPidsLimit = PIDS_LIMIT } = this.#o;
    return new Room({
      ...this.#o,
      events: this.#events,
      settings: this.#eviction,
      inventory: devices,
      podPidsLimit,
      measure: () => this.#measureNow(),
      allocatable: () => this.#allocatable(),
      labels: () => nodeLabels({ ...this.#nodeOptions(), labels: {} }, this.#info),
      occupants: () => this.#fleet.workers(),
      reclaimDisk: (signal) => this.#nodeImages.removeUnused(signal),
      onChange: () => this.#report(),
    });
  }

  #makeNodeImages(): NodeImages {
    return new NodeImages({
      ...this.#o,
      events: this.#events,
      measure: () => this.#measure(),
      pods: () => this.#informer.list(),
    });
  }

  #makeNetwork(network: NetworkOptions): NodeNetwork {
    return new NodeNetwork({
      ...this.#o,
      ...network,
      tenants: () => this.#fleet.workers(),
      onChange: () => this.#report(),
      serveAt: async (address, pair) => this.#server?.listenAlso(address, pair),
    });
  }

  async #runNode(signal: AbortSignal): Promise<void> {
    await this.#learnInfo(signal);
    try {
      await this.#reporter.register(signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    this.#o.onReady?.();
    this.#report = () => {
      this.#reporter.report(signal).catch((error: unknown) => {
        if (!signal.aborted) this.#o.log.warn({ err: error }, "node status not written; the next heartbeat will");
      });
    };
    await this.#reporter.heartbeat(this.#o.heartbeatMs ?? HEARTBEAT_MS, signal);
  }

  /**
   * Before anything is begun, the machine is measured (or there would be no room for anything), and the runtime is
   * heard, and so is the API, for which only static Pods do not wait.
   */
  async #runPods(signal: AbortSignal): Promise<void> {
    try {
      const heard = Promise.all([this.#informer.whenSynced(signal), this.#services.whenSynced(signal)]);
      if (this.#static) {
        await this.#static.read();
        heard.then(() => this.#fleet.lookAgain()).catch(() => {}); // the end
      } else await heard;
      await this.#lastMeasured();
      await this.#network?.whenSettled(signal);
      while (!(await this.#learnInfo(signal))) await this.#o.clock.sleep(INFO_RETRY_MS, signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    await this.#fleet.run(signal);
  }

  /** True when the runtime has told what it is. */
  async #learnInfo(signal: AbortSignal): Promise<boolean> {
    if (this.#info) return true;
    try {
      this.#info = await this.#read("info", signal, (s) => this.#o.runtime.info(s));
      this.#runtimeIs(undefined);
    } catch (error) {
      if (!signal.aborted) this.#runtimeIs(error instanceof Error ? error.message : String(error));
    }
    return this.#info !== undefined;
  }

  /** Another reason is news too: the first is often that of a broken connection, the next why there is no new one. */
  #runtimeIs(down: string | undefined): void {
    const changed = down !== this.#runtimeDown;
    this.#runtimeDown = down;
    if (changed) this.#report();
  }

  async #facts(signal: AbortSignal): Promise<NodeFacts> {
    const measured = await this.#lastMeasured();
    await this.#refreshImages(signal);
    const { list: images } = this.#images;
    const network = this.#network?.condition();
    const { pressures } = this.#room;
    return { info: this.#info, images, measured, runtimeDown: this.#runtimeDown, network, pressures };
  }

  /** The room looks as often: one look serves both. */
  #lastMeasured(): Promise<Measurement> {
    const fresh = this.#o.clock.now() - this.#measuredAt < MEASURED_MS;
    return this.#measured && fresh ? Promise.resolve(this.#measured) : this.#measureNow();
  }

  async #measureNow(): Promise<Measurement> {
    this.#measured = await this.#measure();
    this.#measuredAt = this.#o.clock.now();
    return this.#measured;
  }

  #measure(): Promise<Measurement> {
    return this.#o.measure?.() ?? measureMachine(this.#o.dataDir, this.#info?.imageDir);
  }

  #read<T>(what: string, signal: AbortSignal, read: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return withinLimit({ clock: this.#o.clock, ms: READ_LIMIT_MS, what, signal }, read);
  }

  async #refreshImages(signal: AbortSignal): Promise<void> {
    const now = this.#o.clock.now();
    if (this.#runtimeDown !== undefined || now - this.#images.at < IMAGES_MS) return;
    try {
      const list = await this.#read("listImages", signal, (s) => this.#o.runtime.listImages(s));
      this.#images = { at: now, list };
    } catch (error) {
      this.#o.log.debug({ err: error }, "images not listed; the last list stands");
    }
  }

  #nodeOptions(): NodeOptions {
    const { nodeName, labels = {}, taints = [], maxPods = 110, reserved = {} } = this.#o;
    const extendedResources = { ...capacityOf(this.#o.devices ?? {}), ...this.#o.extendedResources };
    const version = this.#o.version ?? "v1.36.0+mini-kube";
    const volumesDir = this.#volumesDir();
    const address = this.#network?.address ?? this.#o.address;
    const podCIDR = this.#network?.podCIDR;
    const network = podCIDR === undefined ? {} : { podCIDR };
    return {
      ...network,
      nodeName,
      address,
      port: this.#port,
      labels,
      taints,
      maxPods,
      extendedResources,
      reserved,
      thresholds: this.#eviction.thresholds,
      version,
      volumesDir,
    };
  }

  #volumesDir(): string {
    return this.#o.volumesDir ?? join(this.#o.dataDir, "persistent-volumes");
  }

  #allocatable(): Record<string, string> {
    const measured = this.#measured;
    return measured ? nodeAllocatable(this.#nodeOptions(), { info: this.#info, measured }) : {};
  }

  #context(): NodeContext {
    const { nodeName, client, runtime, clock, random, log, dataDir } = this.#o;
    const info = () => this.#info;
    const allocatable = () => this.#allocatable();
    const address = () => this.#nodeOptions().address;
    const network = this.#network;
    return {
      nodeName,
      get hostIP() {
        return address();
      },
      network,
      client,
      runtime,
      clock,
      random,
      log,
      dataDir,
      events: this.#events,
      tokens: new Tokens({ client, clock }),
      images: this.#nodeImages.store,
      keptLogs: this.#keptLogs,
      starts: new Limiter(this.#o.parallelStarts ?? 4),
      get nodeMemory() {
        return info()?.memoryBytes ?? 0;
      },
      get allocatable() {
        return allocatable();
      },
      room: this.#room,
      metrics: this.#metrics,
      ...this.#names(dataDir),
      serviceVariables: (namespace, links) => this.#services.variables(namespace, links),
      get abilities() {
        return info() ?? {};
      },
      ...(this.#o.drained && { drained: this.#o.drained }),
      ...(this.#o.guarded && { guarded: this.#o.guarded }),
      shownAs: (pod) => (this.#static ? this.#static.shownAs(pod) : pod),
      runtimeFailed: (error) => this.#fleet.runtimeFailed(error),
    };
  }

  #names(dataDir: string): Pick<NodeContext, "podFiles" | "clusterDomain"> {
    const { clusterDns = [], clusterDomain = DEFAULT_CLUSTER_DOMAIN } = this.#o;
    return { clusterDomain, podFiles: new PodFiles({ dataDir, clusterDns, clusterDomain }) };
  }

  #serverContext() {
    const { runtime, clock, log, nodeName, dataDir } = this.#o;
    const startedAt = ({ podUid, id }: ContainerStats) =>
      this.#fleet.worker(podUid)?.actual?.containers.find((c) => c.id === id)?.startedAt;
    return {
      runtime,
      clock,
      log,
      pods: this.#fleet,
      keptLogs: this.#keptLogs,
      usage: new UsagePages({
        clock,
        stats: new Stats({ runtime, clock, nodeName, startedAt }),
        metrics: this.#metrics,
        machine: () => ({ cpus: this.#info?.cpus ?? 0, memoryBytes: this.#info?.memoryBytes ?? 0 }),
        measured: () => this.#measured,
        pods: () => this.#fleet.workers(),
        disk: (pod, { containers }, signal) => readPodDisk({ runtime, dataDir, pod, containers }, signal),
      }),
    };
  }
}
