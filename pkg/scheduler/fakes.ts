/** Small objects for the tests of this folder. */
import type { Node, Pod, PodSpec } from "../api/generated/types.ts";
import { podInfo, type PodInfo } from "./pod-info.ts";
import { SchedulerCache } from "./cache.ts";

export function node(name: string, o: Partial<Node["metadata"]> & Node["spec"] & { allocatable?: object } = {}): Node {
  const { labels, taints, unschedulable, allocatable } = o;
  return {
    metadata: { name, uid: `uid-${name}`, labels: { "kubernetes.io/hostname": name, ...labels } },
    spec: { ...(taints && { taints }), ...(unschedulable && { unschedulable }) },
    status: {
      allocatable: { cpu: "4", memory: "8Gi", pods: "110", ...allocatable },
      conditions: [{ type: "Ready", status: "True" }],
    },
  };
}

export function pod(
  name: string,
  o: Partial<PodSpec> & { requests?: Record<string, string>; labels?: Record<string, string> } = {},
): Pod {
  const { requests, labels, ...spec } = o;
  return {
    metadata: { name, namespace: "default", uid: `uid-${name}`, ...(labels && { labels }) },
    spec: { containers: [{ name: "c", image: "busybox", resources: { ...(requests && { requests }) } }], ...spec },
  };
}

export const info = (name: string, o: Parameters<typeof pod>[1] = {}): PodInfo => podInfo(pod(name, o));

/** A cache with these nodes, and Pods on them by node name. */
export function cacheOf(nodes: readonly Node[], on: Readonly<Record<string, readonly PodInfo[]>> = {}): SchedulerCache {
  const cache = new SchedulerCache();
  for (const n of nodes) cache.setNode(n);
  for (const [name, pods] of Object.entries(on)) for (const p of pods) cache.put(p, name);
  return cache;
}
