/**
 * A real cluster for scenarios: `mini-kube up` in a process of its own, with a home, a port and a cluster id of its own,
 * on the Docker daemon of the machine. Whatever happens, {@link TestCluster.remove} takes all of it away again.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Node, Pod } from "../../pkg/api/generated/types.ts";
import { nodes } from "../../pkg/api/kinds/core/node.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { type ApiObject, nameOf } from "../../pkg/api/object.ts";
import { Client, type ResourceClient } from "../../pkg/client/client.ts";
import { HttpTransport } from "../../pkg/client/http.ts";
import { loadKubeconfig, resolveContext } from "../../pkg/client/kubeconfig.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { type Finished, PATIENCE_MS, run, type RunOptions, Running, runOk } from "./process.ts";

export const root = resolve(import.meta.dirname, "../..");
export const program = join(root, "dist/cmd/mini-kube/main.js");

/** A port nobody listens on at the moment. */
export function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer().once("error", fail);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => (address && typeof address === "object" ? done(address.port) : fail(new Error("no port"))));
    });
  });
}

export interface ClusterOptions {
  readonly store?: string;
  /** Default: node-1. */
  readonly nodeName?: string;
  readonly dataDir?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** More flags of `up`. */
  readonly args?: readonly string[];
  /** Of the cluster on the same store: by which keys that is encrypted. */
  readonly encryption?: string;
}

/** Where a home has its keys. */
export const encryptionFile = (home: string): string => join(home, "pki", "encryption.yaml");

/** As an administrator copies them from one machine to another. */
export function giveKeys(home: string, text: string): void {
  mkdirSync(join(home, "pki"), { mode: 0o700 });
  writeFileSync(encryptionFile(home), text, { mode: 0o600 });
}

export class TestCluster {
  readonly home: string;
  readonly env: NodeJS.ProcessEnv;
  readonly nodeName: string;
  readonly #options: ClusterOptions;
  readonly #port: number;
  #process: Running | undefined;
  #transport: HttpTransport | undefined;
  readonly #running: Running[] = [];

  private constructor(home: string, port: number, o: ClusterOptions) {
    this.home = home;
    this.#port = port;
    this.#options = o;
    this.nodeName = o.nodeName ?? "node-1";
    const { KUBECONFIG: _, ...env } = process.env;
    this.env = { ...env, ...o.env, MINI_KUBE_HOME: home, NO_COLOR: "1" };
  }

  static async start(o: ClusterOptions = {}): Promise<TestCluster> {
    const cluster = new TestCluster(mkdtempSync(join(tmpdir(), "mk-")), await freePort(), o);
    if (o.encryption !== undefined) giveKeys(cluster.home, o.encryption);
    try {
      await cluster.up();
      return cluster;
    } catch (error) {
      await cluster.remove().catch(() => {}); // why it did not start is the story
      throw error;
    }
  }

  get kubeconfig(): string {
    return join(this.home, "kubeconfig");
  }

  get pid(): number {
    return this.#process?.pid ?? -1;
  }

  /** Starts the process (again) and waits until the API is ready and the node has joined. `more`: flags for this time. */
  async up(more: readonly string[] = []): Promise<void> {
    const { store, dataDir } = this.#options;
    const args = ["up", "--port", String(this.#port), "--node-name", this.nodeName];
    if (store) args.push("--store", store);
    if (dataDir) args.push("--data-dir", dataDir);
    args.push(...(this.#options.args ?? []), ...more);
    this.#process = new Running(process.execPath, [program, ...args], { env: this.env });
    await this.#process.until(/is running/).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.log()}`);
    });
    this.#transport?.close();
    this.#transport = new HttpTransport({
      connection: resolveContext(loadKubeconfig({ files: [this.kubeconfig], required: true })).connection,
    });
  }

