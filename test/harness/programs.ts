/**
 * A cluster of separate programs on this machine: etcd, two API servers, two schedulers, two controller-managers, and one
 * agent on the machine's Docker daemon, each a process of its own. Whatever happens, {@link Programs.remove} takes all of
 * it away again.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openRuntime, removeAll } from "../../cmd/component/containers.ts";
import { initPki } from "../../cmd/mini-kube/pki.ts";
import type { Secret } from "../../pkg/api/generated/types.ts";
import { secrets } from "../../pkg/api/kinds/core/secret.ts";
import { Client } from "../../pkg/client/client.ts";
import { HttpTransport } from "../../pkg/client/http.ts";
import {
  type Connection,
  loadKubeconfig,
  resolveContext,
  singleKubeconfig,
  writeKubeconfig,
} from "../../pkg/client/kubeconfig.ts";
import { systemClock } from "../../pkg/util/clock.ts";
import { bootstrapKubeconfig, tokenSecret } from "./bootstrap.ts";
import { freePort, program, root } from "./cluster.ts";
import { EtcdServer } from "./etcd.ts";
import { eventually, Running, runOk, type RunOptions } from "./process.ts";

export type ProgramName = "apiserver" | "scheduler" | "controller-manager" | "agent";
/** `scheduler-1`: a program, and which of them. */
export type Instance = `${ProgramName}-${number}`;

export const programFile = (name: ProgramName) => join(root, `dist/cmd/${name}/main.js`);

/** What tells a program of the control plane who it is; `pki`: where `pki init` wrote. */
export const keyFlags = (pki: string) => ({
  apiserver: ["--pki-dir", pki, "--encryption-provider-config", join(pki, "encryption.yaml")],
  scheduler: ["--kubeconfig", join(pki, "scheduler.kubeconfig")],
  "controller-manager": ["--kubeconfig", join(pki, "controller-manager.kubeconfig"), "--pki-dir", pki],
});

/** The machine that runs tests may be busy with others. */
const LEASE = ["--leader-elect-lease-duration", "10"];
const LIMITS = { connectTimeoutMs: 3_000, answerTimeoutMs: 10_000, pulseMs: 4_000 };

export class Programs {
  readonly nodeName = "w1";
  /** As an administrator, at whichever API server answers. */
  readonly client: Client;
  readonly #dir: string;
  readonly #etcd: EtcdServer;
  readonly #ports: readonly number[];
  readonly #running = new Map<Instance, Running>();
  readonly #transports: HttpTransport[] = [];
  readonly #admin: Connection;

