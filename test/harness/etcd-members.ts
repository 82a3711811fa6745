/**
 * etcd members, each a machine of its own on one switch, with a disk of its own: a file system in a file, so that it can be
 * stopped, slow or full while everybody else's goes on.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findInPath } from "./etcd.ts";
import { eventually, PATIENCE_MS, run, Running, runOk } from "./process.ts";
import { linkAddress, type Namespace, type Switches } from "./switches.ts";

const FIRST_HOST = 101;
const CLIENT_PORT = 2379;
const PEER_PORT = 2380;
/** etcd sets 64 MB aside for each of two files of its log. */
const DISK = "320M";

export class EtcdMember {
  readonly name: string;
  readonly ip: string;
  readonly endpoint: string;
  readonly #place: Namespace;
  readonly #dir: string;
  readonly #members: readonly string[];
  #process: Running | undefined;
  #mounted = false;

  constructor(o: { place: Namespace; index: number; members: readonly string[]; dir: string }) {
    this.name = o.members[o.index] ?? "";
    this.ip = memberIp(o.index);
    this.endpoint = `http://${this.ip}:${CLIENT_PORT}`;
    this.#place = o.place;
    this.#dir = join(o.dir, this.name);
    this.#members = o.members;
  }

  /** Where its disk is mounted. */
  get disk(): string {
    return join(this.#dir, "disk");
  }

  async format(): Promise<void> {
    mkdirSync(this.disk, { recursive: true });
    const image = join(this.#dir, "image");
    await runOk("truncate", ["-s", DISK, image]);
    await runOk("mkfs.ext4", ["-q", "-F", image]);
    await runOk("mount", ["-o", "loop", image, this.disk]);
    this.#mounted = true;
  }

  /** Starts it (again, on the same data). */
  start(): void {
    const peer = `http://${this.ip}:${PEER_PORT}`;
    const args = [
      `--name=${this.name}`,
      `--data-dir=${join(this.disk, "data")}`,
      `--listen-client-urls=${this.endpoint}`,
      `--advertise-client-urls=${this.endpoint}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=${this.#members.map((name, i) => `${name}=http://${memberIp(i)}:${PEER_PORT}`).join(",")}`,
      "--log-level=error",
    ];
    this.#process = new Running("nsenter", [...this.#place.enter, findInPath("etcd"), ...args]);
  }

  get pid(): number {
    return this.#process?.pid ?? -1;
  }

  /** Whether its process lives. */
  get alive(): boolean {
    return this.#process?.running ?? false;
  }

  async kill9(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#process?.exited;
    this.#process = undefined;
  }

  freeze(): void {
    this.#process?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Whoever writes to the disk waits. */
  async stopDisk(): Promise<void> {
    await runOk("fsfreeze", ["--freeze", this.disk]);
  }

  async startDisk(): Promise<void> {
    await runOk("fsfreeze", ["--unfreeze", this.disk]);
  }

  /** Reads and writes through a majority, as this member sees it. */
  async healthy(): Promise<boolean> {
    const args = [...this.#place.enter, findInPath("etcdctl"), `--endpoints=${this.endpoint}`, "endpoint", "health"];
    return (await run("nsenter", args)).code === 0;
  }

  async status(): Promise<{ readonly id: string; readonly leader: string }> {
    const args = [`--endpoints=${this.endpoint}`, "endpoint", "status", "-w", "json", "--command-timeout=1s"];
    const said = await runOk("nsenter", [...this.#place.enter, findInPath("etcdctl"), ...args]);
    // Ids are numbers of 64 bits, beyond JavaScript's.
    const of = (field: string) => new RegExp(`"${field}":(\\d+)`).exec(said)?.[1] ?? "";
    return { id: of("member_id"), leader: of("leader") };
  }

  async remove(): Promise<void> {
    if (this.#mounted) await run("fsfreeze", ["--unfreeze", this.disk]);
    this.thaw();
    await this.kill9();
    if (this.#mounted) await runOk("umount", [this.disk]);
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

const memberIp = (index: number) => linkAddress(0, FIRST_HOST + index);

export class EtcdMembers {
  readonly all: readonly EtcdMember[];
  readonly #dir: string;

  private constructor(all: readonly EtcdMember[], dir: string) {
    this.all = all;
    this.#dir = dir;
  }

  /** On link 0. Resolves once all are healthy. */
  static async start(switches: Switches, count = 3): Promise<EtcdMembers> {
    const dir = mkdtempSync(join(tmpdir(), "mk-etcd-members-"));
    const members = Array.from({ length: count }, (_, i) => `etcd-${i + 1}`);
    const all: EtcdMember[] = [];
    for (const index of members.keys()) {
      const place = await switches.namespace();
      await switches.join(place, { link: 0, ip: memberIp(index) });
      all.push(new EtcdMember({ place, index, members, dir }));
    }
    const started = new EtcdMembers(all, dir);
    try {
      for (const member of all) await member.format();
      for (const member of all) member.start();
      await started.untilHealthy();
      return started;
    } catch (error) {
      await started.remove();
      throw error;
    }
  }

  /** For `--store`. */
  get store(): string {
    return `etcd://${this.all.map((m) => m.endpoint.replace("http://", "")).join(",")}`;
  }

  async untilHealthy(): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    for (;;) {
      const healthy = await Promise.all(this.all.map((m) => m.healthy()));
      if (healthy.every(Boolean)) return;
      if (performance.now() > end) throw new Error(`not healthy after ${PATIENCE_MS} ms: ${healthy.join(", ")}`);
    }
  }

  /** Whoever leads; on a busy machine they may be choosing one. */
  async leader(): Promise<EtcdMember> {
    const leading = await eventually(
      () => this.#leading(),
      (member) => member !== undefined,
    );
    if (!leading) throw new Error("no etcd member leads");
    return leading;
  }

  async #leading(): Promise<EtcdMember | undefined> {
    for (const member of this.all) {
      const { id, leader } = await member.status();
      if (id === leader) return member;
    }
    return undefined;
  }

  async remove(): Promise<void> {
    for (const member of this.all) await member.remove();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
