/**
 * `mini-kube up`: every component in one process, `down` and `status`.
 *
 * Wiring only. The components meet through API objects alone; that they share a process shows in nothing but the
 * transport: calls between them are function calls.
 */
import { rmSync } from "node:fs";
import { hostname } from "node:os";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../pkg/util/clock.ts";
import { startInBackground } from "./background.ts";
import { type NodeFlags, nodeSettings } from "./node-flags.ts";
import { AlreadyRunning, askStatus, askStop, clusterId, type Home, openHome, type RunningCluster } from "./home.ts";

/** As `up` reads them from its command line. */
export interface UpFlags extends NodeFlags {
  readonly nodeName?: string | undefined;
  /** `lmdb`, `memory` or `etcd://host:port,…` */
  readonly store?: string | undefined;
  /** For `etcds://…`. */
  readonly storeCaFile?: string | undefined;
  readonly storeCertFile?: string | undefined;
  readonly storeKeyFile?: string | undefined;
  readonly port?: number | undefined;
  /** Where other machines reach this one. */
  readonly address?: string | undefined;
  readonly podCidr?: string | undefined;
  readonly serviceCidr?: string | undefined;
  readonly dataDir?: string | undefined;
  readonly auditLog?: string | undefined;
  readonly auditPolicy?: string | undefined;
  readonly tokenFile?: string | undefined;
  readonly anonymousAuth?: boolean | undefined;
  /** In seconds. */
  readonly nodeMonitorGracePeriod?: number | undefined;
  readonly defaultTolerationSeconds?: number | undefined;
  readonly horizontalPodAutoscalerSyncPeriod?: number | undefined;
  readonly clusterSigningDuration?: number | undefined;
  readonly ingressHttpPort?: number | "none" | undefined;
  readonly ingressHttpsPort?: number | "none" | undefined;
  readonly ingressAccessLog?: string | undefined;
  readonly ingressMetricsPort?: number | undefined;
}

export interface UpOptions extends UpFlags {
  /** The arguments by which a process of its own starts the same cluster; undefined: this process is to run it. */
  readonly detached?: readonly string[] | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Lines for the person who started it. */
  readonly say: (line: string) => void;
}

/** How long a detached cluster may take until its API answers. */
const START_DEADLINE_MS = 30_000;
const LOOK_MS = 25;
/** `down` waits this long for the containers to stop. */
const STOP_DEADLINE_MS = 60_000;

/** Starts a cluster and resolves when it has stopped; with `detached`, as soon as the API is ready. Idempotent. */
export async function up(o: UpOptions): Promise<void> {
  const home = openHome(o);
  const running = await askStatus(home);
  if (running) return o.say(describeRunning(running, home));
  if (o.detached) return upDetached(home, o.detached, o);
  const { Cluster } = await import("./cluster.ts");
  const cluster = await Cluster.start({ ...clusterOptions(home, o), startedAt: processStart() }).catch(
    (error: unknown) => {
      // Somebody else was a moment quicker: that is what was asked for.
      if (error instanceof AlreadyRunning) return undefined;
      throw error;
    },
  );
  if (!cluster) return o.say("mini-kube is already running");
  o.say(describeRunning(cluster.status(), home));
  o.say("stop it with Ctrl-C; in another terminal: mini-kube get nodes");
  const interrupt = () => void cluster.stop({ containers: "remove" });
  const terminate = () => void cluster.stop({ containers: "keep" });
  process.once("SIGINT", interrupt).once("SIGHUP", terminate).once("SIGTERM", terminate);
  await cluster.stopped;
  o.say("stopped");
}

