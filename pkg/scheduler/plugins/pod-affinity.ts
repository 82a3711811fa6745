import { pass, reject, type SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import { termSelects, type AffinityTerm, type PodInfo } from "../pod-info.ts";
import type { Snapshot } from "../snapshot.ts";

const EXISTING_ANTI = reject("node(s) didn't satisfy existing pods anti-affinity rules", true);
const ANTI = reject("node(s) didn't match pod anti-affinity rules", true);
const AFFINITY = reject("node(s) didn't match pod affinity rules", false);

/** Of a standing Pod's required affinity, when the incoming Pod is what it wants near: as kube-scheduler's default. */
const HARD_AFFINITY_WEIGHT = 1;

/** Sums per topology domain: `key=value` of a node label. */
class Domains {
  readonly #sums = new Map<string, Map<string, number>>();

  get empty(): boolean {
    return this.#sums.size === 0;
  }

  add(topologyKey: string, node: NodeInfo, amount: number): void {
    const value = node.labels[topologyKey];
    if (value === undefined) return;
    const byValue = this.#sums.get(topologyKey) ?? new Map<string, number>();
    this.#sums.set(topologyKey, byValue.set(value, (byValue.get(value) ?? 0) + amount));
  }

  get(topologyKey: string, node: NodeInfo): number {
    const value = node.labels[topologyKey];
    return (value !== undefined && this.#sums.get(topologyKey)?.get(value)) || 0;
  }

  /** Over all keys: in how many ways the node stands in a counted domain. */
  total(node: NodeInfo): number {
    let sum = 0;
    for (const key of this.#sums.keys()) sum += this.get(key, node);
    return sum;
  }
}

interface State {
  /** Where standing Pods want no Pod like this. */
  readonly existingAnti: Domains;
  /** Where Pods stand that this one must be near, or must not. */
  readonly wanted: Domains;
  readonly unwanted: Domains;
  /** The first of a group that wants its own kind near has nobody to be near to, and may go anywhere. */
  readonly firstOfItsKind: boolean;
  readonly liking: Domains;
}

/** Near to these Pods, away from those: within a topology domain such as a host or a zone. */
export const podAffinity: SchedulerPlugin<State> = {
  name: "InterPodAffinity",
  wakeOn: ["NodeAdded", "NodeLabelsChanged", "PodAssigned", "PodGone", "NamespaceLabelsChanged"],
  prepare(pod, snapshot) {
    const own = pod.required.length + pod.requiredAnti.length + pod.preferred.length + pod.preferredAnti.length;
    if (own === 0 && snapshot.nodesWithAffinity.size === 0) return "skip";
    return survey(pod, snapshot, own > 0);
  },
  filter(pod, node, s) {
    if (pod.required.length > 0 && !affinityHolds(pod, node, s)) return AFFINITY;
    if (pod.requiredAnti.some((t) => s.unwanted.get(t.topologyKey, node) > 0)) return ANTI;
    return s.existingAnti.empty || s.existingAnti.total(node) === 0 ? pass : EXISTING_ANTI;
  },
  score: (_, node, s) => (s.liking.empty ? 0 : s.liking.total(node)),
  normalize: "min-max",
};

function affinityHolds(pod: PodInfo, node: NodeInfo, s: State): boolean {
  if (pod.required.some((t) => node.labels[t.topologyKey] === undefined)) return false;
  return s.firstOfItsKind || pod.required.every((t) => s.wanted.get(t.topologyKey, node) > 0);
}

/** Looks at every Pod only when this one has terms of its own; else at those with terms. */
function survey(pod: PodInfo, snapshot: Snapshot, all: boolean): State {
  const s = { existingAnti: new Domains(), wanted: new Domains(), unwanted: new Domains(), liking: new Domains() };
  const selects = (t: AffinityTerm, other: PodInfo) => termSelects(t, other, (ns) => snapshot.namespaceLabels(ns));
  for (const node of all ? snapshot.nodes : snapshot.nodesWithAffinity) {
    for (const other of node.podsWithAffinity.values()) {
      for (const t of other.requiredAnti) if (selects(t, pod)) s.existingAnti.add(t.topologyKey, node, 1);
      for (const t of other.required) if (selects(t, pod)) s.liking.add(t.topologyKey, node, HARD_AFFINITY_WEIGHT);
      for (const t of other.preferred) if (selects(t, pod)) s.liking.add(t.topologyKey, node, t.weight);
      for (const t of other.preferredAnti) if (selects(t, pod)) s.liking.add(t.topologyKey, node, -t.weight);
    }
    if (!all) continue;
    for (const other of node.pods.values()) {
      // A Pod counts for affinity only if it is what all terms want.
      const near = pod.required.length > 0 && pod.required.every((t) => selects(t, other));
      if (near) for (const t of pod.required) s.wanted.add(t.topologyKey, node, 1);
      for (const t of pod.requiredAnti) if (selects(t, other)) s.unwanted.add(t.topologyKey, node, 1);
      for (const t of pod.preferred) if (selects(t, other)) s.liking.add(t.topologyKey, node, t.weight);
      for (const t of pod.preferredAnti) if (selects(t, other)) s.liking.add(t.topologyKey, node, -t.weight);
    }
  }
  return { ...s, firstOfItsKind: s.wanted.empty && pod.required.every((t) => selects(t, pod)) };
}
