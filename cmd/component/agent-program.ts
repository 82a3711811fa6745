/** The agent as a program of its own: who it is, what its cluster is like, and then the node. `mini-kube join` runs it, too. */
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { pairFile } from "../../pkg/agent/certificates/files.ts";
import { CertificateKeeper } from "../../pkg/agent/certificates/keeper.ts";
import type { Taint } from "../../pkg/api/generated/types.ts";
import { isReason } from "../../pkg/api/status.ts";
import { UsageError } from "../../pkg/cli/io.ts";
import { Client } from "../../pkg/client/client.ts";
import { type Connection, fileKubeconfig, writeKubeconfig } from "../../pkg/client/kubeconfig.ts";
import { whatIsMissing } from "../../pkg/network/pod/tools.ts";
import { together } from "../../pkg/reconcile/scope.ts";
import { systemClock, systemRandom } from "../../pkg/util/clock.ts";
import { replaceFile } from "../../pkg/util/files.ts";
import { type NodeFlags, nodeSettings } from "../mini-kube/node-flags.ts";
import { certificatesDir, clusterFile, clusterIdFile, kubeconfigFile, announceAgent } from "./agent-home.ts";
import { type ClusterConfig, readClusterConfig } from "./cluster-config.ts";
import { apiCheck, connect, readConnection } from "./connection.ts";
import { openRuntime } from "./containers.ts";
import { startIngress } from "./ingress.ts";
import { firstAddress } from "./machine.ts";
import { type RunningNode, startNode } from "./node.ts";
import { type Parts, partsOf } from "./parts.ts";
import type { Running } from "./program.ts";

export interface AgentFlags extends NodeFlags {
  readonly kubeconfig?: string;
  readonly bootstrapKubeconfig?: string;
  readonly nodeName?: string;
  readonly address?: string;
  readonly port: number;
  readonly dataDir: string;
  readonly nodeLabels?: Readonly<Record<string, string>>;
  readonly registerWithTaints?: readonly Taint[];
  readonly ingressKubeconfig?: string;
  readonly ingressHttpPort?: number | "none";
  readonly ingressHttpsPort?: number | "none";
}

const AGENT = "mini-kube-agent";
const LOOPBACK = "127.0.0.1";

/** Runs the node until the signal aborts; its containers go on. Rejects with what hinders it. */
export async function runNodeProgram(flags: AgentFlags, running: Running): Promise<void> {
  const { signal, log, env, metrics } = running;
  const settings = nodeSettings(flags);
  const dataDir = resolve(flags.dataDir);
  const nodeName = (flags.nodeName ?? hostname()).toLowerCase();
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  using _found = await announceAgent(dataDir, nodeName);
  const clusterId = await ownId(clusterIdFile(dataDir));
  const runtime = openRuntime(clusterId, nodeName, env);
  const { connection, keeper, address } = await identify({ flags, dataDir, nodeName }, running);
  const transport = connect({ ...connection, ...keeper.client.current }, AGENT);
  using _renewed = keeper.client.onChange((pair) => transport.use(pair));
  await running.observe([apiCheck(transport)]);
  const own = partsOf(AGENT, transport, log);
  const config = await clusterConfig(clusterFile(dataDir), own, signal);
  const lacks = await whatIsMissing({ path: env.PATH, uid: process.getuid?.() });
  const node = (s: AbortSignal) =>
    startNode(
      {
        transport,
        networkTransport: transport,
        runtime,
        nodeName,
        clusterId,
        network: { ...config, address, lacks },
        serve: { host: address, port: flags.port, pair: keeper.serving, clientCa: connection.ca ?? "" },
        dataDir,
        ...(flags.nodeLabels && { labels: flags.nodeLabels }),
        ...(flags.registerWithTaints && { taints: flags.registerWithTaints }),
        settings: { ...settings, clusterDomain: settings.clusterDomain ?? config.clusterDomain },
        metrics,
        log,
      },
      s,
    );
  await together(
    signal,
    (s) => keeper.run(own.client, s),
    (s) => all(node(s)),
    ...(flags.ingressKubeconfig === undefined ? [] : [ingress({ ...flags, nodeName, address }, running)]),
  );
  transport.close();
}

const all = async ({ components }: RunningNode) => void (await Promise.all(Object.values(components)));

interface Machine {
  readonly flags: AgentFlags;
  readonly dataDir: string;
  readonly nodeName: string;
}

