/**
 * What the faults strike: three machines with Docker, each with an API server, a scheduler, a controller manager and an agent
 * (one scheduler and one controller manager act), three etcd members on machines and disks of their own, and the machine
 * outside, which is the one of this process. What ends by itself is started again, as systemd does.
 */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HttpTransport } from "../../pkg/client/http.ts";
import { Client } from "../../pkg/client/client.ts";
import { loadKubeconfig, resolveContext } from "../../pkg/client/kubeconfig.ts";
import { type EtcdMember, EtcdMembers } from "../harness/etcd-members.ts";
import { API_PORT, type HostProgram, type ProgramFlags, separatePrograms } from "../harness/host-programs.ts";
import { TestHost, TestHosts } from "../harness/hosts.ts";
import type { Pause } from "./invariants.ts";
import { LeaderTerms } from "./leader-terms.ts";
import { leftOn, type Leftovers } from "./leftovers.ts";
import { pause, type Server } from "./workload.ts";

const SUPERVISE_MS = 1_000;
/** Until a changed clock shows. */
const CLOCK_MS = 10_000;
const CLOCK_TOLERANCE_S = 5;
const FAKETIME = [
  "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
  "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
];
/** A lost machine counts as lost after 6 s, and its Pods leave it after 3 s more. */
const FLAGS: ProgramFlags = {
  apiserver: ["--default-toleration-seconds", "3"],
  "controller-manager": ["--node-monitor-grace-period", "6"],
};
/** Which program leads by the Lease of that name. */
export const ELECTED = { "kube-scheduler": "scheduler", "kube-controller-manager": "controller-manager" };

/** What can be killed and started again: a program, or all that run on one machine. */
export type Target = TestHost | Single;
type Single = HostProgram | EtcdMember;

export class Machines {
  readonly hosts: TestHosts;
  readonly etcd: EtcdMembers;
  readonly leaders: LeaderTerms;
  readonly pauses: Pause[] = [];
  /** What had to be started again, for it had ended by itself. */
  restarts: string[] = [];
  /** So far. */
  trials = 0;
  readonly #transports = new Map<string, HttpTransport>();
  readonly #before: ReadonlyMap<string, Leftovers>;
  /** What ended on purpose. */
  readonly #down = new Set<Single>();
  readonly #supervisor: NodeJS.Timeout;

  private constructor(hosts: TestHosts, etcd: EtcdMembers, before: ReadonlyMap<string, Leftovers>) {
    this.hosts = hosts;
    this.etcd = etcd;
    this.#before = before;
    const elected = this.programs.filter((p) => Object.values(ELECTED).includes(p.program));
    this.leaders = new LeaderTerms(new Map(elected.map((p) => [p.name, p.log])));
    this.#supervisor = setInterval(() => this.#supervise(), SUPERVISE_MS);
  }

  /** `images`: what the Pods run. */
  static async start(images: readonly string[]): Promise<Machines> {
    let etcd: EtcdMembers | undefined;
    const before = new Map<string, Leftovers>();
    const library = FAKETIME.find((path) => existsSync(path));
    if (library === undefined) throw new Error("libfaketime is missing: apt-get install faketime");
    const hosts = await TestHosts.start({
      links: [3],
      images,
      setup: (o) => separatePrograms(o, FLAGS),
      outside: { pid: process.pid, enter: ["--target", String(process.pid), "--net"] },
      store: async (switches, undo) => {
        const members = await EtcdMembers.start(switches);
        undo.push(() => members.remove());
        etcd = members;
        return members.store;
      },
      beforeUp: async (host) => {
        before.set(host.name, await leftOn(host));
        writeFileSync(clockFile(host), "+0");
      },
      env: (home) => ({
        LD_PRELOAD: library,
        FAKETIME_TIMESTAMP_FILE: clockFile({ home }),
        FAKETIME_CACHE_DURATION: "1",
        FAKETIME_DONT_FAKE_MONOTONIC: "1",
      }),
    });
    if (!etcd) throw new Error("no etcd");
    return new Machines(hosts, etcd, before);
  }

  get all(): readonly TestHost[] {
    return this.hosts.hosts;
  }

  get programs(): readonly HostProgram[] {
    return this.all.flatMap((host) => host.programs);
  }

