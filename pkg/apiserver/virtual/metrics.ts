/** metrics.k8s.io: what nodes and Pods use now, as their agents tell it. Nothing is stored. */
import type { Node, NodeMetrics, Pod, PodMetrics } from "../../api/generated/types.ts";
import { nodes } from "../../api/kinds/core/node.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { nodeMetrics, podMetrics } from "../../api/kinds/metrics/metrics.ts";
import { nameOf, namespaceOf } from "../../api/object.ts";
import { isTerminal } from "../../api/pod.ts";
import type { ContainerSummary, CpuStats, MemoryStats, PodSummary, Summary } from "../../api/stats-summary.ts";
import { notFound } from "../../api/status.ts";
import { type Clock, rfc3339 } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ClusterView } from "../admission.ts";
import { resourceKey } from "../keys.ts";
import type { VirtualHandler } from "../virtual.ts";

export interface MetricsOptions {
  readonly clock: Clock;
  /** Asks a node's agent. May reject in any way, and take its time. */
  readonly summary: (node: DeepReadonly<Node>, signal: AbortSignal) => Promise<Summary>;
}

/** So old may an answer be: those who ask often share one. */
const FRESH_MS = 2_000;
/** A node that has not answered by then is left out of this answer. */
const DEADLINE_MS = 8_000;

/** By {@link resourceKey}. A node that does not answer, and its Pods, are left out: no number is better than a wrong one. */
export function metricsHandlers(o: MetricsOptions): ReadonlyMap<string, VirtualHandler> {
  const agents = new Agents(o);
  const onNodes = new NodeMetricsHandler(agents);
  const onPods = new PodMetricsHandler(agents);
  return new Map<string, VirtualHandler>([
    [
      resourceKey(nodeMetrics),
      { get: (r) => onNodes.get(r.name, r.view), list: (r) => onNodes.of([...r.view.list(nodes)]) },
    ],
    [
      resourceKey(podMetrics),
      {
        get: (r) => onPods.get(r.namespace, r.name, r.view),
        list: (r) => onPods.of([...r.view.list(pods, r.namespace)], r.view),
      },
    ],
  ]);
}

/** The last answer of each agent, for a while. */
class Agents {
  readonly #o: MetricsOptions;
  readonly #answers = new Map<string, { readonly at: number; readonly summary: Promise<Summary | undefined> }>();

  constructor(o: MetricsOptions) {
    this.#o = o;
  }

  /** Undefined when it does not answer in time. */
  summary(node: DeepReadonly<Node>): Promise<Summary | undefined> {
    const now = this.#o.clock.now();
    for (const [name, { at }] of this.#answers) if (now - at >= FRESH_MS) this.#answers.delete(name);
    const known = this.#answers.get(nameOf(node));
    if (known) return known.summary;
    const summary = this.#ask(node);
    this.#answers.set(nameOf(node), { at: now, summary });
    return summary;
  }

  async #ask(node: DeepReadonly<Node>): Promise<Summary | undefined> {
    const late = new AbortController();
    using _deadline = this.#o.clock.after(DEADLINE_MS, () => late.abort(new Error("no answer in time")));
    try {
      return await this.#o.summary(node, late.signal);
    } catch {
      return undefined; // its Node says why, and since when
    }
  }
}

class NodeMetricsHandler {
  readonly #agents: Agents;

  constructor(agents: Agents) {
    this.#agents = agents;
  }

  async get(name: string, view: ClusterView): Promise<NodeMetrics> {
    const node = view.get(nodes, "", name);
    const [found] = node ? await this.of([node]) : [];
    if (!found) throw notFound({ group: nodeMetrics.group, resource: "nodemetrics" }, name);
    return found;
  }

