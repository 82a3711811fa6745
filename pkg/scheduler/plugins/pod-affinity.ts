import { pass, reject, type SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import { termSelects, type AffinityTerm, type PodInfo } from "../pod-info.ts";
import type { Snapshot } from "../snapshot.ts";
import type { Selection } from "../tallies.ts";

const EXISTING_ANTI = reject("node(s) didn't satisfy existing pods anti-affinity rules", true);
const ANTI = reject("node(s) didn't match pod anti-affinity rules", true);
const AFFINITY = reject("node(s) didn't match pod affinity rules", false);

/** How many Pods that a term speaks of stand in each domain. */
interface Rule {
  readonly topologyKey: string;
  readonly counts: ReadonlyMap<string, number>;
  readonly weight: number;
}

interface State {
  /** Pods that this one must be near, must not, or whose own terms keep it away. */
  readonly near: readonly Rule[];
  readonly apart: readonly Rule[];
  readonly repelled: readonly Rule[];
  /** The first of a group that wants its own kind near has nobody to be near to, and may go anywhere. */
  readonly firstOfItsKind: boolean;
  readonly liking: readonly Rule[];
}

/** Near to these Pods, away from those: within a topology domain such as a host or a zone. */
export const podAffinity: SchedulerPlugin<State> = {
  name: "InterPodAffinity",
  wakeOn: ["NodeAdded", "NodeLabelsChanged", "PodAssigned", "PodGone", "NamespaceLabelsChanged"],
  prepare(pod, snapshot) {
    const own = pod.required.length + pod.requiredAnti.length + pod.preferred.length + pod.preferredAnti.length;
    const standing = snapshot.termsAbout(pod).map(({ term: { topologyKey }, wish, weight, tally }) => ({
      wish,
      rule: { topologyKey, counts: tally.domains(topologyKey), weight },
    }));
    if (own + standing.length === 0) return "skip";
    const rule = (t: AffinityTerm, weight: number): Rule => countOf([t], t, weight, snapshot);
    // A Pod counts for affinity only if it is what all terms want.
    const near = pod.required.map((t) => countOf(pod.required, t, 0, snapshot));
    return {
      near,
      apart: pod.requiredAnti.map((t) => rule(t, 0)),
      repelled: standing.flatMap((s) => (s.wish === "forbids" ? [s.rule] : [])),
      firstOfItsKind: near.every((r) => r.counts.size === 0) && selection(pod.required, snapshot).selects(pod),
      liking: [
        ...pod.preferred.map((t) => rule(t, t.weight)),
        ...pod.preferredAnti.map((t) => rule(t, -t.weight)),
        ...standing.flatMap((s) => (s.wish === "likes" ? [s.rule] : [])),
      ],
    };
  },
  filter(_, node, s) {
    if (s.near.length > 0 && !affinityHolds(node, s)) return AFFINITY;
    if (s.apart.some((r) => countAt(r, node) > 0)) return ANTI;
    return s.repelled.some((r) => countAt(r, node) > 0) ? EXISTING_ANTI : pass;
  },
  score(_, node, { liking }) {
    let sum = 0;
    for (const r of liking) sum += r.weight * countAt(r, node);
    return sum;
  },
  normalize: "min-max",
};

function affinityHolds(node: NodeInfo, s: State): boolean {
  if (s.near.some((r) => node.domain(r.topologyKey) === undefined)) return false;
  return s.firstOfItsKind || s.near.every((r) => countAt(r, node) > 0);
}

function countAt({ topologyKey, counts }: Rule, node: NodeInfo): number {
  const domain = node.domain(topologyKey);
  return (domain !== undefined && counts.get(domain)) || 0;
}

/** Pods that all of `terms` speak of, in the domains of one of them. */
function countOf(terms: readonly AffinityTerm[], { topologyKey }: AffinityTerm, weight: number, s: Snapshot): Rule {
  return { topologyKey, counts: s.count(selection(terms, s)).domains(topologyKey), weight };
}

function selection(terms: readonly AffinityTerm[], snapshot: Snapshot): Selection {
  return {
    key: terms.map((t) => t.id).join(),
    selects: (other: PodInfo) => terms.every((t) => termSelects(t, other, (ns) => snapshot.namespaceLabels(ns))),
  };
}
