/** One cluster in one process: opens the store, then starts the components on it, in the order they need each other. */
import { setMaxListeners } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { SERVER_VERSION } from "../../pkg/apiserver/discovery.ts";
import { readKubeconfig, singleKubeconfig, writeKubeconfig } from "../../pkg/client/kubeconfig.ts";
import type { Ranges } from "../../pkg/network/pod/ranges.ts";
import type { TlsFiles } from "../../pkg/store/open.ts";
import { whatIsMissing } from "../../pkg/network/pod/tools.ts";
import type { ContainerRuntime } from "../../pkg/runtime/runtime.ts";
import { rfc3339, systemClock } from "../../pkg/util/clock.ts";
import type { Logger } from "../../pkg/util/log.ts";
import { type CertRequest, ensurePki, type KeyPair, type Pki } from "../../pkg/util/pki.ts";
import { RenewedPair } from "../../pkg/util/renewed-pair.ts";
import { nodeRangesOf } from "../component/cluster-network.ts";
import { ControlPlane, isShared, MASTERS } from "../component/control-plane.ts";
import { dockerSocket } from "../component/docker-socket.ts";
import type { IngressSettings } from "../component/ingress.ts";
import { debugPages } from "../component/debug-pages.ts";
import { levelBySignals, LogLevels } from "../component/log-levels.ts";
import { openLog } from "../component/log.ts";
import { daily } from "../component/renewal.ts";
import type { IdentityOptions } from "../component/serve-api.ts";
import { type Home, type RunningCluster, serveControl, type StopRequest } from "./home.ts";
import type { NodeSettings as NodeResources } from "./node-flags.ts";

/** How soon a node counts as lost, and how long Pods stay on one that is; in seconds. */
export interface NodeSettings {
  readonly graceSeconds?: number | undefined;
  readonly tolerationSeconds?: number | undefined;
}

export interface ClusterOptions {
  readonly home: Home;
  readonly clusterId: string;
  readonly nodeName: string;
  /** `lmdb`, `memory` or `etcd://host:port,…` */
  readonly store: string;
  /** For `etcds://…`. */
  readonly storeTls?: TlsFiles;
  readonly port: number;
  /** Where other machines reach this one; undefined: nobody beyond this machine reaches anything. */
  readonly address?: string | undefined;
  /** What the user wants of them; the rest is chosen. */
  readonly ranges: Partial<Ranges>;
  readonly identity: IdentityOptions;
  readonly nodes?: NodeSettings;
  /** Of this machine. */
  readonly node?: NodeResources;
  readonly autoscalerSyncSeconds?: number | undefined;
  readonly signingSeconds?: number | undefined;
  readonly ingress?: IngressSettings;
  readonly env: NodeJS.ProcessEnv;
  /** When the process was started, in milliseconds since the epoch. */
  readonly startedAt: number;
}

/** Here everything listens; on the network of the Pods, too; and elsewhere only if asked to. */
const HOST = "127.0.0.1";

// One signal ends a component, and each of its calls under way listens to it: many listeners are no leak here.
setMaxListeners(0);

/** Requests under way have so long to be answered when it stops. */
const DRAIN_MS = 2_000;

/** What acts without a Lease where nobody else could. */
const ALONE = ["kube-scheduler", "kube-controller-manager"];

/** In the kubeconfig. */
const CONTEXT = "mini-kube";

/** `ips`: where the agent is reached, beside the loopback address. */
function certRequests(ips: readonly string[]) {
  return {
    agent: { commonName: "mini-kube-agent", dnsNames: ["localhost"], ips: [HOST, ...ips], usages: ["server"] },
    admin: { commonName: "kubernetes-admin", organizations: [MASTERS], usages: ["client"] },
  } as const satisfies Record<string, CertRequest>;
}

type ClusterPki = Pki<keyof ReturnType<typeof certRequests>>;

interface Parts {
  readonly home: Home;
  readonly log: Logger;
  readonly plane: ControlPlane;
  /** What the network lacks on this machine; undefined: nothing. */
  readonly networkLacks: string | undefined;
  readonly options: ClusterOptions;
}

export class Cluster {
  /** Resolves when everything has stopped. */
  readonly stopped: Promise<void>;
  readonly #parts: Parts;
  readonly #abort = new AbortController();
  readonly #components: Promise<void>;
  /** What ends with the cluster and never breaks. */
  readonly #beside: Promise<void>[] = [];
  /** By which the agent is known: renewed as the cluster runs. */
  readonly #agentPair: RenewedPair;
  /** Once the components are loaded. */
  #runtime: ContainerRuntime | undefined;
  readonly #readyAfterMs: number;
  #stopping: Promise<void> | undefined;
  #hasStopped: () => void = () => {};

