/**
 * The command line: which commands there are, and what becomes of their results and failures. A command's own code is
 * loaded only when it is the one asked for: starting fast is a feature.
 */
import { Command, CommanderError } from "commander";
import type { CommandEntry } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { closest } from "./discovery.ts";
import { errorText, exitCodeOf } from "./errors.ts";
import { CliError, EXIT_INTERRUPTED, type Io, paintFor } from "./io.ts";
import { type GlobalFlags, Session } from "./session.ts";

export interface ProgramOptions {
  readonly io: Io;
  /** Commands of the program that are not API calls (`up`, `down`, `status`). */
  readonly extra?: readonly CommandEntry[];
}

/** Runs one command line (without `node` and the script); resolves with the exit code. */
export async function runCli(argv: readonly string[], o: ProgramOptions): Promise<number> {
  const { io } = o;
  const visible = [...(o.extra ?? []), ...COMMANDS];
  const entries = [...visible, completeEntry(visible, io)];
  const program = rootCommand(entries, io);
  const args = globalFlagsLast(argv);
  const name = args[0] === "help" ? args[1] : args[0];
  const entry = entries.find((e) => e.name === name || e.aliases?.includes(name ?? ""));
  try {
    if (name === undefined || name === "--help" || name === "-h") {
      await new Promise<void>((done) => void io.stdout.write(helpText(entries, io), () => done()));
      return 0;
    }
    if (!entry) throw unknownCommand(name, entries);
    const command = program.commands.find((c) => c.name() === entry.name);
    if (command) await load(entry, command, io);
    await program.parseAsync(args[0] === "help" ? [name, "--help"] : args, { from: "user" });
    return 0;
  } catch (error) {
    return report(error, io);
  }
}

/** By which the shell's completion asks; it looks at the other commands, so it cannot be one of their list. */
function completeEntry(entries: readonly CommandEntry[], io: Io): CommandEntry {
  const define = async (entry: CommandEntry) => {
    const command = newCommand(entry.name, io);
    await load(entry, command, io);
    return command;
  };
  return {
    name: "__complete",
    group: "",
    summary: "",
    hidden: true,
    load: () => import("./complete.ts").then((m) => ({ command: m.completeCommand(entries, define) })),
  };
}

async function load(entry: CommandEntry, command: Command, io: Io): Promise<void> {
  const { command: module } = await entry.load();
  module.define(command, (action) => async (...args) => {
    // Commander passes the command last; its options hold the flags of all.
    const flags = (args.at(-1) as Command).optsWithGlobals<GlobalFlags>();
    const session = new Session(io, flags);
    try {
      await action(session, ...args);
    } finally {
      session.close();
    }
  });
  for (const one of withSubcommands(command)) addGlobalFlags(one);
}

function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

function addGlobalFlags(command: Command): void {
  if (command.options.some((o) => o.long === "--namespace")) return;
  command
    .option("-n, --namespace <name>", "the namespace to work in (default: the context's)")
    .option("--context <name>", "the kubeconfig context to use")
    .option("--kubeconfig <file>", "the kubeconfig to use (default: $KUBECONFIG, then $MINI_KUBE_HOME/kubeconfig)");
}

function newCommand(name: string, io: Io): Command {
  return new Command(name).exitOverride().configureOutput({
    writeOut: (text) => void io.stdout.write(text),
    writeErr: (text) => void io.stderr.write(text),
    outputError: (text, write) => write(text.replace(/^error: /, "error: ")),
  });
}

function rootCommand(entries: readonly CommandEntry[], io: Io): Command {
  // Each command takes only the flags that stand after it: `create` not those of `create configmap`.
  const program = newCommand("mini-kube", io).enablePositionalOptions();
  for (const entry of entries) {
    const command = program
      .command(entry.name, { hidden: entry.hidden === true })
      .description(entry.summary)
      .aliases([...(entry.aliases ?? [])])
      .showHelpAfterError(`(see: mini-kube ${entry.name} --help)`);
    command.exitOverride();
  }
  return program;
}

const VALUE_FLAGS = new Set(["-n", "--namespace", "--context", "--kubeconfig"]);

/** `mini-kube -n web get pods` is `mini-kube get -n web pods`: flags of all commands may also stand before it. */
export function globalFlagsLast(argv: readonly string[]): string[] {
  const flags: string[] = [];
  let at = 0;
  for (; at < argv.length; at++) {
    const arg = argv[at] ?? "";
    if (!arg.startsWith("-") || arg === "-h" || arg === "--help") break;
    if (!VALUE_FLAGS.has(arg.split("=")[0] ?? "") && !/^-n./.test(arg)) break;
    flags.push(arg);
    if (VALUE_FLAGS.has(arg)) flags.push(argv[++at] ?? "");
  }
  const [name, ...rest] = argv.slice(at);
  return name === undefined ? flags : [name, ...flags, ...rest];
}

function unknownCommand(name: string, entries: readonly CommandEntry[]): CliError {
  if (name.startsWith("-")) return new CliError(`unknown flag: ${name}\nsee: mini-kube --help`);
  const names = entries.filter((e) => !e.hidden).flatMap((e) => [e.name, ...(e.aliases ?? [])]);
  const near = closest(name, names) ?? names.find((n) => n.startsWith(name));
  const next = near ? `did you mean: mini-kube ${near}` : "see them all with: mini-kube --help";
  return new CliError(`unknown command ${JSON.stringify(name)} for "mini-kube"\n${next}`);
}

function report(error: unknown, io: Io): number {
  // Commander has already said what is wrong; for help it says so with code 0.
  if (error instanceof CommanderError) return error.exitCode;
  if (io.signal.aborted) return EXIT_INTERRUPTED;
  const text = errorText(error);
  if (text) {
    const paint = paintFor(io.stderr, io.env);
    io.stderr.write(`${text.replace(/^(error:|Error from server[^:]*:)/, (head) => paint("red", head))}\n`);
  }
  return exitCodeOf(error);
}

function helpText(entries: readonly CommandEntry[], io: Io): string {
  const paint = paintFor(io.stdout, io.env);
  const groups = [...new Set(entries.filter((e) => !e.hidden).map((e) => e.group))];
  const sections = groups.map((group) => {
    const lines = entries
      .filter((e) => e.group === group && !e.hidden)
      .map((e) => `  ${paint("cyan", e.name.padEnd(14))} ${e.summary}`);
    return [paint("bold", group), ...lines].join("\n");
  });
  return `${[
    "mini-kube runs Pods on the Docker you already have, and speaks the Kubernetes API.",
    ...sections,
    [
      paint("bold", "Examples"),
      "  mini-kube up --detach                    start a one-node cluster",
      "  mini-kube apply -f pod.yaml              create or change what a manifest describes",
      "  mini-kube get pods -w                    see it come up",
      "  mini-kube logs -f web                    follow what it prints",
      "  mini-kube exec -it web -- sh             look around inside",
      "  mini-kube down                           stop the cluster",
    ].join("\n"),
    'Use "mini-kube COMMAND --help" for a command\'s flags and examples. kubectl works too:\n  export KUBECONFIG=~/.mini-kube/kubeconfig',
  ].join("\n\n")}\n`;
}
