/**
 * Where one cluster of this machine keeps its things, and the control socket by which its process is found.
 *
 * The socket is the lock: it answers exactly as long as the process lives, so neither a `kill -9` nor a reused pid can
 * fool anybody. `status` asks it, `down` stops through it.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { LevelsReport } from "../component/log-levels.ts";

export interface Home {
  readonly dir: string;
  readonly kubeconfig: string;
  readonly pki: string;
  readonly data: string;
  readonly log: string;
  readonly socket: string;
}

/** The longest path the kernel takes for a unix socket (`sun_path`), less its terminating zero. */
const MAX_SOCKET_PATH = 107;

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
  if (home.socket.length > MAX_SOCKET_PATH) {
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
  rmSync(home.socket, { force: true });
  const server = http.createServer((request, response) => {
    const answer = (code: number, body: unknown) => {
      response.writeHead(code, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    if (request.method === "GET") return answer(200, handlers.status() ?? null);
    let text = "";
    request.on("data", (d: Buffer) => (text += d.toString()));
    request.on("end", () => {
      const asked = JSON.parse(text) as StopRequest & LevelRequest;
      const done = request.url === LOG_LEVEL ? handlers.logLevel(asked.spec) : handlers.stop(asked);
      done.then(
        (body: unknown) => answer(200, body ?? {}),
        (error: unknown) => answer(500, { message: (error as Error).message }),
      );
    });
  });
  await new Promise<void>((done, fail) => server.once("error", fail).listen(home.socket, done));
  server.unref();
  return { close: () => void server.close() };
}

export class AlreadyRunning extends Error {
  constructor(cluster: RunningCluster | null) {
    super(
      cluster ? `mini-kube is already running (pid ${cluster.pid}, ${cluster.server})` : "mini-kube is just starting",
    );
  }
}

/** Undefined when no process serves this home, null when one is just starting. */
export function askStatus(home: Home): Promise<RunningCluster | null | undefined> {
  return ask<RunningCluster | null>(home, "GET", undefined, 5_000);
}

/** False when nothing ran. Resolves when the cluster has stopped. */
export async function askStop(home: Home, stop: StopRequest, deadlineMs: number): Promise<boolean> {
  return (await ask(home, "POST", stop, deadlineMs)) !== undefined;
}

/** Undefined when nothing runs; rejects with what is wrong with `spec`. */
export function askLogLevel(home: Home, spec: string | undefined): Promise<LevelsReport | undefined> {
  return ask<LevelsReport>(home, "POST", { spec }, 5_000, LOG_LEVEL);
}

function ask<T>(home: Home, method: string, body: unknown, timeout: number, path = "/"): Promise<T | undefined> {
  return new Promise((done, fail) => {
    const request = http.request({ socketPath: home.socket, method, path, timeout, agent: false }, (response) => {
      let text = "";
      response.on("data", (d: Buffer) => (text += d.toString()));
      response.on("end", () => {
        if (response.statusCode === 200) return done(JSON.parse(text) as T);
        fail(new Error(reasonOf(text)));
      });
    });
    request.on("timeout", () =>
      request.destroy(new Error(`the cluster's process did not answer within ${timeout} ms`)),
    );
    request.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED") return done(undefined);
      fail(error);
    });
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function reasonOf(text: string): string {
  try {
    return (JSON.parse(text) as { message: string }).message;
  } catch {
    return `the running cluster could not do it: ${text}`;
  }
}
