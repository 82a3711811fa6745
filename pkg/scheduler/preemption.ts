/** Room for a Pod that fits nowhere, by ending less important ones. Pure: says who, and does nothing. */
import type { PodDisruptionBudget } from "../api/generated/types.ts";
import { nameOf, namespaceOf } from "../api/object.ts";
import { condition } from "../api/pod.ts";
import { fromLabelSelector, matchesLabels, type Selector } from "../api/selectors.ts";
import type { Random } from "../util/clock.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { SchedulerCache } from "./cache.ts";
import { explain, type Unschedulable } from "./explain.ts";
import { PodJudge, type ProfilePlugin, type Refusal } from "./framework.ts";
import type { NodeInfo } from "./node-info.ts";
import type { PodInfo } from "./pod-info.ts";

export interface PreemptionInput {
  readonly profile: readonly ProfilePlugin[];
  readonly pod: PodInfo;
  /** Why no node would do. */
  readonly why: Unschedulable;
  readonly cache: SchedulerCache;
  readonly budgets: readonly DeepReadonly<PodDisruptionBudget>[];
  /** The node for which the Pod has preempted others before. */
  readonly nominated: string | undefined;
  /** Whether a Pod is on its way out because of an earlier preemption. */
  readonly isVictim: (p: PodInfo) => boolean;
  readonly random: Random;
}

export type Preemption =
  /** `victims`: the most important first. */
  | { readonly node: NodeInfo; readonly victims: readonly PodInfo[] }
  /** `gaveUp`: it looked everywhere, so that a node promised earlier is no use any more. */
  | { readonly node: undefined; readonly message: string; readonly gaveUp: boolean };

const NO_VICTIMS = refusal("No preemption victims found for incoming pod");
const NO_HELP = refusal("Preemption is not helpful for scheduling");

/**
 * As kube-scheduler's DefaultPreemption:
 *
 *  V1  Victims have a lower priority than the Pod, and stand all on one node.
 *  V2  Without its victims the node takes the Pod; with any one of them back it does not, the more important and those
 *      that a budget protects being the first to be spared.
 *  V3  The node: fewest victims beyond what budgets allow, then whose most important victim matters least, then the
 *      smallest sum of priorities, fewest victims, the latest started.
 */
export function planPreemption(input: PreemptionInput): Preemption {
  const { pod, why, nominated } = input;
  const no = (message: string) => ({ node: undefined, message: `preemption: ${message}`, gaveUp: false });
  if (pod.pod.spec?.preemptionPolicy === "Never") return no("not eligible due to preemptionPolicy=Never.");
  const promised = nominated === undefined ? undefined : input.cache.node(nominated);
  if (promised && why.refusals.get(promised.name)?.fixable !== false && awaitsVictims(input, promised)) {
    return no("not eligible due to a terminating pod on the nominated node.");
  }
  const refusals = new Map<string, Refusal>();
  const best = findCandidates(input, refusals).reduce<Candidate | undefined>(cheaper, undefined);
  if (best) return best;
  for (const { name } of input.cache.nodes) if (!refusals.has(name)) refusals.set(name, NO_HELP);
  return { ...no(explain({ nodes: why.nodes, refusals })), gaveUp: true };
}

function refusal(reason: string): Refusal {
  return { plugin: "DefaultPreemption", reasons: [reason], fixable: false };
}

function awaitsVictims({ pod, isVictim }: PreemptionInput, node: NodeInfo): boolean {
  for (const p of node.pods.values()) if (p.priority < pod.priority && isVictim(p)) return true;
  return false;
}

interface Candidate {
  readonly node: NodeInfo;
  readonly victims: readonly PodInfo[];
  /** Of the victims, those that a budget does not allow. */
  readonly violations: number;
}

type Judge = (node: NodeInfo) => Refusal | undefined;

/** Of the cluster as it is when asked. Local plugins do not mind who comes and goes: they are made ready once. */
function judgeOf({ profile, pod, cache }: PreemptionInput): Judge {
  const filters = profile.filter((p) => p.filters);
  const others = filters.filter((p) => !p.local);
  const local = new PodJudge(
    filters.filter((p) => p.local),
    pod,
    cache,
  );
  return (node) => local.filter(node) ?? new PodJudge(others, pod, cache).filter(node);
}