export function clusterOptions(home: Home, o: UpOptions) {
  return {
    home,
    clusterId: clusterId(home),
    nodeName: (o.nodeName ?? hostname()).toLowerCase(),
    store: o.store ?? "lmdb",
    storeTls: { caFile: o.storeCaFile, certFile: o.storeCertFile, keyFile: o.storeKeyFile },
    port: o.port ?? 6443,
    address: o.address,
    ranges: {
      ...(o.podCidr !== undefined && { podCidr: o.podCidr }),
      ...(o.serviceCidr !== undefined && { serviceCidr: o.serviceCidr }),
    },
    identity: {
      auditLog: o.auditLog,
      auditPolicy: o.auditPolicy,
      tokenFile: o.tokenFile,
      anonymousAuth: o.anonymousAuth,
    },
    autoscalerSyncSeconds: o.horizontalPodAutoscalerSyncPeriod,
    signingSeconds: o.clusterSigningDuration,
    ingress: {
      httpPort: o.ingressHttpPort,
      httpsPort: o.ingressHttpsPort,
      accessLog: o.ingressAccessLog,
      metricsPort: o.ingressMetricsPort,
    },
    node: nodeSettings(o),
    nodes: { graceSeconds: o.nodeMonitorGracePeriod, tolerationSeconds: o.defaultTolerationSeconds },
    env: o.env,
  };
}

/** The moment this process was started, as the kernel tells; what a user feels as "start" includes loading the program. */
function processStart(): number {
  return performance.timeOrigin;
}

async function upDetached(home: Home, args: readonly string[], o: Pick<UpOptions, "env" | "say">): Promise<void> {
  // Not process.argv[1]: `npm start` comes here too.
  const program = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "./main.ts" : "./main.js", import.meta.url));
  const cluster = await startInBackground({
    what: "cluster",
    command: [program, ...args],
    env: o.env,
    log: home.log,
    look: async () => (await askStatus(home)) ?? undefined,
    everyMs: LOOK_MS,
    deadlineMs: START_DEADLINE_MS,
    clock: systemClock,
  });
  o.say(describeRunning(cluster, home));
}

export interface DownOptions {
  readonly purge?: boolean | undefined;
  readonly dataDir?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly say: (line: string) => void;
}

/** Stops the cluster and removes its containers; the objects stay for the next `up`, unless purged. Idempotent. */
export async function down(o: DownOptions): Promise<void> {
  const home = openHome(o);
  const stopped = await askStop(home, { containers: "remove" }, STOP_DEADLINE_MS);
  // After a kill -9 nobody answers, but the containers still run; and what the cluster could not remove is tried again.
  const left = await removeLeftovers(home, o.env);
  o.say(stopped ? "mini-kube stopped; its containers are gone" : "mini-kube was not running");
  if (left > 0) o.say(`removed the containers of ${left} Pod${left === 1 ? "" : "s"} left behind by an earlier run`);
  if (!o.purge) {
    if (stopped) o.say(`the objects are kept in ${home.data}; \`mini-kube up\` brings their Pods back`);
    return;
  }
  rmSync(home.data, { recursive: true, force: true });
  rmSync(home.dir, { recursive: true, force: true });
  o.say(`removed ${home.dir}`);
}

async function removeLeftovers(home: Home, env: NodeJS.ProcessEnv): Promise<number> {
  const [{ removeAll, openRuntime }, { RuntimeError }] = await Promise.all([
    import("../component/containers.ts"),
    import("../../pkg/runtime/runtime.ts"),
  ]);
  try {
    const id = clusterId(home);
    return await removeAll(openRuntime(id, "", env), id);
  } catch (error) {
    // No Docker, no containers that could run.
    if (error instanceof RuntimeError && error.reason === "RuntimeUnavailable") return 0;
    throw new Error(`something is left behind; run mini-kube down again: ${String(error)}`, { cause: error });
  }
}

export function describeRunning(c: RunningCluster, home: Home): string {
  return [
    `mini-kube ${c.version} is running (pid ${c.pid})`,
    `  API           ${c.server}  (ready ${Math.round(c.readyAfterMs)} ms after the process started)`,
    `  node          ${c.nodeName}`,
    `  store         ${c.store}`,
    `  network       Pods ${c.podCidr}, Services ${c.serviceCidr}`,
    ...(c.networkLacks === undefined ? [] : [`                ${c.networkLacks}`]),
    `  memory        ${Math.round(c.rssBytes / 1e6)} MB resident`,
    `  kubeconfig    ${home.kubeconfig}`,
    `  log           ${home.log}`,
  ].join("\n");
}

/** Everything about one home, for programs that start a cluster themselves (`npm start`). */
export function homeOf(env: NodeJS.ProcessEnv): Home {
  return openHome({ env });
}
