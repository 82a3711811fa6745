import { MAX_SCORE, type SchedulerPlugin } from "../framework.ts";

/** Prefers nodes with the largest share of cpu and memory left once the Pod is there. */
export const leastAllocated: SchedulerPlugin = {
  name: "NodeResourcesLeastAllocated",
  score(pod, { allocatable, nonZero }) {
    const cpu = left(allocatable["cpu"] ?? 0, nonZero.cpu + pod.nonZero.cpu);
    const memory = left(allocatable["memory"] ?? 0, nonZero.memory + pod.nonZero.memory);
    return (cpu + memory) / 2;
  },
};

function left(capacity: number, used: number): number {
  return used >= capacity ? 0 : (MAX_SCORE * (capacity - used)) / capacity;
}
