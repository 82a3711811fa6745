/** `top`: what nodes and Pods use now. */
import type { Command } from "commander";
import type { Node, NodeMetrics, Pod, PodMetrics } from "../../api/generated/types.ts";
import { nodes } from "../../api/kinds/core/node.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { nodeMetrics, podMetrics } from "../../api/kinds/metrics/metrics.ts";
import { type ApiObject, nameOf } from "../../api/object.ts";
import { bytes, cpuMilli } from "../../api/quantity.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { Client } from "../../client/client.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { type CommandModule, examples, type Run } from "../command.ts";
import { CliError, UsageError } from "../io.ts";
import { TablePrinter } from "../output/table.ts";
import type { Session } from "../session.ts";

interface Flags {
  selector?: string;
  sortBy?: SortBy;
  headers: boolean;
  allNamespaces?: boolean;
  containers?: boolean;
  sum?: boolean;
}

type SortBy = "cpu" | "memory";

export const command: CommandModule = {
  define(c, run) {
    c.addHelpText(
      "after",
      examples("mini-kube top nodes", "mini-kube top pods -A --sort-by cpu", "mini-kube top pod web --containers"),
    );
    defineNodes(c, run);
    definePods(c, run);
  },
};

function defineNodes(parent: Command, run: Run): void {
  common(
    parent.command("nodes").alias("node").alias("no").description("CPU and memory of nodes").argument("[name]"),
  ).action(run(topNodes));
}

function definePods(parent: Command, run: Run): void {
  common(parent.command("pods").alias("pod").alias("po").description("CPU and memory of Pods").argument("[name]"))
    .option("-A, --all-namespaces", "those of all namespaces")
    .option("--containers", "each container on its own")
    .option("--sum", "a line with the sum of all")
    .action(run(topPods));
}

function common(c: Command): Command {
  return c
    .option("-l, --selector <labels>", "only those with these labels")
    .option("--sort-by <resource>", "cpu or memory, the greediest first", sortBy)
    .option("--no-headers", "no line of headings");
}

function sortBy(text: string): SortBy {
  if (text === "cpu" || text === "memory") return text;
  throw new UsageError(`--sort-by ${text}: choose cpu or memory`);
}

/** Thousandths of a CPU, and bytes. */
export interface Used {
  readonly cpu: number;
  readonly memory: number;
}

/** What a line tells: who, and how much. */
export interface Line {
  readonly names: readonly string[];
  readonly used: Used;
}

async function topNodes(session: Session, name: string | undefined, o: Flags): Promise<void> {
  const metrics = await read(session, nodeMetrics, undefined, name, o);
  if (metrics.length === 0) throw new CliError("metrics not available yet");
  const all = await read(session, nodes, undefined, name, o);
  const byName = new Map(all.map((n) => [nameOf(n), n]));
  const lines = metrics.map((m) => ({ names: [nameOf(m)], used: usedOf(m.usage), node: byName.get(nameOf(m)) }));
  const rows = ordered(lines, o.sortBy).map(({ names, used, node }) => [...names, ...ofNode(used, node)]);
  await print(session, ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"], rows, o);
}

async function topPods(session: Session, name: string | undefined, o: Flags): Promise<void> {
  const namespace = o.allNamespaces ? undefined : session.namespace;
  const metrics = await read(session, podMetrics, namespace, name, o);
  if (metrics.length === 0) return explainNone(session, namespace, o);
  const lines = ordered(linesOfPods(metrics, o), o.sortBy);
  const header = [...(o.allNamespaces ? ["NAMESPACE"] : []), ...(o.containers ? ["POD"] : []), "NAME"];
  const rows = lines.map(({ names, used }) => [...names, ...cells(used)]);
  if (o.sum) {
    const total = lines.reduce((sum, l) => add(sum, l.used), NOTHING);
    rows.push([...header.map(() => ""), ...cells(total)]);
  }
  await print(session, [...header, "CPU(cores)", "MEMORY(bytes)"], rows, o);
}

async function explainNone(session: Session, namespace: string | undefined, o: Flags): Promise<void> {
  const there = await read<Pod>(session, pods, namespace, undefined, o);
  if (there.length > 0) throw new CliError("metrics not available yet");
  session.note(namespace === undefined ? "No resources found" : `No resources found in ${namespace} namespace.`);
}

async function read<T extends ApiObject>(
  session: Session,
  ref: ResourceRef<T>,
  namespace: string | undefined,
  name: string | undefined,
  { selector }: Flags,
): Promise<readonly DeepReadonly<T>[]> {
  const api = new Client(session.transport, "mini-kube").resource(ref, namespace);
  if (name !== undefined) {
    if (selector !== undefined) throw new UsageError("a name and --selector exclude each other");
    return [await api.get(name, session.io.signal)];
  }
  return (await api.list(selector === undefined ? {} : { labelSelector: selector }, session.io.signal)).items;
}

const NOTHING: Used = { cpu: 0, memory: 0 };

export function linesOfPods(
  metrics: readonly DeepReadonly<PodMetrics>[],
  o: { readonly allNamespaces?: boolean; readonly containers?: boolean },
): Line[] {
  return metrics.flatMap((m) => {
    const names = [...(o.allNamespaces ? [m.metadata.namespace ?? ""] : []), nameOf(m)];
    if (o.containers) return m.containers.map((c) => ({ names: [...names, c.name], used: usedOf(c.usage) }));
    return [{ names, used: m.containers.reduce((sum, c) => add(sum, usedOf(c.usage)), NOTHING) }];
  });
}

function usedOf(usage: DeepReadonly<NodeMetrics["usage"]>): Used {
  return { cpu: cpuMilli(usage["cpu"] ?? "0"), memory: bytes(usage["memory"] ?? "0") };
}

const add = (a: Used, b: Used): Used => ({ cpu: a.cpu + b.cpu, memory: a.memory + b.memory });

export function ordered<L extends Line>(lines: readonly L[], by: SortBy | undefined): L[] {
  const named = lines.toSorted((a, b) => (a.names.join("/") < b.names.join("/") ? -1 : 1));
  return by === undefined ? named : named.toSorted((a, b) => b.used[by] - a.used[by]);
}

/** `12m 3Mi` */
export function cells({ cpu, memory }: Used): string[] {
  return [`${cpu}m`, `${Math.floor(memory / 2 ** 20)}Mi`];
}

/** Beside what the node has to give to Pods. */
export function ofNode(used: Used, node: DeepReadonly<Node> | undefined): string[] {
  const has = usedOf(node?.status?.allocatable ?? {});
  const [cpu = "", memory = ""] = cells(used);
  const percent = (n: number, of: number) => (of > 0 ? `${Math.floor((n * 100) / of)}%` : "<unknown>");
  return [cpu, percent(used.cpu, has.cpu), memory, percent(used.memory, has.memory)];
}

async function print(session: Session, header: string[], rows: string[][], o: Flags): Promise<void> {
  await session.say(new TablePrinter(session.paint).format({ header: o.headers ? header : undefined, rows }));
}
