import type { TopologySpreadConstraint } from "../../api/generated/types.ts";
import { namespaceOf } from "../../api/object.ts";
import { matchesNode } from "../../api/node-selection.ts";
import { fromLabelSelector, matchesLabels } from "../../api/selectors.ts";
import { toleratesAny } from "../../api/tolerations.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { pass, reject, type SchedulerPlugin } from "../framework.ts";
import { HOSTNAME, type NodeInfo, ZONE } from "../node-info.ts";
import { labelRequirements, type PodInfo } from "../pod-info.ts";
import type { Snapshot } from "../snapshot.ts";
import type { Selection } from "../tallies.ts";

const SKEWED = reject("node(s) didn't match pod topology spread constraints", true);
const NO_LABEL = reject("node(s) didn't match pod topology spread constraints (missing required label)", false);

type SpreadConstraint = DeepReadonly<TopologySpreadConstraint>;

/** kube-scheduler's own, for Pods that say nothing: replicas of one owner go apart, over hosts and zones. */
const DEFAULTS: readonly SpreadConstraint[] = [
  { maxSkew: 3, topologyKey: HOSTNAME, whenUnsatisfiable: "ScheduleAnyway" },
  { maxSkew: 5, topologyKey: ZONE, whenUnsatisfiable: "ScheduleAnyway" },
];

/** A constraint with the matching Pods per domain, over the nodes that count. */
interface Constraint {
  readonly topologyKey: string;
  readonly maxSkew: number;
  readonly counts: ReadonlyMap<string, number>;
}

interface Hard extends Constraint {
  readonly fewest: number;
  /** 1 when the Pod counts itself. */
  readonly self: number;
}

interface Soft extends Constraint {
  /** How much a Pod more or less weighs: little where there are few domains. */
  readonly weight: number;
  /** A node outside all domains is the last choice. */
  readonly strict: boolean;
}

interface State {
  readonly hard: readonly Hard[];
  /** Worked out when the first node is scored. */
  readonly soft: () => readonly Soft[];
}

/** `topologySpreadConstraints`: DoNotSchedule filters, ScheduleAnyway scores. */
export const topologySpread: SchedulerPlugin<State> = {
  name: "PodTopologySpread",
  wakeOn: ["NodeAdded", "NodeLabelsChanged", "NodeTaintsChanged", "PodAssigned", "PodGone"],
  prepare(pod, snapshot) {
    const own = pod.pod.spec?.topologySpreadConstraints ?? [];
    if (own.length === 0) return defaults(pod, snapshot);
    const of = (action: string) => own.filter((c) => c.whenUnsatisfiable === action);
    const anyway = () => soft(pod, of("ScheduleAnyway"), snapshot, true);
    return { hard: hard(pod, of("DoNotSchedule"), snapshot), soft: once(anyway) };
  },
  filter(_, node, s) {
    for (const c of s.hard) {
      const domain = node.domain(c.topologyKey);
      if (domain === undefined) return NO_LABEL;
      if ((c.counts.get(domain) ?? 0) + c.self - c.fewest > c.maxSkew) return SKEWED;
    }
    return pass;
  },
  score(_, node, s) {
    let crowd = 0;
    for (const c of s.soft()) {
      const domain = node.domain(c.topologyKey);
      if (domain !== undefined) crowd += (c.counts.get(domain) ?? 0) * c.weight + c.maxSkew - 1;
      else if (c.strict) return Infinity;
    }
    return crowd;
  },
  normalize: "reverse-max",
};

