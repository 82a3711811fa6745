/** What a support bundle holds: each part a file, and how it is found out. */
import { execFile } from "node:child_process";
import { open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Node, Pod } from "../../../pkg/api/generated/types.ts";
import { nodes } from "../../../pkg/api/kinds/core/node.ts";
import { pods } from "../../../pkg/api/kinds/core/pod.ts";
import { apiVersionOf, nameOf, type ApiObject } from "../../../pkg/api/object.ts";
import type { ResourceDef } from "../../../pkg/api/resource.ts";
import { resources } from "../../../pkg/api/table.ts";
import { Client } from "../../../pkg/client/client.ts";
import type { HttpTransport } from "../../../pkg/client/http.ts";
import { pathOf } from "../../../pkg/client/request.ts";
import type { DeepReadonly } from "../../../pkg/util/types.ts";
import type { Home } from "../home.ts";
import { redactObject } from "./redact.ts";

export interface Part {
  readonly file: string;
  /** Rejects with why it cannot be had. */
  readonly read: (signal: AbortSignal) => Promise<string>;
}

/** Of one kind. */
const MAX_OBJECTS = 1_000;
/** Of a log: its end. */
const TAIL_BYTES = 2 * 1024 * 1024;
const TAIL_LINES = 1_000;
const MAX_LOGS = 40;
const MAX_METRICS = 10;
/** They say nothing of the cluster, or are asked for otherwise. */
const LEFT_OUT = new Set(["events", "componentstatuses"]);

const run = promisify(execFile);

/** Of the cluster, by its API. */
export function clusterParts(transport: HttpTransport): readonly Part[] {
  const text =
    (path: string, query = {}) =>
    (signal: AbortSignal) =>
      transport.text(path, { query }, signal);
  const stored = resources.filter((d) => !d.virtual && !d.view && !LEFT_OUT.has(d.plural));
  return [
    { file: "cluster/version.json", read: text("/version") },
    { file: "cluster/readyz.txt", read: text("/readyz", { verbose: "" }) },
    { file: "cluster/store.json", read: text("/debug/store") },
    { file: "cluster/log-levels.json", read: text("/debug/log-level") },
    { file: "metrics/apiserver.txt", read: text("/metrics") },
    { file: "events.txt", read: (signal) => eventsText(transport, signal) },
    ...stored.map((def) => ({
      file: `objects/${def.group || "core"}/${def.plural}.json`,
      read: (signal: AbortSignal) => objectsText(transport, def, signal),
    })),
  ];
}

async function objectsText(transport: HttpTransport, def: ResourceDef, signal: AbortSignal): Promise<string> {
  const path = pathOf({ group: def.group, version: def.version, resource: def.plural });
  const answer = await transport.text(path, { query: { limit: String(MAX_OBJECTS) } }, signal);
  const { items, metadata } = JSON.parse(answer) as { items: ApiObject[]; metadata: { remainingItemCount?: number } };
  const shown = items.map((o) => redactObject({ apiVersion: apiVersionOf(def), ...o, kind: def.kind }, def.kind));
  return JSON.stringify(
    { ...(metadata.remainingItemCount && { more: metadata.remainingItemCount }), items: shown },
    undefined,
    1,
  );
}

interface EventLike {
  readonly lastTimestamp?: string | null;
  readonly eventTime?: string | null;
  readonly type?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly count?: number;
  readonly involvedObject?: { kind?: string; namespace?: string; name?: string };
}

/** One a line, the last one last. */
async function eventsText(transport: HttpTransport, signal: AbortSignal): Promise<string> {
  const answer = await transport.text("/api/v1/events", { query: { limit: String(5 * MAX_OBJECTS) } }, signal);
  const { items } = JSON.parse(answer) as { items: EventLike[] };
  const lines = items.map((e) => {
    const { kind = "", namespace = "", name = "" } = e.involvedObject ?? {};
    const of = [namespace, kind, name].filter(Boolean).join("/");
    return [e.lastTimestamp ?? e.eventTime ?? "", e.type, `x${e.count ?? 1}`, of, e.reason, e.message].join("  ");
  });
  return `${lines.toSorted().join("\n")}\n`;
}

