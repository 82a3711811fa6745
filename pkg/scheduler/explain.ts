import type { Refusal } from "./framework.ts";

/** Why no node would do. */
export interface Unschedulable {
  readonly nodes: number;
  /** By node name. */
  readonly refusals: ReadonlyMap<string, Refusal>;
}

/**
 * One sentence, in kube-scheduler's words (`FitError`), that accounts for every node:
 * `0/3 nodes are available: 1 node(s) had untolerated taint {gpu: true}, 2 Insufficient cpu.`
 * A node short of several resources counts once for each. What is no node's fault stands alone, uncounted.
 */
export function explain({ nodes, refusals }: Unschedulable): string {
  if (nodes === 0) return "no nodes available to schedule pods";
  const all = [...refusals.values()];
  const whole = all.filter((r) => r.everywhere).flatMap((r) => r.reasons);
  if (whole[0] !== undefined) return `0/${nodes} nodes are available: ${whole[0]}.`;
  const counts = new Map<string, number>();
  for (const { reasons } of all) {
    for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  const parts = [...counts].map(([reason, count]) => `${count} ${reason}`).sort();
  return `0/${nodes} nodes are available: ${parts.join(", ")}.`;
}

/** The plugins that refused at least one node. */
export function refusers({ refusals }: Unschedulable): ReadonlySet<string> {
  return new Set([...refusals.values()].map((r) => r.plugin));
}
