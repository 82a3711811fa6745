/** Several etcd members on loopback ports of their own, each a process that can be killed and started again. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findInPath, freePorts } from "./etcd.ts";
import { PATIENCE_MS } from "./process.ts";

const POLL_MS = 25;

interface Status {
  readonly leader?: string;
  readonly header: { readonly member_id: string; readonly revision: string };
}

export class EtcdCluster {
  /** `http://127.0.0.1:port` of each member. */
  readonly endpoints: readonly string[];
  readonly #peers: readonly string[];
  readonly #dir = mkdtempSync(join(tmpdir(), "mini-kube-etcd-"));
  readonly #processes = new Map<number, ChildProcess>();

  private constructor(ports: readonly number[]) {
    const urls = ports.map((port) => `http://127.0.0.1:${port}`);
    this.endpoints = urls.slice(0, ports.length / 2);
    this.#peers = urls.slice(ports.length / 2);
  }

  /** For `--store`. */
  get store(): string {
    return `etcd://${this.endpoints.map((endpoint) => new URL(endpoint).host).join(",")}`;
  }

  /** Resolves once they have a leader. */
  static async start(members = 3): Promise<EtcdCluster> {
    const cluster = new EtcdCluster(await freePorts(2 * members));
    try {
      cluster.endpoints.forEach((_, i) => cluster.#spawn(i));
      await cluster.leader();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** The member that leads, as soon as all that run agree on one. */
  async leader(): Promise<number> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const said = await Promise.all([...this.#processes.keys()].map((i) => this.#status(i)));
      const [leader] = new Set(said.map((s) => s?.leader));
      const agreed = leader !== undefined && leader !== "0" && said.every((s) => s?.leader === leader);
      const index = [...this.#processes.keys()][said.findIndex((s) => s?.header.member_id === leader)];
      if (agreed && index !== undefined) return index;
      if (Date.now() > deadline) throw new Error(`the etcd members have no leader after ${PATIENCE_MS} ms`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** SIGKILL; the data stays for {@link restart}. */
  async kill(member: number): Promise<void> {
    const child = this.#processes.get(member);
    this.#processes.delete(member);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  /** On its data, after {@link kill}. Resolves once it follows the leader. */
  async restart(member: number): Promise<void> {
    this.#spawn(member);
    await this.leader();
  }

  /** The newest one that any member knows. */
  async revision(): Promise<bigint> {
    const said = await Promise.all([...this.#processes.keys()].map((i) => this.#status(i)));
    return said.reduce(
      (newest, s) => (s && BigInt(s.header.revision) > newest ? BigInt(s.header.revision) : newest),
      0n,
    );
  }

  pid(member: number): number {
    return this.#processes.get(member)?.pid ?? -1;
  }

  /** Ends all and removes their data. */
  async stop(): Promise<void> {
    await Promise.all([...this.#processes.keys()].map((i) => this.kill(i)));
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #spawn(member: number): void {
    const [client, peer] = [this.endpoints[member] ?? "", this.#peers[member] ?? ""];
    const args = [
      `--name=m${member}`,
      `--data-dir=${join(this.#dir, `m${member}`)}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=${this.#peers.map((url, i) => `m${i}=${url}`).join(",")}`,
      "--log-level=error",
    ];
    const child = spawn(findInPath("etcd"), args, { stdio: "ignore" });
    this.#processes.set(member, child);
    // A run that is ended from outside must not leave an etcd behind.
    const orphaned = () => void child.kill("SIGKILL");
    process.once("exit", orphaned);
    child.once("exit", () => process.off("exit", orphaned));
  }

  async #status(member: number): Promise<Status | undefined> {
    try {
      const url = `${this.endpoints[member]}/v3/maintenance/status`;
      const answer = await fetch(url, { method: "POST", body: "{}", signal: AbortSignal.timeout(1000) });
      return (await answer.json()) as Status;
    } catch {
      return undefined;
    }
  }
}
