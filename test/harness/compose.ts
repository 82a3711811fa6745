/**
 * The cluster of docker-compose.yml, brought up as a user does: by docker-compose, from the repository's own files, with
 * a project name, a port and a folder for the kubeconfig of its own, so that it meets no other.
 */
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TRIXIE_IMAGE, ensureTrixieImage } from "../images/trixie.ts";
import { freePort, program, root } from "./cluster.ts";
import { eventually, type Finished, PATIENCE_MS, run, type RunOptions, Running, runOk } from "./process.ts";

export const COMPOSE_FILE = "docker-compose.yml";
export const SMALL_FILE = "docker-compose.small.yml";

/** The image is built on the way, the first time. */
const BUILD_MS = 600_000;
const UP_MS = 180_000;
const NODES_MS = 120_000;
const DOWN_MS = 120_000;

export interface ComposeOptions {
  /** Path of docker-compose, of any version. */
  readonly compose: string;
  readonly files: readonly string[];
}

export class ComposeCluster {
  readonly project: string;
  readonly #compose: string;
  readonly #files: readonly string[];
  readonly #dir: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(o: ComposeOptions, port: number) {
    this.#compose = o.compose;
    this.#files = o.files;
    this.#dir = mkdtempSync(join(tmpdir(), "mk-compose-"));
    this.project = `mk${process.pid}p${port}`;
    const { KUBECONFIG: _, ...env } = process.env;
    this.#env = { ...env, MINI_KUBE_PORT: String(port), MINI_KUBE_KUBECONFIG_DIR: this.#dir, NO_COLOR: "1" };
  }

  /** Nothing is started yet. */
  static async prepare(o: ComposeOptions): Promise<ComposeCluster> {
    return new ComposeCluster(o, await freePort());
  }

  get kubeconfig(): string {
    return join(this.#dir, "kubeconfig");
  }

  /** What the services run, from what the repository holds now. */
  build(): Promise<string> {
    return this.compose(["build", "init"], BUILD_MS);
  }

  /** Resolves when so many workers are Ready. */
  async up(workers: number, args: readonly string[] = []): Promise<void> {
    await this.compose(["up", "-d", ...args], UP_MS);
    const names = Array.from({ length: workers }, (_, i) => `node/worker-${i + 1}`);
    await eventually(
      () => this.kubectl(["get", ...names]),
      ({ code }) => code === 0,
      NODES_MS,
    );
    await this.kubectlOk(["wait", "--for=condition=Ready", ...names, "--timeout=60s"]);
  }

  /** Containers and networks go; volumes stay. */
  async down(): Promise<void> {
    await this.compose(["down"], DOWN_MS);
  }

  compose(args: readonly string[], deadline = PATIENCE_MS): Promise<string> {
    const files = this.#files.flatMap((file) => ["-f", join(root, file)]);
    return runOk(this.#compose, ["-p", this.project, ...files, ...args], { env: this.#env, cwd: root, deadline });
  }

  /** The container's name, by which every version of compose calls the number-th of a service. */
  async container(service: string, number = 1): Promise<string> {
    const labels = { project: this.project, service, "container-number": String(number) };
    const filters = Object.entries(labels).flatMap(([k, v]) => ["--filter", `label=com.docker.compose.${k}=${v}`]);
    const name = (await runOk("docker", ["ps", "-a", "--format", "{{.Names}}", ...filters])).trim();
    if (name === "") throw new Error(`${service} has no container ${number}`);
    return name;
  }

  /** Runs a program in the container of a service. */
  async exec(service: string, command: readonly string[], o: RunOptions = {}): Promise<string> {
    return runOk("docker", ["exec", "-i", await this.container(service), ...command], o);
  }

  kubectl(args: readonly string[], o: RunOptions = {}): Promise<Finished> {
    return run("kubectl", ["--kubeconfig", this.kubeconfig, ...args], { env: this.#env, ...o });
  }

  kubectlOk(args: readonly string[], o: RunOptions = {}): Promise<string> {
    return runOk("kubectl", ["--kubeconfig", this.kubeconfig, ...args], { env: this.#env, ...o });
  }

  /** A kubectl that goes on. */
  kubectlRunning(args: readonly string[]): Running {
    return new Running("kubectl", ["--kubeconfig", this.kubeconfig, ...args], { env: this.#env });
  }

  /** Images of this machine's Docker daemon, onto every node, as a user brings them. */
  async loadImages(images: readonly string[]): Promise<string> {
    const archive = join(this.#dir, "images.tar");
    await runOk("docker", ["save", "-o", archive, ...images]);
    return this.cli(["image", "load", archive]);
  }

  cli(args: readonly string[]): Promise<string> {
    return runOk(process.execPath, [program, ...args], { env: { ...this.#env, KUBECONFIG: this.kubeconfig } });
  }

  /** What the services said last, for a failure's sake. */
  async logs(): Promise<string> {
    const args = ["logs", "--tail=6", "--no-color"];
    return this.compose(args).catch((error: unknown) => String(error));
  }

  /** Everything but the image, which the next run builds on. */
  async remove(): Promise<void> {
    await this.compose(["down", "-v", "--remove-orphans", "-t", "2"], DOWN_MS);
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** docker-compose as this machine has it: 1.29 on Debian 12. */
export const COMPOSE = "docker-compose";

const TOOLS = join(root, "node_modules/.cache/mini-kube/tools/compose-v2");

/** That of Debian 13, whatever this machine's is: 2.26, out of its package. Kept for the next time. */
export async function composeV2(): Promise<string> {
  const tool = join(TOOLS, "docker-compose");
  if (existsSync(tool)) return tool;
  await ensureTrixieImage();
  const dir = mkdtempSync(join(tmpdir(), "mk-compose-v2-"));
  const script = "cd /tmp && apt-get -qq update && apt-get -qq download docker-compose && dpkg-deb -x *.deb /out";
  try {
    await runOk("docker", ["run", "--rm", "-v", `${dir}:/out`, TRIXIE_IMAGE, "sh", "-c", script]);
    mkdirSync(TOOLS, { recursive: true });
    const copy = `${tool}.${process.pid}`;
    copyFileSync(join(dir, "usr/libexec/docker/cli-plugins/docker-compose"), copy);
    chmodSync(copy, 0o755);
    renameSync(copy, tool);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  return tool;
}
