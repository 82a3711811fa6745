/** systemd's units for the programs, as text. Pure. */
import { dirname } from "node:path";

export const PROGRAMS = ["up", "apiserver", "scheduler", "controller-manager", "agent"] as const;
export type ProgramName = (typeof PROGRAMS)[number];

export interface UnitOptions {
  readonly program: ProgramName;
  /** Of this installation: node, and the script of the program. */
  readonly node: string;
  readonly script: string;
  /** As given to the program. */
  readonly flags: readonly string[];
  /** Where `up` keeps its things. */
  readonly home: string;
}

/** What runs Pods must be root among the machine's own things; what only talks to others needs none of them. */
const RUNS_PODS: ReadonlySet<ProgramName> = new Set(["up", "agent"]);

const DESCRIPTIONS: Readonly<Record<ProgramName, string>> = {
  up: "mini-kube: a cluster on this machine",
  apiserver: "mini-kube: API server",
  scheduler: "mini-kube: scheduler",
  "controller-manager": "mini-kube: controller manager",
  agent: "mini-kube: runs the Pods of this machine",
};

/** Programs stop within 10 s; `up` and the agent may have requests, mounts and rules to see to first. */
const STOP_SECONDS = { pods: 60, plain: 20 };

/** It is called by this name: `systemctl status NAME`. */
export const unitName = (program: ProgramName) =>
  program === "up" ? "mini-kube.service" : `mini-kube-${program}.service`;

export function unitText(o: UnitOptions): string {
  const pods = RUNS_PODS.has(o.program);
  const words = [o.node, o.script, ...(o.program === "up" ? ["up"] : []), ...o.flags];
  return lines(
    "[Unit]",
    `Description=${DESCRIPTIONS[o.program]}`,
    "Wants=network-online.target",
    `After=network-online.target${pods ? " docker.service" : ""}`,
    ...(pods ? ["Wants=docker.service"] : []),
    "# It is to come back whatever happens, and however often.",
    "StartLimitIntervalSec=0",
    "",
    "[Service]",
    "Type=exec",
    `ExecStart=${words.map(quoted).join(" ")}`,
    ...(o.program === "up" ? [`Environment=${quoted(`MINI_KUBE_HOME=${o.home}`)}`] : []),
    "Restart=always",
    "RestartSec=2",
    `TimeoutStopSec=${pods ? STOP_SECONDS.pods : STOP_SECONDS.plain}`,
    "LimitNOFILE=1048576",
    ...(pods ? ofNodes : [...hardened, `ReadWritePaths=${writable(o.flags).map(quoted).join(" ")}`]),
    "",
    "[Install]",
    "WantedBy=multi-user.target",
  );
}

/** A stop ends the program alone: containers and what helps them go on, and the next start finds them. */
const ofNodes = [
  "KillMode=process",
  "OOMScoreAdjust=-900",
  "TasksMax=infinity",
  "LockPersonality=yes",
  "RestrictRealtime=yes",
  "SystemCallArchitectures=native",
];

/** It reads its files and talks to others by network: the rest of the machine is not there for it. */
const hardened = [
  "KillMode=mixed",
  "StateDirectory=mini-kube",
  "StateDirectoryMode=0700",
  "NoNewPrivileges=yes",
  "CapabilityBoundingSet=",
  "ProtectSystem=strict",
  "ProtectHome=read-only",
  "PrivateTmp=yes",
  "PrivateDevices=yes",
  "ProtectClock=yes",
  "ProtectControlGroups=yes",
  "ProtectHostname=yes",
  "ProtectKernelLogs=yes",
  "ProtectKernelModules=yes",
  "ProtectKernelTunables=yes",
  "ProtectProc=invisible",
  "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK",
  "RestrictNamespaces=yes",
  "RestrictRealtime=yes",
  "RestrictSUIDSGID=yes",
  "LockPersonality=yes",
  "SystemCallArchitectures=native",
  "UMask=0077",
];

/** Where it writes, beside its state directory; `-`: unless it is not there. */
function writable(flags: readonly string[]): readonly string[] {
  const words = flags.flatMap((flag) => (flag.startsWith("--") ? flag.split(/=(.*)/s, 2) : [flag]));
  const named = words.flatMap((word, i) => {
    const path = words[i + 1] ?? "";
    if (!path.startsWith("/")) return [];
    if (word === "--data-dir" || word === "--pki-dir") return [path];
    return word === "--audit-log" ? [dirname(path)] : [];
  });
  return [...new Set(["/etc/mini-kube", "/var/log/mini-kube", ...named])].map((path) => `-${path}`);
}

const lines = (...all: readonly string[]) => `${all.join("\n")}\n`;

/** One word, whatever is in it: `%` and `$` mean themselves. */
export function quoted(word: string): string {
  const plain = word.replaceAll("%", "%%").replaceAll("$", "$$$$");
  if (/^[\w@%+=:,./$-]+$/.test(plain)) return plain;
  return `"${plain.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}
