/** What runs on a machine made of namespaces: `mini-kube up`, or each component as a program of its own. */
import { cpSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { initPki } from "../../cmd/mini-kube/pki.ts";
import { loadKubeconfig, resolveContext, singleKubeconfig, writeKubeconfig } from "../../pkg/client/kubeconfig.ts";
import { systemClock } from "../../pkg/util/clock.ts";
import { bootstrapKubeconfig, tokenSecret } from "./bootstrap.ts";
import { program } from "./cluster.ts";
import type { TestHost } from "./hosts.ts";
import { eventually, type Finished, Running, runOk } from "./process.ts";
import { keyFlags, type ProgramName, programFile } from "./programs.ts";

export const API_PORT = 6443;

/** What runs on each host, and how whoever owns it starts it and takes it away. */
export interface Setup {
  /** In the order in which they are started. */
  readonly programs: (host: TestHost) => readonly HostProgram[];
  /** Resolves when the API of the host answers and its Node is registered. */
  readonly up: (host: TestHost) => Promise<void>;
  /** Containers and network go. */
  readonly down: (host: TestHost) => Promise<Finished>;
}

interface ProgramOptions {
  /** `agent`; of all hosts it is known as `node-1/agent`. */
  readonly program: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

export class HostProgram {
  readonly name: string;
  readonly program: string;
  readonly #host: TestHost;
  readonly #args: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  #process: Running | undefined;

  constructor(host: TestHost, { program: name, args, env }: ProgramOptions) {
    this.name = `${host.name}/${name}`;
    this.program = name;
    this.#host = host;
    this.#args = args;
    this.#env = env;
  }

  /** Where all that it logs is written. */
  get log(): string {
    return join(this.#host.home, `${this.program}.log`);
  }

  /** The end of that. */
  get lastLines(): string {
    return existsSync(this.log) ? readFileSync(this.log, "utf8").split("\n").slice(-60).join("\n") : "";
  }

  get alive(): boolean {
    return this.#process?.running ?? false;
  }

  /** Resolves when it has ended by itself. */
  async ended(): Promise<void> {
    await this.#process?.exited;
  }

  /** Starts it (again), and waits for nothing. */
  start(): Running {
    const args = [...this.#host.enter, "sh", "-c", 'log=$0; exec "$@" 2>>"$log"', this.log];
    this.#process = new Running("nsenter", [...args, process.execPath, ...this.#args], { env: this.#env });
    return this.#process;
  }

  async kill9(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** In good order. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (!this.#process?.running) return;
    // The program is nsenter's child: who enters a pid namespace does so with his children.
    const child = (await runOk("ps", ["-o", "pid=", "--ppid", String(this.#process.pid)])).trim();
    process.kill(Number(child), signal);
    await this.#process.exited;
    this.#process = undefined;
  }

  /** The host goes, and all that is on it. */
  abandon(): void {
    this.#process?.kill("SIGKILL");
  }
}

/** All in one process: `mini-kube up`. */
export function oneProgram({ store, flags, env }: SetupOptions): Setup {
  return {
    programs: (host) => {
      const own = ["--node-name", host.name, "--address", host.ip, "--store", store, "--port", String(API_PORT)];
      return [
        new HostProgram(host, {
          program: "mini-kube",
          args: [program, "up", ...own, ...flags],
          env: { ...host.env, ...env(host.home) },
        }),
      ];
    },
    up: async ({ name, programs: [first] }) => {
      await first
        ?.start()
        .until(/is running/)
        .catch((error: unknown) => {
          throw new Error(`${name}: ${String(error)}\n${first.lastLines}`);
        });
    },
    down: async (host) => {
      const done = await host.cli(["down"]);
      await Promise.all(host.programs.map((one) => one.ended()));
      return done;
    },
  };
}

export interface SetupOptions {
  readonly store: string;
  /** Of all hosts. */
  readonly ips: readonly string[];
  /** More flags of `mini-kube up`. */
  readonly flags: readonly string[];
  /** More of the environment of what runs on the host with that home. */
  readonly env: (home: string) => NodeJS.ProcessEnv;
}

/** More flags of each program. */
export type ProgramFlags = Readonly<Partial<Record<ProgramName, readonly string[]>>>;

/** An API server, a scheduler, a controller manager and an agent on each host: the servers of all, its own first. */
export function separatePrograms({ store, ips, env }: SetupOptions, more: ProgramFlags): Setup {
  /** Of the host before: all have the same CA. */
  let made: string | undefined;
  const programs = (host: TestHost) => {
    const keys = keyFlags(join(host.home, "pki"));
    const served = ["--port", String(API_PORT), "--advertise-address", host.ip, "--data-dir", join(host.home, "data")];
    const bootstrap = ["--bootstrap-kubeconfig", bootstrapFile(host)];
    const flags: Record<ProgramName, readonly string[]> = {
      ...keys,
      apiserver: ["--store", store, ...keys.apiserver, ...served],
      agent: ["--node-name", host.name, "--address", host.ip, "--data-dir", agentDir(host), ...bootstrap],
    };
    return PROGRAMS.map((name) => {
      const args = [programFile(name), ...flags[name], ...(more[name] ?? [])];
      return new HostProgram(host, { program: name, args, env: { ...host.env, ...env(host.home) } });
    });
  };
  const up = async (host: TestHost) => {
    const pki = join(host.home, "pki");
    if (made !== undefined) cpSync(made, pki, { recursive: true });
    made = pki;
    const servers = [host.ip, ...ips.filter((ip) => ip !== host.ip)].map((ip) => `https://${ip}:${API_PORT}`);
    await initPki(pki, { servers, clock: systemClock });
    const { connection } = resolveContext(loadKubeconfig({ files: [join(pki, "admin.kubeconfig")], required: true }));
    writeKubeconfig(bootstrapFile(host), bootstrapKubeconfig(connection));
    const { others: _, ...here } = connection;
    writeKubeconfig(join(host.home, "kubeconfig"), singleKubeconfig("admin", here));
    const [api, ...rest] = host.programs;
    api?.start();
    const ready = await eventually(
      () => host.kubectl(["get", "--raw", "/readyz"]),
      ({ code }) => code === 0,
    );
    if (ready.code !== 0) throw new Error(`${host.name}: no API: ${ready.stderr}\n${api?.lastLines}`);
    await host.kubectlOk(["apply", "-f", "-"], { input: JSON.stringify(tokenSecret) });
    for (const one of rest) one.start();
  };
  const down = async (host: TestHost) => {
    const done = await host.cli(["leave", "--data-dir", agentDir(host), "--purge"]);
    await Promise.all(host.programs.map((one) => one.stop()));
    return done;
  };
  return { programs, up, down };
}

const PROGRAMS: readonly ProgramName[] = ["apiserver", "scheduler", "controller-manager", "agent"];
const agentDir = ({ home }: TestHost) => join(home, "agent");
const bootstrapFile = ({ home }: TestHost) => join(home, "bootstrap.kubeconfig");
