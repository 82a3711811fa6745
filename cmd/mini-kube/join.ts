/**
 * `mini-kube join`: makes a node of this machine. Finds the cluster, writes down what the agent needs to get its first
 * certificate, and runs the agent. Idempotent: a machine that has joined goes on as the node that it is.
 */
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseToken } from "../../pkg/api/bootstrap-token.ts";
import type { Node } from "../../pkg/api/generated/types.ts";
import { nodes } from "../../pkg/api/kinds/core/node.ts";
import { condition } from "../../pkg/api/pod.ts";
import type { ClusterInfo } from "../../pkg/apiserver/cluster-info.ts";
import { CliError, UsageError } from "../../pkg/cli/io.ts";
import { Client } from "../../pkg/client/client.ts";
import { HttpTransport } from "../../pkg/client/http.ts";
import {
  type Connection,
  readKubeconfig,
  resolveContext,
  singleKubeconfig,
  writeKubeconfig,
} from "../../pkg/client/kubeconfig.ts";
import type { Clock } from "../../pkg/util/clock.ts";
import { askAgent, bootstrapFile, kubeconfigFile, logFile } from "../component/agent-home.ts";
import { openRuntime } from "../component/containers.ts";
import { startInBackground } from "./background.ts";
import { discover } from "./discover.ts";
import { askStatus, openHome } from "./home.ts";

export interface JoinOptions {
  readonly server: string;
  readonly token?: string | undefined;
  readonly caHash?: string | undefined;
  readonly nodeName?: string | undefined;
  readonly dataDir: string;
  readonly detach: boolean;
  /** Flags of the agent, as they were given. */
  readonly agentArgs: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly say: (line: string) => unknown;
}

const READY_MS = 60_000;
const DOCKER_MS = 10_000;
const LOOK_MS = 250;

/** Resolves when the agent has ended, or with `detach` when the node is ready. */
export async function joinCluster(o: JoinOptions): Promise<void> {
  const dataDir = resolve(o.dataDir);
  const nodeName = (o.nodeName ?? hostname()).toLowerCase();
  await refuseUp(o.env);
  const running = await askAgent(dataDir);
  if (running) {
    o.say(`this machine is the node ${running.nodeName} already; its agent runs, pid ${running.pid}`);
    return;
  }
  const args = await prepare(o, dataDir);
  const agent = [...args, "--data-dir", dataDir, "--node-name", nodeName, ...o.agentArgs];
  if (!o.detach) {
    o.say(`this machine joins ${o.server} as the node ${nodeName}; stop it with Ctrl-C`);
    return runAgent(agent, o);
  }
  await startAgent(agent, { ...o, nodeName, dataDir });
  o.say(`this machine is the node ${nodeName} of ${o.server}; its agent's log is ${logFile(dataDir)}`);
}

/** One machine's Docker and addresses are one cluster's. */
async function refuseUp(env: NodeJS.ProcessEnv): Promise<void> {
  if ((await askStatus(openHome({ env }))) === undefined) return;
  throw new CliError("this machine runs mini-kube up already, and is a node of that; stop it with: mini-kube down");
}

/** A node that cannot run anything is of no use; one that has joined waits for its engine to come back. */
async function requireDocker({ env, signal }: JoinOptions): Promise<void> {
  try {
    await openRuntime("", "", env).info(AbortSignal.any([signal, AbortSignal.timeout(DOCKER_MS)]));
  } catch (error) {
    throw new CliError(
      `${(error as Error).message}; a node runs its containers with Docker: install it (on Debian: apt-get install docker.io), start it, or name its socket: DOCKER_HOST=unix://…`,
    );
  }
}

/** Which kubeconfigs the agent is to use. */
async function prepare(o: JoinOptions, dataDir: string): Promise<string[]> {
  const known = connectionIn(kubeconfigFile(dataDir));
  if (known && o.token === undefined) return []; // it has joined: its certificates tell who it is
  const token = parseToken(o.token ?? "");
  if (!token) throw new UsageError(`--token ${o.token ?? ""}: a token is needed like abcdef.0123456789abcdef`);
  const caHash = o.caHash?.toLowerCase() ?? "";
  if (!/^sha256:[0-9a-f]{64}$/.test(caHash)) {
    throw new UsageError(
      `--ca-hash ${o.caHash ?? ""}: the hash of the cluster's CA is needed, as token create --print-join-command prints it`,
    );
  }
  if (!known) await requireDocker(o);
  const info = await discover({ ...o, token, caHash });
  refuseOther(known, info, dataDir);
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const file = bootstrapFile(dataDir);
  writeKubeconfig(file, bootstrapKubeconfig(o.server, info, `${token.id}.${token.secret}`));
  return ["--bootstrap-kubeconfig", file];
}

function connectionIn(file: string): Connection | undefined {
  const config = readKubeconfig(file);
  return config && resolveContext(config).connection;
}

function refuseOther(known: Connection | undefined, info: ClusterInfo, dataDir: string): void {
  if (!known || known.ca === undefined || known.ca.trim() === info.caCert.trim()) return;
  throw new CliError(
    `${dataDir} is of a node of another cluster, ${known.server}; give another --data-dir, or leave that cluster: mini-kube leave`,
  );
}

function bootstrapKubeconfig(server: string, info: ClusterInfo, token: string) {
  const others = [info.server, ...info.others].filter((s) => s !== server && !/\/\/(127\.|localhost)/.test(s));
  return singleKubeconfig("bootstrap", { server, others, ca: info.caCert, token });
}

function agentProgram(): string {
  const name = import.meta.url.endsWith(".ts") ? "../agent/main.ts" : "../agent/main.js";
  return fileURLToPath(new URL(name, import.meta.url));
}

/** In this terminal. A signal reaches it as it reaches us; it ends in good order, and we after it. */
async function runAgent(args: readonly string[], { env, signal }: JoinOptions): Promise<void> {
  const child = spawn(process.execPath, [...process.execArgv, agentProgram(), ...args], { stdio: "inherit", env });
  const end = () => child.kill("SIGTERM");
  process.once("SIGTERM", end);
  const code = await new Promise<number>((done) => child.once("exit", (c, s) => done(c ?? (s ? 1 : 0))));
  process.off("SIGTERM", end);
  // It has said why.
  if (code !== 0 && !signal.aborted) throw new CliError("", code);
}

type Started = JoinOptions & { readonly nodeName: string; readonly dataDir: string };

async function startAgent(args: readonly string[], o: Started): Promise<void> {
  await startInBackground({
    what: `agent of the node ${o.nodeName}`,
    command: [agentProgram(), ...args],
    env: o.env,
    log: logFile(o.dataDir),
    look: async () => (await isReady(o)) || undefined,
    everyMs: LOOK_MS,
    deadlineMs: READY_MS,
    clock: o.clock,
    signal: o.signal,
  });
}

/** As the node itself sees it in the API. */
async function isReady({ dataDir, nodeName, signal }: Started): Promise<boolean> {
  const connection = connectionIn(kubeconfigFile(dataDir));
  if (!connection) return false;
  const transport = new HttpTransport({ connection, userAgent: "mini-kube-join" });
  try {
    const node = await new Client(transport, "join").resource<Node>(nodes).get(nodeName, signal);
    return condition(node.status?.conditions, "Ready")?.status === "True";
  } catch {
    return false; // its agent tries, too, and says why it cannot
  } finally {
    transport.close();
  }
}