  /** Rejects with AlreadyRunning, or with what hinders it (a port in use, a broken store); nothing is left half started. */
  static async start(o: ClusterOptions): Promise<Cluster> {
    const undo: (() => unknown)[] = [];
    try {
      return await Cluster.#start(o, undo);
    } catch (error) {
      for (const step of undo.toReversed()) await step();
      throw error;
    }
  }

  static async #start(o: ClusterOptions, undo: (() => unknown)[]): Promise<Cluster> {
    dockerSocket(o.env); // said before anything is started
    mkdirSync(o.home.data, { recursive: true, mode: 0o700 });
    const levels = new LogLevels(o.env.MINI_KUBE_LOG);
    const log = openLog({ level: levels, file: o.home.log });
    // Whoever has the socket may touch the rest of the home.
    let cluster: Cluster | undefined;
    const control = await serveControl(o.home, {
      status: () => cluster?.status(),
      stop: async (request) => cluster?.stop(request),
      logLevel: async (spec) => {
        if (spec !== undefined) {
          levels.set(spec);
          log.info({ levels: levels.report() }, "log level changed");
        }
        return levels.report();
      },
    });
    undo.push(() => control.close());
    const ips = o.address === undefined ? [] : [o.address];
    const plane = await openControlPlane(o, ips, levels, log);
    undo.push(() => plane.close());
    const networkLacks = await whatIsMissing({ path: o.env.PATH, uid: process.getuid?.() });
    const pki = await ensurePki(o.home.pki, certRequests(ips), systemClock);
    if (o.address !== undefined) await listenAt(o.address, plane);
    const signals = levelBySignals(levels, log);
    writeOwnKubeconfig(o, pki);
    undo.push(() => signals[Symbol.dispose]());
    cluster = new Cluster({ home: o.home, log, plane, networkLacks, options: o }, pki, control);
    return cluster;
  }

  private constructor(parts: Parts, pki: ClusterPki, control: { close(): void }) {
    this.#parts = parts;
    this.#agentPair = new RenewedPair(pki.certs.agent);
    this.#readyAfterMs = systemClock.now() - parts.options.startedAt;
    this.stopped = new Promise((resolve) => {
      this.#hasStopped = () => {
        control.close();
        resolve();
      };
    });
    this.#components = this.#guard("rest of the cluster", this.#run(pki));
    parts.log.info({ readyAfterMs: Math.round(this.#readyAfterMs) }, "the API is ready");
  }

  /** Settles when all have ended. */
  async #run(pki: ClusterPki): Promise<void> {
    const { plane, options, home, log, networkLacks } = this.#parts;
    const { api, network } = plane;
    if (options.address !== undefined) this.#publish(options.address);
    const [{ openRuntime }, { controllerSettings }, { requestMetrics }, { Metrics }, { startComponents }] =
      await Promise.all([
        import("../component/containers.ts"),
        import("../component/controller-manager.ts"),
        import("../component/request-metrics.ts"),
        import("../../pkg/util/metrics.ts"),
        import("./components.ts"),
      ]);
    if (this.#abort.signal.aborted) return;
    // One process, one page: what scheduler and controllers count stands beside the API's.
    const metrics = new Metrics();
    plane.listener.count(requestMetrics(plane, metrics));
    this.#beside.push(plane.writeConfig(this.#abort.signal), this.#keepCertificates());
    this.#runtime = openRuntime(options.clusterId, options.nodeName, options.env);
    const running = startComponents(
      {
        transport: (user) => api.transport(user),
        runtime: this.#runtime,
        nodeName: options.nodeName,
        clusterId: options.clusterId,
        host: options.address ?? HOST,
        network: {
          ...network,
          address: options.address,
          lacks: networkLacks,
          onGateway: (address) => this.#serveGateway(address),
        },
        dataDir: home.data,
        agentPair: this.#agentPair,
        caCert: pki.caCert,
        node: options.node ?? {},
        controllers: {
          ...controllerSettings(plane.ca, { ...options.nodes, ...options }),
          nodeRanges: nodeRangesOf(network),
        },
        ingress: options.ingress ?? {},
        replicated: isShared(options.store),
        log,
        metrics,
      },
      this.#abort.signal,
    );
    await Promise.all(Object.entries(running).map(([name, done]) => this.#guard(name, done)));
  }

  /** Day by day: a cluster may run for years. */
  #keepCertificates(): Promise<void> {
    const { plane, options, home, log } = this.#parts;
    const renew = async () => {
      await plane.renewCertificates();
      const pki = await ensurePki(home.pki, certRequests(plane.addresses), systemClock);
      if (pki.certs.agent.cert !== this.#agentPair.current?.cert) this.#agentPair.replace(pki.certs.agent);
      writeOwnKubeconfig(options, pki);
    };
    return daily(renew, { clock: systemClock, log }, this.#abort.signal);
  }

  /** Pods reach the API at the bridge of their node: nothing beyond this machine does. With what the agent is to serve there. */
  async #serveGateway(address: string): Promise<KeyPair> {
    const { home, log, plane } = this.#parts;
    const { certs } = await ensurePki(home.pki, certRequests([...plane.addresses, address]), systemClock);
    try {
      await plane.listenAlso(address);
      this.#publish(address);
    } catch (error) {
      log.error({ err: error, address }, "the API cannot be reached by Pods: its port is in use on their bridge");
    }
    return certs.agent;
  }

  #publish(address: string): void {
    this.#beside.push(this.#parts.plane.publish(address, this.#abort.signal));
  }

  /** A component that ends though nobody asked it to takes the process down: the next start repairs, a half cluster lies. */
  async #guard(name: string, component: Promise<void>): Promise<void> {
    try {
      await component;
      if (this.#abort.signal.aborted) return;
      throw new Error("it ended unasked");
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.#parts.log.error({ err: error }, `the ${name} broke`);
      process.stderr.write(`error: the ${name} broke: ${String(error)}; see ${this.#parts.home.log}\n`);
      process.exitCode = 1;
      void this.stop({ containers: "keep" });
    }
  }

  status(): RunningCluster {
    const { options, plane, networkLacks } = this.#parts;
    const { network } = plane;
    return {
      pid: process.pid,
      server: `https://${HOST}:${options.port}`,
      nodeName: options.nodeName,
      store: options.store,
      podCidr: network.podCidr,
      serviceCidr: network.serviceCidr,
      networkLacks,
      version: SERVER_VERSION.gitVersion,
      startedAt: rfc3339(options.startedAt),
      readyAfterMs: this.#readyAfterMs,
      rssBytes: process.memoryUsage.rss(),
    };
  }

  /** Idempotent; resolves when all is stopped. */
  stop(request: StopRequest): Promise<void> {
    this.#stopping ??= this.#stop(request);
    return this.#stopping;
  }

  async #stop(request: StopRequest): Promise<void> {
    const { log, plane } = this.#parts;
    log.info(request, "stopping");
    this.#abort.abort();
    await Promise.all([this.#components, ...this.#beside]);
    if (request.containers === "remove" && this.#runtime) {
      const { removeAll } = await import("../component/containers.ts");
      const { clusterId } = this.#parts.options;
      await removeAll(this.#runtime, clusterId).catch((error: unknown) =>
        log.warn({ err: error }, "something is left behind"),
      );
    }
    await plane.close({ drainMs: DRAIN_MS });
    log.info({}, "stopped");
    this.#hasStopped();
  }
}

function openControlPlane(
  o: ClusterOptions,
  ips: readonly string[],
  levels: LogLevels,
  log: Logger,
): Promise<ControlPlane> {
  return ControlPlane.open({
    store: o.store,
    ...(o.storeTls && { storeTls: o.storeTls }),
    dataDir: o.home.data,
    pkiDir: o.home.pki,
    encryption: { file: join(o.home.pki, "encryption.yaml"), create: true },
    ranges: o.ranges,
    clusterDomain: o.node?.clusterDomain,
    identity: o.identity,
    host: HOST,
    port: o.port,
    ips,
    tolerationSeconds: o.nodes?.tolerationSeconds,
    debug: (store) => debugPages({ level: levels, store, components: isShared(o.store) ? [] : ALONE }),
    log,
  });
}

async function listenAt(address: string, plane: ControlPlane): Promise<void> {
  try {
    await plane.listenAlso(address);
  } catch (error) {
    const why =
      (error as NodeJS.ErrnoException).code === "EADDRNOTAVAIL" ? "this machine does not have it" : String(error);
    throw new Error(`--address ${address}: ${why}`, { cause: error });
  }
}

/** Written anew at each start, for port and certificates may have changed; the namespace the user chose stays chosen. */
function writeOwnKubeconfig(o: ClusterOptions, pki: ClusterPki): void {
  const connection = { server: `https://${HOST}:${o.port}`, ca: pki.caCert, ...pki.certs.admin };
  const before = readKubeconfig(o.home.kubeconfig)?.contexts?.find((c) => c.name === CONTEXT);
  writeKubeconfig(o.home.kubeconfig, singleKubeconfig(CONTEXT, connection, before?.context.namespace));
}