  async of(all: readonly DeepReadonly<Node>[]): Promise<readonly NodeMetrics[]> {
    const summaries = await Promise.all(all.map((node) => this.#agents.summary(node)));
    return all.flatMap((node, i) => metricsOfNode(node, summaries[i]) ?? []);
  }
}

class PodMetricsHandler {
  readonly #agents: Agents;

  constructor(agents: Agents) {
    this.#agents = agents;
  }

  async get(namespace: string, name: string, view: ClusterView): Promise<PodMetrics> {
    const pod = view.get(pods, namespace, name);
    const [found] = pod ? await this.of([pod], view) : [];
    if (!found) throw notFound({ group: podMetrics.group, resource: "podmetrics" }, `${namespace}/${name}`);
    return found;
  }

  async of(all: readonly DeepReadonly<Pod>[], view: ClusterView): Promise<readonly PodMetrics[]> {
    const alive = all.filter((p) => !isTerminal(p) && p.spec?.nodeName);
    const hosts = [...new Set(alive.map((p) => p.spec?.nodeName ?? ""))].flatMap((n) => view.get(nodes, "", n) ?? []);
    const summaries = await Promise.all(hosts.map((node) => this.#agents.summary(node)));
    const byUid = new Map(summaries.flatMap((s) => s?.pods ?? []).map((p) => [p.podRef.uid, p]));
    return alive.flatMap((pod) => metricsOfPod(pod, byUid.get(pod.metadata.uid ?? "")) ?? []);
  }
}

export function metricsOfNode(node: DeepReadonly<Node>, s: Summary | undefined): NodeMetrics | undefined {
  const usage = s && usageOf(s.node);
  if (!usage) return undefined;
  return { apiVersion: "metrics.k8s.io/v1beta1", kind: "NodeMetrics", metadata: metadataOf(node, usage), ...usage };
}

/** Undefined as long as one of its containers has no rate yet: a part must not pass for the whole. */
export function metricsOfPod(pod: DeepReadonly<Pod>, s: PodSummary | undefined): PodMetrics | undefined {
  const containers = (s?.containers ?? []).map((c) => ({ c, measured: usageOf(c) }));
  const oldest = containers.map(({ measured }) => measured).toSorted(byTime)[0];
  if (!oldest || containers.some(({ measured }) => !measured)) return undefined;
  const { timestamp, window } = oldest;
  return {
    apiVersion: "metrics.k8s.io/v1beta1",
    kind: "PodMetrics",
    metadata: metadataOf(pod, oldest),
    timestamp,
    window,
    containers: containers.map(({ c, measured }) => ({ name: c.name, usage: measured?.usage ?? {} })),
  };
}

type Measured = Pick<NodeMetrics, "timestamp" | "window" | "usage">;

const byTime = (a: Measured | undefined, b: Measured | undefined) =>
  (a?.timestamp ?? "").localeCompare(b?.timestamp ?? "");

function usageOf({ cpu, memory }: Pick<ContainerSummary, "cpu" | "memory">): Measured | undefined {
  if (cpu.usageNanoCores === undefined) return undefined;
  return { timestamp: cpu.time, window: windowOf(cpu), usage: { cpu: cpuOf(cpu), memory: memoryOf(memory) } };
}

// As metrics-server writes them: `123456n`, `2048Ki`, `15.042s`.
const cpuOf = (cpu: CpuStats) => (cpu.usageNanoCores ? `${cpu.usageNanoCores}n` : "0");
const memoryOf = ({ workingSetBytes: bytes }: MemoryStats) => (bytes > 0 ? `${Math.ceil(bytes / 1024)}Ki` : "0");
const windowOf = ({ windowSeconds = 0 }: CpuStats) => `${Number(windowSeconds.toFixed(3))}s`;

function metadataOf(o: DeepReadonly<Node | Pod>, { timestamp }: Measured) {
  const { labels } = o.metadata;
  return {
    name: nameOf(o),
    ...(namespaceOf(o) && { namespace: namespaceOf(o) }),
    creationTimestamp: rfc3339(Date.parse(timestamp)),
    ...(labels && { labels: { ...labels } }),
  };
}