/** Logs of Pods that are not well, and what nodes count: it takes a look at the cluster to know which. */
export async function podParts(transport: HttpTransport, signal: AbortSignal): Promise<readonly Part[]> {
  const client = new Client(transport, "support-bundle");
  const [machines, all] = await Promise.all([
    client.resource<Node>(nodes).list({ limit: MAX_OBJECTS }, signal),
    client.resource<Pod>(pods).list({ limit: MAX_OBJECTS }, signal),
  ]);
  return [
    ...machines.items.slice(0, MAX_METRICS).map((n) => ({
      file: `metrics/node-${nameOf(n)}.txt`,
      read: (s: AbortSignal) => transport.text(`/api/v1/nodes/${nameOf(n)}/proxy/metrics`, {}, s),
    })),
    ...all.items.flatMap((pod) => logsOf(pod, transport)).slice(0, MAX_LOGS),
  ];
}

function logsOf(pod: DeepReadonly<Pod>, transport: HttpTransport): readonly Part[] {
  const { name = "", namespace = "" } = pod.metadata;
  const { initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
  return [...initContainerStatuses, ...containerStatuses].flatMap((c) => {
    const ended = c.state?.terminated;
    const done = ended?.exitCode === 0;
    const restarted = (c.restartCount ?? 0) > 0;
    if ((c.ready || done) && !restarted) return [];
    return (restarted ? [false, true] : [false]).map((previous) => ({
      file: `logs/pods/${namespace}_${name}_${c.name}${previous ? ".previous" : ""}.log`,
      read: (signal: AbortSignal) =>
        transport.text(
          `/api/v1/namespaces/${namespace}/pods/${name}/log`,
          { query: { container: c.name, tailLines: String(TAIL_LINES), ...(previous && { previous: "true" }) } },
          signal,
        ),
    }));
  });
}

/** Of the machine it is made on. */
export function machineParts(env: NodeJS.ProcessEnv): readonly Part[] {
  const command = (file: string, ...words: readonly string[]): Part => ({
    file: `machine/${file}.txt`,
    read: async (signal) => {
      const [program = "", ...args] = words;
      const { stdout, stderr } = await run(program, args, { signal, env, maxBuffer: 32 * 1024 * 1024 });
      return stdout + (stderr && `\n[stderr]\n${stderr}`);
    },
  });
  const units = ["", "-apiserver", "-scheduler", "-controller-manager", "-agent"].map((n) => `mini-kube${n}.service`);
  return [
    command("uname", "uname", "-a"),
    command("disks", "df", "-hT"),
    { file: "machine/memory.txt", read: () => readFile("/proc/meminfo", "utf8") },
    { file: "machine/load.txt", read: () => readFile("/proc/loadavg", "utf8") },
    { file: "machine/pressure.txt", read: () => pressure() },
    { file: "machine/os.txt", read: () => readFile("/etc/os-release", "utf8") },
    command("addresses", "ip", "-details", "address"),
    command("routes", "ip", "route", "show", "table", "all"),
    command("nft", "nft", "list", "ruleset"),
    command("docker-version", "docker", "version"),
    command("docker-info", "docker", "info"),
    command("docker-containers", "docker", "ps", "--all", "--no-trunc"),
    command("docker-networks", "docker", "network", "ls"),
    command("processes", "ps", "-eo", "pid,ppid,stat,etime,rss,pcpu,comm"),
    command("journal", "journalctl", "--no-pager", "-n", "5000", ...units.flatMap((u) => ["-u", u])),
  ];
}

async function pressure(): Promise<string> {
  const all = ["cpu", "memory", "io"].map(async (n) => `${n}\n${await readFile(`/proc/pressure/${n}`, "utf8")}`);
  return (await Promise.all(all)).join("");
}

/** Of `up`'s home: its log, and what lies where; never a key. */
export function homeParts(home: Home): readonly Part[] {
  return [
    { file: "logs/mini-kube.log", read: () => tail(home.log) },
    { file: "config/files.txt", read: () => listing(home.dir) },
    { file: "config/kubeconfig.yaml", read: () => readFile(home.kubeconfig, "utf8") },
  ];
}

async function tail(file: string): Promise<string> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    const from = Math.max(0, size - TAIL_BYTES);
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(size - from), position: from });
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
}

async function listing(dir: string): Promise<string> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const lines = await Promise.all(
    entries.slice(0, MAX_OBJECTS).map(async (e) => {
      const file = join(e.parentPath, e.name);
      const found = await stat(file).catch(() => undefined);
      return `${(found?.mode ?? 0).toString(8).slice(-4)} ${String(found?.size ?? "gone").padStart(12)} ${file}`;
    }),
  );
  return `${lines.join("\n")}\n`;
}
