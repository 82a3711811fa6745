import type { TopologySpreadConstraint } from "../../api/generated/types.ts";
import { namespaceOf } from "../../api/object.ts";
import { fromLabelSelector, matchesLabels, type Selector } from "../../api/selectors.ts";
import { matchesNode } from "../../api/node-selection.ts";
import { toleratesAny } from "../../api/tolerations.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { pass, reject, type SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import { labelRequirements, type PodInfo } from "../pod-info.ts";
import type { Snapshot } from "../snapshot.ts";

const SKEWED = reject("node(s) didn't match pod topology spread constraints", true);
const NO_LABEL = reject("node(s) didn't match pod topology spread constraints (missing required label)", false);

interface Constraint {
  readonly topologyKey: string;
  readonly maxSkew: number;
  readonly hard: boolean;
  /** Matching Pods per domain, over the eligible nodes. */
  readonly counts: ReadonlyMap<string, number>;
  readonly fewest: number;
  /** 1 when the Pod counts itself. */
  readonly self: number;
  /** How much a Pod more or less weighs: little where there are few domains. */
  readonly weight: number;
}

/** The Pod's own `topologySpreadConstraints`: DoNotSchedule filters, ScheduleAnyway scores. */
export const topologySpread: SchedulerPlugin<readonly Constraint[]> = {
  name: "PodTopologySpread",
  wakeOn: ["NodeAdded", "NodeLabelsChanged", "NodeTaintsChanged", "PodAssigned", "PodGone"],
  prepare(pod, snapshot) {
    const constraints = pod.pod.spec?.topologySpreadConstraints ?? [];
    return constraints.length === 0 ? "skip" : constraints.map((c) => survey(pod, c, snapshot));
  },
  filter(_, node, constraints) {
    for (const c of constraints) {
      if (!c.hard) continue;
      const domain = node.labels[c.topologyKey];
      if (domain === undefined) return NO_LABEL;
      if ((c.counts.get(domain) ?? 0) + c.self - c.fewest > c.maxSkew) return SKEWED;
    }
    return pass;
  },
  score(_, node, constraints) {
    let crowd = 0;
    for (const c of constraints) {
      if (c.hard) continue;
      const domain = node.labels[c.topologyKey];
      // A node outside all domains is the last choice.
      const count = domain === undefined ? Math.max(0, ...c.counts.values()) + c.maxSkew : (c.counts.get(domain) ?? 0);
      crowd += count * c.weight + c.maxSkew - 1;
    }
    return crowd;
  },
  normalize: "reverse-max",
};

function survey(pod: PodInfo, c: DeepReadonly<TopologySpreadConstraint>, snapshot: Snapshot): Constraint {
  const given = fromLabelSelector(c.labelSelector);
  const selector = given && [...given, ...labelRequirements(pod.pod, c.matchLabelKeys, "In")];
  const counts = new Map<string, number>();
  for (const node of snapshot.nodes) {
    const domain = node.labels[c.topologyKey];
    if (domain === undefined || !isEligible(pod, c, node)) continue;
    counts.set(domain, (counts.get(domain) ?? 0) + countMatching(pod, selector, node));
  }
  const enoughDomains = counts.size >= (c.minDomains ?? 1);
  return {
    topologyKey: c.topologyKey,
    maxSkew: c.maxSkew,
    hard: c.whenUnsatisfiable === "DoNotSchedule",
    counts,
    fewest: enoughDomains && counts.size > 0 ? Math.min(...counts.values()) : 0,
    self: selector && matchesLabels(selector, pod.pod.metadata.labels) ? 1 : 0,
    weight: Math.log(counts.size + 2),
  };
}

/** Whether a node counts as a place the Pod could spread to. */
function isEligible({ pod }: PodInfo, c: DeepReadonly<TopologySpreadConstraint>, node: NodeInfo): boolean {
  if (c.nodeAffinityPolicy !== "Ignore" && !matchesNode(pod, node)) return false;
  if (c.nodeTaintsPolicy !== "Honor") return true;
  return (node.node.spec?.taints ?? []).every(
    (t) => t.effect === "PreferNoSchedule" || toleratesAny(pod.spec?.tolerations, t),
  );
}

function countMatching(pod: PodInfo, selector: Selector | undefined, node: NodeInfo): number {
  if (!selector) return 0;
  const namespace = namespaceOf(pod.pod);
  let count = 0;
  for (const { pod: other } of node.pods.values()) {
    if (other.metadata.deletionTimestamp || namespaceOf(other) !== namespace) continue;
    if (matchesLabels(selector, other.metadata.labels)) count++;
  }
  return count;
}
