import { pass, reject, type SchedulerPlugin, type Verdict } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";

interface Wanted {
  /** What nearly every Pod asks for stands apart: it is looked up by name, fast. */
  readonly cpu: number;
  readonly memory: number;
  readonly others: readonly (readonly [name: string, amount: number])[];
}

/** cpu, memory, ephemeral-storage, extended resources such as nvidia.com/gpu, and the number of Pods. */
export const resourcesFit: SchedulerPlugin<Wanted> = {
  name: "NodeResourcesFit",
  local: true,
  wakeOn: ["NodeAdded", "NodeAllocatableChanged", "PodGone"],
  prepare({ requests: { cpu = 0, memory = 0, ...others } }) {
    return { cpu, memory, others: Object.entries(others).filter(([name, amount]) => amount > 0 && name !== "pods") };
  },
  filter(_, node, wanted) {
    const { allocatable, requested } = node;
    const fits =
      node.pods.size + 1 <= (allocatable["pods"] ?? 0) &&
      (wanted.cpu === 0 || wanted.cpu <= (allocatable["cpu"] ?? 0) - (requested["cpu"] ?? 0)) &&
      (wanted.memory === 0 || wanted.memory <= (allocatable["memory"] ?? 0) - (requested["memory"] ?? 0)) &&
      wanted.others.every(([name, amount]) => amount <= free(node, name));
    return fits ? pass : explainShortage(node, wanted);
  },
};

function explainShortage(node: NodeInfo, { cpu, memory, others }: Wanted): Verdict {
  const all = [["cpu", cpu], ["memory", memory], ...others] as const;
  const short = all.filter(([name, amount]) => amount > 0 && amount > free(node, name));
  const full = node.pods.size + 1 > (node.allocatable["pods"] ?? 0);
  return reject(
    [...(full ? ["Too many pods"] : []), ...short.map(([name]) => `Insufficient ${name}`)],
    // No eviction makes a node bigger.
    short.every(([name, amount]) => amount <= (node.allocatable[name] ?? 0)),
  );
}

function free(node: NodeInfo, name: string): number {
  return (node.allocatable[name] ?? 0) - (node.requested[name] ?? 0);
}
