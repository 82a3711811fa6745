/** `mini-kube install`: the programs as services of this machine, by systemd. */
import { execFile } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CliError } from "../../pkg/cli/io.ts";
import { openHome } from "./home.ts";
import { PROGRAMS, type ProgramName, unitName, unitText } from "./units.ts";

const run = promisify(execFile);

const UNITS = "/etc/systemd/system";
/** It is there exactly if systemd is what runs the machine. */
const RUNNING = "/run/systemd/system";

export interface InstallOptions {
  readonly program: string;
  readonly flags: readonly string[];
  readonly dryRun: boolean;
  /** Written and enabled, for the next start of the machine. */
  readonly start: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly say: (line: string) => Promise<void>;
}

/** Idempotent: what is the same is left, what has changed is replaced and started anew. */
export async function install(o: InstallOptions): Promise<void> {
  const program = programOf(o.program);
  const name = unitName(program);
  const text = unitText({
    program,
    node: process.execPath,
    script: scriptOf(program),
    flags: o.flags.map(absolute),
    home: openHome({ env: o.env }).dir,
  });
  if (o.dryRun) return o.say(`# ${join(UNITS, name)}\n${text}`);
  needSystemd(`print the unit with: mini-kube install --dry-run ${o.program}`);
  const file = join(UNITS, name);
  const same = existsSync(file) && readFileSync(file, "utf8") === text;
  if (!same) writeFileSync(file, text, { mode: 0o644 });
  await systemctl("daemon-reload");
  await systemctl("enable", name);
  if (o.start) await systemctl(same ? "start" : "restart", name);
  await o.say(`${name} is installed${o.start ? " and runs" : ""}; its log: journalctl -u ${name} -f`);
}

export const isInstalled = (program: ProgramName) => existsSync(join(UNITS, unitName(program)));

/** All of them, or the one named. Containers go on; `mini-kube down` removes those of `up`. */
export async function uninstall(o: Pick<InstallOptions, "say"> & { readonly program?: string | undefined }) {
  const wanted = o.program === undefined ? PROGRAMS : [programOf(o.program)];
  needSystemd("there is nothing to take away");
  const there = wanted.filter(isInstalled).map(unitName);
  if (there.length === 0) return o.say("nothing is installed");
  for (const name of there) {
    await systemctl("disable", "--now", name);
    rmSync(join(UNITS, name), { force: true });
    await o.say(`${name} is stopped and removed; its data stay`);
  }
  await systemctl("daemon-reload");
}

function programOf(name: string): ProgramName {
  const found = PROGRAMS.find((p) => p === name);
  if (found) return found;
  throw new CliError(`there is no program ${JSON.stringify(name)}; choose one of ${PROGRAMS.join(", ")}`);
}

/** As this one was started: from its sources, or built. */
function scriptOf(program: ProgramName): string {
  const end = import.meta.url.endsWith(".ts") ? "ts" : "js";
  if (end === "ts") throw new CliError("a service runs what is built: npm run build, then dist/cmd/mini-kube/main.js");
  const folder = program === "up" ? "mini-kube" : program;
  return fileURLToPath(new URL(`../${folder}/main.js`, import.meta.url));
}

/** What is named by it need not be there yet. */
const NAMES_A_FILE = /^--[a-z-]*(dir|file|log|policy|config|kubeconfig)$/;

/** A service has no directory of its own to start from: what names a file here is to name it there. */
export function absolute(flag: string, i: number, all: readonly string[]): string {
  const [, name = all[i - 1] ?? "", value = flag] = /^(--[\w-]+)=(.*)$/.exec(flag) ?? [];
  if (value.startsWith("-") || value === "" || !(NAMES_A_FILE.test(name) || /^\.\.?\//.test(value))) return flag;
  return flag.slice(0, flag.length - value.length) + resolve(value);
}

function needSystemd(otherwise: string): void {
  if (!existsSync(RUNNING)) {
    throw new CliError(`systemd does not run this machine (there is no ${RUNNING}); ${otherwise}`);
  }
  if (process.getuid?.() !== 0) throw new CliError("only root may install services; use sudo");
}

async function systemctl(...args: readonly string[]): Promise<void> {
  try {
    await run("systemctl", [...args]);
  } catch (error) {
    const { stderr = "" } = error as { stderr?: string };
    throw new CliError(`systemctl ${args.join(" ")}: ${stderr.trim() || (error as Error).message}`);
  }
}
