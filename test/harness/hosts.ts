/**
 * Several machines on one: each a set of namespaces (network, mount, pid) with a Docker daemon and a mini-kube of its own,
 * joined by switches, and switches by a router. Nothing of it is in the machine's own network; when the test ends, however
 * it ends, the kernel takes all of it away.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newEncryptionConfig } from "../../pkg/apiserver/encryption/config.ts";
import { giveKeys, program } from "./cluster.ts";
import { DockerDaemon } from "./dockerd.ts";
import { findInPath } from "./etcd.ts";
import { type HostProgram, oneProgram, type Setup, type SetupOptions } from "./host-programs.ts";
import { eventually, type Finished, PATIENCE_MS, run, Running, runOk, type RunOptions } from "./process.ts";
import { freezeAll, thawAll } from "./process-tree.ts";
import { linkAddress, type Place, Switches } from "./switches.ts";

const ETCD_PORT = 2379;
/** All hosts of a run share one store. */
const SHARED_KEYS = newEncryptionConfig();

export interface HostsOptions {
  /** How many hosts each link has: `[2, 1]` is two on one switch and one behind a router. Default `[2]`. */
  readonly links?: readonly number[];
  /** Images that every host gets from the machine's daemon. */
  readonly images: readonly string[];
  /** What runs on each. Default: `mini-kube up`, all in one process. */
  readonly setup?: (o: SetupOptions) => Setup;
  /** More flags for `mini-kube up`. */
  readonly flags?: readonly string[];
  /** More of the environment of what runs on the host with that home. */
  readonly env?: (home: string) => NodeJS.ProcessEnv;
  /** A host is there with its Docker, and nothing of mini-kube yet. */
  readonly beforeUp?: (host: TestHost) => Promise<void>;
  /** Starts what they share, for `--store`; `undo` gets what ends it. Default: one etcd on the router. */
  readonly store?: (switches: Switches, undo: (() => Promise<unknown>)[]) => Promise<string>;
  /** The machine outside. Default: a namespace made for it. */
  readonly outside?: Place;
}

interface HostOptions {
  readonly name: string;
  readonly link: number;
  readonly ip: string;
  readonly setup: Setup;
}

/** One machine: a Docker daemon and a mini-kube. */
export class TestHost {
  readonly name: string;
  readonly ip: string;
  readonly home: string;
  readonly env: NodeJS.ProcessEnv;
  readonly link: number;
  readonly docker: DockerDaemon;
  /** What of mini-kube runs on it. */
  readonly programs: readonly HostProgram[];
  readonly #setup: Setup;

  constructor(docker: DockerDaemon, o: HostOptions) {
    this.docker = docker;
    this.link = o.link;
    this.name = o.name;
    this.ip = o.ip;
    this.home = mkdtempSync(join(tmpdir(), "mk-host-"));
    const { KUBECONFIG: _, ...env } = process.env;
    giveKeys(this.home, SHARED_KEYS);
    this.env = { ...env, MINI_KUBE_HOME: this.home, DOCKER_HOST: docker.host, NO_COLOR: "1" };
    this.#setup = o.setup;
    this.programs = o.setup.programs(this);
  }

  get pid(): number {
    return this.docker.pid;
  }

  get enter(): string[] {
    return this.docker.enter;
  }

  /** Starts mini-kube (again), and waits for nothing. */
  start(): void {
    for (const one of this.programs) one.start();
  }

  /** Starts mini-kube (again) and resolves when its API answers and its Node is ready. */
  async up(): Promise<void> {
    await this.#setup.up(this);
    const node = ["node", this.name];
    await eventually(
      () => this.kubectl(["get", ...node]),
      ({ code }) => code === 0,
    );
    const wait = ["wait", "--for=condition=Ready", ...node, "--timeout=30s"];
    await this.kubectlOk(wait).catch((error: unknown) => {
      throw new Error(`${this.name}: ${String(error)}\n${this.log()}`);
    });
  }

  log(): string {
    return this.programs.map((one) => one.lastLines).join("\n");
  }

  /** Any program, as on that machine; never rejects for an exit code. */
  run(command: string, args: readonly string[], o: RunOptions = {}): Promise<Finished> {
    return run("nsenter", [...this.enter, command, ...args], { env: this.env, ...o });
  }

  runOk(command: string, args: readonly string[], o: RunOptions = {}): Promise<string> {
    return runOk("nsenter", [...this.enter, command, ...args], { env: this.env, ...o });
  }

  /** A program that goes on. */
  running(command: string, args: readonly string[]): Running {
    return new Running("nsenter", [...this.enter, command, ...args], { env: this.env });
  }

  kubectl(args: readonly string[], o: RunOptions = {}): Promise<Finished> {
    return this.run("kubectl", ["--kubeconfig", join(this.home, "kubeconfig"), ...args], o);
  }

  kubectlOk(args: readonly string[], o: RunOptions = {}): Promise<string> {
    return this.runOk("kubectl", ["--kubeconfig", join(this.home, "kubeconfig"), ...args], o);
  }

  cli(args: readonly string[], o: RunOptions = {}): Promise<Finished> {
    return this.run(process.execPath, [program, ...args], o);
  }

  /** As its owner takes it down: containers and network go. */
  down(): Promise<Finished> {
    return this.#setup.down(this);
  }