  /** Each API server by itself, as the administrator. */
  servers(): Server[] {
    return this.all.map((host) => {
      const { connection } = resolveContext(loadKubeconfig({ files: [join(host.home, "kubeconfig")], required: true }));
      const server = `https://${host.ip}:${API_PORT}`;
      const limits = { connectTimeoutMs: 3_000, answerTimeoutMs: 8_000, watchIdleMs: 70_000 };
      const transport = new HttpTransport({ connection: { ...connection, server }, ...limits });
      this.#transports.get(host.name)?.close();
      this.#transports.set(host.name, transport);
      return { name: host.name, client: new Client(transport, "faults") };
    });
  }

  /** Of that component the replica that leads. Throws when none does. */
  leader(component: string): HostProgram {
    const name = this.leaders.leader(component);
    const found = this.programs.find((p) => p.name === name);
    if (!found) throw new Error(`nobody leads as ${component}`);
    return found;
  }

  /** And the machine on which it runs. */
  machineOf(program: HostProgram): TestHost {
    const found = this.all.find((host) => host.programs.includes(program));
    if (!found) throw new Error(`no machine runs ${program.name}`);
    return found;
  }

  async kill(target: Target): Promise<void> {
    await Promise.all(
      singles(target).map(async (one) => {
        this.#down.add(one);
        await one.kill9();
        this.leaders.killed(one.name);
      }),
    );
  }

  /** After {@link kill}. */
  revive(target: Target): void {
    for (const one of singles(target)) {
      one.start();
      this.#down.delete(one);
    }
  }

  freeze(host: TestHost): { readonly thaw: () => void } {
    const start = performance.now();
    host.freeze();
    return {
      thaw: () => {
        host.thaw();
        const end = performance.now();
        for (const { name } of host.programs) this.pauses.push({ replica: name, start, end });
      },
    };
  }

  /** From when this resolves on, the clock of its mini-kube is so far off, as its clients see. */
  async setClock(host: TestHost, offsetSeconds: number): Promise<void> {
    writeFileSync(clockFile(host), `${offsetSeconds < 0 ? "" : "+"}${offsetSeconds}`);
    const transport = this.#transports.get(host.name);
    for (const end = performance.now() + CLOCK_MS; ;) {
      const answer = await transport?.raw("GET", "/version");
      answer?.body.resume();
      const date = answer?.headers.date ?? "";
      const off = (Date.parse(date) - Date.now()) / 1000 - offsetSeconds;
      if (Math.abs(off) < CLOCK_TOLERANCE_S) return;
      if (performance.now() > end) throw new Error(`the clock of ${host.name} cannot be changed: it says ${date}`);
      await pause(100);
    }
  }

  /** Takes the cluster down as its owner would, and tells what is left of it on each machine. */
  async down(): Promise<string[]> {
    clearInterval(this.#supervisor);
    const done = await Promise.all(this.all.map((host) => host.down()));
    const failed = done.flatMap((d, i) => (d.code === 0 ? [] : [`${this.all[i]?.name}: down: ${d.stderr.trim()}`]));
    const left = await Promise.all(
      this.all.map((host) => this.#leftOn(host).catch((error: unknown) => [`${host.name}: ${String(error)}`])),
    );
    return [...failed, ...left.flat()];
  }

  async #leftOn(host: TestHost): Promise<string[]> {
    const before = this.#before.get(host.name) ?? {};
    return Object.entries(await leftOn(host)).flatMap(([what, now]) =>
      now.filter((line) => !before[what]?.includes(line)).map((line) => `${host.name}: ${what}: ${line}`),
    );
  }

  async remove(): Promise<void> {
    clearInterval(this.#supervisor);
    this.leaders.close();
    for (const transport of this.#transports.values()) transport.close();
    await this.hosts.remove();
  }

  #supervise(): void {
    for (const one of [...this.programs, ...this.etcd.all]) {
      if (one.alive || this.#down.has(one)) continue;
      this.restarts.push(one.name);
      this.leaders.killed(one.name);
      one.start();
    }
  }
}

const clockFile = ({ home }: { home: string }) => join(home, "clock");

const singles = (target: Target): readonly Single[] => (target instanceof TestHost ? target.programs : [target]);
