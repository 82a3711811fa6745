/**
 * Where one cluster of this machine keeps its things, and what is asked of its process: `status` asks it, `down` stops it.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { askSocket, serveSocket, tooLongForSocket } from "../component/control-socket.ts";
import type { LevelsReport } from "../component/log-levels.ts";

export interface Home {
  readonly dir: string;
  readonly kubeconfig: string;
  readonly pki: string;
  readonly data: string;
  readonly log: string;
  readonly socket: string;
}

export function openHome(o: { dataDir?: string | undefined; env: NodeJS.ProcessEnv }): Home {
  const dir = resolve(o.env.MINI_KUBE_HOME ?? join(homedir(), ".mini-kube"));
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const home: Home = {
    dir,
    kubeconfig: join(dir, "kubeconfig"),
    pki: join(dir, "pki"),
    data: resolve(o.dataDir ?? join(dir, "data")),
    log: join(dir, "mini-kube.log"),
    socket: join(dir, "control.sock"),
  };
  if (tooLongForSocket(home.socket)) {
    throw new Error(`the path ${home.socket} is too long for a socket; set MINI_KUBE_HOME to a shorter directory`);
  }
  return home;
}

/** Tells this cluster's containers from those of other clusters on the same Docker daemon. Made once, kept till purge. */
export function clusterId(home: Home): string {
  const file = join(home.dir, "cluster-id");
  try {
    const id = readFileSync(file, "utf8").trim();
    if (id) return id;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const id = randomBytes(4).toString("hex");
  writeFileSync(file, `${id}\n`);
  return id;
}

/** What a running cluster tells about itself. */
export interface RunningCluster {
  readonly pid: number;
  readonly server: string;
  readonly nodeName: string;
  readonly store: string;
  /** Whose addresses Pods and Services have. */
  readonly podCidr: string;
  readonly serviceCidr: string;
  /** What the network lacks on this machine; absent: nothing. */
  readonly networkLacks?: string | undefined;
  readonly version: string;
  /** RFC 3339. */
  readonly startedAt: string;
  /** Milliseconds from process start to a ready API. */
  readonly readyAfterMs: number;
  readonly rssBytes: number;
}

/** `containers`: what becomes of the cluster's containers. Kept ones are adopted by the next start. */
export interface StopRequest {
  readonly containers: "remove" | "keep";
}

interface LevelRequest {
  readonly spec?: string | undefined;
}

const STATUS = "/status";
const STOP = "/stop";
const LOG_LEVEL = "/log-level";

export interface ControlHandlers {
  /** Undefined while it is still starting. */
  status(): RunningCluster | undefined;
  /** Answers when the cluster has stopped, right before the process ends. */
  stop(r: StopRequest): Promise<void>;
  /** What is logged; changed as `spec` says, if there is one. Rejects with what is wrong with it. */
  logLevel(spec: string | undefined): Promise<LevelsReport>;
}

/** Serves the control socket; throws {@link AlreadyRunning} when another process does. */
export async function serveControl(home: Home, handlers: ControlHandlers): Promise<{ close(): void }> {
  const running = await askStatus(home);
  if (running !== undefined) throw new AlreadyRunning(running);
  return serveSocket(home.socket, {
    [STATUS]: async () => handlers.status(),
    [STOP]: async (asked) => {
      await handlers.stop(asked as StopRequest);
      return true;
    },
    [LOG_LEVEL]: (asked) => handlers.logLevel((asked as LevelRequest).spec),
  });
}

export class AlreadyRunning extends Error {
  constructor(cluster: RunningCluster | null) {
    super(
      cluster ? `mini-kube is already running (pid ${cluster.pid}, ${cluster.server})` : "mini-kube is just starting",
    );
  }
}

/** Undefined when no process serves this home, null when one is just starting. */
export const askStatus = (home: Home) => askSocket<RunningCluster | null>(home.socket, STATUS);

/** False when nothing ran. Resolves when the cluster has stopped. */
export async function askStop(home: Home, stop: StopRequest, deadlineMs: number): Promise<boolean> {
  return (await askSocket<true>(home.socket, STOP, { body: stop, deadlineMs })) !== undefined;
}

/** Undefined when nothing runs; rejects with what is wrong with `spec`. */
export const askLogLevel = (home: Home, spec: string | undefined) =>
  askSocket<LevelsReport>(home.socket, LOG_LEVEL, { body: { spec } });
