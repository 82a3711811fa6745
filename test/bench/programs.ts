/**
 * A cluster of separate programs on one machine, each a process of its own that can be killed: etcd members, API servers,
 * schedulers and controller-managers (as `npm run build` made them), and nodes whose containers are made up.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { initPki } from "../../cmd/mini-kube/pki.ts";
import type { Lease, Node } from "../../pkg/api/generated/types.ts";
import { leases } from "../../pkg/api/kinds/coordination/lease.ts";
import { nodes } from "../../pkg/api/kinds/core/node.ts";
import { condition } from "../../pkg/api/pod.ts";
import { Client } from "../../pkg/client/client.ts";
import { HttpTransport } from "../../pkg/client/http.ts";
import { type Connection, readKubeconfig, resolveContext } from "../../pkg/client/kubeconfig.ts";
import { systemClock } from "../../pkg/util/clock.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { EtcdCluster } from "../harness/etcd-cluster.ts";
import { freePorts } from "../harness/etcd.ts";
import { eventually, Running } from "../harness/process.ts";
import { keyFlags, programFile } from "../harness/programs.ts";
import { Child } from "./child.ts";
import type { FakeNodesJob } from "./fake-nodes.ts";

const START_DEADLINE_MS = 60_000;
const LOOK_MS = 1_500;
const LOOPBACK = "127.0.0.1";
/** Of a lost node's Pods; the least there is. */
const TOLERATION_SECONDS = "0";

export type Elected = "scheduler" | "controller-manager";
const LEASES: Readonly<Record<Elected, string>> = {
  scheduler: "kube-scheduler",
  "controller-manager": "kube-controller-manager",
};

export class Programs implements AsyncDisposable {
  readonly etcd: EtcdCluster;
  readonly apis: Running[] = [];
  readonly electing: Readonly<Record<Elected, Running[]>> = { scheduler: [], "controller-manager": [] };
  /** By the name that they were started under. */
  readonly nodes = new Map<string, Child>();
  /** At the API servers, the first one first. */
  readonly client: Client;
  readonly #dir: string;
  readonly #ports: readonly number[];
  readonly #transport: HttpTransport;

