import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { PATIENCE_MS } from "./process.ts";

/** A real etcd on loopback ports of its own, with its data in a temporary folder. */
export class EtcdServer {
  readonly endpoint: string;
  readonly #args: readonly string[];
  readonly #dir: string;
  #process: ChildProcess | undefined;
  #output = "";

  /** Plain, whatever clients speak. */
  readonly #health: string;

  private constructor(dir: string, ports: readonly number[], flags: readonly string[], scheme: string) {
    this.#dir = dir;
    this.endpoint = `${scheme}://127.0.0.1:${ports[0]}`;
    this.#health = `http://127.0.0.1:${ports[2]}`;
    const peer = `http://127.0.0.1:${ports[1]}`;
    this.#args = [
      `--data-dir=${join(dir, "data")}`,
      `--listen-client-urls=${this.endpoint}`,
      `--advertise-client-urls=${this.endpoint}`,
      `--listen-metrics-urls=${this.#health}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      "--log-level=warn",
      ...flags,
    ];
  }

  /** For `--store`. */
  get store(): string {
    return this.endpoint.replace(/^http/, "etcd");
  }

  /** Resolves once it answers. `flags` are added to etcd's command line; `https` needs those of its certificates. */
  static async start(flags: readonly string[] = [], scheme: "http" | "https" = "http"): Promise<EtcdServer> {
    const dir = mkdtempSync(join(tmpdir(), "mini-kube-etcd-"));
    const server = new EtcdServer(dir, await freePorts(3), flags, scheme);
    try {
      await server.#spawn();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /** SIGKILL: nothing is flushed, connections break. The data stays for {@link restart}. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  /** On the same data and the same ports, after {@link kill}. */
  async restart(): Promise<void> {
    await this.kill();
    await this.#spawn();
  }

  /** Ends it and removes its data. */
  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async #spawn(): Promise<void> {
    const child = spawn(findInPath("etcd"), this.#args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#process = child;
    this.#output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => (this.#output = (this.#output + chunk.toString()).slice(-4000)));
    }
    // A test run that is ended from outside must not leave an etcd behind.
    const orphaned = () => void child.kill("SIGKILL");
    process.once("exit", orphaned);
    child.once("exit", () => process.off("exit", orphaned));
    const deadline = Date.now() + PATIENCE_MS;
    while (!(await isHealthy(this.#health))) {
      if (child.exitCode !== null) throw new Error(`etcd ended with code ${child.exitCode}:\n${this.#output}`);
      if (Date.now() > deadline) throw new Error(`etcd is not ready after ${PATIENCE_MS} ms:\n${this.#output}`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}

/** The path of a program; the error tells how to get it. */
export function findInPath(program: "etcd" | "etcdctl"): string {
  for (const dir of (process.env["PATH"] ?? "").split(delimiter)) {
    const path = join(dir, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // not in this folder
    }
  }
  const debianPackage = program === "etcd" ? "etcd-server" : "etcd-client";
  throw new Error(`${program} is not in PATH: apt-get install ${debianPackage}`);
}

async function isHealthy(endpoint: string): Promise<boolean> {
  try {
    const response = await fetch(`${endpoint}/health`, { signal: AbortSignal.timeout(1000) });
    const body = (await response.json()) as { health?: unknown };
    return String(body.health) === "true";
  } catch {
    return false;
  }
}

/** Ports nobody listens on, held at the same time so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(async (server) => {
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const address = server.address();
      return typeof address === "object" && address ? address.port : 0;
    }),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
