/** Where an agent of this machine keeps its things, and how its process is found: as of `up`, by a socket. */
import { existsSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { readPair } from "../../pkg/agent/certificates/files.ts";
import { UsageError } from "../../pkg/cli/io.ts";
import type { Clock } from "../../pkg/util/clock.ts";
import { certificateFacts } from "../../pkg/util/pki-request.ts";
import { askSocket, serveSocket, tooLongForSocket } from "./control-socket.ts";

export interface RunningAgent {
  readonly pid: number;
  readonly nodeName: string;
}

export const DEFAULT_AGENT_DIR = "/var/lib/mini-kube/agent";
const STATUS = "/status";
/** It has ten seconds, and its process some time to end. */
const STOP_MS = 15_000;
const LOOK_MS = 50;

/** Tells its containers from those of other nodes on the same Docker daemon. */
export const clusterIdFile = (dataDir: string) => join(dataDir, "cluster-id");
export const kubeconfigFile = (dataDir: string) => join(dataDir, "kubeconfig");
export const clusterFile = (dataDir: string) => join(dataDir, "cluster.json");
export const bootstrapFile = (dataDir: string) => join(dataDir, "bootstrap.kubeconfig");
export const logFile = (dataDir: string) => join(dataDir, "agent.log");
export const certificatesDir = (dataDir: string) => join(dataDir, "pki");
/** Of Pods: volumes, kept logs, and {@link persistentVolumes}. */
const podsDir = (dataDir: string) => join(dataDir, "agent");
const persistentVolumes = (dataDir: string) => join(podsDir(dataDir), "persistent-volumes");
const socket = (dataDir: string) => join(dataDir, "agent.sock");

/** Undefined when none runs on that data. */
export const askAgent = (dataDir: string) => askSocket<RunningAgent>(socket(dataDir), STATUS);

/** As which node it is known to its cluster; undefined when it has no certificate. */
export async function certifiedName(dataDir: string): Promise<string | undefined> {
  const pair = await readPair(certificatesDir(dataDir), "client");
  return pair && /^system:node:(.*)$/.exec(certificateFacts(pair).commonName)?.[1];
}

/** From now on it is found. Throws when another runs on the same data: both would act on the same containers. */
export async function announceAgent(dataDir: string, nodeName: string): Promise<Disposable> {
  const path = socket(dataDir);
  if (tooLongForSocket(path))
    throw new UsageError(`the path ${path} is too long for a socket; give a shorter --data-dir`);
  const other = await askAgent(dataDir);
  if (other) throw new UsageError(`an agent runs on ${dataDir} already: the node ${other.nodeName}, pid ${other.pid}`);
  const served = await serveSocket(path, { [STATUS]: async () => ({ pid: process.pid, nodeName }) });
  return { [Symbol.dispose]: () => served.close() };
}

/** Stops it in good order; its containers go on. Undefined when none ran. Rejects when it does not end. */
export async function stopAgent(
  dataDir: string,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<RunningAgent | undefined> {
  const running = await askAgent(dataDir);
  if (!running) return undefined;
  process.kill(running.pid, "SIGTERM");
  const deadline = clock.now() + STOP_MS;
  while (await askAgent(dataDir)) {
    if (clock.now() > deadline) throw new Error(`the agent, pid ${running.pid}, does not end; kill it, and try again`);
    await clock.sleep(LOOK_MS, signal);
  }
  return running;
}

/**
 * Removes what an agent made there, and nothing else. Unless `purge`, what Pods wrote into persistent volumes stays;
 * the directory of it, if there is any.
 */
export async function forgetAgent(dataDir: string, purge: boolean): Promise<string | undefined> {
  const volumes = persistentVolumes(dataDir);
  const kept = !purge && existsSync(volumes) && (await readdir(volumes)).length > 0 ? volumes : undefined;
  const pods = podsDir(dataDir);
  const inPods = existsSync(pods) ? (await readdir(pods)).map((name) => join(pods, name)) : [];
  const files = [kubeconfigFile, clusterFile, bootstrapFile, logFile, certificatesDir, socket, clusterIdFile];
  for (const path of [...inPods.filter((path) => path !== kept), ...files.map((file) => file(dataDir))])
    await rm(path, { recursive: true, force: true });
  for (const directory of [pods, dataDir]) await removeIfEmpty(directory);
  return kept;
}

async function removeIfEmpty(directory: string): Promise<void> {
  if (existsSync(directory) && (await readdir(directory)).length === 0) await rm(directory, { recursive: true });
}
