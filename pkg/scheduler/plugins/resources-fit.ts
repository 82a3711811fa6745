import { pass, reject, type SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";

/** cpu, memory, ephemeral-storage, extended resources such as nvidia.com/gpu, and the number of Pods. */
export const resourcesFit: SchedulerPlugin<readonly (readonly [name: string, amount: number])[]> = {
  name: "NodeResourcesFit",
  wakeOn: ["NodeAdded", "NodeAllocatableChanged", "PodGone"],
  prepare: ({ requests }) => Object.entries(requests).filter(([name, amount]) => amount > 0 && name !== "pods"),
  filter(_, node, wanted) {
    const full = node.pods.size + 1 > (node.allocatable["pods"] ?? 0);
    let short = full;
    for (const [name, amount] of wanted) if (amount > free(node, name)) short = true;
    if (!short) return pass;
    const insufficient = wanted.filter(([name, amount]) => amount > free(node, name));
    return reject(
      [...(full ? ["Too many pods"] : []), ...insufficient.map(([name]) => `Insufficient ${name}`)],
      // No eviction makes a node bigger.
      insufficient.every(([name, amount]) => amount <= (node.allocatable[name] ?? 0)),
    );
  },
};

function free(node: NodeInfo, name: string): number {
  return (node.allocatable[name] ?? 0) - (node.requested[name] ?? 0);
}