  private constructor(dir: string, etcd: EtcdServer, ports: readonly number[]) {
    this.#dir = dir;
    this.#etcd = etcd;
    this.#ports = ports;
    const file = join(dir, "pki/admin.kubeconfig");
    this.#admin = resolveContext(loadKubeconfig({ files: [file], required: true })).connection;
    const transport = new HttpTransport({ connection: this.#admin, ...LIMITS });
    this.#transports.push(transport);
    this.client = new Client(transport, "scenario");
  }

  /** Resolves when the node is registered. */
  static async start(): Promise<Programs> {
    const dir = mkdtempSync(join(tmpdir(), "mk-programs-"));
    const etcd = await EtcdServer.start();
    const ports = [await freePort(), await freePort()];
    const servers = ports.map((port) => `https://127.0.0.1:${port}`);
    await initPki(join(dir, "pki"), { servers, clock: systemClock });
    const programs = new Programs(dir, etcd, ports);
    try {
      await programs.#startAll();
    } catch (error) {
      const logs = programs.logs();
      await programs.remove();
      throw new Error(`${String(error)}\n${logs}`, { cause: error });
    }
    return programs;
  }

  async #startAll(): Promise<void> {
    for (const i of [0, 1]) this.spawn(`apiserver-${i}`);
    for (const i of [0, 1]) await this.#of(`apiserver-${i}`).until(/the API is served/);
    for (const i of [0, 1]) {
      this.spawn(`scheduler-${i}`);
      this.spawn(`controller-manager-${i}`);
    }
    await this.#makeToken();
    await this.startAgent();
  }

  async startAgent(): Promise<void> {
    await this.spawn("agent-0").until(/node (registered|adopted)/);
  }

  /** Once more, after {@link kill} or {@link stop}. */
  spawn(name: Instance): Running {
    const dash = name.lastIndexOf("-");
    const [program, i] = [name.slice(0, dash) as ProgramName, Number(name.slice(dash + 1))];
    const args = [programFile(program), ...this.#flags(program, i), "--observe-address", "127.0.0.1:0"];
    const process_ = new Running(process.execPath, args, { env: { ...process.env, NO_COLOR: "1" } });
    this.#running.set(name, process_);
    return process_;
  }

  #flags(program: ProgramName, i: number): string[] {
    const keys = keyFlags(join(this.#dir, "pki"));
    switch (program) {
      case "apiserver":
        return ["--store", this.#etcd.store, "--port", String(this.#ports[i]), ...keys.apiserver];
      case "scheduler":
      case "controller-manager":
        return [...keys[program], ...LEASE];
      case "agent": {
        const bootstrap = ["--bootstrap-kubeconfig", join(this.#dir, "bootstrap.kubeconfig")];
        return ["--node-name", this.nodeName, "--data-dir", this.#agentDir, "--port", "0", ...bootstrap];
      }
    }
  }

  async #makeToken(): Promise<void> {
    await this.client.resource<Secret>(secrets, "kube-system").create(tokenSecret);
    writeKubeconfig(join(this.#dir, "bootstrap.kubeconfig"), bootstrapKubeconfig(this.#admin));
  }

  get #agentDir(): string {
    return join(this.#dir, "agent");
  }

  #of(name: Instance): Running {
    const found = this.#running.get(name);
    if (!found) throw new Error(`${name} was not started`);
    return found;
  }

  /** As an administrator, at that API server alone. */
  clientOf(server: number): Client {
    const { others: _, ...connection } = this.#admin;
    const transport = new HttpTransport({ connection: { ...connection, server: this.#url(server) }, ...LIMITS });
    this.#transports.push(transport);
    return new Client(transport, "scenario");
  }

  #url(server: number): string {
    return `https://127.0.0.1:${this.#ports[server]}`;
  }

  /** Of the administrator, on the machine that has the keys. */
  cli(args: readonly string[], o: RunOptions = {}): Promise<string> {
    const kubeconfig = join(this.#dir, "pki/admin.kubeconfig");
    return runOk(process.execPath, [program, "--kubeconfig", kubeconfig, ...args], o);
  }

  get keysFile(): string {
    return join(this.#dir, "pki/encryption.yaml");
  }

  /** At one API server, as kubectl knows but one. */
  async kubectl(server: number, args: readonly string[], o: RunOptions = {}): Promise<string> {
    const kubeconfig = join(this.#dir, `admin-${server}.kubeconfig`);
    const { others: _, ...connection } = this.#admin;
    writeKubeconfig(kubeconfig, singleKubeconfig("admin", { ...connection, server: this.#url(server) }));
    return runOk("kubectl", ["--kubeconfig", kubeconfig, ...args], o);
  }

  /** Which of the two acts, as their own logs tell. */
  async leader(program: "scheduler" | "controller-manager"): Promise<Instance> {
    const both: Instance[] = [`${program}-0`, `${program}-1`];
    const last = (name: Instance, words: string) => this.#of(name).output.lastIndexOf(`"msg":"${words}"`);
    const find = () => both.find((name) => last(name, "leads") > last(name, "leads no more"));
    const found = await eventually(
      () => Promise.resolve(find()),
      (name) => name !== undefined,
    );
    if (!found) throw new Error(`no ${program} leads`);
    return found;
  }

  signal(name: Instance, signal: NodeJS.Signals): void {
    this.#of(name).kill(signal);
  }

  async kill(name: Instance): Promise<void> {
    this.signal(name, "SIGKILL");
    await this.#of(name).exited;
  }

  /** In good order; the exit code. */
  async stop(name: Instance): Promise<number> {
    this.signal(name, "SIGTERM");
    return this.#of(name).exited;
  }

  logs(): string {
    const lines = (r: Running) => r.output.split("\n").slice(-8).join("\n");
    return [...this.#running].map(([name, r]) => `--- ${name}\n${lines(r)}`).join("\n");
  }

  async remove(): Promise<void> {
    for (const transport of this.#transports) transport.close();
    for (const name of this.#running.keys()) await this.kill(name);
    const file = join(this.#agentDir, "cluster-id");
    const clusterId = readIfThere(file);
    if (clusterId !== undefined) await removeAll(openRuntime(clusterId, this.nodeName, process.env), clusterId);
    await this.#etcd.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return undefined; // it never came so far
  }
}
