#!/usr/bin/env node
/** The program `mini-kube`: gives the command line the process's streams, environment and signals, and its exit code back. */
import { homedir } from "node:os";
import type { CommandEntry } from "../../pkg/cli/command.ts";
import { EXIT_INTERRUPTED, type Io } from "../../pkg/cli/io.ts";
import { runCli } from "../../pkg/cli/program.ts";
import { systemClock } from "../../pkg/util/clock.ts";

const GROUP = "Cluster";

const extra: readonly CommandEntry[] = [
  {
    name: "up",
    group: GROUP,
    summary: "Start a one-node cluster on this machine",
    load: () => import("./cluster-commands.ts").then((m) => ({ command: m.upCommand })),
  },
  {
    name: "down",
    group: GROUP,
    summary: "Stop the cluster",
    load: () => import("./cluster-commands.ts").then((m) => ({ command: m.downCommand })),
  },
  {
    name: "status",
    group: GROUP,
    summary: "Show how the cluster is, and what to do about it",
    load: () => import("./operations-commands.ts").then((m) => ({ command: m.statusCommand })),
  },
  {
    name: "log-level",
    group: GROUP,
    summary: "Show or change what the running cluster logs",
    load: () => import("./operations-commands.ts").then((m) => ({ command: m.logLevelCommand })),
  },
  {
    name: "support-bundle",
    group: GROUP,
    summary: "Collect in one file what somebody needs who is to help",
    load: () => import("./operations-commands.ts").then((m) => ({ command: m.supportBundleCommand })),
  },
  {
    name: "install",
    group: GROUP,
    summary: "Run a program as a service of this machine (systemd)",
    load: () => import("./operations-commands.ts").then((m) => ({ command: m.installCommand })),
  },
  {
    name: "uninstall",
    group: GROUP,
    summary: "Take such services away again",
    load: () => import("./operations-commands.ts").then((m) => ({ command: m.uninstallCommand })),
  },
  {
    name: "backup",
    group: GROUP,
    summary: "Save a cluster's objects in a file",
    load: () => import("./backup-commands.ts").then((m) => ({ command: m.backupCommand })),
  },
  {
    name: "restore",
    group: GROUP,
    summary: "Bring a saved cluster's objects back, into any store",
    load: () => import("./backup-commands.ts").then((m) => ({ command: m.restoreCommand })),
  },
  {
    name: "encryption",
    group: GROUP,
    summary: "Change the keys by which Secrets are encrypted in the store",
    load: () => import("./encryption-command.ts"),
  },
  {
    name: "pki",
    group: GROUP,
    summary: "Make the keys and certificates of a cluster of separate programs",
    load: () => import("./pki-command.ts"),
  },
  {
    name: "token",
    group: GROUP,
    summary: "Make, show and take back the tokens by which machines join",
    load: () => import("./token-command.ts"),
  },
  {
    name: "join",
    group: GROUP,
    summary: "Make a node of this machine",
    load: () => import("./join-command.ts"),
  },
  {
    name: "leave",
    group: GROUP,
    summary: "Undo a join: this machine is a node no more",
    load: () => import("./leave-command.ts"),
  },
  {
    name: "node",
    group: GROUP,
    summary: "Take a machine out of the cluster",
    load: () => import("./node-command.ts"),
  },
];

const interrupt = new AbortController();
const io: Io = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  userHome: homedir(),
  clock: systemClock,
  signal: interrupt.signal,
};

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

// The second Ctrl-C does not wait for anything. `up` ends in its own, orderly way.
if (process.argv[2] !== "up") {
  process.once("SIGINT", () => {
    interrupt.abort(new Error("interrupted"));
    process.exitCode = EXIT_INTERRUPTED;
    process.once("SIGINT", () => process.exit(EXIT_INTERRUPTED));
  });
}

// A clock keeps no process alive: a command that waits for a moment would end in the middle.
const { port1: alive } = new MessageChannel();
alive.ref();
const code = await runCli(process.argv.slice(2), { io, extra });
alive.close();
process.exitCode = interrupt.signal.aborted ? EXIT_INTERRUPTED : code;
