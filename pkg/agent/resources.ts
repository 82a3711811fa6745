/** What a Pod asks of the node and how Docker is told. Pure. */
import { qosClass } from "../api/pod.ts";
import { bytes, cpuMilli } from "../api/quantity.ts";
import type { ContainerConfig } from "../runtime/runtime.ts";
import type { Container, Pod } from "./facts.ts";

const MIN_SHARES = 2;

/** As the kubelet: a request is a weight (1 CPU = 1024 shares), a limit is a limit. */
export function containerResources(pod: Pod, c: Container, nodeMemory: number): ContainerConfig["resources"] {
  const { limits, requests } = c.resources ?? {};
  const cpu = requests?.["cpu"] ?? limits?.["cpu"];
  const shares = cpu === undefined ? MIN_SHARES : Math.max(MIN_SHARES, Math.floor((cpuMilli(cpu) * 1024) / 1000));
  return {
    cpuShares: shares,
    ...(limits?.["cpu"] !== undefined && { nanoCpus: cpuMilli(limits["cpu"]) * 1_000_000 }),
    ...(limits?.["memory"] !== undefined && { memoryBytes: bytes(limits["memory"]) }),
    oomScoreAdj: oomScore(pod, requests?.["memory"], nodeMemory),
  };
}

/** Who dies first when the node runs out of memory: BestEffort, then Burstable by its share, Guaranteed last. */
function oomScore(pod: Pod, request: string | undefined, nodeMemory: number): number {
  const qos = qosClass(pod);
  if (qos === "Guaranteed") return -997;
  if (qos === "BestEffort") return 1000;
  const share = 1000 - Math.floor((1000 * bytes(request ?? "0")) / Math.max(1, nodeMemory));
  return Math.min(999, Math.max(3, share));
}
