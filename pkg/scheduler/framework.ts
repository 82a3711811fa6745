/** What a scheduling plugin is, and how several of them judge one Pod. */
import type { NodeInfo } from "./node-info.ts";
import type { PodInfo } from "./pod-info.ts";
import type { Snapshot } from "./snapshot.ts";

/** What may make an unschedulable Pod schedulable. */
export type ClusterEvent =
  | "NodeAdded"
  | "NodeAllocatableChanged"
  | "NodeLabelsChanged"
  | "NodeTaintsChanged"
  /** A Pod came to stand on a node, or its labels changed there. */
  | "PodAssigned"
  /** A Pod left its node: deleted, or run to its end. */
  | "PodGone"
  | "NamespaceLabelsChanged"
  /** A claim, a volume or a StorageClass. */
  | "VolumeChanged";

/**
 * `reasons` in the words of kube-scheduler; `fixable` when removing Pods from the node could help; `everywhere` when it is
 * no node's fault.
 */
export type Verdict =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly reasons: readonly string[];
      readonly fixable: boolean;
      readonly everywhere?: boolean;
    };

export const pass: Verdict = { ok: true };

export function reject(reasons: string | readonly string[], fixable: boolean): Verdict {
  return { ok: false, reasons: typeof reasons === "string" ? [reasons] : reasons, fixable };
}

/** The Pod itself is not ready to go anywhere. */
export function rejectPod(reason: string): Verdict {
  return { ok: false, reasons: [reason], fixable: false, everywhere: true };
}

export const MAX_SCORE = 100;

/**
 * One concern of placement. Pure: the same snapshot gives the same answers, and nothing is changed.
 *
 * `prepare` runs once per Pod; what it returns is handed to `filter` and `score`. "skip" → the plugin has no say.
 */
export interface SchedulerPlugin<S = void> {
  readonly name: string;
  /** What may turn this plugin's refusal around; nothing else wakes a Pod that it refused. */
  readonly wakeOn?: readonly ClusterEvent[];
  /** What it says of a node depends on that node alone: as long as it says no, nothing that happens there helps. */
  readonly local?: true;
  readonly prepare?: (pod: PodInfo, snapshot: Snapshot) => S | "skip";
  readonly filter?: (pod: PodInfo, node: NodeInfo, state: S) => Verdict;
  /** 0 to 100; any finite number when `normalize` is given. */
  readonly score?: (pod: PodInfo, node: NodeInfo, state: S) => number;
  /**
   * "max": the highest becomes 100. "reverse-max": likewise, then 0 is best, and Infinity as bad as can be. "min-max":
   * lowest 0, highest 100.
   */
  readonly normalize?: "max" | "reverse-max" | "min-max";
}

/** A plugin made ready for one Pod. */
interface Ready {
  readonly name: string;
  readonly weight: number;
  readonly normalize: SchedulerPlugin["normalize"];
  readonly filter?: (node: NodeInfo) => Verdict;
  readonly score?: (node: NodeInfo) => number;
}

/** A plugin in its place, its state's type closed over so that plugins of all kinds stand in one list. */
export interface ProfilePlugin {
  readonly name: string;
  readonly wakeOn: readonly ClusterEvent[];
  readonly local: boolean;
  /** Refuses nodes; else it only scores them. */
  readonly filters: boolean;
  readonly ready: (pod: PodInfo, snapshot: Snapshot) => Ready | "skip";
}

/** `weight` multiplies the plugin's score. */
export function use<S = void>(plugin: SchedulerPlugin<S>, weight = 1): ProfilePlugin {
  const { name, prepare, filter, score, normalize } = plugin;
  return {
    name,
    wakeOn: plugin.wakeOn ?? [],
    local: plugin.local ?? false,
    filters: filter !== undefined,
    ready(pod, snapshot) {
      const state = prepare?.(pod, snapshot) as S | "skip";
      if (state === "skip") return "skip";
      return {
        name,
        weight,
        normalize,
        ...(filter && { filter: (node: NodeInfo) => filter(pod, node, state) }),
        ...(score && { score: (node: NodeInfo) => score(pod, node, state) }),
      };
    },
  };
}

/** The plugin that refused, and why. */
export interface Refusal {
  readonly plugin: string;
  readonly reasons: readonly string[];
  readonly fixable: boolean;
  readonly everywhere?: boolean;
}

/** All plugins of a profile, ready to judge nodes for one Pod. */
export class PodJudge {
  readonly #filters: { name: string; filter: (node: NodeInfo) => Verdict }[] = [];
  readonly #scorers: {
    name: string;
    weight: number;
    normalize: SchedulerPlugin["normalize"];
    score: (node: NodeInfo) => number;
  }[] = [];

  constructor(profile: readonly ProfilePlugin[], pod: PodInfo, snapshot: Snapshot) {
    for (const plugin of profile) {
      const ready = plugin.ready(pod, snapshot);
      if (ready === "skip") continue;
      const { name, weight, normalize, filter, score } = ready;
      if (filter) this.#filters.push({ name, filter });
      if (score) this.#scorers.push({ name, weight, normalize, score });
    }
  }

  /** The first plugin to refuse speaks; undefined → the node will do. */
  filter(node: NodeInfo): Refusal | undefined {
    for (const { name, filter } of this.#filters) {
      const verdict = filter(node);
      if (verdict.ok) continue;
      const { reasons, fixable, everywhere = false } = verdict;
      return { plugin: name, reasons, fixable, ...(everywhere && { everywhere }) };
    }
    return undefined;
  }

  /** One weighted sum per node. */
  score(nodes: readonly NodeInfo[]): number[] {
    const totals = nodes.map(() => 0);
    const scores = new Float64Array(nodes.length);
    for (const { weight, normalize, score } of this.#scorers) {
      let i = 0;
      for (const node of nodes) scores[i++] = score(node);
      normalizeIn(scores, normalize);
      for (i = 0; i < totals.length; i++) totals[i] = (totals[i] ?? 0) + weight * (scores[i] ?? 0);
    }
    return totals;
  }

  /** What each plugin says of one node among `nodes`: the answer to "why there?". */
  breakdown(node: NodeInfo, nodes: readonly NodeInfo[]): Readonly<Record<string, number>> {
    const at = nodes.indexOf(node);
    return Object.fromEntries(
      this.#scorers.map(({ name, weight, normalize, score }) => {
        const scores = Float64Array.from(nodes, score);
        normalizeIn(scores, normalize);
        return [name, weight * (scores[at] ?? 0)];
      }),
    );
  }
}

function normalizeIn(scores: Float64Array, how: SchedulerPlugin["normalize"]): void {
  if (how === undefined) return;
  let low = Infinity;
  let high = -Infinity;
  for (const s of scores) {
    if (s < low) low = s;
    if (s > high && s !== Infinity) high = s;
  }
  const scale = scaling(how, low, high);
  for (let i = 0; i < scores.length; i++) scores[i] = scale(scores[i] ?? 0);
}

function scaling(how: "max" | "reverse-max" | "min-max", low: number, high: number): (score: number) => number {
  switch (how) {
    case "min-max":
      return high === low ? () => 0 : (s) => (MAX_SCORE * (s - low)) / (high - low);
    case "max":
      return high <= 0 ? () => 0 : (s) => (MAX_SCORE * s) / high;
    case "reverse-max":
      if (high <= 0) return (s) => (s === Infinity ? 0 : MAX_SCORE);
      return (s) => (s === Infinity ? 0 : MAX_SCORE - (MAX_SCORE * s) / high);
  }
}