  /** As a power cut of mini-kube alone. */
  async kill9(): Promise<void> {
    await Promise.all(this.programs.map((one) => one.kill9()));
  }

  /** Every process of it stands still, containers and all; connections stay as they are. */
  freeze(): void {
    freezeAll(this.pid);
  }

  thaw(): void {
    thawAll(this.pid);
  }

  async remove(): Promise<void> {
    this.thaw();
    for (const one of this.programs) one.abandon();
    await this.docker.remove();
    rmSync(this.home, { recursive: true, force: true });
  }
}

export class TestHosts {
  readonly hosts: TestHost[] = [];
  /** A machine on the first link that is no part of the cluster, and knows nothing of its addresses. */
  outside: Place & { readonly ip: string } = { pid: -1, enter: [], ip: "" };
  #switches: Switches | undefined;
  readonly #undo: (() => Promise<unknown>)[] = [];

  /** All of them with mini-kube running on one etcd. Takes everything away again when it fails. */
  static async start(o: HostsOptions): Promise<TestHosts> {
    const all = new TestHosts();
    try {
      await all.#start(o);
      return all;
    } catch (error) {
      await all.remove();
      throw error;
    }
  }

  get first(): TestHost {
    const [first] = this.hosts;
    if (!first) throw new Error("no hosts");
    return first;
  }

  get switches(): Switches {
    if (!this.#switches) throw new Error("no switches");
    return this.#switches;
  }

  /** Runs a program on the machine outside. */
  outsideRun(command: string, args: readonly string[], o: RunOptions = {}): Promise<Finished> {
    return run("nsenter", [...this.outside.enter, command, ...args], o);
  }

  outsideRunning(command: string, args: readonly string[]): Running {
    return new Running("nsenter", [...this.outside.enter, command, ...args]);
  }

  async #start(o: HostsOptions): Promise<void> {
    const links = o.links ?? [2];
    const switches = await Switches.start(links.length);
    this.#switches = switches;
    this.#undo.push(() => switches.remove());
    const store = await (o.store ?? etcdOnRouter)(switches, this.#undo);
    const outside = o.outside ?? (await switches.namespace());
    await switches.join(outside, { link: 0, ip: linkAddress(0, 200) });
    this.outside = { pid: outside.pid, enter: outside.enter, ip: linkAddress(0, 200) };
    const places = links.flatMap((count, link) =>
      Array.from({ length: count }, (_, i) => ({ link, ip: linkAddress(link, 11 + i) })),
    );
    const { flags = [], env = () => ({}) } = o;
    const setup = (o.setup ?? oneProgram)({ store, ips: places.map(({ ip }) => ip), flags, env });
    const images = await savedImages(o.images, this.#undo);
    await Promise.all(
      places.map(async ({ link, ip }, i) => {
        const host = await this.#host(switches, { name: `node-${i + 1}`, link, ip, setup });
        await host.runOk("docker", ["load", "-qi", images]);
      }),
    );
    this.hosts.sort((a, b) => (a.name < b.name ? -1 : 1));
    // One after the other: the first makes what the others find.
    for (const host of this.hosts) {
      await o.beforeUp?.(host);
      await host.up();
    }
  }

  async #host(switches: Switches, o: HostOptions): Promise<TestHost> {
    const docker = await DockerDaemon.prepare();
    const host = new TestHost(docker, o);
    this.#undo.push(() => host.remove());
    this.hosts.push(host);
    await switches.join(host, o);
    await docker.up();
    return host;
  }

  /** Takes everything away, the last first. */
  async remove(): Promise<void> {
    const failures: unknown[] = [];
    for (const step of this.#undo.toReversed()) await step().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw new AggregateError(failures, "something is left behind");
  }
}

async function savedImages(images: readonly string[], undo: (() => Promise<unknown>)[]): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), "mk-hosts-images-"));
  undo.push(async () => rmSync(dir, { recursive: true, force: true }));
  const archive = join(dir, "images.tar");
  await runOk("docker", ["save", "-o", archive, ...images]);
  return archive;
}

/** On the router, which all of them reach. */
async function etcdOnRouter({ router }: Switches, undo: (() => Promise<unknown>)[]): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), "mk-hosts-etcd-"));
  mkdirSync(join(dir, "data"), { mode: 0o700 });
  const [client, peer] = [`http://${linkAddress(0, 1)}:${ETCD_PORT}`, "http://127.0.0.1:2380"];
  const urls = [`--listen-client-urls=${client}`, `--advertise-client-urls=${client}`, `--listen-peer-urls=${peer}`];
  const cluster = [`--initial-advertise-peer-urls=${peer}`, `--initial-cluster=default=${peer}`, "--log-level=warn"];
  const args = [...router.enter, findInPath("etcd"), `--data-dir=${join(dir, "data")}`, ...urls, ...cluster];
  const etcd = new Running("nsenter", args);
  undo.push(async () => {
    etcd.kill("SIGKILL");
    await etcd.exited;
    rmSync(dir, { recursive: true, force: true });
  });
  const health = () =>
    run("nsenter", [...router.enter, findInPath("etcdctl"), `--endpoints=${client}`, "endpoint", "health"]);
  const end = Date.now() + PATIENCE_MS;
  while ((await health()).code !== 0) if (Date.now() > end) throw new Error(`no etcd: ${etcd.output}`);
  return client.replace("http://", "etcd://");
}