/** As many as are worth comparing: a tenth of the nodes, a hundred at least, one of them within all budgets. */
function findCandidates(input: PreemptionInput, refusals: Map<string, Refusal>): readonly Candidate[] {
  const nodes = input.cache.nodes.filter((n) => input.why.refusals.get(n.name)?.fixable);
  const enough = Math.max(100, Math.floor(nodes.length / 10));
  const start = Math.floor(input.random() * nodes.length);
  const judge = judgeOf(input);
  const found: Candidate[] = [];
  let harmless = false;
  for (let i = 0; i < nodes.length && !(harmless && found.length >= enough); i++) {
    const node = nodes[(start + i) % nodes.length];
    if (!node) continue;
    const outcome = selectVictims(input, node, judge);
    if ("victims" in outcome) {
      found.push(outcome);
      harmless ||= outcome.violations === 0;
    } else refusals.set(node.name, outcome);
  }
  return found;
}

/** V2: takes all away that may go; then gives back one after the other those that need not. */
function selectVictims({ pod, cache, budgets }: PreemptionInput, node: NodeInfo, judge: Judge): Candidate | Refusal {
  const lesser = [...node.pods.values()].filter((p) => p.priority < pod.priority).toSorted(moreImportant);
  if (lesser.length === 0) return NO_VICTIMS;
  using world = cache.whatIf();
  for (const p of lesser) world.remove(p, node);
  const still = judge(node);
  if (still) return still;
  const beyond = beyondBudgets(lesser, budgets);
  const victims: PodInfo[] = [];
  for (const p of [...lesser.filter((q) => beyond.has(q)), ...lesser.filter((q) => !beyond.has(q))]) {
    world.add(p, node);
    if (!judge(node)) continue;
    world.remove(p, node);
    victims.push(p);
  }
  return { node, victims: victims.toSorted(moreImportant), violations: victims.filter((p) => beyond.has(p)).length };
}

/** By priority; among equals the one that runs for longer. */
function moreImportant(a: PodInfo, b: PodInfo): number {
  return b.priority - a.priority || startOf(a) - startOf(b) || (a.key < b.key ? -1 : 1);
}

function startOf({ pod }: PodInfo): number {
  return pod.status?.startTime ? Date.parse(pod.status.startTime) : Number.MAX_SAFE_INTEGER;
}

/** Those whose end, after that of all before them, no budget allows any more. */
function beyondBudgets(
  pods: readonly PodInfo[],
  budgets: readonly DeepReadonly<PodDisruptionBudget>[],
): ReadonlySet<PodInfo> {
  const left = budgets.map((budget) => ({
    budget,
    selector: fromLabelSelector(budget.spec?.selector) ?? [],
    allowed: budget.status?.disruptionsAllowed ?? 0,
  }));
  const beyond = new Set<PodInfo>();
  for (const p of pods) {
    for (const entry of left) if (protects(entry.budget, entry.selector, p) && --entry.allowed < 0) beyond.add(p);
  }
  return beyond;
}

/** Here a budget that selects everything protects nothing, and a Pod whose eviction it has granted is gone already. */
function protects(budget: DeepReadonly<PodDisruptionBudget>, selector: Selector, { pod }: PodInfo): boolean {
  if (selector.length === 0 || namespaceOf(budget) !== namespaceOf(pod)) return false;
  return matchesLabels(selector, pod.metadata.labels) && budget.status?.disruptedPods?.[nameOf(pod)] === undefined;
}

/** V3; among equals the first found. */
function cheaper(best: Candidate | undefined, next: Candidate): Candidate {
  if (!best) return next;
  const [a, b] = [priceOf(best), priceOf(next)];
  const at = a.findIndex((price, i) => price !== b[i]);
  return at >= 0 && (b[at] ?? 0) < (a[at] ?? 0) ? next : best;
}

function priceOf({ victims, violations }: Candidate): readonly number[] {
  const highest = victims[0]?.priority ?? 0;
  // Counted from the lowest priority there is, so that several negative ones cost more than one.
  const sum = victims.reduce((total, p) => total + p.priority + 2 ** 31, 0);
  const starts = victims.filter((p) => p.priority === highest).map(startOf);
  return [violations, highest, sum, victims.length, -Math.min(...starts)];
}

/** Ended by the scheduler, and not gone yet. */
export function isPreempted({ pod }: PodInfo): boolean {
  const target = condition(pod.status?.conditions, "DisruptionTarget");
  return (
    Boolean(pod.metadata.deletionTimestamp) && target?.status === "True" && target.reason === "PreemptionByScheduler"
  );
}