/** Where no replica stands yet, all nodes are alike. */
function defaults(pod: PodInfo, snapshot: Snapshot): State | "skip" {
  if (pod.group === "") return "skip";
  const spreading = () => soft(pod, DEFAULTS, snapshot, false).filter((c) => c.counts.size > 0);
  return { hard: [], soft: once(spreading) };
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

function hard(pod: PodInfo, constraints: readonly SpreadConstraint[], snapshot: Snapshot): readonly Hard[] {
  return constraints.map((c) => {
    const selection = selectionOf(pod, c);
    const { counts, domains } = countsOf(pod, c, { constraints, selection, snapshot });
    const enough = domains >= (c.minDomains ?? 1);
    return {
      topologyKey: c.topologyKey,
      maxSkew: c.maxSkew,
      counts,
      fewest: enough && counts.size >= domains ? leastOf(counts) : 0,
      self: selection.selects(pod) ? 1 : 0,
    };
  });
}

function soft(pod: PodInfo, constraints: readonly SpreadConstraint[], snapshot: Snapshot, strict: boolean) {
  return constraints.map((c): Soft => {
    const selection = strict ? selectionOf(pod, c) : groupOf(pod);
    const { counts, domains } = countsOf(pod, c, { constraints: strict ? constraints : [c], selection, snapshot });
    return { topologyKey: c.topologyKey, maxSkew: c.maxSkew, counts, weight: Math.log(domains + 2), strict };
  });
}

/** Pods on their way out do not count. */
function selectionOf({ pod }: PodInfo, c: SpreadConstraint): Selection {
  const namespace = namespaceOf(pod);
  const given = fromLabelSelector(c.labelSelector);
  const selector = given && [...given, ...labelRequirements(pod, c.matchLabelKeys, "In")];
  return {
    key: JSON.stringify(["spread", namespace, selector]),
    selects: ({ pod: { metadata: m } }) =>
      selector !== undefined && !m.deletionTimestamp && m.namespace === namespace && matchesLabels(selector, m.labels),
  };
}

function groupOf({ group }: PodInfo): Selection {
  return { key: `group ${group}`, selects: (p) => p.group === group && !p.pod.metadata.deletionTimestamp };
}

interface Counting {
  /** A node counts only when it has the labels of all of these. */
  readonly constraints: readonly SpreadConstraint[];
  readonly selection: Selection;
  readonly snapshot: Snapshot;
}

/** Over all nodes where none is left out: those numbers are always at hand. Else node by node. */
function countsOf(pod: PodInfo, c: SpreadConstraint, { constraints, selection, snapshot }: Counting) {
  const tally = snapshot.count(selection);
  const labelled = (key: string) => constraints.length === 1 || sum(snapshot.domains(key)) === snapshot.nodes.length;
  if (!choosesNodes(pod, c) && constraints.every((o) => labelled(o.topologyKey))) {
    return { counts: tally.domains(c.topologyKey), domains: snapshot.domains(c.topologyKey).size };
  }
  const counts = new Map<string, number>();
  for (const node of snapshot.nodes) {
    const domain = node.domain(c.topologyKey);
    if (domain === undefined || constraints.some((o) => node.domain(o.topologyKey) === undefined)) continue;
    if (isEligible(pod, c, node)) counts.set(domain, (counts.get(domain) ?? 0) + tally.on(node));
  }
  return { counts, domains: counts.size };
}

function choosesNodes({ pod: { spec } }: PodInfo, c: SpreadConstraint): boolean {
  if (c.nodeTaintsPolicy === "Honor") return true;
  const asks = spec?.nodeSelector ?? spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return asks !== undefined && c.nodeAffinityPolicy !== "Ignore";
}

/** Whether a node counts as a place the Pod could spread to. */
function isEligible({ pod }: PodInfo, c: SpreadConstraint, node: NodeInfo): boolean {
  if (c.nodeAffinityPolicy !== "Ignore" && !matchesNode(pod, node)) return false;
  if (c.nodeTaintsPolicy !== "Honor") return true;
  return (node.node.spec?.taints ?? []).every(
    (t) => t.effect === "PreferNoSchedule" || toleratesAny(pod.spec?.tolerations, t),
  );
}

function leastOf(counts: ReadonlyMap<string, number>): number {
  let least = Infinity;
  for (const n of counts.values()) least = Math.min(least, n);
  return least === Infinity ? 0 : least;
}

function sum(counts: ReadonlyMap<string, number>): number {
  let total = 0;
  for (const n of counts.values()) total += n;
  return total;
}