  private constructor(dir: string, etcd: EtcdCluster, ports: readonly number[]) {
    this.#dir = dir;
    this.etcd = etcd;
    this.#ports = ports;
    this.#transport = this.transport(0);
    this.client = new Client(this.#transport, "bench");
  }

  /** Resolves when all API servers are ready and all components lead or wait. */
  static async start(o: { etcd: number; replicas: number }): Promise<Programs> {
    const dir = mkdtempSync(join(tmpdir(), "mk-bench-programs-"));
    const ports = await freePorts(o.replicas);
    const servers = ports.map((port) => `https://${LOOPBACK}:${port}`);
    await initPki(join(dir, "pki"), { servers, clock: systemClock });
    const etcd = await EtcdCluster.start(o.etcd);
    const programs = new Programs(dir, etcd, ports);
    try {
      // One after the other: the first one makes what all share.
      for (const i of ports.keys()) await programs.startApi(i);
      for (const what of ["scheduler", "controller-manager"] as const) {
        await Promise.all([...ports.keys()].map((i) => programs.startElected(what, i)));
        await programs.leader(what);
      }
    } catch (error) {
      await programs[Symbol.asyncDispose]();
      throw error;
    }
    return programs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#transport.close();
    const all = [...this.apis, ...this.electing.scheduler, ...this.electing["controller-manager"]];
    for (const program of all) program.kill("SIGKILL");
    await Promise.all([...all.map((p) => p.exited), ...[...this.nodes.values()].map((n) => n.kill())]);
    await this.etcd.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** Resolves when it is ready. */
  async startApi(i: number): Promise<void> {
    const served = ["--port", String(this.#ports[i]), "--bind-address", LOOPBACK];
    const kept = ["--store", this.etcd.store, "--data-dir", join(this.#dir, `api${i}`)];
    const api = this.#run("apiserver", [...served, ...kept, "--default-toleration-seconds", TOLERATION_SECONDS]);
    this.apis[i] = api;
    const transport = new HttpTransport({ connection: this.#connection(this.#servers.slice(i, i + 1)) });
    const ready = () => transport.text("/readyz").catch((error: unknown) => String(error));
    const ended = api.exited.then((code) => `it ended with code ${code}`);
    const answer = await Promise.race([eventually(ready, (said) => said === "ok", START_DEADLINE_MS), ended]);
    transport.close();
    if (answer !== "ok") throw new Error(`API server ${i} is not ready: ${answer}\n${api.output.slice(-2000)}`);
  }

  /** Resolves when it leads, or waits to. */
  async startElected(what: Elected, i: number): Promise<void> {
    const program = this.#run(what);
    this.electing[what][i] = program;
    await program.until(/health and metrics are served/, START_DEADLINE_MS);
    // It looks at the Lease; only from then on it knows how long that has stood still.
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }

  /** Which of them leads, as soon as one does. */
  async leader(what: Elected): Promise<number> {
    const look = async () => {
      const lease = await this.client
        .resource<Lease>(leases, "kube-system")
        .get(LEASES[what])
        .catch(() => undefined);
      const holder = lease?.spec?.holderIdentity ?? "";
      // It says in its log who it is.
      return holder === "" ? -1 : this.electing[what].findIndex((p) => p.output.includes(holder));
    };
    const found = await eventually(look, (i) => i >= 0, START_DEADLINE_MS);
    if (found < 0) throw new Error(`no ${what} leads:\n${this.electing[what].map((p) => p.output).join("\n")}`);
    return found;
  }

  /** Nodes in one process, called `name`-0, `name`-1 …; resolves when all are Ready. */
  async startNodes(name: string, count: number): Promise<void> {
    const child = new Child("fake-nodes.ts");
    this.nodes.set(name, child);
    const pki = (file: string) => readFileSync(join(this.#dir, "pki", file), "utf8");
    const job: FakeNodesJob = {
      connection: this.#connection(this.#servers),
      ca: { cert: pki("ca.crt"), key: pki("ca.key") },
      names: nodeNames(name, count),
      dataDir: join(this.#dir, "nodes", name),
    };
    await child.ask(job);
    await this.untilNodes(job.names, true);
  }

  async untilNodes(names: readonly string[], ready: boolean): Promise<void> {
    const wanted = new Set(names);
    const look = async () => {
      const { items } = await this.client.resource<Node>(nodes).list();
      return items.filter((n) => wanted.has(n.metadata.name ?? "") && isReady(n) === ready).length;
    };
    const found = await eventually(look, (n) => n === wanted.size, START_DEADLINE_MS);
    if (found !== wanted.size) throw new Error(`${found} of ${wanted.size} nodes became ${ready ? "" : "not "}ready`);
  }

  /** As an administrator, at this API server first and at the others when it fails. */
  transport(first: number): HttpTransport {
    const others = this.#servers.filter((_, i) => i !== first);
    return new HttpTransport({ connection: this.#connection([this.#servers[first] ?? "", ...others]) });
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(program: Running | undefined): Promise<void> {
    program?.kill("SIGKILL");
    await program?.exited;
  }

  #run(program: Elected | "apiserver", flags: readonly string[] = []): Running {
    const own = [...keyFlags(join(this.#dir, "pki"))[program], "--observe-address", `${LOOPBACK}:0`];
    return new Running(process.execPath, [programFile(program), ...own, ...flags]);
  }

  get #servers(): string[] {
    return this.#ports.map((port) => `https://${LOOPBACK}:${port}`);
  }

  /** As the administrator's kubeconfig has it, with these servers. */
  #connection([server = "", ...others]: readonly string[]): Connection {
    const config = readKubeconfig(join(this.#dir, "pki/admin.kubeconfig"));
    if (!config) throw new Error("pki init wrote no admin.kubeconfig");
    const named = { server, "mini-kube.io/servers": others };
    const clusters = config.clusters?.map((c) => ({ ...c, cluster: { ...c.cluster, ...named } }));
    return resolveContext({ ...config, ...(clusters && { clusters }) }).connection;
  }
}

export const nodeNames = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${name}-${i}`);

const isReady = (node: DeepReadonly<Node>) => condition(node.status?.conditions, "Ready")?.status === "True";