  get client(): Client {
    if (!this.#transport) throw new Error("the cluster is not up");
    return new Client(this.#transport, "scenario");
  }

  log(): string {
    try {
      return readFileSync(join(this.home, "mini-kube.log"), "utf8").split("\n").slice(-60).join("\n");
    } catch {
      return "";
    }
  }

  kubectl(args: readonly string[], o: RunOptions = {}): Promise<Finished> {
    return run("kubectl", ["--kubeconfig", this.kubeconfig, ...args], { env: this.env, ...o });
  }

  /** A kubectl that goes on: `logs -f`, `get -w`. */
  kubectlRunning(args: readonly string[]): Running {
    return new Running("kubectl", ["--kubeconfig", this.kubeconfig, ...args], { env: this.env });
  }

  kubectlOk(args: readonly string[], o: RunOptions = {}): Promise<string> {
    return runOk("kubectl", ["--kubeconfig", this.kubeconfig, ...args], { env: this.env, ...o });
  }

  cli(args: readonly string[], o: RunOptions = {}): Promise<Finished> {
    return run(process.execPath, [program, ...args], { env: this.env, ...o });
  }

  /** Ends with the cluster, also where a test failed that would have ended it. */
  cliRunning(args: readonly string[]): Running {
    const running = new Running(process.execPath, [program, ...args], { env: this.env });
    this.#running.push(running);
    return running;
  }

  cliOk(args: readonly string[], o: RunOptions = {}): Promise<string> {
    return runOk(process.execPath, [program, ...args], { env: this.env, ...o });
  }

  /** The Pod, as soon as `done` holds of it; rejects with its last state when patience is at its end. */
  untilPod(name: string, done: (pod: DeepReadonly<Pod>) => boolean, namespace = "default"): Promise<DeepReadonly<Pod>> {
    return this.until(this.client.resource(pods, namespace), { name, done });
  }

  /** As {@link untilPod}, of this cluster's one Node. */
  untilNode(done: (node: DeepReadonly<Node>) => boolean): Promise<DeepReadonly<Node>> {
    return this.until(this.client.resource(nodes), { name: this.nodeName, done });
  }

  /** As {@link untilPod}, of an object of any kind. */
  async until<T extends ApiObject & { status?: unknown }>(
    resource: ResourceClient<T>,
    { name, done }: { name: string; done: (object: DeepReadonly<T>) => boolean },
  ): Promise<DeepReadonly<T>> {
    let last: unknown = "never seen";
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), PATIENCE_MS);
    try {
      for await (const event of resource.watch({ fieldSelector: `metadata.name=${name}` }, stop.signal)) {
        const object = event.object as DeepReadonly<T>;
        if (event.type === "BOOKMARK" || nameOf(object) !== name) continue;
        last = event.type === "DELETED" ? "deleted" : object.status;
        if (event.type !== "DELETED" && done(object)) return object;
      }
    } finally {
      clearTimeout(timer);
      stop.abort();
    }
    throw new Error(
      `${name}: not as wanted within ${PATIENCE_MS} ms: ${JSON.stringify(last, undefined, 1)}\n${this.log()}`,
    );
  }

  /** Ids of this cluster's containers, by `docker ps` filters. */
  async containers(...filters: string[]): Promise<string[]> {
    const wanted = [this.#label, ...filters].flatMap((f) => ["--filter", f]);
    return lines(await runOk("docker", ["ps", "-aq", "--no-trunc", ...wanted], { env: this.env }));
  }

  get #id(): string {
    return readFileSync(join(this.home, "cluster-id"), "utf8").trim();
  }

  get #label(): string {
    return `label=io.mini-kube.cluster=${this.#id}`;
  }

  /** As a power cut would: the containers go on, the process does not. */
  async kill9(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#process?.exited;
  }

  /** `mini-kube down` asks for the same. */
  async interrupt(): Promise<number | undefined> {
    this.#process?.kill("SIGINT");
    return this.#process?.exited;
  }

  /** Takes all of it away; rejects when `down` had left something behind. */
  async remove(): Promise<void> {
    this.#transport?.close();
    for (const running of this.#running) running.kill("SIGKILL");
    const down = await this.cli(["down"]).catch(String);
    this.#process?.kill("SIGKILL");
    const left = await this.#takeLeftovers().catch(() => []); // as where a test has taken Docker or the home away
    const story = left.length > 0 && `${JSON.stringify(down)}\n${this.log()}`;
    rmSync(this.home, { recursive: true, force: true });
    if (story) throw new Error(`mini-kube down left behind: ${left.join(" ")}\n${story}`);
  }

  async #takeLeftovers(): Promise<string[]> {
    const containers = await this.containers();
    if (containers.length > 0) await run("docker", ["rm", "-f", ...containers], { env: this.env });
    const networks = lines(await runOk("docker", ["network", "ls", "-q", "--filter", this.#label], { env: this.env }));
    if (networks.length > 0) await run("docker", ["network", "rm", ...networks], { env: this.env });
    const tables = lines(await runOk("nft", ["list", "tables"])).filter((line) => line.endsWith(this.#id));
    for (const table of tables) await run("nft", ["delete", ...table.split(" ")]);
    return [...containers, ...networks, ...tables];
  }
}

const lines = (text: string) => text.split("\n").filter((line) => line !== "");

/** Ready as `kubectl wait --for=condition=Ready` sees it. */
export const ready = (pod: DeepReadonly<Pod>): boolean =>
  pod.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false;
