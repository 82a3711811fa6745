import type { Random } from "../util/clock.ts";
import type { Unschedulable } from "./explain.ts";
import { PodJudge, type ProfilePlugin, type Refusal } from "./framework.ts";
import type { NodeInfo } from "./node-info.ts";
import type { PodInfo } from "./pod-info.ts";
import type { Snapshot } from "./snapshot.ts";

export type Decision =
  | {
      readonly node: NodeInfo;
      readonly score: number;
      /** Nodes that would do, of those looked at. */
      readonly feasible: number;
      readonly evaluated: number;
    }
  | { readonly node: undefined; readonly why: Unschedulable };

export interface FindNodeOptions {
  /** Chooses among equals. */
  readonly random: Random;
  /** Where to begin looking. */
  readonly start?: number;
  /** Taken, if it will do: room was made there for the Pod. */
  readonly nominated?: string | undefined;
}

/** Finds the node for a Pod: a pure function of its arguments. In a big cluster it stops once enough nodes would do. */
export function findNode(
  profile: readonly ProfilePlugin[],
  pod: PodInfo,
  snapshot: Snapshot,
  o: FindNodeOptions,
): Decision {
  const judge = new PodJudge(profile, pod, snapshot);
  const nominated = o.nominated === undefined ? undefined : snapshot.node(o.nominated);
  if (nominated && !judge.filter(nominated)) return { node: nominated, score: 0, feasible: 1, evaluated: 0 };
  const { nodes } = snapshot;
  const enough = enoughNodes(nodes.length);
  const feasible: NodeInfo[] = [];
  const refusals = new Map<string, Refusal>();
  let evaluated = 0;
  while (evaluated < nodes.length && feasible.length < enough) {
    const node = nodes[((o.start ?? 0) + evaluated) % nodes.length];
    evaluated++;
    if (!node) continue;
    const refusal = judge.filter(node);
    if (refusal) refusals.set(node.name, refusal);
    else feasible.push(node);
  }
  if (feasible.length === 0) return { node: undefined, why: { nodes: nodes.length, refusals } };
  const [only] = feasible;
  if (feasible.length === 1 && only) return { node: only, score: 0, feasible: 1, evaluated };
  return { ...best(feasible, judge.score(feasible), o.random), feasible: feasible.length, evaluated };
}

/** All up to 100 nodes; beyond, a share that shrinks from one half to 5 %, as kube-scheduler has it. */
export function enoughNodes(all: number): number {
  if (all <= 100) return all;
  const percent = Math.max(5, 50 - Math.floor(all / 125));
  return Math.max(100, Math.floor((all * percent) / 100));
}

/** The highest score; among equals each has the same chance. */
function best(
  nodes: readonly NodeInfo[],
  scores: readonly number[],
  random: Random,
): { node: NodeInfo; score: number } {
  let score = -Infinity;
  let ties = 0;
  let chosen: NodeInfo | undefined;
  for (const [i, node] of nodes.entries()) {
    const s = scores[i] ?? 0;
    if (s > score) {
      score = s;
      ties = 1;
      chosen = node;
    } else if (s === score && random() * ++ties < 1) chosen = node;
  }
  if (!chosen) throw new Error("best of no nodes");
  return { node: chosen, score };
}
