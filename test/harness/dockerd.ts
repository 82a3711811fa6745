/**
 * A Docker daemon that a test may kill. It, its containerd, its containers and its mounts live in namespaces of their own
 * (network, mount, pid), so that nothing of it meets the machine's daemon. The first process of those namespaces lives
 * as long as its stdin stays open: when the test ends, however it ends, the kernel takes all of it away.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { PATIENCE_MS, runOk } from "./process.ts";

/** A private /run keeps the sockets of containerd and its shims; it outlives dockerd, as on a machine. */
const INIT = "mount -t tmpfs tmpfs /run && ip link set lo up && echo ready && cat";

export class DockerDaemon {
  readonly socket: string;
  readonly #dir: string;
  readonly #cgroup: string;
  readonly #unshare: ChildProcess;
  /** The first process of the namespaces, as seen from outside. */
  readonly #init: number;
  #dockerd: ChildProcess | undefined;
  #output = "";

  private constructor(dir: string, unshare: ChildProcess, init: number) {
    this.#dir = dir;
    this.#cgroup = basename(dir);
    this.socket = join(dir, "docker.sock");
    this.#unshare = unshare;
    this.#init = init;
  }

  /** The place for a daemon, with none in it yet: {@link up} starts one. */
  static async prepare(): Promise<DockerDaemon> {
    const dir = mkdtempSync(join(tmpdir(), "mk-dockerd-"));
    mkdirSync(join(dir, "data"));
    const flags = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
    const unshare = spawn("unshare", [...flags, "sh", "-c", INIT], { stdio: ["pipe", "pipe", "inherit"] });
    unshare.stdin.on("error", () => {});
    try {
      await once(unshare.stdout, "data", { signal: AbortSignal.timeout(PATIENCE_MS) });
      const init = Number((await runOk("ps", ["-o", "pid=", "--ppid", String(unshare.pid)])).trim());
      return new DockerDaemon(dir, unshare, init);
    } catch (error) {
      unshare.kill("SIGKILL");
      rmSync(dir, { recursive: true, force: true });
      throw error;
    }
  }

  static async start(): Promise<DockerDaemon> {
    const daemon = await DockerDaemon.prepare();
    try {
      await daemon.up();
    } catch (error) {
      await daemon.remove();
      throw error;
    }
    return daemon;
  }

  /** As DOCKER_HOST wants it. */
  get host(): string {
    return `unix://${this.socket}`;
  }

  /** Starts dockerd (again, on the same data) and resolves once it answers. */
  async up(): Promise<void> {
    const dirs = ["--data-root", join(this.#dir, "data"), "--exec-root", "/run/docker", "--pidfile", this.#pidFile];
    const flags = ["-H", this.host, "--cgroup-parent", `/${this.#cgroup}`, "--log-level", "warn"];
    const child = spawn("nsenter", [...this.enter, "dockerd", ...dirs, ...flags], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#dockerd = child;
    this.#output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => (this.#output = (this.#output + chunk.toString()).slice(-4000)));
    }
    const deadline = Date.now() + PATIENCE_MS;
    while (!(await this.#answers())) {
      if (child.exitCode !== null) throw new Error(`dockerd ended with code ${child.exitCode}:\n${this.#output}`);
      if (Date.now() > deadline) throw new Error(`no dockerd after ${PATIENCE_MS} ms:\n${this.#output}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** SIGKILL: its containers live on without it. SIGTERM: it stops them first. Resolves when it is gone. */
  async down(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const dockerd = this.#dockerd;
    this.#dockerd = undefined;
    if (!dockerd || dockerd.exitCode !== null || dockerd.signalCode !== null) return;
    const gone = once(dockerd, "exit", { signal: AbortSignal.timeout(PATIENCE_MS) });
    const pid = readFileSync(this.#pidFile, "utf8").trim();
    await runOk("nsenter", [...this.enter, "kill", "-s", signal.slice("SIG".length), pid]);
    await gone;
  }

  /** Takes everything away: processes and mounts with their namespaces, then cgroups and files. */
  async remove(): Promise<void> {
    if (this.#unshare.exitCode === null && this.#unshare.signalCode === null) {
      const gone = once(this.#unshare, "exit");
      this.#unshare.stdin?.end();
      await gone;
    }
    for (const cgroup of this.#cgroups()) rmdirSync(cgroup);
    rmSync(this.#dir, { recursive: true, force: true });
  }

  get #pidFile(): string {
    return join(this.#dir, "dockerd.pid");
  }

  /** The first process of the namespaces, as seen from outside. */
  get pid(): number {
    return this.#init;
  }

  /** For `nsenter`: what it then runs, runs beside the daemon. */
  get enter(): string[] {
    return ["--target", String(this.#init), "--net", "--mount", "--pid"];
  }

  /** dockerd's cgroups in every hierarchy, children first. */
  #cgroups(): string[] {
    const root = "/sys/fs/cgroup";
    return [root, ...readdirSync(root).map((controller) => join(root, controller))].flatMap((hierarchy) => {
      try {
        const dir = join(hierarchy, this.#cgroup);
        const all = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((e) => e.isDirectory());
        return [...all.map((e) => join(e.parentPath, e.name)).toSorted((a, b) => b.length - a.length), dir];
      } catch (error) {
        if (["ENOENT", "ENOTDIR"].includes(String((error as NodeJS.ErrnoException).code))) return [];
        throw error;
      }
    });
  }

  #answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const request = http.get({ socketPath: this.socket, path: "/_ping", timeout: 2000 }, (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      });
      request.on("timeout", () => request.destroy());
      request.on("error", () => resolve(false));
    });
  }
}