interface Identified {
  /** Without who this is: that changes, and is the keeper's. */
  readonly connection: Connection;
  readonly keeper: CertificateKeeper;
  readonly address: string;
}

/** As whom it speaks to the API: as its kubeconfig says, or after it has got its first certificate. */
async function identify({ flags, dataDir, nodeName }: Machine, { log, signal }: Running): Promise<Identified> {
  const kubeconfig = resolve(flags.kubeconfig ?? kubeconfigFile(dataDir));
  const known = existsSync(kubeconfig) ? readConnection(kubeconfig) : undefined;
  const bootstrap = flags.bootstrapKubeconfig === undefined ? undefined : readConnection(flags.bootstrapKubeconfig);
  const cluster = known ?? bootstrap;
  if (!cluster) throw new UsageError(`there is no ${kubeconfig}; give --kubeconfig, or --bootstrap-kubeconfig to join`);
  const { cert, key, token: _, ...connection } = cluster;
  const address = flags.address ?? (await ownAddressTowards(cluster.server));
  const directory = certificatesDir(dataDir);
  const parts = { clock: systemClock, random: systemRandom, log: log.child({ component: "certificates" }) };
  const keeper = await CertificateKeeper.open({ directory, nodeName, address, ...parts });
  if (!keeper.known && cert !== undefined && key !== undefined) keeper.client.replace({ cert, key });
  if (bootstrap && keeper.known && (await isRefused({ ...connection, ...keeper.client.current })))
    await keeper.forget();
  if (!keeper.known) {
    if (!bootstrap) {
      throw new UsageError(
        `${kubeconfig} has no certificate of the node ${nodeName} that holds; give --bootstrap-kubeconfig`,
      );
    }
    const transport = connect(bootstrap, AGENT);
    await keeper.join(new Client(transport, AGENT), signal);
    transport.close();
  }
  if (!known) writeKubeconfig(kubeconfig, fileKubeconfig(AGENT, connection, pairFile(directory, "client")));
  return { connection, keeper, address };
}

/** A node that was removed is nobody any more, whatever its certificate says. */
async function isRefused(connection: Connection): Promise<boolean> {
  const transport = connect(connection, AGENT);
  try {
    await transport.text("/api"); // everybody who is known may read it
    return false;
  } catch (error) {
    return isReason(error, "Unauthorized");
  } finally {
    transport.close();
  }
}

/** What the cluster is like does not change: a node that starts while no API server answers goes by what it knew. */
async function clusterConfig(file: string, parts: Parts, signal: AbortSignal): Promise<ClusterConfig> {
  if (existsSync(file)) return JSON.parse(await readFile(file, "utf8")) as ClusterConfig;
  const config = await readClusterConfig(parts, signal);
  await replaceFile(file, JSON.stringify(config), 0o644);
  return config;
}

/** Tells its containers from those of other nodes on the same Docker daemon. Made once. */
async function ownId(file: string): Promise<string> {
  if (!existsSync(file)) await replaceFile(file, randomBytes(4).toString("hex"), 0o644);
  return (await readFile(file, "utf8")).trim();
}

/** The address by which this machine speaks to the server, as its routes have it. */
async function ownAddressTowards(server: string): Promise<string> {
  const { hostname: host, port } = new URL(server);
  const socket = createSocket("udp4");
  try {
    socket.connect(Number(port) || 443, host);
    await once(socket, "connect");
    const { address } = socket.address();
    return address.startsWith("127.") ? (firstAddress() ?? address) : address;
  } catch (error) {
    throw new UsageError(`--address IP is needed: no way to ${host} (${(error as Error).message})`);
  } finally {
    socket.close();
  }
}

function ingress(
  o: Pick<AgentFlags, "ingressKubeconfig" | "ingressHttpPort" | "ingressHttpsPort"> & {
    nodeName: string;
    address: string;
  },
  { log, metrics }: Running,
): (signal: AbortSignal) => Promise<void> {
  const transport = connect(readConnection(o.ingressKubeconfig), "mini-kube-ingress");
  const options = {
    ...partsOf("ingress", transport, log, metrics),
    nodeName: o.nodeName,
    addresses: [...new Set([o.address, LOOPBACK])],
    // The node is reached at its own address, not at that of its bridge.
    gateway: new Promise<string>(() => {}),
    settings: { httpPort: o.ingressHttpPort, httpsPort: o.ingressHttpsPort },
  };
  return (signal) => startIngress(options, signal).finally(() => transport.close());
}
