import { MAX_SCORE, type SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import type { PodInfo } from "../pod-info.ts";

/** Prefers nodes whose cpu and memory would be used to a like degree, so that neither is stranded. */
export const balancedAllocation: SchedulerPlugin<true> = {
  name: "NodeResourcesBalancedAllocation",
  // A Pod that asks for nothing would pile up on the best balanced node.
  prepare: ({ requests }) => (requests["cpu"] || requests["memory"] ? true : "skip"),
  score(pod, node) {
    // The standard deviation of two numbers is half their distance.
    return MAX_SCORE * (1 - Math.abs(share(pod, node, "cpu") - share(pod, node, "memory")) / 2);
  },
};

function share({ requests }: PodInfo, { allocatable, requested }: NodeInfo, name: string): number {
  const capacity = allocatable[name] ?? 0;
  return capacity === 0 ? 0 : Math.min(1, ((requested[name] ?? 0) + (requests[name] ?? 0)) / capacity);
}
